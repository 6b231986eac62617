"""What a model is judged by is not in what it has seen: tables that leak are refused, others are not."""

import random
from typing import Any

import pytest
from pyspark.sql import SparkSession

from recommender.errors import DataQualityError
from recommender.stage1.steps import LeakCheck
from recommender.tables import schemas

# Visitors 0 and 1 are trained, 2 came after the cut at 100.
SCORES = [(0, 0, 1.0, 10), (0, 1, 2.0, 20), (1, 0, 1.0, 99)]
HISTORY = [
    (0, 0, "view", 1.0, 10),
    (0, 1, "view", 1.0, 15),
    (0, 1, "transaction", 1.0, 20),
    (1, 0, "view", 1.0, 99),
    (2, 5, "view", 1.0, 110),
]
HOLDOUT = [(0, 5, 1.0, 100), (1, 1, 1.0, 120), (2, 0, 1.0, 130)]


def check(spark: SparkSession, cut: float | None = None, **more: list[tuple[Any, ...]]) -> int:
    rows = {"scores": SCORES, "history": HISTORY, "holdout": HOLDOUT}
    tables = {}
    for name, its in rows.items():
        both = [*its, *more.get(name, [])]
        random.Random(len(both)).shuffle(both)  # noqa: S311 - no secret
        tables[name] = spark.createDataFrame(both, schemas.TABLES[name])
    return LeakCheck().execute(**tables, cut=cut)


def test_tables_that_do_not_leak_pass(spark: SparkSession) -> None:
    assert check(spark) == 0
    assert check(spark, cut=100) == 0
    assert check(spark, cut=99.5) == 0


def test_empty_tables_pass(spark: SparkSession) -> None:
    tables = {name: spark.createDataFrame([], schemas.TABLES[name]) for name in ("scores", "history", "holdout")}
    assert LeakCheck().execute(**tables, cut=5) == 0


def test_a_time_that_is_not_known_is_no_leak(spark: SparkSession) -> None:
    assert check(spark, cut=100, scores=[(1, 2, 1.0, None)], holdout=[(1, 3, 1.0, None)]) == 0


@pytest.mark.parametrize(
    ("more", "cut", "told"),
    [
        ({"scores": [(1, 1, 1.0, 20)]}, None, "LEAK 1 held-out pairs are in scores, 0 in history: the models would be"),
        (
            {"history": [(2, 0, "view", 1.0, 110)]},
            None,
            "LEAK 0 held-out pairs are in scores, 1 in history: the",
        ),
        (
            {"holdout": [(0, 0, 1.0, 130), (0, 1, 1.0, 130)]},
            100,
            "LEAK 2 held-out pairs are in scores, 3 in history, and 0 pairs are trained with events at or after",
        ),
        (
            {"scores": [(1, 2, 1.0, 100)]},
            100,
            "and 1 pairs are trained with events at or after the cut 100: the",
        ),
        # a visitor with scores, and one with a history from before the cut, have no history from after it
        ({"history": [(0, 2, "view", 1.0, 100)]}, 100, "and 1 pairs are trained with events at or after the cut 100"),
        (
            {"history": [(3, 2, "view", 1.0, 5), (3, 3, "view", 1.0, 200), (3, 4, "view", 1.0, 300)]},
            100.5,
            r"and 2 pairs are trained with events at or after the cut 100\.5: .*; this is a fault of the program",
        ),
    ],
)
def test_tables_that_leak_are_refused(spark: SparkSession, more: dict[str, Any], cut: float | None, told: str) -> None:
    with pytest.raises(DataQualityError, match=told) as raised:
        check(spark, cut, **more)
    assert (raised.value.id, raised.value.exit_code) == ("LEAK", 13)


def test_the_same_item_of_another_visitor_is_no_leak(spark: SparkSession) -> None:
    assert check(spark, scores=[(2, 1, 1.0, 20)], history=[(2, 3, "view", 1.0, 20)], holdout=[(1, 3, 1.0, 9)]) == 0
