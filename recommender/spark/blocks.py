"""Blocks: the rows of a partition as one Arrow cell, so that numpy can work on matrices inside a Spark job.

What must be a matrix travels in blocks. `pack` turns each partition of a DataFrame into one row with one binary column
(an Arrow IPC stream); `beside` puts a block of another DataFrame into each row; `map_blocks` hands them to a function.

Example usage:
>>> rows = spark.range(4).repartition(1)
>>> doubled = map_blocks(pack(rows, "rows"), lambda rows: rows.append_column("twice", pc.multiply(rows["id"], 2)),
...                      "id long, twice long")
>>> sorted(doubled.collect())[-1]
Row(id=3, twice=6)
"""

from collections.abc import Callable, Iterator
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark import cloudpickle
from pyspark.sql import DataFrame, functions as F

import recommender
import recommender.constants as C

# The functions that work on blocks take their code with them: the workers need numpy and pyarrow, but not this package.
cloudpickle.register_pickle_by_value(recommender)  # type: ignore[no-untyped-call]


def pack(rows: DataFrame, name: str, by: str = "", prepare: Callable[[pa.Table], pa.Table] | None = None) -> DataFrame:
    """Return one row per partition that is not empty, with its rows in the binary column `name`.

    Args:
        by: an int column by which the rows of each partition are sorted: then there is a row, which has that column
            too, for each value of it in a partition.
        prepare: makes of the rows of a block what is to be in it; None: they are.
    """

    def packed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for key, pieces in groupby(_pieces(batches, by), itemgetter(0)):
            block = pa.Table.from_batches(piece for _, piece in pieces)
            cell = pa.array([to_cell(prepare(block.combine_chunks()) if prepare else block)], pa.binary())
            columns = {by: pa.array([key], pa.int32())} if by else {}
            yield pa.RecordBatch.from_pydict({**columns, name: cell})

    return rows.mapInArrow(packed, f"{by} int, {name} binary" if by else f"{name} binary")


def _pieces(batches: Iterator[pa.RecordBatch], by: str) -> Iterator[tuple[int, pa.RecordBatch]]:
    for batch in batches:
        if not by or not batch.num_rows:
            if batch.num_rows:
                yield 0, batch
            continue
        values = batch[by].to_numpy()
        cuts = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(values)]
        for start, stop in pairwise(cuts):
            yield int(values[start]), batch.slice(start, stop - start)


def to_cell(rows: pa.Table) -> bytes:
    """Return the rows of a block as the value of a binary column."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    cell: bytes = sink.getvalue().to_pybytes()
    return cell


def beside(blocks: DataFrame, other: DataFrame) -> DataFrame:
    """Return every block with the one block of another DataFrame, null where that has none; it is sent to all."""
    return blocks.join(F.broadcast(other), F.lit(True), "left")


def unpack(cell: pa.BinaryScalar) -> pa.Table | None:
    """Return the rows of a block, without copying them; None if there is none."""
    if not cell.is_valid:
        return None
    return pa.ipc.open_stream(cell.as_buffer()).read_all().combine_chunks()


def map_blocks(blocks: DataFrame, function: Callable[..., pa.Table | Iterator[pa.Table]], schema: str) -> DataFrame:
    """Call a function with the blocks of each row, in the order of the columns, and return the rows it returns.

    Args:
        blocks: every column as `pack` makes it.
        function: takes one `pyarrow.Table` per column, None where it is null, and returns a table with the columns of
            `schema`, or gives several, one after the other.
    """

    def mapped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in range(batch.num_rows):
                made = function(*(unpack(column[row]) for column in batch.columns))
                for table in [made] if isinstance(made, pa.Table) else made:
                    yield from table.to_batches()

    return blocks.mapInArrow(mapped, schema)


def size_of(factors: DataFrame) -> DataFrame:
    """Return one row: how many rows have factors, int count, and how many factors, int rank; 0 where none has any."""
    rank = F.coalesce(F.max(F.size(C.FEATURES)), F.lit(0))
    return factors.agg(F.count(C.ID).alias("count"), rank.alias("rank"))


def _one(column: pa.ChunkedArray) -> Any:
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def matrix(column: pa.ChunkedArray, rank: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return a column of factors as a matrix, zeros where it is null, and which rows are not null."""
    factors = _one(column)
    present = pc.is_valid(factors).to_numpy(zero_copy_only=False)
    values = factors.flatten().to_numpy(zero_copy_only=False).reshape(int(present.sum()), rank)
    if present.all():
        return values, present
    dense = np.zeros((len(factors), rank), dtype=np.float32)
    dense[present] = values
    return dense, present


def lists(column: pa.ChunkedArray) -> tuple[Any, NDArray[np.int64]]:
    """Return a column of lists as its flat values (an Arrow array) and the offsets of each list; null is empty."""
    values = _one(column)
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
    return values.flatten(), np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def positions_of(
    catalogue: NDArray[np.int32], values: Any, offsets: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Translate lists of indexes into positions in a sorted catalogue.

    Returns:
        The positions and offsets of the lists without the indexes that the catalogue lacks, and which values are left.
    """
    values = np.asarray(values)
    found = np.searchsorted(catalogue, values)
    known = found < len(catalogue)
    known[known] = catalogue[found[known]] == values[known]
    left = np.concatenate([[0], np.cumsum(known, dtype=np.int64)])
    return found[known], left[offsets], known
