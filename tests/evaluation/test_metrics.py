from collections.abc import Iterable, Mapping, Sequence
from math import log2, sqrt
from statistics import mean, stdev

import numpy as np
import pytest
from pyspark.sql import Row, SparkSession

from recommender.evaluation import METRICS, ranking_metrics

Key = tuple[str, str, int]  # model, metric, k
Pair = tuple[int, int]  # visitor_index, item_index

LISTS = "model string, visitor_index int, rank int, item_index int"
HOLDOUT = "visitor_index int, item_index int"
RESULT = [
    ("model", "string"),
    ("metric", "string"),
    ("k", "int"),
    ("value", "double"),
    ("low", "double"),
    ("high", "double"),
    ("visitors", "bigint"),
]
# One visitor, to whom items 1, 2 and 3 are relevant, and a model for each case.
LITERAL_LISTS = {"first_and_third": [1, 9, 3, 8], "second_only": [9, 2], "never": [7, 8, 9], "ideal": [3, 1, 2]}


def judge(
    spark: SparkSession,
    lists: Iterable[tuple[str, int, Sequence[int]]],
    holdout: Sequence[Pair],
    models: Sequence[str],
    cutoffs: Sequence[int],
) -> dict[Key, Row]:
    places = [(model, v, rank, item) for model, v, items in lists for rank, item in enumerate(items, start=1)]
    rows = ranking_metrics(
        spark.createDataFrame(places[::-1], LISTS), spark.createDataFrame(holdout, HOLDOUT), models, cutoffs
    ).collect()
    found = {(row["model"], row["metric"], row["k"]): row for row in rows}
    assert len(found) == len(rows)
    return found


def by_hand(listed: Sequence[int], relevant: set[int], k: int) -> dict[str, float]:
    """One visitor's metrics, written from the definitions."""
    hits = [item in relevant for item in listed[:k]]
    number = sum(hits)
    ranks = [rank for rank, hit in enumerate(hits, start=1) if hit]
    ideal = sum(1 / log2(rank + 1) for rank in range(1, min(k, len(relevant)) + 1))
    precisions = sum(sum(hits[:rank]) / rank for rank in ranks)
    return {
        "ndcg": sum(1 / log2(rank + 1) for rank in ranks) / ideal,
        "recall": number / len(relevant),
        "precision": number / k,
        "map": precisions / min(k, len(relevant)),
        "mrr": 1 / ranks[0] if ranks else 0.0,
        "hit_rate": 1.0 if ranks else 0.0,
    }


@pytest.fixture(scope="module")
def literal(spark: SparkSession) -> dict[Key, Row]:
    lists = [(model, 5, items) for model, items in LITERAL_LISTS.items()]
    return judge(spark, lists, [(5, 1), (5, 2), (5, 3)], [*LITERAL_LISTS, "silent"], [1, 2, 3])


def values(metrics: Mapping[Key, Row], model: str, k: int) -> dict[str, float]:
    return {name: metrics[model, name, k]["value"] for name in METRICS}


def test_hits_at_the_first_and_third_place_have_the_textbook_values(literal: dict[Key, Row]) -> None:
    expected = {
        "ndcg": (1 + 1 / 2) / (1 + 1 / log2(3) + 1 / 2),
        "recall": 2 / 3,
        "precision": 2 / 3,
        "map": (1 + 2 / 3) / 3,
        "mrr": 1.0,
        "hit_rate": 1.0,
    }
    assert values(literal, "first_and_third", 3) == pytest.approx(expected, rel=1e-12)


def test_a_cut_off_hides_what_comes_after_it(literal: dict[Key, Row]) -> None:
    expected = {"ndcg": 1.0, "recall": 1 / 3, "precision": 1.0, "map": 1.0, "mrr": 1.0, "hit_rate": 1.0}
    assert values(literal, "first_and_third", 1) == pytest.approx(expected, rel=1e-12)
    assert set(values(literal, "second_only", 1).values()) == {0.0}


