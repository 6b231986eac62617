from collections.abc import Iterable, Mapping, Sequence
from math import log2
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from support.by_hand import of_exposure, per_visitor

from recommender.evaluation import METRICS, OF_EXPOSURE, PER_VISITOR, Evaluation, evaluation, ranking_metrics
from recommender.evaluation.bootstrap import weights
from recommender.tables import schemas

Key = tuple[Any, ...]  # model, metric, k; of a segment with its name before them

LISTS = "model string, visitor_index int, rank int, item_index int"
HOLDOUT = "visitor_index int, item_index int, score float"
POPULARITY = "item_index int, score double"
SEGMENTS = "visitor_index int, segments array<string>"
# One visitor, to whom items 1, 2 and 3 are relevant, and a model for each case.
LITERAL_LISTS = {"first_and_third": [1, 9, 3, 8], "second_only": [9, 2], "never": [7, 8, 9], "ideal": [3, 1, 2]}


def frame(spark: SparkSession, lists: Iterable[tuple[str, int, Sequence[int]]]) -> DataFrame:
    places = [(model, v, rank, item) for model, v, items in lists for rank, item in enumerate(items, start=1)]
    return spark.createDataFrame(places[::-1], LISTS)


def by_key(rows: DataFrame, *before: str) -> dict[Key, Row]:
    fetched = rows.collect()
    found = {tuple(row[name] for name in (*before, "model", "metric", "k")): row for row in fetched}
    assert len(found) == len(fetched)
    return found


def judge(
    spark: SparkSession,
    lists: Iterable[tuple[str, int, Sequence[int]]],
    holdout: Sequence[tuple[int, int]],
    models: Sequence[str],
    cutoffs: Sequence[int],
    **options: Any,
) -> dict[Key, Row]:
    held = spark.createDataFrame(holdout, "visitor_index int, item_index int")
    return by_key(evaluation(ranking_metrics(frame(spark, lists), held, models, cutoffs, **options)).metrics)


@pytest.fixture(scope="module")
def literal(spark: SparkSession) -> dict[Key, Row]:
    lists = [(model, 5, items) for model, items in LITERAL_LISTS.items()]
    models = [*LITERAL_LISTS, "silent"]
    return judge(spark, lists, [(5, 1), (5, 2), (5, 3)], models, [1, 2, 3], replicates=20)


def values(metrics: Mapping[Key, Row], model: str, k: int) -> dict[str, float]:
    return {name: metrics[model, name, k]["value"] for name in PER_VISITOR}


def test_hits_at_the_first_and_third_place_have_the_textbook_values(literal: dict[Key, Row]) -> None:
    expected = {
        "ndcg": (1 + 1 / 2) / (1 + 1 / log2(3) + 1 / 2),
        "recall": 2 / 3,
        "precision": 2 / 3,
        "map": (1 + 2 / 3) / 3,
        "mrr": 1.0,
        "hit_rate": 1.0,
    }
    assert values(literal, "first_and_third", 3) == pytest.approx(expected, abs=1e-9)


def test_a_cut_off_hides_what_comes_after_it(literal: dict[Key, Row]) -> None:
    expected = {"ndcg": 1.0, "recall": 1 / 3, "precision": 1.0, "map": 1.0, "mrr": 1.0, "hit_rate": 1.0}
    assert values(literal, "first_and_third", 1) == pytest.approx(expected, abs=1e-9)
    assert set(values(literal, "second_only", 1).values()) == {0.0}


def test_a_hit_at_the_second_place_has_the_textbook_values(literal: dict[Key, Row]) -> None:
    ndcg = (1 / log2(3)) / (1 + 1 / log2(3))
    expected = {"ndcg": ndcg, "recall": 1 / 3, "precision": 1 / 2, "map": 1 / 4, "mrr": 1 / 2, "hit_rate": 1.0}
    assert values(literal, "second_only", 2) == pytest.approx(expected, abs=1e-9)


def test_precision_is_of_all_places_also_of_a_shorter_list(literal: dict[Key, Row]) -> None:
    assert literal["second_only", "precision", 3]["value"] == pytest.approx(1 / 3)


def test_an_ideal_list_reaches_1_at_every_cut_off(literal: dict[Key, Row]) -> None:
    found = [literal["ideal", name, k]["value"] for name in ("ndcg", "map", "mrr", "hit_rate") for k in (1, 2, 3)]
    assert found == [1.0] * 12


@pytest.mark.parametrize("model", ["never", "silent"])
def test_a_list_without_a_hit_and_no_list_at_all_count_as_0(literal: dict[Key, Row], model: str) -> None:
    assert [literal[model, name, k]["value"] for name in PER_VISITOR for k in (1, 2, 3)] == [0.0] * 18


def test_one_visitor_has_no_confidence_interval(literal: dict[Key, Row]) -> None:
    assert {(row["low"], row["high"], row["visitors"]) for row in literal.values()} == {(None, None, 1)}


