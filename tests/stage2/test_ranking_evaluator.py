from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, Row, SparkSession

from recommender.errors import ConfigError
from recommender.evaluation import METRICS, PER_VISITOR, Evaluation
from recommender.stage2.steps import RankingEvaluator

Key = tuple[str, str, int]  # model, metric, k

REASON = (
    "it is not a metric of lists, and with implicit feedback a score is not a rating that could be missed by so much"
)

LISTS = "model string, visitor_index int, rank int, item_index int"
HOLDOUT = "visitor_index int, item_index int, score float"
# In no order: neither the places of a list nor its visitors follow each other.
PLACES = [("als", 1, 2, 51), ("popular", 2, 1, 50), ("als", 2, 1, 52), ("als", 1, 1, 50), ("popular", 1, 1, 51)]
HELD = [(3, 50, 1.0), (1, 51, 1.0), (2, 52, 1.0)]
POPULARITY = [(50, 4.0), (51, 2.0), (52, 1.0), (53, 1.0)]


def evaluate(
    spark: SparkSession, evaluator: RankingEvaluator, places: list[Any] = PLACES, holdout: list[Any] = HELD
) -> Evaluation:
    lists, held = spark.createDataFrame(places, LISTS), spark.createDataFrame(holdout, HOLDOUT)
    popularity = spark.createDataFrame(POPULARITY, "item_index int, score double")
    segments = spark.createDataFrame([(1, ["new"]), (2, ["new"])], "visitor_index int, segments array<string>")
    return evaluator.execute(lists, held, ["als", "popular"], popularity=popularity, segments=segments)


def by_key(rows: DataFrame) -> dict[Key, Row]:
    found = {(row["model"], row["metric"], row["k"]): row for row in rows.collect()}
    assert len(found) == rows.count()
    return found


@pytest.fixture(scope="module")
def found(spark: SparkSession) -> Evaluation:
    return evaluate(spark, RankingEvaluator(cutoffs=[2, 1, 2], replicates=100, seed=1))


@pytest.fixture(scope="module")
def metrics(found: Evaluation) -> dict[Key, Row]:
    return by_key(found.metrics)


