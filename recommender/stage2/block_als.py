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
from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.ranking import Solver, gram, random_factors, solve_rows
from recommender.ranking.top_k import Factors
from recommender.spark.blocks import map_blocks, matrix, positions_of, to_cell, unpack
from recommender.spark.cache import Cache
from recommender.spark.cluster import has_checkpoint_folder, room_for_a_block
from recommender.stage2.rating_blocks import BLOCK, PAIRS, RatingRows, rating_blocks

_FACTORS, _PIECES, _GRAM, _ROWS = "factors", "pieces", "gram", "rows"
_MADE = f"{BLOCK} int, {_FACTORS} binary, {_GRAM} binary, {_ROWS} long"


@dataclass
class _Side:
    """Visitors or items: their blocks, and the factors that they have now.

    Attributes:
        blocks: block int, pairs binary: a row per block, in a partition of its own.
        number: how many there are.
        factors: block int, factors binary, gram binary, rows long; the blocks before there are any.
        gram: of all factors. bytes: of all factors.
    """

    blocks: DataFrame
    number: int
    factors: DataFrame
    gram: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    bytes: int = 0


@dataclass(frozen=True)
class BlockAls:
    """Minimise what `Solver` describes over the factors of visitors and items, in turn, by `solve_rows`.

    In a half step each block gets the factors of the fixed side: all of them, broadcast, if a worker has room for them,
    and else those that it needs, sent by the blocks of the other side. Every half step ends with a checkpoint, so that
    neither plans nor lineage grow. The driver adds one rank x rank matrix per block.

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

        A fit ends as soon as some are not finite, as they are if the equations of a visitor or an item do not have a
        single solution.

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
                if not np.isfinite(fixed.gram).all():
                    break
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
        solver, cg_steps, rank, gram_matrix = self.solver, self.cg_steps, self.rank, fixed.gram

        def solved(row: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
            rows = RatingRows.read(unpack(row[PAIRS][0]))
            given = np.zeros((len(rows.others), rank), np.float32)
            for piece in row[_PIECES][0].values:
                ids, factors = _read(unpack(piece))
                places, _, known = positions_of(rows.others, ids, np.array([0]))
                given[places] = factors[known]
            history = rows.positions, rows.offsets
            yield _made(row[BLOCK], rows.ids, solve_rows(history, rows.scores, given, gram_matrix, solver, cg_steps))

        has_room = fixed.bytes <= room_for_a_block(own.blocks.sparkSession)
        rows = _beside_all(own, fixed) if has_room else _beside_needed(own, fixed)
        return rows.mapInArrow(_by_row(solved), _MADE)

    def _replace(self, side: _Side, factors: DataFrame, is_reliable: bool) -> None:
        """Compute the next factors of a side."""
        side.factors = factors.checkpoint() if is_reliable else factors.localCheckpoint()
        rows = sorted(side.factors.select(BLOCK, _GRAM, _ROWS).collect())
        grams = np.stack([np.frombuffer(row[_GRAM]) for row in rows])
        side.gram = grams.sum(axis=0).reshape(self.rank, self.rank)
        side.bytes = 4 * (self.rank + 1) * sum(row[_ROWS] for row in rows)


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


def _beside_all(own: _Side, fixed: _Side) -> DataFrame:
    """Return each block with all factors of the fixed side, which are sent to all workers."""
    pieces = fixed.factors.coalesce(1).agg(F.collect_list(_FACTORS).alias(_PIECES))
    return own.blocks.crossJoin(F.broadcast(pieces))


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
    return own.blocks.hint("merge").join(pieces, BLOCK, "inner")


def _rows_of(side: _Side) -> DataFrame:
    """Return the factors, a row each."""

    def unpacked(factors: pa.Table) -> pa.Table:
        return factors.set_column(1, C.FEATURES, factors[C.FEATURES].cast(pa.list_(pa.float32())))

    return map_blocks(side.factors.select(_FACTORS), unpacked, f"{C.ID} int, {C.FEATURES} array<float>")
