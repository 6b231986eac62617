"""ALS in blocks of numpy arrays: the solver `blocks` of the matrix model.

Example usage:
>>> scores = spark.createDataFrame([(0, 0, 1.0), (1, 1, 2.0)], "visitor int, item int, score float")
>>> als = BlockAls(rank=2, max_iter=3, solver=Solver(implicit_prefs=True, alpha=1.0, reg_param=0.1))
>>> visitors, items = als.fit(scores)
>>> visitors.columns, sorted(row.id for row in items.select("id").collect())
(['id', 'features'], [0, 1])
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, functions as F

import recommender.constants as C
from recommender.ranking import Solver, gram, random_factors, solve_rows
from recommender.ranking.top_k import Factors
from recommender.spark.aggregates import single_row
from recommender.spark.blocks import map_blocks, matrix, positions_of, to_cell, unpack
from recommender.spark.cache import Cache, without_plan
from recommender.spark.cluster import has_checkpoint_folder, room_for_a_block
from recommender.stage2.rating_blocks import BLOCK, PAIRS, RatingRows, rating_blocks

_FACTORS, _PIECES, _GRAM, _GRAMS, _ROWS = "factors", "pieces", "gram", "grams", "rows"
_MADE = f"{BLOCK} int, {_FACTORS} binary, {_GRAM} binary, {_ROWS} long"


@dataclass
class _Side:
    """Visitors or items: their blocks, and the factors that they have now.

    Attributes:
        blocks: block int, pairs binary: a row per block, in a partition of its own.
        number: how many there are.
        factors: block int, factors binary, gram binary, rows long; the blocks before there are any.
        bytes: of all factors; 0 before there are any.
    """

    blocks: DataFrame
    number: int
    factors: DataFrame
    bytes: int = 0


@dataclass(frozen=True)
class BlockAls:
    """Minimise what `Solver` describes over the factors of visitors and items, in turn, by `solve_rows`.

    In a half step each block gets the factors of the fixed side: all of them, broadcast, if a worker has room for them,
    and else those that it needs, sent by the blocks of the other side. Every half step ends with a checkpoint, so that
    neither plans nor lineage grow. YᵀY is the sum of a rank x rank matrix per block, which each task adds.

    Init parameters:
        rank: number of factors. max_iter: number of iterations: all items, then all visitors.
        solver: what is minimised; its factors may be negative.
        cg_steps: steps of conjugate gradients; null: exact solutions.
        seed: of the random start.
        blocks: number of blocks of visitors, and of items; the factors do not depend on them.
        level: storage of the blocks while fitting.
    """

    rank: int
    max_iter: int
    solver: Solver
    cg_steps: int | None = None
    seed: int = 0
    blocks: tuple[int, int] = (2, 2)
    level: StorageLevel = field(default_factory=lambda: StorageLevel.MEMORY_AND_DISK)

    def fit(self, scores: DataFrame) -> tuple[DataFrame, DataFrame]:
        """Return the factors of visitors and of items, both id int, features array<float>.

        They are not finite if the equations of a visitor or an item do not have a single solution.

        Args:
            scores: visitor int, item int, score float, in this order: one row per pair.
        """
        cache = Cache(self.level)
        is_reliable = has_checkpoint_folder(scores.sparkSession)
        try:
            blocks = map(cache, rating_blocks(scores, *self.blocks))
            visitors, items = (_Side(rows, number, rows) for rows, number in zip(blocks, self.blocks, strict=True))
            self._replace(visitors, self._start(visitors, 0), is_reliable)
            if not self.max_iter:
                self._replace(items, self._start(items, 1), is_reliable)
            for own, fixed in [(items, visitors), (visitors, items)] * self.max_iter:
                self._replace(own, self._half_step(own, fixed), is_reliable)
        finally:
            cache.release()
        return _rows_of(visitors), _rows_of(items)

    def _start(self, side: _Side, number: int) -> DataFrame:
        """Return random factors; visitors (number 0) get others than items (number 1)."""
        rank, seed = self.rank, self.seed ^ number

        def started(row: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
            ids = RatingRows.read(unpack(row[PAIRS][0])).ids
            yield _made(row[BLOCK], ids, random_factors(ids, rank, seed))

        return side.blocks.mapInArrow(_by_row(started), _MADE)

    def _half_step(self, own: _Side, fixed: _Side) -> DataFrame:
        """Return the factors of one side, given those of the other."""
        solver, cg_steps, rank = self.solver, self.cg_steps, self.rank

        def solved(row: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
            rows = RatingRows.read(unpack(row[PAIRS][0]))
            given = np.zeros((len(rows.others), rank), np.float32)
            for piece in row[_PIECES][0].values:
                ids, factors = _read(unpack(piece))
                places, _, known = positions_of(rows.others, ids, np.array([0]))
                given[places] = factors[known]
            history, gram_matrix = (rows.positions, rows.offsets), _added(row[_GRAMS][0].values, rank)
            yield _made(row[BLOCK], rows.ids, solve_rows(history, rows.scores, given, gram_matrix, solver, cg_steps))

        has_room = fixed.bytes <= room_for_a_block(own.blocks.sparkSession)
        rows = _beside_all(own, fixed) if has_room else _beside_needed(own, fixed)
        return rows.mapInArrow(_by_row(solved), _MADE)

    def _replace(self, side: _Side, factors: DataFrame, is_reliable: bool) -> None:
        """Compute the next factors of a side."""
        side.factors = without_plan(factors, is_reliable=is_reliable)
        if not side.bytes:
            (rows,) = single_row(side.factors.agg(F.sum(_ROWS)))
            side.bytes = 4 * (self.rank + 1) * rows


def _by_row(
    function: Callable[[pa.RecordBatch], Iterator[pa.RecordBatch]],
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return what calls a function with each row of Arrow batches."""

    def mapped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in range(batch.num_rows):
                yield from function(batch.slice(number, 1))

    return mapped


