from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from recommender.errors import ConfigError
from recommender.stage2.steps import ItemToItem

SCORES = "visitor_index int, item_index int, score float, last_timestamp long"

Pair = tuple[int, int, float, int]  # visitor, item, score, time
Near = dict[int, list[tuple[int, float]]]  # item -> its neighbours with the similarity, nearest first

# Item 1 is had by four visitors, 2 by three of them, 3 by two, 4 by one; 5 by one that has nothing else.
FEW: list[Pair] = [
    *((visitor, 1, 1.0, 10) for visitor in range(4)),
    *((visitor, 2, 5.0, 20) for visitor in range(3)),
    *((visitor, 3, 1.0, 30) for visitor in range(2)),
    (0, 4, 1.0, 40),
    (9, 5, 1.0, 50),
]


def walks(pairs: Sequence[Pair], alpha: float, beta: float) -> NDArray[np.float64]:
    """The similarity of every two items, as a product of dense matrices of the steps of a walk."""
    has = np.zeros((max(v for v, *_ in pairs) + 1, max(i for _, i, *_ in pairs) + 1))
    for visitor, item, score, _ in pairs:
        has[visitor, item] = score > 0
    to_item = has / np.maximum(has.sum(axis=1, keepdims=True), 1)
    to_visitor = (has / np.maximum(has.sum(axis=0), 1)).T
    found: NDArray[np.float64] = to_visitor**alpha @ to_item**alpha / np.maximum(has.sum(axis=0), 1) ** beta
    if alpha == 0:  # 0 to the power of 0 is no step
        found = has.T @ has / np.maximum(has.sum(axis=0), 1) ** beta
    np.fill_diagonal(found, 0)
    return found


def near_by_hand(pairs: Sequence[Pair], alpha: float, beta: float, neighbours: int) -> Near:
    found: Near = {}
    for item, row in enumerate(walks(pairs, alpha, beta)):
        order = [int(other) for other in np.lexsort((np.arange(len(row)), -row)) if row[other] > 0]
        if order:
            found[item] = [(other, float(row[other])) for other in order[:neighbours]]
    return found


def near(spark: SparkSession, pairs: Sequence[Pair], **init: Any) -> Near:
    rows = ItemToItem(**init).execute(spark.createDataFrame(pairs, SCORES)).collect()
    found: Near = defaultdict(list)
    for item, neighbour, similarity in sorted(rows, key=lambda row: (row[0], -row[2], row[1])):
        found[item].append((neighbour, similarity))
    return dict(found)


def random_pairs(seed: int = 5) -> list[Pair]:
    """Few items, scores that are sometimes 0 or negative."""
    random = np.random.default_rng(seed)
    return [
        (visitor, item, float(random.choice([1.0, 1.0, 5.0, 0.0, -1.0])), int(random.integers(0, 5)))
        for visitor in range(60)
        for item in random.choice(25, size=random.integers(1, 13), replace=False).tolist()
    ]


def test_the_similarity_is_the_probability_of_a_walk(spark: SparkSession) -> None:
    found = near(spark, FEW, alpha=1, beta=0)
    assert dict(found[1]) == pytest.approx({2: (1 / 4 + 1 / 3 + 1 / 2) / 4, 3: (1 / 4 + 1 / 3) / 4, 4: 1 / 4 / 4})
    assert dict(found[4]) == pytest.approx({1: 1 / 4, 2: 1 / 4, 3: 1 / 4})
    assert [item for item, _ in found[4]] == [1, 2, 3]
    assert 5 not in found


def test_popular_items_are_less_alike_with_a_larger_beta(spark: SparkSession) -> None:
    found = near(spark, FEW, alpha=1, beta=0.5)
    assert found[4] == [
        (3, pytest.approx(1 / 4 / 2**0.5)),
        (2, pytest.approx(1 / 4 / 3**0.5)),
        (1, pytest.approx(1 / 8)),
    ]


@pytest.mark.parametrize(("alpha", "beta", "neighbours"), [(0.6, 0.3, 100), (1.3, 0.7, 3), (0, 0.41, 100)])
def test_the_neighbours_of_a_random_log_are_those_of_dense_matrices(
    spark: SparkSession, alpha: float, beta: float, neighbours: int
) -> None:
    expected = near_by_hand(random_pairs(), alpha, beta, neighbours)
    found = near(spark, random_pairs(), alpha=alpha, beta=beta, neighbours=neighbours)
    every = walks(random_pairs(), alpha, beta)
    assert found.keys() == expected.keys()
    for item, places in found.items():
        assert [s for _, s in places] == pytest.approx([s for _, s in expected[item]], rel=1e-7)
        assert [s for _, s in places] == pytest.approx([every[item, other] for other, _ in places], rel=1e-7)


def test_shuffled_rows_in_other_partitions_give_the_same_neighbours(spark: SparkSession) -> None:
    pairs = random_pairs()
    step = ItemToItem(neighbours=3, items_together=5)
    frames = [spark.createDataFrame(pairs, SCORES), spark.createDataFrame(pairs[::-1], SCORES).repartition(5)]
    found = [sorted(map(tuple, step.execute(frame).collect())) for frame in frames]
    assert found[0] == found[1]


def test_the_items_of_a_heavy_visitor_are_divided_so_that_each_keeps_a_part_of_its_pairs(spark: SparkSession) -> None:
    heavy = [(0, item, 1.0, item) for item in range(400)]
    found = near(spark, heavy, items_together=40, alpha=1, beta=0, neighbours=999)
    rows = [(item, other, s) for item, places in found.items() for other, s in places]
    pairs = {(item, other) for item, other, _ in rows}
    assert {item for item, _ in pairs} == set(range(400))
    assert len(pairs) == pytest.approx(400 * 39, rel=0.3)  # and not 400 * 399
    assert pairs == {(other, item) for item, other in pairs}
    friends = defaultdict(set)
    for item, other in pairs:
        friends[item].add(other)
    assert all(friends[other] | {other} == friends[item] | {item} for item, other in pairs)  # baskets, each complete
    assert all(s == pytest.approx(1 / (len(friends[item]) + 1)) for item, _, s in rows)  # each counts as a visitor


def test_a_visitor_with_as_many_items_as_meet_is_not_divided(spark: SparkSession) -> None:
    found = near(spark, [(0, item, 1.0, item) for item in range(6)], items_together=6)
    assert [len(places) for places in found.values()] == [5] * 6


def test_without_scores_there_are_no_neighbours(spark: SparkSession) -> None:
    assert near(spark, []) == {}
    assert ItemToItem().execute(spark.createDataFrame([], SCORES)).dtypes == [
        ("item_index", "int"),
        ("neighbour_index", "int"),
        ("similarity", "double"),
    ]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"neighbours": 0}, "CFG_RANGE neighbours must be 1..1000, got 0"),
        ({"items_together": 1}, "CFG_RANGE items_together must be 2..10000, got 1"),
        ({"alpha": -0.5}, "CFG_RANGE alpha must be 0..2, got -0.5"),
        ({"beta": 2.5}, "CFG_RANGE beta must be 0..2, got 2.5"),
        ({"neighbors": 5}, "CFG_UNKNOWN_KEY neighbors, did you mean neighbours"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_rule_and_value(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        ItemToItem(**given)
    assert str(error.value) == sentence