def test_without_the_popularity_every_per_visitor_metric_of_every_model_at_every_cut_off_is_one_row(
    literal: dict[Key, Row],
) -> None:
    models = [*LITERAL_LISTS, "silent"]
    assert literal.keys() == {(model, name, k) for model in models for name in PER_VISITOR for k in (1, 2, 3)}


class Random:
    """Random lists of two models, for and beside 30 visitors with a holdout, who are in segments."""

    CUTOFFS = (1, 5, 12)
    MODELS = ("als", "popular")

    def __init__(self) -> None:
        random = np.random.default_rng(2)
        self.relevant = {
            visitor: {int(item): float(random.integers(1, 11)) for item in random.permutation(15)[: 1 + visitor % 8]}
            for visitor in range(30)
        }
        self.listed = {
            (model, visitor): random.permutation(20)[: random.integers(0, 13)].tolist()
            for model in self.MODELS
            for visitor in range(5, 40)
        }
        self.catalogue = {item: float(1 + item % 6) for item in range(18)}
        # Everybody but visitor 0 is odd or even, some are small, and visitor 99 is evaluated nowhere.
        self.segments = {v: ["odd" if v % 2 else "even", *(["small"] if v < 7 else [])] for v in range(1, 35)}
        self.segments[99] = ["nobody"]

    def members(self, segment: str) -> list[int]:
        return [visitor for visitor in range(30) if segment in self.segments.get(visitor, [])]

    def each(self, model: str, metric: str, k: int, graded: bool) -> np.ndarray:
        return np.array(
            [per_visitor(self.listed.get((model, v), []), self.relevant[v], k, graded)[metric] for v in range(30)]
        )

    def evaluate(self, spark: SparkSession, parts: int = 2, **options: Any) -> Evaluation:
        held = [(v, item, score) for v, items in self.relevant.items() for item, score in items.items()]
        tables = (
            frame(spark, [(*key, items) for key, items in self.listed.items()]),
            spark.createDataFrame([*held, held[0]], HOLDOUT),
            spark.createDataFrame(list(self.catalogue.items()), POPULARITY),
            spark.createDataFrame(list(self.segments.items()), SEGMENTS),
        )
        lists, holdout, popularity, segments = (rows.repartition(parts) for rows in tables)
        options = {"popularity": popularity, "segments": segments, "replicates": 40, "seed": 5, **options}
        return evaluation(ranking_metrics(lists, holdout, self.MODELS, self.CUTOFFS, **options).cache())


RANDOM = Random()


@pytest.fixture(scope="module")
def random_evaluation(spark: SparkSession) -> Evaluation:
    return RANDOM.evaluate(spark)


@pytest.fixture(scope="module")
def random_metrics(random_evaluation: Evaluation) -> dict[Key, Row]:
    return by_key(random_evaluation.metrics)


@pytest.fixture(scope="module")
def random_means(random_evaluation: Evaluation) -> dict[Key, Row]:
    return by_key(random_evaluation.bootstrap)


def test_random_lists_of_two_models_have_the_values_of_the_definitions(random_metrics: dict[Key, Row]) -> None:
    assert random_metrics.keys() == {(model, m, k) for model in RANDOM.MODELS for m in METRICS for k in RANDOM.CUTOFFS}
    for (model, metric, k), row in random_metrics.items():
        if metric in PER_VISITOR:
            assert row["value"] == pytest.approx(RANDOM.each(model, metric, k, False).mean(), abs=1e-9)
            assert row["visitors"] == 30
        else:
            lists = [items for (of, _), items in RANDOM.listed.items() if of == model and items]
            assert row["value"] == pytest.approx(of_exposure(lists, RANDOM.catalogue, k)[metric], rel=1e-9)
            assert (row["low"], row["high"], row["visitors"]) == (None, None, len(lists))


def test_the_means_of_the_replicates_are_weighted_alike_for_all_models(random_means: dict[Key, Row]) -> None:
    drawn = weights(np.arange(30), 40, seed=5)[:, 1:].astype(float)
    assert random_means.keys() == {
        (model, metric, k) for model in RANDOM.MODELS for metric in PER_VISITOR for k in RANDOM.CUTOFFS
    }
    for (model, metric, k), row in random_means.items():
        expected = RANDOM.each(model, metric, k, False) @ drawn / drawn.sum(axis=0)
        assert row["means"] == pytest.approx(expected.tolist(), abs=1e-9)


def test_the_bounds_are_percentiles_of_the_means(random_metrics: dict[Key, Row], random_means: dict[Key, Row]) -> None:
    for key, row in random_means.items():
        expected = np.quantile(row["means"], [0.025, 0.975])
        assert [random_metrics[key]["low"], random_metrics[key]["high"]] == pytest.approx(expected.tolist())
        assert random_metrics[key]["low"] <= random_metrics[key]["value"] <= random_metrics[key]["high"]


