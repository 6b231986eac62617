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

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, SparkSession, functions as F

import recommender.constants as C
from recommender.spark.blocks import pack, unpack  # noqa: F401 - unpack is for the example

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
        """Return the rows of a block, given its pairs sorted by id."""
        own, other, home, score = (pairs[name].to_numpy() for name in (C.ID, OTHER, OTHER_BLOCK, C.SCORE))
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
    blocks = [block_of(scores.sparkSession, *each) for each in zip((visitor, item), numbers, strict=True)]
    sides = (visitor, blocks[0], item, blocks[1]), (item, blocks[1], visitor, blocks[0])
    made = []
    for number, (own, block, other, other_block) in zip(numbers, sides, strict=True):
        names = {BLOCK: block, C.ID: own, OTHER: other, OTHER_BLOCK: other_block, C.SCORE: score}
        pairs = scores.select(*(column.alias(name) for name, column in names.items()))
        sorted_pairs = pairs.repartition(number, BLOCK).sortWithinPartitions(BLOCK, C.ID, OTHER, C.SCORE)
        cells = pack(sorted_pairs, PAIRS, by=BLOCK, prepare=lambda rows: RatingRows.made(rows).table())
        made.append(cells.repartition(number, BLOCK))
    return made[0], made[1]


def block_of(spark: SparkSession, index: Column, number: int) -> Column:
    """Return the block of an index.

    A block is named by a number that Spark's hash puts into a partition of its own: names that are just counted would
    share some, and leave others empty.
    """
    tried = spark.range(_TRIED * number).select(F.col(C.ID).cast("int").alias(BLOCK))
    names = tried.groupBy(F.pmod(F.hash(BLOCK), F.lit(number)).alias("place")).agg(F.min(BLOCK).alias(BLOCK))
    found: list[Any] = [row[BLOCK] for row in names.collect()]
    return F.element_at(F.array(*map(F.lit, sorted(found))), F.pmod(index, F.lit(len(found))) + 1)
