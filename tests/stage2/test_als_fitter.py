from dataclasses import fields
from math import inf, nan
from typing import Any

import pytest
from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame, SparkSession

from recommender.errors import ConfigError, DataQualityError
from recommender.partitions import cores
from recommender.stage2.steps import AlsFitter

SCORES = "visitor_index int, item_index int, score float"

# Our parameter, MLlib's name of it, our default, and a value that is neither default.
PARAMETERS: list[tuple[str, str, Any, Any]] = [
    ("rank", "rank", 32, 3),
    ("max_iter", "maxIter", 10, 7),
    ("reg_param", "regParam", 0.1, 0.25),
    ("num_user_blocks", "numUserBlocks", 2, 5),
    ("num_item_blocks", "numItemBlocks", 2, 6),
    ("implicit_prefs", "implicitPrefs", True, False),
    ("alpha", "alpha", 1.0, 40.0),
    ("nonnegative", "nonnegative", False, True),
    ("checkpoint_interval", "checkpointInterval", 10, -1),
    ("seed", "seed", 0, 42),
    ("intermediate_storage_level", "intermediateStorageLevel", "MEMORY_AND_DISK", "DISK_ONLY"),
    ("final_storage_level", "finalStorageLevel", "MEMORY_AND_DISK", "MEMORY_ONLY"),
    ("cold_start_strategy", "coldStartStrategy", "drop", "nan"),
    ("block_size", "blockSize", 4096, 128),
    ("user_col", "userCol", "visitor_index", "user"),
    ("item_col", "itemCol", "item_index", "thing"),
    ("rating_col", "ratingCol", "score", "stars"),
    ("prediction_col", "predictionCol", "prediction", "guess"),
]


class Spy:
    """Stands in for the fit, and keeps what it was called with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.als: ALS
        self.rows: DataFrame
        self.model: Any = object()
        monkeypatch.setattr(ALS, "fit", self._fitter())

    def _fitter(self) -> Any:
        def fit(als: ALS, rows: DataFrame) -> object:
            self.als, self.rows = als, rows
            return self.model

        return fit

    def value(self, name: str) -> Any:
        return getattr(self.als, f"get{name[0].upper()}{name[1:]}")()


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    return Spy(monkeypatch)


@pytest.fixture(scope="module")
def scores(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([(0, 0, 1.0), (0, 1, 2.0), (1, 1, 5.0)], SCORES)


def test_every_parameter_of_the_step_and_of_mllib_is_tested(spark: SparkSession) -> None:
    assert {ours for ours, *_ in PARAMETERS} == {field.name for field in fields(AlsFitter)}
    assert {theirs for _, theirs, *_ in PARAMETERS} == {param.name for param in ALS().params}


def test_every_parameter_reaches_mllib(spark: SparkSession, spy: Spy) -> None:
    scores = spark.createDataFrame([(0, 0, 1.0)], "user int, thing int, stars float")
    assert AlsFitter(**{ours: value for ours, _, _, value in PARAMETERS}).execute(scores) is spy.model
    assert {name: spy.value(name) for _, name, *_ in PARAMETERS} == {name: value for _, name, _, value in PARAMETERS}


def test_the_defaults_reach_mllib(scores: DataFrame, spy: Spy) -> None:
    AlsFitter().execute(scores)
    assert {name: spy.value(name) for _, name, *_ in PARAMETERS} == {name: usual for _, name, usual, _ in PARAMETERS}


def test_there_are_as_many_blocks_as_cores_unless_told_otherwise(scores: DataFrame, spy: Spy) -> None:
    AlsFitter(num_user_blocks=9).execute(scores)
    assert (spy.value("numUserBlocks"), spy.value("numItemBlocks")) == (9, cores(scores.sparkSession))


def test_only_the_three_columns_are_handed_to_mllib(spark: SparkSession, spy: Spy) -> None:
    scores = spark.createDataFrame(
        [(5, 2.0, "x", 0, 1)], "thing int, stars float, more string, user int, item_index int"
    )
    AlsFitter(user_col="user", item_col="thing", rating_col="stars").execute(scores)
    assert spy.rows.columns == ["user", "thing", "stars"]
    assert spy.rows.collect() == [(0, 5, 2.0)]


def test_the_model_has_factors_of_the_wanted_rank_for_every_visitor_and_item(scores: DataFrame) -> None:
    model = AlsFitter(rank=3, max_iter=1, nonnegative=True).execute(scores)
    for factors in (model.userFactors, model.itemFactors):
        rows = factors.collect()
        assert sorted(row["id"] for row in rows) == [0, 1]
        assert {len(row["features"]) for row in rows} == {3}
        assert min(value for row in rows for value in row["features"]) >= 0


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"rank": 0}, "CFG_RANGE rank must be 1..1000, got 0"),
        ({"max_iter": -1}, "CFG_RANGE max_iter must be 0..1000, got -1"),
        ({"reg_param": nan}, "CFG_RANGE reg_param must be >= 0, got nan"),
        ({"reg_param": -0.5}, "CFG_RANGE reg_param must be >= 0, got -0.5"),
        ({"alpha": inf}, "CFG_RANGE alpha must be >= 0, got inf"),
        ({"num_user_blocks": 0}, "CFG_RANGE num_user_blocks must be 1..100000, got 0"),
        ({"num_item_blocks": -3}, "CFG_RANGE num_item_blocks must be 1..100000, got -3"),
        ({"block_size": 0}, "CFG_RANGE block_size must be 1..1000000, got 0"),
        ({"checkpoint_interval": 0}, "CFG_VALUE checkpoint_interval must be >= 1, or -1 for none, got 0"),
        ({"checkpoint_interval": -2}, "CFG_RANGE checkpoint_interval must be -1..1000, got -2"),
        ({"cold_start_strategy": "keep"}, "CFG_RANGE cold_start_strategy must be one of nan, drop, got 'keep'"),
        ({"rank": "ten"}, "CFG_TYPE rank must be an integer 1..1000, got 'ten'"),
        ({"implicit_prefs": 1}, "CFG_TYPE implicit_prefs must be true or false, got 1"),
        ({"rnak": 3}, "CFG_UNKNOWN_KEY rnak, did you mean rank"),
        ({"regParam": 0.1}, "CFG_UNKNOWN_KEY regParam, did you mean reg_param"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_rule_and_value(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        AlsFitter(**given)
    assert str(error.value) == sentence


def test_an_unknown_storage_level_is_an_error() -> None:
    given: Any = "NONE"
    with pytest.raises(
        ConfigError, match=r"^CFG_RANGE final_storage_level must be one of MEMORY_AND_DISK, .* got 'NONE'$"
    ):
        AlsFitter(final_storage_level=given)


def test_all_wrong_parameters_are_listed() -> None:
    with pytest.raises(ConfigError, match=r"^CFG_RANGE rank must be 1\.\.1000, got 0; alpha must be >= 0, got -1\.0$"):
        AlsFitter(rank=0, alpha=-1.0)


def test_no_scores_are_an_error(spark: SparkSession) -> None:
    empty = spark.createDataFrame([], "visitor_index int, item_index int, score float")
    with pytest.raises(DataQualityError, match="NO_ROWS als has no scores to fit; see score_filter"):
        AlsFitter().execute(empty)
