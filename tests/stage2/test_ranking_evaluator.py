from math import log2
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession

from recommender.errors import ConfigError
from recommender.stage2.steps import RankingEvaluator

Key = tuple[str, str, int]  # model, metric, k

LISTS = "model string, visitor_index int, rank int, item_index int"
HOLDOUT = "visitor_index int, item_index int"
# In no order: neither the places of a list nor its visitors follow each other.
PLACES = [("als", 1, 2, 51), ("popular", 2, 1, 50), ("als", 2, 1, 52), ("als", 1, 1, 50), ("popular", 1, 1, 51)]
HELD = [(3, 50), (1, 51), (2, 52)]


def judge(spark: SparkSession, places: list[Any], holdout: list[Any], cutoffs: list[int]) -> dict[Key, Row]:
    lists, held = spark.createDataFrame(places, LISTS), spark.createDataFrame(holdout, HOLDOUT)
    rows = RankingEvaluator(cutoffs=cutoffs).execute(lists, held, ["als", "popular"]).collect()
    found = {(row["model"], row["metric"], row["k"]): row for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.fixture(scope="module")
def metrics(spark: SparkSession) -> dict[Key, Row]:
    return judge(spark, PLACES, HELD, [2, 1, 2])


def test_a_metric_is_the_mean_over_all_visitors_with_a_holdout_in_whatever_order_the_rows_come(
    metrics: dict[Key, Row],
) -> None:
    assert metrics["als", "ndcg", 2]["value"] == pytest.approx((1 / log2(3) + 1 + 0) / 3)
    assert metrics["als", "mrr", 2]["value"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert metrics["popular", "hit_rate", 1]["value"] == pytest.approx(1 / 3)
    assert {row["visitors"] for row in metrics.values()} == {3}


def test_each_cut_off_is_reported_once(metrics: dict[Key, Row]) -> None:
    assert sorted(k for model, metric, k in metrics if (model, metric) == ("als", "map")) == [1, 2]


def test_without_lists_every_metric_is_0(spark: SparkSession) -> None:
    found = judge(spark, [], HELD, [1])
    assert {row["value"] for row in found.values()} == {0.0}
    assert len(found) == 2 * 6


def test_without_a_holdout_there_is_nothing_to_report(spark: SparkSession) -> None:
    assert judge(spark, PLACES, [], [1]) == {}


def test_the_usual_cut_offs_are_1_5_10_and_20() -> None:
    assert RankingEvaluator().cutoffs == [1, 5, 10, 20]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"cutoffs": []}, "CFG_RANGE cutoffs must not be empty"),
        ({"cutoffs": 10}, "CFG_TYPE cutoffs must be a list, each an integer 1..1000, got 10"),
        ({"cutoffs": [5, "a"]}, "CFG_TYPE cutoffs[1] must be an integer 1..1000, got 'a'"),
        ({"cutoffs": [0]}, "CFG_RANGE cutoffs[0] must be 1..1000, got 0"),
        ({"cutoffs": [1, 1001]}, "CFG_RANGE cutoffs[1] must be 1..1000, got 1001"),
        ({"cutoff": [1]}, "CFG_UNKNOWN_KEY cutoff, did you mean cutoffs"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_rule_and_value(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        RankingEvaluator(**given)
    assert str(error.value) == sentence