def _made(block: pa.Array, ids: NDArray[np.int32], factors: Factors) -> pa.RecordBatch:
    """Return the row of a block with its factors."""
    cells = (pa.array([cell], pa.binary()) for cell in (_cell(ids, factors), gram(factors).tobytes()))
    return pa.RecordBatch.from_arrays(
        [block, *cells, pa.array([len(ids)], pa.int64())], [BLOCK, _FACTORS, _GRAM, _ROWS]
    )


def _cell(ids: NDArray[np.int32], factors: Factors) -> bytes:
    """Return factors as the value of a binary column."""
    features = pa.FixedSizeListArray.from_arrays(pa.array(factors.ravel()), factors.shape[1])
    return to_cell(pa.table({C.ID: ids, C.FEATURES: features}))


def _read(factors: pa.Table) -> tuple[NDArray[np.int32], Factors]:
    """Return the ids and the factors of a cell."""
    features = factors[C.FEATURES]
    return factors[C.ID].to_numpy(), matrix(features, features.type.list_size)[0]


def _grams() -> Column:
    """Return the aggregate with the matrices of all blocks."""
    return F.collect_list(F.struct(BLOCK, _GRAM)).alias(_GRAMS)


def _added(grams: pa.StructArray, rank: int) -> NDArray[np.float64]:
    """Return the sum of the matrices of all blocks, in the order of the blocks: then it always has the same bits."""
    cells = grams.field(_GRAM)
    total = np.zeros(rank * rank)
    for place in np.argsort(grams.field(BLOCK).to_numpy()):
        total += np.frombuffer(cells[int(place)].as_buffer())
    return total.reshape(rank, rank)


def _beside_all(own: _Side, fixed: _Side) -> DataFrame:
    """Return each block with all factors of the fixed side, which are sent to all workers."""
    everything = fixed.factors.coalesce(1).agg(F.collect_list(_FACTORS).alias(_PIECES), _grams())
    return own.blocks.crossJoin(F.broadcast(everything))


def _beside_needed(own: _Side, fixed: _Side) -> DataFrame:
    """Return each block with the factors of the fixed side that it needs, sent by the blocks of that side."""

    def cut(row: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        ids, factors = _read(unpack(row[_FACTORS][0]))
        for block, needed in RatingRows.read(unpack(row[PAIRS][0])).parts().items():
            piece = pa.array([_cell(ids[needed], factors[needed])], pa.binary())
            yield pa.RecordBatch.from_arrays([pa.array([block], pa.int32()), piece], [BLOCK, _PIECES])

    factors = fixed.factors.select(BLOCK, _FACTORS).repartition(fixed.number, BLOCK)
    cells = fixed.blocks.hint("merge").join(factors, BLOCK, "inner")
    sent = cells.mapInArrow(_by_row(cut), f"{BLOCK} int, {_PIECES} binary").repartition(own.number, BLOCK)
    pieces = sent.groupBy(BLOCK).agg(F.collect_list(_PIECES).alias(_PIECES))
    grams = fixed.factors.coalesce(1).agg(_grams())
    return own.blocks.hint("merge").join(pieces, BLOCK, "inner").crossJoin(F.broadcast(grams))


def _rows_of(side: _Side) -> DataFrame:
    """Return the factors, a row each."""

    def unpacked(factors: pa.Table) -> pa.Table:
        return factors.set_column(1, C.FEATURES, factors[C.FEATURES].cast(pa.list_(pa.float32())))

    return map_blocks(side.factors.select(_FACTORS), unpacked, f"{C.ID} int, {C.FEATURES} array<float>")