def test_a_segment_has_the_metrics_and_the_intervals_of_its_visitors(random_evaluation: Evaluation) -> None:
    found = by_key(random_evaluation.segment_metrics, "segment")
    drawn = weights(np.arange(30), 40, seed=5)[:, 1:].astype(float)
    assert {key[0] for key in found} == {"odd", "even", "small"}
    assert len(found) == 3 * len(RANDOM.MODELS) * len(PER_VISITOR) * len(RANDOM.CUTOFFS)
    for (segment, model, metric, k), row in found.items():
        own = RANDOM.members(segment)
        each = RANDOM.each(model, metric, k, False)[own]
        means = each @ drawn[own] / drawn[own].sum(axis=0)
        assert (row["value"], row["visitors"]) == (pytest.approx(each.mean(), abs=1e-9), len(own))
        assert [row["low"], row["high"]] == pytest.approx(np.quantile(means, [0.025, 0.975]).tolist(), abs=1e-9)


def test_nothing_depends_on_the_partitions(spark: SparkSession, random_evaluation: Evaluation) -> None:
    for parts in (1, 7):
        for one, other in zip(random_evaluation, RANDOM.evaluate(spark, parts), strict=True):
            assert sorted(map(repr, one.collect())) == sorted(map(repr, other.collect()))


def test_with_graded_relevance_the_gain_is_the_score_and_all_other_metrics_are_as_before(
    spark: SparkSession, random_metrics: dict[Key, Row]
) -> None:
    graded = by_key(RANDOM.evaluate(spark, is_graded=True, segments=None, replicates=0).metrics)
    for (model, metric, k), row in graded.items():
        if metric == "ndcg":
            assert row["value"] == pytest.approx(RANDOM.each(model, metric, k, True).mean(), abs=1e-9)
        else:
            assert row["value"] == random_metrics[model, metric, k]["value"]
    assert graded["als", "ndcg", 5]["value"] != random_metrics["als", "ndcg", 5]["value"]


def test_a_score_that_is_not_positive_and_finite_gains_nothing(spark: SparkSession) -> None:
    held = [(1, 1, float("nan")), (1, 2, -3.0), (1, 3, None), (1, 4, float("inf")), (1, 5, 2.0), (2, 1, 0.0)]
    lists = frame(spark, [("als", 1, [1, 2, 3, 4, 5]), ("als", 2, [1])])
    found = ranking_metrics(lists, spark.createDataFrame(held, HOLDOUT), ["als"], [5], is_graded=True)
    metrics = by_key(evaluation(found).metrics)
    assert metrics["als", "ndcg", 5]["value"] == pytest.approx((1 / log2(6) + 0) / 2, abs=1e-9)
    assert metrics["als", "recall", 5]["value"] == 1.0


def test_without_replicates_there_are_values_and_no_intervals(spark: SparkSession) -> None:
    found = evaluation(
        ranking_metrics(
            frame(spark, [("als", 1, [4])]), spark.createDataFrame([(1, 4, 1.0), (2, 4, 1.0)], HOLDOUT), ["als"], [1]
        )
    )
    assert {(row["low"], row["high"]) for row in found.metrics.collect()} == {(None, None)}
    assert by_key(found.metrics)["als", "recall", 1]["value"] == 0.5
    assert found.bootstrap.collect() == []


def test_metrics_that_are_not_asked_for_are_not_there(spark: SparkSession) -> None:
    options = {"popularity": spark.createDataFrame([(4, 1.0)], POPULARITY), "metrics": ["mrr", "coverage", "mrr"]}
    found = judge(spark, [("als", 1, [4]), ("other", 1, [4])], [(1, 4)], ["als"], [1, 1], **options)
    assert {key: row["value"] for key, row in found.items()} == {("als", "mrr", 1): 1.0, ("als", "coverage", 1): 1.0}
    alone = judge(spark, [("als", 1, [4])], [], ["als"], [1], **{**options, "metrics": ["coverage"]})
    assert alone.keys() == {("als", "coverage", 1)}


def test_metrics_of_exposure_cannot_be_had_without_the_popularity(spark: SparkSession) -> None:
    with pytest.raises(ValueError, match="coverage without the popularity of the items: nothing to compute"):
        judge(spark, [("als", 1, [4])], [(1, 4)], ["als"], [1], metrics=["coverage"])


def test_without_a_holdout_there_are_no_means_over_visitors(spark: SparkSession) -> None:
    popularity = spark.createDataFrame([(4, 1.0)], POPULARITY)
    found = judge(spark, [("als", 1, [4])], [], ["als"], [1], popularity=popularity)
    assert {metric for _, metric, _ in found} == set(OF_EXPOSURE)
    assert judge(spark, [], [], ["als"], [1], popularity=popularity) == {}


def test_the_results_have_exactly_the_columns_of_their_contracts(random_evaluation: Evaluation) -> None:
    for table, rows in random_evaluation._asdict().items():
        assert schemas.mismatch(table, rows.dtypes) == ""
