"""Compute the factors of visitors that were not in training.

Example usage:
>>> interactions = spark.createDataFrame([(7, 0, 2.0)], "visitor_index int, item_index int, score float")
>>> item_factors = spark.createDataFrame([(0, [1.0, 0.0]), (1, [0.0, 1.0])], "id int, features array<float>")
>>> step = FoldIn()
>>> step.execute(interactions, item_factors, implicit_prefs=True, alpha=1.0, reg_param=0.5, visitor_count=1).collect()
[Row(id=7, features=[0.857..., 0.0])]
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.ranking import Solver, fold_in, gram, solve_rows
from recommender.ranking.top_k import Factors, Lists
from recommender.settings.step import Annotated, Field, step
from recommender.spark.aggregates import single_row
from recommender.spark.blocks import map_blocks, matrix, pack, positions_of, size_of
from recommender.spark.cluster import partitions_for, room_for_a_block

_SOLVER = ("implicit_prefs", "alpha", "reg_param", "nonnegative")

_SCHEMA = f"{C.ID} int, {C.FEATURES} array<float>"


def solver_of(als: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a fit that visitors are folded in by; older records have no reg_exponent.

    >>> solver_of({"implicit_prefs": True, "alpha": 1.0, "reg_param": 0.1, "nonnegative": False, "rank": 8})
    {'implicit_prefs': True, 'alpha': 1.0, 'reg_param': 0.1, 'nonnegative': False, 'reg_exponent': 1.0}
    """
    return {name: als[name] for name in _SOLVER} | {"reg_exponent": als.get("reg_exponent", 1.0)}


@step
class FoldIn:
    """Fold visitors into a fitted model: factors from their interactions and the factors of the items.

    The solution is the one that ALS itself would give the visitor in its last half step: the same confidence, the same
    regularisation by the number of its items. Source: Hu, Koren and Volinsky, Collaborative Filtering for Implicit
    Feedback Datasets (2008), equation 4; see ``recommender.ranking.fold_in``.

    Init parameters:
        visitors_per_block: how many visitors are solved for at once.
        items_per_block: how many items a worker holds at once; null: as many as fit into an eighth of
            spark.executor.memory, 256 MB at most. If there are more, the factors travel to the visitors that have the
            items.
    Execution args:
        interactions: visitor_index int, item_index int, score float, any number of rows per pair; more columns are
            ignored. Items without factors are left out.
        item_factors: id int, features array<float>.
        implicit_prefs, alpha, reg_param, nonnegative, reg_exponent: as the item factors were fitted with.
        visitor_count: about how many distinct visitors there are; it sets the number of blocks.
    Execution returns:
        id int, features array<float>, one row per visitor whose factors are not all zero: one with a positive score
        (explicit: another score than 0) on an item that has factors; row order undefined.
    Raises:
        nothing of its own.
    Persist strategy: none; the factors are used at once and never stored.
    """

    visitors_per_block: Annotated[int, Field(ge=1, le=10_000_000)] = 20_000
    items_per_block: Annotated[int, Field(ge=1, le=100_000_000)] | None = None

    def execute(
        self,
        interactions: DataFrame,
        item_factors: DataFrame,
        *,
        implicit_prefs: bool,
        alpha: float,
        reg_param: float,
        nonnegative: bool = False,
        reg_exponent: float = 1.0,
        visitor_count: int,
    ) -> DataFrame:
        solver = Solver(implicit_prefs, alpha, reg_param, nonnegative, reg_exponent)
        spark = interactions.sparkSession
        pairs = interactions.groupBy(C.VISITOR_INDEX, C.ITEM_INDEX).agg(F.sum(C.SCORE).cast("double").alias(C.SCORE))
        count, rank = single_row(size_of(item_factors))
        # A solve needs a turned copy of the factors beside them.
        items_per_block = self.items_per_block or room_for_a_block(spark) // (8 * rank + 24)
        if count <= items_per_block:
            partitions = partitions_for(spark, visitor_count, self.visitors_per_block)
            return _with_all_items(_by_visitor(pairs, partitions), item_factors, solver)
        gram_matrix = _gram(item_factors, rank) if implicit_prefs else np.zeros((rank, rank))
        own = pairs.join(item_factors.select(F.col(C.ID).alias(C.ITEM_INDEX), C.FEATURES), C.ITEM_INDEX, "inner")
        partitions = partitions_for(spark, pairs.count(), items_per_block)
        return _with_own_items(_by_visitor(own, partitions), solver, gram_matrix)