def test_a_metric_is_the_mean_over_all_visitors_with_a_holdout_in_whatever_order_the_rows_come(
    metrics: dict[Key, Row],
) -> None:
    assert metrics["als", "ndcg", 2]["value"] == pytest.approx((1 / log2(3) + 1 + 0) / 3)
    assert metrics["als", "mrr", 2]["value"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert metrics["popular", "hit_rate", 1]["value"] == pytest.approx(1 / 3)
    assert {row["visitors"] for (_, name, _), row in metrics.items() if name in PER_VISITOR} == {3}


def test_each_cut_off_is_reported_once(metrics: dict[Key, Row]) -> None:
    assert sorted(k for model, metric, k in metrics if (model, metric) == ("als", "map")) == [1, 2]


def test_what_the_lists_show_together_is_reported_beside_it(metrics: dict[Key, Row]) -> None:
    # als shows 50 and 51 to visitor 1, and 52 to visitor 2; of four items 50 has half the score, 52 an eighth.
    assert metrics["als", "coverage", 2]["value"] == 3 / 4
    assert metrics["als", "novelty", 1]["value"] == pytest.approx((1 + 3) / 2)
    assert metrics["als", "overlap", 2]["value"] == 0
    assert metrics["als", "coverage", 2]["visitors"] == 2


def test_metrics_have_intervals_segments_and_the_means_of_the_replicates(
    found: Evaluation, metrics: dict[Key, Row]
) -> None:
    means = by_key(found.bootstrap)["als", "mrr", 2]["means"]
    assert len(means) == 100
    drawn = [mean for mean in means if mean is not None]
    low, high = np.quantile(drawn, [0.025, 0.975])
    row = metrics["als", "mrr", 2]
    assert (row["low"], row["high"]) == pytest.approx((low, high))
    of_segment = by_key(found.segment_metrics)["als", "mrr", 2]
    assert (of_segment["segment"], of_segment["value"], of_segment["visitors"]) == ("new", 0.75, 2)


def test_graded_relevance_counts_the_scores(spark: SparkSession) -> None:
    held = [(1, 50, 1.0), (1, 51, 4.0)]
    step = {name: RankingEvaluator(cutoffs=[2], relevance=name, metrics=["ndcg"]) for name in ("graded", "binary")}
    found = {name: by_key(evaluate(spark, each, PLACES, held).metrics) for name, each in step.items()}
    assert found["graded"]["als", "ndcg", 2]["value"] == pytest.approx((1 + 4 / log2(3)) / (4 + 1 / log2(3)))
    assert found["binary"]["als", "ndcg", 2]["value"] == 1.0


def test_without_lists_every_metric_of_a_visitor_is_0(spark: SparkSession) -> None:
    found = by_key(evaluate(spark, RankingEvaluator(cutoffs=[1]), []).metrics)
    assert {row["value"] for row in found.values()} == {0.0}
    assert len(found) == 2 * 6


def test_without_a_holdout_and_lists_there_is_nothing_to_report(spark: SparkSession) -> None:
    assert [rows.collect() for rows in evaluate(spark, RankingEvaluator(cutoffs=[1]), [], [])] == [[], [], []]


def cached(rows: DataFrame) -> bool:
    plan = rows._jdf.queryExecution().optimizedPlan().toString()  # type: ignore[operator]
    return "InMemoryRelation" in plan


def test_the_tables_are_computed_once_until_they_are_released(spark: SparkSession) -> None:
    evaluator = RankingEvaluator(cutoffs=[1], replicates=0)
    found = evaluate(spark, evaluator)
    # A DataFrame that was planned keeps its plan; a new one made from it looks anew for what is cached.
    assert all(cached(rows.select("*")) for rows in found)
    evaluator.release()
    assert not any(cached(rows.select("*")) for rows in found)


def test_the_tables_are_stored_each_in_a_folder(spark: SparkSession, tmp_path: Path) -> None:
    evaluator = RankingEvaluator(cutoffs=[1], replicates=0)
    evaluator.persist(f"{tmp_path}/evaluation", evaluate(spark, evaluator))
    assert spark.read.parquet(f"{tmp_path}/evaluation/metrics").count() == 2 * len(METRICS)
    assert spark.read.parquet(f"{tmp_path}/evaluation/segment_metrics").count() == 2 * 6
    assert spark.read.parquet(f"{tmp_path}/evaluation/bootstrap").count() == 0


def test_by_default_there_are_all_metrics_at_the_usual_cut_offs_with_binary_relevance() -> None:
    evaluator = RankingEvaluator()
    assert (evaluator.cutoffs, evaluator.relevance, evaluator.replicates) == ([1, 5, 10, 20], "binary", 1000)
    assert evaluator.metrics == list(METRICS)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"cutoffs": []}, "CFG_RANGE cutoffs must not be empty"),
        ({"cutoffs": 10}, "CFG_TYPE cutoffs must be a list, each an integer 1..1000, got 10"),
        ({"cutoffs": [5, "a"]}, "CFG_TYPE cutoffs[1] must be an integer 1..1000, got 'a'"),
        ({"cutoffs": [0]}, "CFG_RANGE cutoffs[0] must be 1..1000, got 0"),
        ({"cutoffs": [1, 1001]}, "CFG_RANGE cutoffs[1] must be 1..1000, got 1001"),
        ({"cutoff": [1]}, "CFG_UNKNOWN_KEY cutoff, did you mean cutoffs"),
        ({"metrics": []}, "CFG_RANGE metrics must not be empty"),
        (
            {"metrics": ["ndgc"]},
            f"CFG_RANGE metrics[0] must be one of {', '.join(METRICS)}, got 'ndgc'",
        ),
        ({"metrics": ["ndcg", "rmse"]}, f"CFG_VALUE metrics cannot have rmse: {REASON}; use ndcg"),
        ({"metrics": ["MAE"]}, f"CFG_VALUE metrics cannot have MAE: {REASON}; use ndcg"),
        ({"relevance": "linear"}, "CFG_RANGE relevance must be one of binary, graded, got 'linear'"),
        ({"replicates": -1}, "CFG_RANGE replicates must be 0..10000, got -1"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_rule_and_value(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        RankingEvaluator(**given)
    assert str(error.value) == sentence
