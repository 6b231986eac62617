import json
from dataclasses import fields
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pyspark
import pytest
from numpy.typing import NDArray
from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import DataFrame, SparkSession, functions as F
from support.clusters import MASTERS, on_cluster

from recommender.errors import ConfigError, DataQualityError
from recommender.spark.cluster import has_checkpoint_folder
from recommender.spark.session import checkpoints
from recommender.stage2.steps import AlsFitter
from recommender.stage2.steps.als_fitter import blocks_for
from recommender.tables.factor_model import FactorModel

SCORES = "visitor_index int, item_index int, score float"
VISITORS, ITEMS = 120, 80

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
OURS_ALONE = {"nonpositive_scores", "solver", "method", "cg_steps", "reg_exponent"}


class Spy:
    """Stands in for the fit, and keeps what it was called with."""

    def __init__(self, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
        factors = spark.createDataFrame([(0, [1.0])], "id int, features array<float>")
        self.als: ALS
        self.rows: DataFrame
        self.model: Any = FactorModel(1, factors, factors)
        monkeypatch.setattr(ALS, "fit", self._fitter())

    def _fitter(self) -> Any:
        def fit(als: ALS, rows: DataFrame) -> object:
            self.als, self.rows = als, rows
            return self.model

        return fit

    def value(self, name: str) -> Any:
        return getattr(self.als, f"get{name[0].upper()}{name[1:]}")()


@pytest.fixture
def spy(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Spy:
    return Spy(spark, monkeypatch)


@pytest.fixture(scope="module")
def scores(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([(0, 0, 1.0), (0, 1, 2.0), (1, 1, 5.0)], SCORES)


def random_pairs(seed: int = 5) -> list[tuple[int, int, float]]:
    """A third of all pairs of visitors and items, in no order; ids have gaps."""
    random = np.random.default_rng(seed)
    chosen = random.permutation(VISITORS * ITEMS)[: VISITORS * ITEMS // 3]
    values = random.choice([1.0, 1.5, 5.0, 10.0], size=len(chosen))
    return [(3 * (int(n) // ITEMS), 7 * (int(n) % ITEMS), float(r)) for n, r in zip(chosen, values, strict=True)]


def factors_of(model: ALSModel) -> list[list[list[float]]]:
    """The factors of the visitors, and of the items, in the order of the ids."""
    frames = (model.userFactors, model.itemFactors)
    return [[row["features"] for row in frame.orderBy("id").collect()] for frame in frames]


def all_factors(spark: SparkSession) -> list[Any]:
    scores = spark.createDataFrame(random_pairs(), SCORES)
    steps = [AlsFitter(rank=4, max_iter=2), AlsFitter(rank=4, max_iter=3, num_user_blocks=5, num_item_blocks=3)]
    return [factors_of(step.execute(scores)) for step in steps]


def assert_same(found: list[Any], expected: list[Any]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.array(one), np.array(other), rtol=0, atol=1e-6)


# Parameters


def test_every_parameter_of_the_step_and_of_mllib_is_tested(spark: SparkSession) -> None:
    assert {ours for ours, *_ in PARAMETERS} | OURS_ALONE == {field.name for field in fields(AlsFitter)}
    assert {theirs for _, theirs, *_ in PARAMETERS} == {param.name for param in ALS().params}


def test_every_parameter_reaches_mllib(spark: SparkSession, spy: Spy) -> None:
    scores = spark.createDataFrame([(0, 0, 1.0)], "user int, thing int, stars float")
    assert AlsFitter(**{ours: value for ours, _, _, value in PARAMETERS}).execute(scores) is spy.model
    assert {name: spy.value(name) for _, name, *_ in PARAMETERS} == {name: value for _, name, _, value in PARAMETERS}


def test_the_defaults_reach_mllib(scores: DataFrame, spy: Spy) -> None:
    AlsFitter().execute(scores)
    assert {name: spy.value(name) for _, name, *_ in PARAMETERS} == {name: usual for _, name, usual, _ in PARAMETERS}


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
        ({"nonpositive_scores": "drop"}, "CFG_RANGE nonpositive_scores must be one of refuse, keep, got 'drop'"),
        ({"cold_start_strategy": "keep"}, "CFG_RANGE cold_start_strategy must be one of nan, drop, got 'keep'"),
        ({"reg_exponent": 3}, "CFG_RANGE reg_exponent must be 0..2, got 3"),
        (
            {"reg_exponent": 0.5},
            "CFG_VALUE reg_exponent must be 1 with solver mllib, got 0.5; set solver to blocks",
        ),
        ({"method": "cg"}, "CFG_VALUE method must be null with solver mllib, got cg; set solver to blocks"),
        ({"cg_steps": 3}, "CFG_VALUE cg_steps must be null with solver mllib, got 3; set solver to blocks"),
        (
            {"solver": "blocks", "nonnegative": True},
            "CFG_VALUE nonnegative must be false with solver blocks; set solver to mllib",
        ),
        (
            {"solver": "blocks", "method": "cholesky", "cg_steps": 3},
            "CFG_VALUE cg_steps must be null with method cholesky, got 3",
        ),
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


# Blocks, and the order of the scores


@pytest.mark.parametrize(
    ("pairs", "blocks"),
    [
        (1, 2),
        (1_000_000, 2),
        (2_000_000, 2),
        (2_000_001, 4),
        (4_000_000, 4),
        (5_000_000, 8),
        (100_000_000, 128),
        (10**9, 512),
    ],
)
def test_blocks_are_the_power_of_two_that_gives_each_a_million_pairs_at_most(pairs: int, blocks: int) -> None:
    assert blocks_for(pairs) == blocks


def test_the_number_of_blocks_follows_from_the_number_of_pairs(
    scores: DataFrame, spy: Spy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recommender.stage2.steps.als_fitter.PAIRS_PER_BLOCK", 1)
    AlsFitter().execute(scores.repartition(7))
    assert (spy.value("numUserBlocks"), spy.value("numItemBlocks")) == (4, 4)


def test_a_number_of_blocks_that_is_given_wins(scores: DataFrame, spy: Spy) -> None:
    AlsFitter(num_user_blocks=9).execute(scores)
    assert (spy.value("numUserBlocks"), spy.value("numItemBlocks")) == (9, 2)


def test_only_the_three_columns_are_handed_to_mllib(spark: SparkSession, spy: Spy) -> None:
    scores = spark.createDataFrame(
        [(5, 2.0, "x", 0, 1)], "thing int, stars float, more string, user int, item_index int"
    )
    AlsFitter(user_col="user", item_col="thing", rating_col="stars").execute(scores)
    assert spy.rows.columns == ["user", "thing", "stars"]
    assert spy.rows.collect() == [(0, 5, 2.0)]


def test_the_scores_of_a_block_of_visitors_and_of_items_are_in_one_partition_and_sorted(
    spark: SparkSession, spy: Spy
) -> None:
    pairs = random_pairs()
    AlsFitter(num_user_blocks=5, num_item_blocks=3).execute(spark.createDataFrame(pairs, SCORES).repartition(6))
    rows = [tuple(row) for row in spy.rows.select("*", F.spark_partition_id()).collect()]
    assert sorted(row[:3] for row in rows) == sorted(pairs)
    partitions: dict[tuple[int, int], set[int]] = {}
    for visitor, item, _, partition in rows:
        partitions.setdefault((visitor % 5, item % 3), set()).add(partition)
    assert len(partitions) == 15
    assert {len(found) for found in partitions.values()} == {1}
    for partition in {row[3] for row in rows}:
        there = [row for row in rows if row[3] == partition]
        assert there == sorted(there)


def test_the_factors_do_not_depend_on_the_order_and_the_partitions_of_the_scores(spark: SparkSession) -> None:
    pairs = random_pairs()
    step = AlsFitter(rank=4, max_iter=5, num_user_blocks=4, num_item_blocks=3)
    expected = factors_of(step.execute(spark.createDataFrame(pairs, SCORES).coalesce(1)))
    assert [len(rows) for rows in expected] == [VISITORS, ITEMS]
    for partitions in (2, 7):
        other = spark.createDataFrame(pairs[::-1], SCORES).repartition(partitions, "score", "item_index")
        assert_same(factors_of(step.execute(other)), expected)


@pytest.mark.job
@pytest.mark.slow  # test_same_metrics.py compares all of it by default
def test_the_factors_are_the_same_on_any_cluster(spark: SparkSession) -> None:
    expected = all_factors(spark)
    # ALS came to Spark Connect with Spark 4.
    for master in MASTERS if pyspark.__version__ >= "4" else MASTERS[:1]:
        for found, wanted in zip(on_cluster(master, all_factors), expected, strict=True):
            assert_same(found, wanted)


# What is fitted


def test_the_model_has_factors_of_the_wanted_rank_for_every_visitor_and_item(scores: DataFrame) -> None:
    model = AlsFitter(rank=3, max_iter=1, nonnegative=True).execute(scores)
    for factors in (model.userFactors, model.itemFactors):
        rows = factors.collect()
        assert sorted(row["id"] for row in rows) == [0, 1]
        assert {len(row["features"]) for row in rows} == {3}
        assert min(value for row in rows for value in row["features"]) >= 0


@pytest.mark.parametrize("implicit_prefs", [True, False])
def test_the_visitors_factors_minimise_the_sum_of_the_docstring(spark: SparkSession, implicit_prefs: bool) -> None:
    """Its derivative by each visitor's factors is 0, for positive and negative scores."""
    pairs = [(v // 3, i // 7, r if (v + i) % 4 else -r) for v, i, r in random_pairs()]
    step = AlsFitter(
        rank=3, max_iter=2, alpha=1.5, reg_param=0.2, implicit_prefs=implicit_prefs, nonpositive_scores="keep"
    )
    x, y = (np.array(rows) for rows in factors_of(step.execute(spark.createDataFrame(pairs, SCORES))))
    scores, scored = np.zeros((VISITORS, ITEMS)), np.zeros((VISITORS, ITEMS), dtype=bool)
    for visitor, item, score in pairs:
        scores[visitor, item], scored[visitor, item] = score, True
    weights: NDArray[np.float64] = 1 + 1.5 * np.abs(scores) if implicit_prefs else scored.astype(float)
    wanted = (scores > 0).astype(float) if implicit_prefs else scores
    counts = (scores > 0).sum(axis=1) if implicit_prefs else scored.sum(axis=1)
    pull, hold = (weights * (x @ y.T - wanted)) @ y, 0.2 * counts[:, None] * x
    sizes = np.linalg.norm(hold, axis=1)
    assert sizes.min() > 0
    assert (np.linalg.norm(pull + hold, axis=1) / sizes).max() < 1e-4


def weights(als: AlsFitter, scores: DataFrame) -> list[dict[str, Any]]:
    (facts,) = als.facts(scores).collect()
    return als.histogram(facts["weights"])


def test_the_weights_are_counted_in_bins_by_powers_of_two(spark: SparkSession) -> None:
    values = [0.0, 0.5, 1.0, 1.0, 2.0, 3.0, 100.0, 40_000.0, -2.0]
    scores = spark.createDataFrame([(n, n, value) for n, value in enumerate(values)], SCORES)
    found = weights(AlsFitter(alpha=2.0), scores)
    edges = [2.0**n for n in range(16)]
    expected, _ = np.histogram(1 + 2 * np.abs(values), bins=[*edges, inf])
    assert [bin_["pairs"] for bin_ in found] == expected.tolist()
    assert [(bin_["from"], bin_["to"]) for bin_ in found] == list(zip(edges, [*edges[1:], None], strict=True))
    assert json.loads(json.dumps(found)) == found


def test_explicit_scores_have_no_weights(scores: DataFrame) -> None:
    assert weights(AlsFitter(implicit_prefs=False), scores) == []


# Scores that are refused


def test_no_scores_are_an_error(spark: SparkSession) -> None:
    empty = spark.createDataFrame([], "visitor_index int, item_index int, score float")
    with pytest.raises(DataQualityError, match="NO_ROWS als has no scores to fit; see score_filter"):
        AlsFitter().execute(empty)


@pytest.mark.parametrize("bad", [nan, inf, -inf, 1e300, None])
def test_33_a_score_that_is_no_number_is_refused_before_the_fit(spark: SparkSession, spy: Spy, bad: Any) -> None:
    scores = spark.createDataFrame([(0, 0, 1.0), (0, 1, bad), (1, 1, bad)], SCORES.replace("float", "double"))
    for step in (AlsFitter(), AlsFitter(nonpositive_scores="keep")):
        with pytest.raises(DataQualityError) as error:
            step.execute(scores)
        assert str(error.value) == (
            "BAD_SCORE 2 of the 3 pairs that als is to fit have a null, NaN or infinite score or id; "
            "see score_events.score_map"
        )
    assert not hasattr(spy, "rows")


def test_33_a_missing_index_is_refused(spark: SparkSession) -> None:
    scores = spark.createDataFrame([(0, 0, 1.0), (None, 1, 1.0), (1, None, 1.0)], SCORES)
    with pytest.raises(DataQualityError, match="BAD_SCORE 2 of the 3 pairs"):
        AlsFitter().execute(scores)


def test_33_scores_that_are_not_positive_are_refused_unless_they_are_to_be_kept(spark: SparkSession, spy: Spy) -> None:
    scores = spark.createDataFrame([(0, 0, 1.0), (0, 1, 0.0), (1, 1, -2.0)], SCORES)
    with pytest.raises(DataQualityError) as error:
        AlsFitter().execute(scores)
    assert str(error.value) == (
        "BAD_SCORE 2 of the 3 pairs that als is to fit have a score of 0 or below; raise score_filter.min_score above "
        "0, or set als.nonpositive_scores to keep"
    )
    AlsFitter(nonpositive_scores="keep").execute(scores)
    assert spy.rows.count() == 3


@pytest.mark.parametrize("given", [{}, {"nonpositive_scores": "keep"}, {"implicit_prefs": False}])
def test_35_no_positive_score_is_refused(spark: SparkSession, given: dict[str, Any]) -> None:
    scores = spark.createDataFrame([(0, 0, 0.0), (0, 1, -1.0)], SCORES)
    with pytest.raises(DataQualityError) as error:
        AlsFitter(**given).execute(scores)
    assert str(error.value) == (
        "NO_POSITIVE none of the 2 pairs that als is to fit has a score above 0; see score_events.score_map"
    )


def test_equations_without_a_single_solution_are_told(spark: SparkSession) -> None:
    scores = spark.createDataFrame([(0, 0, 1.0), (1, 1, 2.0)], SCORES)
    told = r"SINGULAR_MATRIX als cannot solve its equations with reg_param 0; raise als\.reg_param above 0"
    with pytest.raises(DataQualityError, match=told):
        AlsFitter(rank=4, reg_param=0, implicit_prefs=False).execute(scores)


def test_explicit_ratings_may_all_be_negative_where_they_are_kept(spark: SparkSession, spy: Spy) -> None:
    scores = spark.createDataFrame([(0, 0, 0.0), (0, 1, -1.0)], SCORES)
    assert AlsFitter(implicit_prefs=False, nonpositive_scores="keep").execute(scores) is spy.model


def model_of(spark: SparkSession, *features: list[float]) -> FactorModel:
    """A model whose visitors and items have these factors."""
    frames = (spark.createDataFrame([(0, [1.0, 0.0]), (1, each)], "id int, features array<float>") for each in features)
    return FactorModel(2, *frames)


@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_fitted_factors_that_are_not_finite_are_refused(
    spark: SparkSession, scores: DataFrame, spy: Spy, bad: float
) -> None:
    told = r"BAD_FACTORS als has fitted factors that are not finite; lower als\.alpha, or raise als\.reg_param"
    for users, items in (([0.5, bad], [0.0, 0.0]), ([0.0, 0.0], [bad, 0.5])):
        spy.model = model_of(spark, users, items)
        with pytest.raises(DataQualityError, match=told):
            AlsFitter().execute(scores)


def test_fitted_factors_that_are_all_zero_are_refused(spark: SparkSession, scores: DataFrame, spy: Spy) -> None:
    zeros = spark.createDataFrame([(0, [0.0, 0.0]), (1, [0.0, 0.0])], "id int, features array<float>")
    spy.model = FactorModel(2, model_of(spark, [0.0, 0.0], [0.0, 0.0]).userFactors, zeros)
    with pytest.raises(DataQualityError, match=r"BAD_FACTORS als has fitted factors that are all 0; lower als\.reg"):
        AlsFitter().execute(scores)
    spy.model = model_of(spark, [0.0, 0.0], [0.0, 0.0])
    assert AlsFitter().execute(scores) is spy.model


def test_more_pairs_than_an_int_holds_are_fitted(scores: DataFrame, spy: Spy) -> None:
    AlsFitter().execute(scores, (2**31 + 1, 0, 2**31 + 1, []))
    assert spy.value("numUserBlocks") == 512


# Checkpoints


def test_a_fit_that_needs_checkpoints_is_refused_where_there_is_no_folder_for_them(scores: DataFrame, spy: Spy) -> None:
    with pytest.raises(ConfigError) as error:
        AlsFitter(max_iter=11).execute(scores)
    assert str(error.value) == (
        "CHECKPOINT_FOLDER als has 11 iterations, more than als.checkpoint_interval 10, and Spark has no folder for "
        "checkpoints; set spark.checkpoint.dir (Spark 4), call setCheckpointDir of its context, or set "
        "als.checkpoint_interval to -1 for none"
    )
    assert not hasattr(spy, "rows")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"max_iter": 10, "checkpoint_interval": 10},
        {"max_iter": 500, "checkpoint_interval": -1},
        {"max_iter": 0, "checkpoint_interval": 1},
    ],
)
def test_a_fit_that_makes_none_needs_no_folder(scores: DataFrame, spy: Spy, given: dict[str, int]) -> None:
    step = AlsFitter(**given)  # type: ignore[arg-type]
    assert not step.needs_checkpoints
    assert step.execute(scores) is spy.model


@pytest.mark.parametrize("implicit_prefs", [True, False])
def test_checkpoints_are_written_where_the_job_says_and_change_nothing(
    spark: SparkSession, tmp_path: Path, implicit_prefs: bool
) -> None:
    scores = spark.createDataFrame(random_pairs(), SCORES)
    step = AlsFitter(rank=3, max_iter=3, checkpoint_interval=2, implicit_prefs=implicit_prefs)
    without = AlsFitter(rank=3, max_iter=3, checkpoint_interval=-1, implicit_prefs=implicit_prefs)
    expected = factors_of(without.execute(scores))
    with checkpoints(tmp_path.as_uri()):
        found = factors_of(step.execute(scores))
    assert list(tmp_path.rglob("part-*")) != []
    assert_same(found, expected)
    assert not has_checkpoint_folder(spark)


def test_a_folder_that_was_set_before_stays(spark: SparkSession, tmp_path: Path) -> None:
    with checkpoints((tmp_path / "own").as_uri()):
        with checkpoints((tmp_path / "other").as_uri()):
            assert has_checkpoint_folder(spark)
        assert has_checkpoint_folder(spark)
        assert [path.name for path in tmp_path.iterdir()] == ["own"]
    assert not has_checkpoint_folder(spark)