def _by_visitor(pairs: DataFrame, partitions: int) -> DataFrame:
    """Return blocks of pairs, those of a visitor together and in the order of the items: sums have one order."""
    together = pairs.repartition(partitions, C.VISITOR_INDEX).sortWithinPartitions(C.VISITOR_INDEX, C.ITEM_INDEX)
    return pack(together, "pairs")


def _visitors(pairs: pa.Table) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the visitors of a block of pairs, and the offsets of their pairs."""
    visitors = pairs[C.VISITOR_INDEX].to_numpy()
    starts = np.flatnonzero(np.concatenate([[True], visitors[1:] != visitors[:-1]]))
    return visitors[starts], np.append(starts, len(visitors))


def _with_all_items(blocks: DataFrame, item_factors: DataFrame, solver: Solver) -> DataFrame:
    """Fold in where all items fit into a worker: each block of visitors meets all of them."""

    def solved(pairs: pa.Table, items: pa.Table) -> pa.Table:
        factors, _ = matrix(items[C.FEATURES], len(items[C.FEATURES][0]))
        visitors, offsets = _visitors(pairs)
        positions, offsets, known = positions_of(items[C.ID].to_numpy(), pairs[C.ITEM_INDEX].to_numpy(), offsets)
        return _usable(visitors, _folded((positions, offsets), pairs[C.SCORE].to_numpy()[known], factors, solver))

    items = pack(item_factors.select(C.ID, C.FEATURES).repartition(1).sortWithinPartitions(C.ID), "items")
    return map_blocks(blocks.crossJoin(F.broadcast(items)), solved, _SCHEMA)


def _with_own_items(blocks: DataFrame, solver: Solver, gram_matrix: NDArray[np.float64]) -> DataFrame:
    """Fold in where they do not: the factors of a visitor's own items have come to it, and YᵀY is known to all."""

    def solved(pairs: pa.Table) -> pa.Table:
        factors, _ = matrix(pairs[C.FEATURES], len(gram_matrix))
        visitors, offsets = _visitors(pairs)
        history = np.arange(len(pairs)), offsets
        return _usable(visitors, _folded(history, pairs[C.SCORE].to_numpy(), factors, solver, gram_matrix))

    return map_blocks(blocks, solved, _SCHEMA)


def _folded(
    history: Lists,
    scores: NDArray[np.float64],
    items: Factors,
    solver: Solver,
    gram_matrix: NDArray[np.float64] | None = None,
) -> Factors:
    """Return the same factors as `fold_in`, many visitors at once: at rank 512 in a seventh of the time."""
    if solver.nonnegative or solver.reg_param == 0:
        return fold_in(history, scores, items, solver, gram_matrix)
    if gram_matrix is None:
        gram_matrix = gram(items)
    return solve_rows(history, scores, items, gram_matrix, solver)


def _gram(item_factors: DataFrame, rank: int) -> NDArray[np.float64]:
    """Return YᵀY of items that no one machine holds: the driver adds a matrix per partition."""

    def partial(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        total = np.zeros((rank, rank))
        for batch in batches:
            total += gram(matrix(pa.Table.from_batches([batch])[C.FEATURES], rank)[0])
        yield pa.RecordBatch.from_pydict({"gram": pa.array([total.ravel()], pa.list_(pa.float64()))})

    partials = item_factors.select(C.FEATURES).mapInArrow(partial, "gram array<double>")
    return sum((np.array(row["gram"]) for row in partials.collect()), np.zeros(rank * rank)).reshape(rank, rank)


def _usable(visitors: NDArray[np.int32], folded: NDArray[np.float32]) -> pa.Table:
    """Return the factors of the visitors that have any."""
    usable = folded.any(axis=1)
    features = pa.FixedSizeListArray.from_arrays(pa.array(folded[usable].ravel()), folded.shape[1])
    return pa.table({C.ID: visitors[usable], C.FEATURES: features.cast(pa.list_(pa.float32()))})
