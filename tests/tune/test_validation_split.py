"""The validation part: who is in it, and that nothing is in two parts that must not be."""

from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from recommender.errors import ConfigError
from recommender.tune.steps import ValidationSplit

TYPES = "visitor_index int, item_index int, score float, last_timestamp long"
# Visitor v has v % 5 + 1 pairs; of two at the same time the one with the larger item counts as the later.
SCORES = [(v, i, float(i), 100 - i // 2) for v in range(200) for i in range(v % 5 + 1)]

Pair = tuple[int, int]


def pairs(rows: DataFrame) -> set[Pair]:
    found = [(row["visitor_index"], row["item_index"]) for row in rows.collect()]
    assert len(found) == len(set(found))
    return set(found)


def parts(spark: SparkSession, split: ValidationSplit, partitions: int = 2, **more: Any) -> list[set[Pair]]:
    scores = spark.createDataFrame(SCORES, TYPES).repartition(partitions, "score")
    made = split.execute(scores, **more)
    assert all(rows.dtypes == scores.dtypes for rows in made)
    return [pairs(rows) for rows in made]


def test_by_visitors_every_pair_is_in_one_part(spark: SparkSession) -> None:
    train, history, holdout = parts(spark, ValidationSplit(share=0.3, last_pairs=2))
    everything = {(v, i) for v, i, _, _ in SCORES}
    assert train | history | holdout == everything
    assert len(train) + len(history) + len(holdout) == len(everything)
    assert not {v for v, _ in train} & {v for v, _ in history | holdout}


def test_by_visitors_the_last_pairs_by_time_are_held_out_and_one_stays(spark: SparkSession) -> None:
    _, history, holdout = parts(spark, ValidationSplit(share=0.3, last_pairs=2))
    evaluated = {v for v, _ in holdout}
    assert evaluated == {v for v, _ in history}
    for visitor in evaluated:
        # The times fall with the item, in twos: of items 0..n the latest are 1, 0, 3, 2, 5, 4.
        latest = [i for i in (1, 0, 3, 2, 4) if i < visitor % 5 + 1]
        held = latest[: min(2, visitor % 5)]
        assert {i for v, i in holdout if v == visitor} == set(held)


def test_a_visitor_with_one_pair_is_fitted(spark: SparkSession) -> None:
    train, _, _ = parts(spark, ValidationSplit(share=0.9))
    assert {v for v in range(200) if v % 5 == 0} <= {v for v, _ in train}


def test_the_share_of_the_visitors_is_chosen_by_a_hash(spark: SparkSession) -> None:
    split = ValidationSplit(share=0.3)
    one, other = parts(spark, split, partitions=1), parts(spark, split, partitions=7)
    assert one == other
    evaluated = {v for v, _ in one[2]}
    assert 0.2 * 160 < len(evaluated) < 0.4 * 160  # of the 160 with several pairs
    assert {v for v, _ in parts(spark, ValidationSplit(share=0.3, seed=1))[2]} != evaluated


def test_by_time_the_later_pairs_of_known_visitors_are_held_out(spark: SparkSession) -> None:
    train, history, holdout = parts(spark, ValidationSplit(by="time"), cut=99)
    late = {(v, i) for v, i, _, time in SCORES if time >= 99}
    early = {(v, i) for v, i, _, time in SCORES if time < 99}
    assert train == early
    assert holdout == {(v, i) for v, i in late if v in {w for w, _ in early}}
    assert history == {(v, i) for v, i in early if v in {w for w, _ in late}}
    assert not train & holdout


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"by": "items"}, "CFG_RANGE by must be one of visitors, time, got 'items'"),
        ({"share": 0}, "CFG_RANGE share must be > 0 and < 1, got 0"),
        ({"last_pairs": 0}, "CFG_RANGE last_pairs must be >= 1, got 0"),
        ({"percentile": 100}, "CFG_RANGE percentile must be > 0 and < 100, got 100"),
    ],
)
def test_a_parameter_out_of_range_is_named(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as raised:
        ValidationSplit(**given)
    assert str(raised.value) == expected
