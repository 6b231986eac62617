"""Find the best items of each of many queries on the cluster, exactly: blocks of queries meet blocks of items.

A query is whatever has factors: a visitor, or an item that others are to be similar to. As many items as fit into a
worker's memory are a block, those with the largest norms the first. Every block of queries meets that first block, and
finds its best so far; only a query that its bound still allows meets a later block, and what is found there is merged.
With one block, which is enough for hundreds of thousands of items, there is no second round.

Example usage:
>>> queries = spark.createDataFrame([(7, [1.0, 0.0]), (8, None)], "id int, features array<float>")
>>> excluded = spark.createDataFrame([(7, 0)], "id int, item_index int")
>>> items = spark.createDataFrame([(0, [1.0, 0.0]), (1, [0.5, 0.0])], "id int, features array<float>")
>>> def finished(queries, best, other):
...     return pa.table({"id": queries["id"], "items": pa.array(found(best)[0][:, 0])})
>>> search = BlockSearch(k=1, items_per_block=1)
>>> best = search(queries, excluded, items, finished, "id int, items int", query_count=2, item_count=2, rank=2)
>>> best.orderBy("id").collect()
[Row(id=7, items=1), Row(id=8, items=-1)]
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.ranking import EMPTY, Items, Keys, can_improve, found, improve, norms_of, nothing_found  # noqa: F401
from recommender.spark.aggregates import single_row
from recommender.spark.blocks import beside, lists, map_blocks, matrix, pack, to_cell
from recommender.spark.cluster import cores, room_for_a_block

EXCLUDED = "excluded"  # list of the indexes of the items that a query must not get, rising; null for none
_BEST = "best"  # keys
_BLOCK = "block"
_NORM = "norm"
_LEAST = "least"  # the key that a later block must beat
_DONE = -1  # the block of rows that are only passed on
_SPREAD = 10_000
_NUDGE, _LEAST_NUDGE = 1e-6, 1e-30
_BYTES_PER_PAIR = 32  # that is excluded, with what is made of it
_MOST_QUERIES = 50_000  # of a block: more of them only make the last block to end a longer one to wait for
_FEWEST_QUERIES = 1_000  # that are worth a block of their own
_BLOCKS_PER_CORE = 2

# Takes queries, their best, and the block beside them, and returns the rows of the result.
Finish = Callable[[pa.Table, Keys, pa.Table | None], pa.Table]


@dataclass(frozen=True)
class BlockSearch:
    """Find the k best items of each query."""

    k: int  # number of items per query
    items_per_block: int | None = None  # items in a block; None: as many as there is room for, see `room_for_a_block`
    # queries in a block; None: as many as there is half of that room for, and 50,000 at most
    queries_per_block: int | None = None

    def __call__(
        self,
        queries: DataFrame,
        excluded: DataFrame,
        item_factors: DataFrame | None,
        finish: Finish,
        schema: str,
        *,
        query_count: int,
        item_count: int,
        rank: int,
        excluded_count: int = 0,
        other: DataFrame | None = None,
    ) -> DataFrame:
        """Search.

        Args:
            queries: id int, features array<float> or null, and columns that `finish` needs. One row per id.
            excluded: id int, item_index int: what a query must not get; ids that are not queries are ignored.
            item_factors: id int, features array<float>, finite; None: nothing is searched, and `finish` does all.
            finish: makes the rows of the result from queries (without features, with `EXCLUDED`), keys of shape
                (queries, k), and the other block, None where it has no rows.
            schema: DDL of these rows.
            query_count: about how many queries there are. It sets the number of blocks, and so do
            item_count: about how many items there are,
            rank: how many factors each has, and
            excluded_count: about how many pairs are excluded.
            other: rows, few enough for one block, that `finish` needs.
        """
        spark = queries.sparkSession
        room = room_for_a_block(spark)
        items_per_block, queries_per_block = self._sizes(room, rank)
        at_once = _BLOCKS_PER_CORE * cores(spark)
        blocks_of_pairs = -(-excluded_count * _BYTES_PER_PAIR // room)
        worth_a_block = min(at_once, -(-query_count // _FEWEST_QUERIES))
        partitions = max(-(-query_count // queries_per_block), blocks_of_pairs, worth_a_block, 1)
        blocks = pack(_with_excluded(queries, excluded).repartition(partitions, C.ID), "queries")
        k = self.k

        def with_other(blocks: DataFrame) -> DataFrame:
            return blocks if other is None else beside(blocks, pack(other.repartition(1), "other"))

        if item_factors is None:

            def unsearched(queries: pa.Table, other: pa.Table | None = None) -> pa.Table:
                return finish(queries.drop_columns([C.FEATURES]), nothing_found(len(queries), k), other)

            return map_blocks(with_other(blocks), unsearched, schema)

        item_blocks, largest = _item_blocks(item_factors, -(-item_count // items_per_block))
        if len(largest) <= 1:

            def searched(queries: pa.Table, items: pa.Table | None, other: pa.Table | None = None) -> pa.Table:
                best = nothing_found(len(queries), k)
                _improve(best, queries, items)
                return finish(queries.drop_columns([C.FEATURES]), best, other)

            return map_blocks(with_other(beside(blocks, item_blocks.select("items"))), searched, schema)

        def finished(queries: pa.Table, other: pa.Table | None = None) -> pa.Table:
            return finish(queries.drop_columns([_BEST]), _best_of(queries, k), other)

        merged = self._in_rounds(blocks, queries, item_blocks, largest, at_once).repartition(partitions, C.ID)
        return map_blocks(with_other(pack(merged, "queries")), finished, schema)

    def _sizes(self, room: int, rank: int) -> tuple[int, int]:
        """Return how many items and how many queries are in a block."""
        row = 4 * rank + 16
        items = self.items_per_block or room // row
        queries = self.queries_per_block or min(room // 2 // (row + 24 * self.k), _MOST_QUERIES)
        return max(items, 1), max(queries, 1)

    def _in_rounds(
        self, blocks: DataFrame, queries: DataFrame, item_blocks: DataFrame, largest: Mapping[int, float], at_once: int
    ) -> DataFrame:
        """Return the queries without features, and the keys of the items found for them in all blocks."""
        k, (head, *_) = self.k, largest
        later = {block: norm for block, norm in largest.items() if block != head}
        copies = -(-at_once // len(later))

        def first(queries: pa.Table, items: pa.Table | None) -> Iterator[pa.Table]:
            return _first_round(queries, items, k, later)

        head_block = item_blocks.where(F.col(_BLOCK) == head).select("items")
        left = map_blocks(beside(blocks, head_block), first, f"{_BLOCK} int, rows binary")
        # What is only passed on is spread over all tasks, and a later block of items meets several of them.
        hashed = F.xxhash64("rows")
        spread = F.when(F.col(_BLOCK) == _DONE, F.pmod(hashed, F.lit(_SPREAD))).otherwise(F.pmod(hashed, F.lit(copies)))
        left = left.select(_BLOCK, spread.cast("int").alias("copy"), "rows")
        numbers = queries.sparkSession.range(copies).select(F.col("id").cast("int").alias("copy"))
        copied = item_blocks.where(F.col(_BLOCK) != head).crossJoin(F.broadcast(numbers))
        met = left.join(copied.hint("merge"), [_BLOCK, "copy"], "left").select("rows", "items")

        def again(rows: pa.Table, items: pa.Table | None) -> pa.Table:
            return rows if items is None else _later_round(rows, items, k)

        kept = [field for field in queries.schema.fields if field.name != C.FEATURES]
        types = [f"`{field.name}` {field.dataType.simpleString()}" for field in kept]
        rounds = map_blocks(met, again, ", ".join([*types, f"{EXCLUDED} array<int>", f"{_BEST} array<bigint>"]))
        # A query has a row of the first round, and one of each later block that has improved it.
        names = [EXCLUDED, *(field.name for field in kept if field.name != C.ID)]
        columns = [F.first(name).alias(name) for name in names]
        return rounds.groupBy(C.ID).agg(*columns, F.flatten(F.collect_list(_BEST)).alias(_BEST))


def _with_excluded(queries: DataFrame, excluded: DataFrame) -> DataFrame:
    """Return the queries with the list of what each must not get: few long rows go to Python faster than many short."""
    barred = F.array_sort(F.collect_set(C.ITEM_INDEX)).alias(EXCLUDED)
    return queries.join(excluded.groupBy(C.ID).agg(barred), C.ID, "left")


def _item_blocks(item_factors: DataFrame, number: int) -> tuple[DataFrame, dict[int, float]]:
    """Return block int and items binary, about so many, and the largest norm in each, by falling norm."""
    items = item_factors.select(C.ID, C.FEATURES)
    if number <= 1:
        return pack(items.repartition(1), "items", prepare=_by_norm), {0: float("inf")}

    def normed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                yield from _with_norms(pa.Table.from_batches([batch])).to_batches()

    items = items.mapInArrow(normed, f"{C.ID} int, {C.FEATURES} array<float>, {_NORM} double")
    # Items of equal norm are parted by a hash, so that no block has more than its share.
    nudge = F.pmod(F.xxhash64(C.ID), F.lit(2**20)) / 2**20
    place = F.col(_NORM) * (1 - _NUDGE * nudge) + _LEAST_NUDGE * nudge
    shares = [1 - cut / number for cut in range(1, number)]
    (cuts,) = single_row(items.agg(F.percentile_approx(place, shares)))
    block = reduce(add, [(place < F.lit(cut)).cast("int") for cut in cuts])
    largest = items.groupBy(block.alias(_BLOCK)).agg(F.max(_NORM))
    together = items.select(block.alias(_BLOCK), C.ID, C.FEATURES).repartition(number, _BLOCK)
    blocks = pack(together.sortWithinPartitions(_BLOCK), "items", by=_BLOCK, prepare=_by_norm)
    return blocks, dict(sorted(largest.collect()))


def _with_norms(items: pa.Table) -> pa.Table:
    factors, _ = matrix(items[C.FEATURES], len(items[C.FEATURES][0]))
    return items.append_column(_NORM, pa.array(norms_of(factors)))


def _by_norm(items: pa.Table) -> pa.Table:
    """Return id, features and norm of a block of items in the order of falling norm."""
    items = _with_norms(items.select([C.ID, C.FEATURES]))
    return items.take(pa.array(np.lexsort((items[C.ID].to_numpy(), -items[_NORM].to_numpy()))))


def _improve(best: Keys, queries: pa.Table, items: pa.Table | None) -> None:
    """Merge a block of items into the best of a block of queries."""
    if items is None:
        return
    factors, _ = matrix(items[C.FEATURES], len(items[C.FEATURES][0]))
    catalogue = Items(items[C.ID].to_numpy(), factors, items[_NORM].to_numpy())
    wanted, known = matrix(queries[C.FEATURES], factors.shape[1])
    rows = np.flatnonzero(known)
    values, offsets = lists(queries[EXCLUDED].take(rows))
    improved = best[rows]
    improve(improved, wanted[rows], catalogue, (np.asarray(values), offsets))
    best[rows] = improved


def _first_round(queries: pa.Table, items: pa.Table | None, k: int, later: Mapping[int, float]) -> Iterator[pa.Table]:
    """Search the first block; give block int and rows binary: items found, and which query meets which later block."""
    best = nothing_found(len(queries), k)
    _improve(best, queries, items)
    done = queries.drop_columns([C.FEATURES]).append_column(_BEST, _as_lists(best))
    yield _addressed(_DONE, done)
    factors, known = matrix(queries[C.FEATURES], _rank(queries[C.FEATURES]))
    with_least = queries.append_column(_LEAST, pa.array(best[:, -1]))
    for block, norm in later.items():
        active = known & can_improve(best, factors, norm)
        if active.any():
            yield _addressed(block, with_least.filter(pa.array(active)))


def _addressed(block: int, rows: pa.Table) -> pa.Table:
    return pa.table({_BLOCK: pa.array([block], pa.int32()), "rows": pa.array([to_cell(rows)], pa.binary())})


def _later_round(queries: pa.Table, items: pa.Table, k: int) -> pa.Table:
    """Search a later block; return the queries that it has improved, with the items better than their k-th."""
    least = queries[_LEAST].to_numpy()
    best = np.repeat(least[:, None], k, axis=1)
    _improve(best, queries, items)
    best[best == least[:, None]] = EMPTY
    rows = queries.drop_columns([C.FEATURES, _LEAST]).append_column(_BEST, _as_lists(best))
    return rows.filter(pa.array(best[:, 0] != EMPTY))


def _rank(features: pa.ChunkedArray) -> int:
    return next((len(one) for one in features.drop_null()), 0)


def _as_lists(best: Keys) -> pa.Array:
    is_found = best != EMPTY
    offsets = np.concatenate([[0], np.cumsum(is_found.sum(axis=1))])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(best[is_found]))


def _best_of(queries: pa.Table, k: int) -> Keys:
    """Return the k best of each query's keys."""
    values, offsets = lists(queries[_BEST])
    lengths = np.diff(offsets)
    keys = np.full((len(queries), max(lengths.max(initial=0), k)), EMPTY, dtype=np.int64)
    keys[np.arange(keys.shape[1]) < lengths[:, None]] = np.asarray(values)
    keys.sort(axis=1)
    return keys[:, : -k - 1 : -1]
