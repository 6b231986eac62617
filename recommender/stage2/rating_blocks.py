"""The pairs of a fit in blocks, once by visitor and once by item: what the solver `blocks` works on.

A block holds the rows of every n-th visitor (or item) with all of their pairs, as one binary cell. A row of Spark is a
block, and each is in a partition of its own.

Example usage:
>>> scores = spark.createDataFrame([(0, 5, 1.0), (0, 7, 2.0), (1, 5, 3.0)], "visitor int, item int, score float")
>>> visitors, items = rating_blocks(scores, 1, 1)
>>> rows = RatingRows.read(unpack(pa.scalar(visitors.first()["pairs"], pa.binary())))
>>> rows.ids.tolist(), rows.offsets.tolist(), rows.others.tolist(), rows.positions.tolist(), rows.scores.tolist()
([0, 1], [0, 2, 3], [5, 7], [0, 1, 0], [1.0, 2.0, 3.0])
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, functions as F

import recommender.constants as C
from recommender.spark.blocks import to_cell, unpack  # noqa: F401 - unpack is for the example

BLOCK, PAIRS, OTHER, OTHER_BLOCK = "block", "pairs", "other", "other_block"

_TRIED = 64  # numbers per block, among which there is one for each partition


@dataclass(frozen=True)
class RatingRows:
    """The rows of a block, sorted by id, and their pairs, as arrays.

    Attributes:
        ids: of the rows. offsets: where the pairs of each row begin in positions and scores, and where the last ends.
        others: the ids of the other side that occur, sorted. other_blocks: the block that each of these is in.
        positions: of each pair: the place of its other id in `others`. scores: of each pair.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    others: NDArray[np.int32]
    other_blocks: NDArray[np.int32]
    positions: NDArray[np.int32]
    scores: NDArray[np.float32]

    @classmethod
    def made(cls, pairs: pa.Table) -> "RatingRows":
        """Return the rows of a block, given its pairs in any order."""
        columns = [pairs[name].to_numpy() for name in (C.ID, OTHER, OTHER_BLOCK, C.SCORE)]
        order = np.lexsort((columns[3], columns[1], columns[0]))
        own, other, home, score = (values[order] for values in columns)
        starts = np.flatnonzero(np.concatenate([[True], own[1:] != own[:-1]]))
        others, first, positions = np.unique(other, return_index=True, return_inverse=True)
        return cls(own[starts], np.append(starts, len(own)), others, home[first], positions.astype(np.int32), score)

    def table(self) -> pa.Table:
        """Return the rows as a table with one row of lists."""
        return pa.table({name: pa.array([values]) for name, values in vars(self).items()})

    @classmethod
    def read(cls, table: pa.Table) -> "RatingRows":
        """Return the rows that `table` has made."""
        return cls(*(table[name].chunk(0).flatten().to_numpy() for name in table.column_names))

    def parts(self) -> dict[int, NDArray[np.int64]]:
        """Return which rows each block of the other side has pairs with: block -> positions in `ids`."""
        blocks, which = np.unique(self.other_blocks, return_inverse=True)
        needed = np.zeros((len(blocks), len(self.ids)), dtype=np.bool_)
        needed[which[self.positions], np.repeat(np.arange(len(self.ids)), np.diff(self.offsets))] = True
        return {int(block): np.flatnonzero(needed[number]) for number, block in enumerate(blocks)}


def rating_blocks(scores: DataFrame, visitor_blocks: int, item_blocks: int) -> tuple[DataFrame, DataFrame]:
    """Return the blocks of visitors and the blocks of items.

    Args:
        scores: visitor int, item int, score float, in this order: one row per pair.
        visitor_blocks, item_blocks: how many there are at most; some may have no rows.

    Returns:
        Two DataFrames, block int, pairs binary (`RatingRows`): a row per block, in a partition of its own by its block.
    """
    numbers = visitor_blocks, item_blocks
    visitor, item, score = (F.col(name) for name in scores.columns)
    blocks = [block_of(*each) for each in zip((visitor, item), numbers, strict=True)]
    sides = (visitor, blocks[0], item, blocks[1]), (item, blocks[1], visitor, blocks[0])
    made = []
    for number, (own, block, other, other_block) in zip(numbers, sides, strict=True):
        names = {BLOCK: block, C.ID: own, OTHER: other, OTHER_BLOCK: other_block, C.SCORE: score}
        pairs = scores.select(*(column.alias(name) for name, column in names.items())).repartition(number, BLOCK)
        made.append(pairs.mapInArrow(_packed, f"{BLOCK} int, {PAIRS} binary").repartition(number, BLOCK))
    return made[0], made[1]


def _packed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Return a row for each block of a partition, which has one as a rule; numpy sorts faster than Spark."""
    found = list(batches)
    if not found:
        return
    pairs = pa.Table.from_batches(found)
    for block in np.unique(pairs[BLOCK].to_numpy()):
        cell = to_cell(RatingRows.made(pairs.filter(pc.equal(pairs[BLOCK], block))).table())
        yield pa.RecordBatch.from_pydict({BLOCK: pa.array([block], pa.int32()), PAIRS: pa.array([cell], pa.binary())})


def block_of(index: Column, number: int) -> Column:
    """Return the block of an index.

    A block is named by a number that Spark's hash puts into a partition of its own: names that are just counted would
    share some, and leave others empty.
    """
    tried = np.arange(_TRIED * number)
    _, first = np.unique(_spark_hash(tried) % number, return_index=True)
    names = F.array(*(F.lit(int(name)) for name in tried[first]))
    return F.element_at(names, F.pmod(index, F.lit(len(first))) + 1)


def _spark_hash(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the hash by which Spark finds the partition of an int: Murmur3 of 32 bits (Appleby 2008), signed.

    >>> [row[0] for row in spark.range(3).selectExpr("hash(int(id))").collect()] == _spark_hash(np.arange(3)).tolist()
    True
    """
    bits = _rotated(numbers.astype(np.uint32) * np.uint32(0xCC9E2D51), 15) * np.uint32(0x1B873593)
    bits = _rotated(bits ^ np.uint32(42), 13) * np.uint32(5) + np.uint32(0xE6546B64)
    bits = bits ^ np.uint32(4)
    bits = (bits ^ (bits >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    bits = (bits ^ (bits >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    mixed: NDArray[np.uint32] = bits ^ (bits >> np.uint32(16))
    return mixed.astype(np.int32).astype(np.int64)


def _rotated(bits: NDArray[np.uint32], by: int) -> NDArray[np.uint32]:
    rotated: NDArray[np.uint32] = (bits << np.uint32(by)) | (bits >> np.uint32(32 - by))
    return rotated
