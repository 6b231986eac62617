"""The metrics of what all lists show together."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from pyspark.sql import SparkSession
from support.by_hand import of_exposure

from recommender.evaluation import OF_EXPOSURE, ranking_metrics
from recommender.evaluation.exposure import Exposure

LISTS = "model string, visitor_index int, rank int, item_index int"
CATALOGUE = "item_index int, score double"

Found = dict[tuple[str, str, int], float | None]


def found(
    spark: SparkSession,
    lists: Mapping[tuple[int, int], Sequence[int]],
    catalogue: Mapping[int, float],
    cutoffs: Sequence[int],
    parts: int = 2,
) -> tuple[Found, dict[str, int]]:
    names = ("als", "popular")
    rows = [(names[m], v, rank, item) for (m, v), items in lists.items() for rank, item in enumerate(items, start=1)]
    places = spark.createDataFrame(rows, LISTS).repartition(parts)
    popularity = spark.createDataFrame(list(catalogue.items()), CATALOGUE).repartition(parts)
    nobody = spark.createDataFrame([], "visitor_index int, item_index int")
    models = ["als", "popular", "silent"]
    result = ranking_metrics(
        places, nobody, models, cutoffs, popularity=popularity, metrics=OF_EXPOSURE, replicates=9
    ).collect()
    assert {(row["segment"], row["low"], row["high"], row["means"]) for row in result} <= {(None, None, None, None)}
    values = {(row["model"], row["metric"], row["k"]): row["value"] for row in result}
    assert len(values) == len(result)
    return values, {row["model"]: row["visitors"] for row in result}


def test_random_lists_have_the_values_of_a_count_by_hand_whatever_the_partitions(spark: SparkSession) -> None:
    random = np.random.default_rng(4)
    catalogue = {item: round(float(score), 2) for item, score in enumerate(random.exponential(3, 12))} | {12: 0.0}
    # Items 13 and 14 have no training score; some lists are shorter than the cut-off.
    lists = {
        (model, visitor): random.permutation(15)[: random.integers(1, 9)].tolist()
        for model in (0, 1)
        for visitor in range(17 + model)
    }
    cutoffs = [1, 4, 8]
    values, visitors = found(spark, lists, catalogue, cutoffs)
    assert visitors == {"als": 17, "popular": 18}
    for number, model in enumerate(("als", "popular")):
        own = [items for (of, _), items in lists.items() if of == number]
        for k in cutoffs:
            expected = of_exposure(own, catalogue, k)
            assert {name: values[model, name, k] for name in OF_EXPOSURE} == pytest.approx(expected, rel=1e-9)
    for parts in (1, 7):
        assert found(spark, lists, catalogue, cutoffs, parts)[0] == values


def test_what_everybody_gets_overlaps_fully_and_what_each_gets_alone_does_not(spark: SparkSession) -> None:
    catalogue = dict.fromkeys(range(8), 1.0)
    lists = {(0, visitor): [0, 1] for visitor in range(4)} | {(1, v): [2 * v, 2 * v + 1] for v in range(4)}
    values, _ = found(spark, lists, catalogue, [2])
    assert {name: values["als", name, 2] for name in OF_EXPOSURE} == {
        "coverage": 0.25,
        "novelty": 3.0,  # each item has an eighth of the training score
        "gini": pytest.approx(6 / 7),  # two of eight have all: (8 - 2) / (8 - 1)
        "overlap": 1.0,
        "short_lists": 0.0,
    }
    assert {name: values["popular", name, 2] for name in OF_EXPOSURE} == {
        "coverage": 1.0,
        "novelty": 3.0,
        "gini": 0.0,
        "overlap": 0.0,
        "short_lists": 0.0,
    }


def test_a_missing_place_has_nothing_in_common(spark: SparkSession) -> None:
    values, _ = found(spark, {(0, 1): [5], (0, 2): [5, 6, 7]}, {5: 1.0, 6: 1.0, 7: 1.0}, [1, 3])
    assert (values["als", "overlap", 1], values["als", "overlap", 3]) == (1.0, pytest.approx(1 / 3))
    assert (values["als", "short_lists", 1], values["als", "short_lists", 3]) == (0.0, 0.5)


def test_one_list_overlaps_with_none_and_one_item_has_no_gini_index(spark: SparkSession) -> None:
    values, visitors = found(spark, {(0, 1): [5]}, {5: 2.0}, [1])
    assert values == {
        ("als", "coverage", 1): 1.0,
        ("als", "novelty", 1): 0.0,
        ("als", "gini", 1): None,
        ("als", "overlap", 1): None,
        ("als", "short_lists", 1): 0.0,
    }
    assert visitors == {"als": 1}


@pytest.mark.parametrize("catalogue", [{}, {7: 0.0, 8: 0.0}])
def test_without_training_scores_nothing_is_novel(spark: SparkSession, catalogue: dict[int, float]) -> None:
    values, _ = found(spark, {(0, 1): [5], (0, 2): [5]}, catalogue, [1])
    assert values["als", "novelty", 1] is None
    assert values["als", "gini", 1] is None
    assert values["als", "coverage", 1] == (0.0 if catalogue else None)
    assert values["als", "overlap", 1] == 1.0


def test_without_lists_there_is_nothing_to_report(spark: SparkSession) -> None:
    assert found(spark, {}, {5: 2.0}, [1]) == ({}, {})


SCORES = st.one_of(st.just(float("nan")), st.floats(-1, 1e300))
ITEMS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2**40), SCORES), max_size=12)


def of(items: Sequence[tuple[int, int, float]]) -> Exposure:
    """What is known of items, each with its count within the first place, its further count, and its score."""
    counts = np.array([(first, first + more) for first, more, _ in items], dtype=np.int64).reshape(-1, 2)
    scores = np.array([score for *_, score in items], dtype=np.float64)
    return Exposure.of(counts, scores, scores[~np.isnan(scores)])


@settings(deadline=None)
@given(ITEMS, st.integers(0, 12))
def test_items_can_be_counted_apart_and_put_together(items: list[tuple[int, int, float]], cut: int) -> None:
    together, other = of(items[:cut]), of(items[cut:])
    together.merge(Exposure.from_cells(*other.to_cells()))
    expected = of(items)
    assert together.to_cells() == expected.to_cells()
    assert together.values([1, 5], OF_EXPOSURE) == expected.values([1, 5], OF_EXPOSURE)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99), st.floats(0.5, 99)), min_size=2, max_size=12))
def test_shares_lie_between_0_and_1_and_information_is_not_negative(items: list[tuple[int, int, float]]) -> None:
    coverage, novelty, gini, *_ = of(items).values([1, 200], OF_EXPOSURE)
    assert all(0 <= value <= 1 for value in coverage if value is not None)
    assert all(0 <= value <= 1 for value in gini if value is not None)
    assert all(value >= 0 for value in novelty if value is not None)


@settings(deadline=None)
@given(st.lists(st.floats(5e-324, 1e308), min_size=1, max_size=9))
def test_training_scores_are_summed_exactly(scores: list[float]) -> None:
    exact = sum(map(Fraction, scores))
    assert Fraction(of([(1, 0, score) for score in scores]).score, 2**1126) == exact
