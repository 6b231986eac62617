"""The best items do not depend on the blocks, nor on the kind of cluster."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from support.clusters import MASTERS, on_cluster

from recommender.spark.blocks import unpack
from recommender.spark.search import _BLOCK, _DONE, _first_round
from recommender.stage3.steps import SimilarItems
from recommender.steps import FoldIn, TopKRecommender

VISITORS, ITEMS, RANK = 60, 90, 4


class World:
    """Factors with equal scores and items without norm, a history, and what is popular."""

    def __init__(self, spark: SparkSession) -> None:
        random = np.random.default_rng(7)
        items = random.normal(size=(ITEMS, RANK)) * random.lognormal(size=(ITEMS, 1))
        items[10:30] = items[10]
        items[5] = 0
        visitors = random.normal(size=(VISITORS, RANK))
        self.items = [(3 * n, row) for n, row in enumerate(items.astype(np.float32).tolist())]
        self.visitors: list[Any] = [(n, "als", row) for n, row in enumerate(visitors.astype(np.float32).tolist())]
        self.visitors[3] = (3, None, None)
        events = random.integers([0, 0], [VISITORS, ITEMS], size=(400, 2))
        self.history = [(int(v), 3 * int(i), "transaction") for v, i in events if v != 4]
        self.history += [(4, 3 * n, "transaction") for n in range(ITEMS - 3)]  # has bought nearly everything
        self.popularity = [(3 * n, float(n % 7)) for n in range(ITEMS)]
        self.spark = spark

    def frame(self, name: str, schema: str) -> DataFrame:
        return self.spark.createDataFrame(getattr(self, name), schema)

    def top_k(self, k: int = 5, **init: Any) -> list[Any]:
        lists = TopKRecommender(k=k, **init).execute(
            self.frame("visitors", "visitor_index int, source string, features array<float>"),
            self.frame("items", "id int, features array<float>"),
            self.frame("popularity", "item_index int, score double"),
            self.frame("history", "visitor_index int, item_index int, event string"),
            visitor_count=VISITORS,
        )
        return sorted([list(row) for row in lists.collect()])

    def similar(self, **init: Any) -> list[Any]:
        factors = self.frame("items", "id int, features array<float>")
        return sorted(
            [list(row) for row in SimilarItems(k=4, **init).execute(factors, item_count=ITEMS, rank=RANK).collect()]
        )


def all_lists(spark: SparkSession) -> list[Any]:
    world = World(spark)
    return [world.top_k(), world.top_k(items_per_block=20), world.similar(), world.similar(items_per_block=20)]


def test_many_blocks_give_the_table_of_one(spark: SparkSession) -> None:
    world = World(spark)
    one = world.top_k()
    assert len(one) == VISITORS * 5 - 2  # one visitor has three items left
    for items, visitors in ((1000, 7), (50, 1000), (20, 7)):
        assert world.top_k(items_per_block=items, visitors_per_block=visitors) == one


def test_a_later_block_is_met_only_by_those_that_its_largest_norm_may_serve() -> None:
    factors = pa.array([[1.0, 0.0], [0.0, 1.0], None], pa.list_(pa.float32()))
    excluded = pa.array([None, None, None], pa.list_(pa.int32()))
    queries = pa.table({"id": pa.array([7, 8, 9], pa.int32()), "features": factors, "excluded": excluded})
    first = {"id": pa.array([0], pa.int32()), "features": pa.array([[2.0, 0.5]], pa.list_(pa.float32()))}
    items = pa.table({**first, "norm": pa.array([4.25**0.5])})
    # The best of 7 is 2 and that of 8 is 0.5; what has no factors meets nothing.
    met = {
        int(row[_BLOCK][0].as_py()): unpack(row["rows"][0])["id"].to_pylist()
        for row in _first_round(queries, items, k=1, later={1: 1.9, 2: 0.4})
    }
    assert met == {_DONE: [7, 8, 9], 1: [8]}


def test_longer_lists_than_a_block_has_items(spark: SparkSession) -> None:
    world = World(spark)
    assert world.top_k(k=40, items_per_block=25) == world.top_k(k=40)


def test_the_lists_are_those_of_a_full_sort(spark: SparkSession) -> None:
    world = World(spark)
    items = {index: np.array(row, dtype=np.float64) for index, row in world.items}
    found: dict[int, list[tuple[int, float]]] = {}
    for visitor, _, item, score, source in world.top_k(fill_with_popular=False, items_per_block=30):
        assert source == "als"
        found.setdefault(visitor, []).append((item, score))
    for visitor, _, row in world.visitors:
        barred = {item for who, item, _ in world.history if who == visitor}
        scores = {i: float(np.float32((np.array(row) * y).sum())) for i, y in items.items()} if row else {}
        best = sorted((-score, item) for item, score in scores.items() if item not in barred)[:5]
        assert found.get(visitor, []) == [(item, -score) for score, item in best]


def test_similar_items_are_those_of_a_full_sort(spark: SparkSession) -> None:
    world = World(spark)
    one, many = world.similar(), world.similar(items_per_block=25)
    assert one == many
    rows = {index: np.array(row, dtype=np.float64) for index, row in world.items if any(row)}
    units = {index: (row / np.sqrt(row @ row)).astype(np.float32).astype(np.float64) for index, row in rows.items()}
    assert {item for item, *_ in one} == set(units)
    for item, rank, similar, cosine in one:
        others = sorted((-np.float32(min((units[item] * y).sum(), 1)), i) for i, y in units.items() if i != item)
        assert (similar, cosine) == (others[rank - 1][1], pytest.approx(-float(others[rank - 1][0])))


def test_folding_in_with_ones_own_items_gives_what_all_items_give(spark: SparkSession) -> None:
    world = World(spark)
    rows = [(v, i, float(1 + n % 3)) for n, (v, i, _) in enumerate(world.history)] + [(99, 1, 2.0)]
    interactions = spark.createDataFrame(rows, "visitor_index int, item_index int, score float")
    items = world.frame("items", "id int, features array<float>")
    for options in (
        {"implicit_prefs": True, "alpha": 2.0, "reg_param": 0.1},
        {"implicit_prefs": False, "alpha": 1.0, "reg_param": 0.1},
    ):
        found = []
        for step in (FoldIn(), FoldIn(items_per_block=17)):
            folded = step.execute(interactions, items, **options, visitor_count=VISITORS)  # type: ignore[arg-type]
            found.append({row["id"]: row["features"] for row in folded.collect()})
        assert found[0].keys() == found[1].keys() == {v for v, i, _ in rows if i % 3 == 0}
        for visitor, features in found[0].items():
            np.testing.assert_allclose(found[1][visitor], features, rtol=1e-5, atol=1e-6)


@pytest.mark.job
@pytest.mark.slow  # test_same_metrics.py compares all of it by default
def test_the_lists_are_the_same_on_any_cluster(spark: SparkSession) -> None:
    expected = json.loads(json.dumps(all_lists(spark)))
    for master in MASTERS:
        assert on_cluster(master, all_lists) == expected, master