def test_a_hit_at_the_second_place_has_the_textbook_values(literal: dict[Key, Row]) -> None:
    ndcg = (1 / log2(3)) / (1 + 1 / log2(3))
    expected = {"ndcg": ndcg, "recall": 1 / 3, "precision": 1 / 2, "map": 1 / 4, "mrr": 1 / 2, "hit_rate": 1.0}
    assert values(literal, "second_only", 2) == pytest.approx(expected, rel=1e-12)


def test_precision_is_of_all_places_also_of_a_shorter_list(literal: dict[Key, Row]) -> None:
    assert literal["second_only", "precision", 3]["value"] == pytest.approx(1 / 3)


def test_an_ideal_list_reaches_1_at_every_cut_off(literal: dict[Key, Row]) -> None:
    found = [literal["ideal", name, k]["value"] for name in ("ndcg", "map", "mrr", "hit_rate") for k in (1, 2, 3)]
    assert found == pytest.approx([1.0] * 12, rel=1e-12)


@pytest.mark.parametrize("model", ["never", "silent"])
def test_a_list_without_a_hit_and_no_list_at_all_count_as_0(literal: dict[Key, Row], model: str) -> None:
    assert [literal[model, name, k]["value"] for name in METRICS for k in (1, 2, 3)] == [0.0] * 18


def test_one_visitor_has_no_confidence_interval(literal: dict[Key, Row]) -> None:
    assert {(row["low"], row["high"], row["visitors"]) for row in literal.values()} == {(None, None, 1)}


def test_every_metric_of_every_model_at_every_cut_off_is_one_row(literal: dict[Key, Row]) -> None:
    models = [*LITERAL_LISTS, "silent"]
    assert literal.keys() == {(model, name, k) for model in models for name in METRICS for k in (1, 2, 3)}


def test_random_lists_of_two_models_have_the_values_of_the_definitions(spark: SparkSession) -> None:
    random = np.random.default_rng(2)
    holdout = [(v, int(item)) for v in range(30) for item in random.integers(0, 15, size=1 + random.integers(0, 9))]
    assert len(set(holdout)) < len(holdout)
    listed = {
        (model, visitor): random.permutation(20)[: random.integers(0, 13)].tolist()
        for model in ("als", "popular")
        for visitor in range(5, 40)
    }
    cutoffs = [1, 5, 12]
    found = judge(spark, [(*key, items) for key, items in listed.items()], holdout, ["als", "popular"], cutoffs)
    relevant: dict[int, set[int]] = {}
    for visitor, item in holdout:
        relevant.setdefault(visitor, set()).add(item)
    for (model, name, k), row in found.items():
        each = [by_hand(listed.get((model, visitor), []), relevant[visitor], k)[name] for visitor in range(30)]
        margin = 1.959964 * stdev(each) / sqrt(30)
        expected = [mean(each), mean(each) - margin, mean(each) + margin]
        assert [row["value"], row["low"], row["high"]] == pytest.approx(expected, rel=1e-9, abs=1e-12)
        assert row["visitors"] == 30
    assert len(found) == 2 * 6 * 3


def test_a_visitor_without_a_list_counts_0_and_the_bounds_are_those_of_the_normal_distribution(
    spark: SparkSession,
) -> None:
    found = judge(spark, [("als", 1, [4])], [(1, 4), (2, 4), (1, 4)], ["als"], [1])
    row = found["als", "hit_rate", 1]
    margin = 1.959964 * 0.5  # of the values 1 and 0 the deviation is sqrt(1/2), over sqrt(2)
    assert (row["value"], row["visitors"]) == (0.5, 2)
    assert (row["low"], row["high"]) == pytest.approx((0.5 - margin, 0.5 + margin), rel=1e-12)
    assert found["als", "recall", 1]["value"] == 0.5


def test_without_a_holdout_there_are_no_metrics(spark: SparkSession) -> None:
    assert judge(spark, [("als", 1, [4])], [], ["als"], [1]) == {}


def test_the_result_has_exactly_the_columns_of_its_contract(spark: SparkSession) -> None:
    lists, holdout = spark.createDataFrame([], LISTS), spark.createDataFrame([], HOLDOUT)
    assert ranking_metrics(lists, holdout, ["als"], [1]).dtypes == RESULT
