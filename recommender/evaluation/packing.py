"""Rows on their way to where they are judged: the JVM moves a few long cells instead of many short rows.

What concerns a visitor must come together, and so must what concerns an item. A task puts its rows into buckets, by a
hash of the visitor or the item, and a cell has the records of a bucket, one after the other, as numpy has them. The
lists are read once: each chunk of them leaves a task as cells by visitor, and is counted by item; the counts leave at
the end.

Example usage:
>>> rows = np.array([(7, 1.5), (8, 2.5)], RECORDS[SCORED])
>>> cells = pa.Table.from_batches([to_cells(rows, SCORED)])
>>> len(cells), records(cells, SCORED).tolist(), records(cells, HELD).tolist()
(2, [(7, 1.5), (8, 2.5)], [])
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
import recommender.spark.blocks  # noqa: F401 - so that the workers need not have this package
from recommender.evaluation.task import Task

HELD, PLACES, MEMBERS, SHOWN, SCORED = range(5)
# The kind of a record -> its fields. The first is what its bucket depends on.
RECORDS: Mapping[int, np.dtype[np.void]] = {
    HELD: np.dtype([("visitor", "<i4"), ("item", "<i4"), ("gain", "<f8")]),
    PLACES: np.dtype([("visitor", "<i4"), ("item", "<i4"), ("rank", "<i2"), ("model", "<i2")]),
    MEMBERS: np.dtype([("visitor", "<i4")]),
    # How often an item is at a place that is within a cut-off, and not within the one before; place: the cut-off's.
    SHOWN: np.dtype([("item", "<i4"), ("model", "<i2"), ("place", "<i2"), ("count", "<i8")]),
    SCORED: np.dtype([("item", "<i4"), ("score", "<f8")]),
}
CELLS = f"bucket int, kind int, {C.SEGMENT} string, cell binary"
_BUCKET_BITS = 12
_GOLDEN = np.uint32(0x9E3779B1)
_CHUNK = 2**20  # rows
_MOST_COUNTS = 2**22  # that a task holds

Records = NDArray[np.void]


def packed(rows: DataFrame, kind: int) -> DataFrame:
    """Return rows, whose columns are the fields of a kind of records, in cells."""

    def to_pack(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for chunk in _chunks(batches):
            yield to_cells(_to_records(chunk, kind), kind)

    return rows.mapInArrow(to_pack, CELLS)


def packed_segments(segments: DataFrame) -> DataFrame:
    """Return the visitors of each segment, visitor_index int, segments array<string>, in cells."""

    def to_pack(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for chunk in _chunks(batches):
            names = chunk[C.SEGMENT].combine_chunks().dictionary_encode()
            codes = names.indices.to_numpy()
            for code, name in enumerate(names.dictionary.to_pylist()):
                yield to_cells(_to_records(chunk.select([0]).filter(pa.array(codes == code)), MEMBERS), MEMBERS, name)

    each = segments.select(C.VISITOR_INDEX, F.explode(C.SEGMENTS).alias(C.SEGMENT))
    return each.where(F.col(C.SEGMENT).isNotNull()).mapInArrow(to_pack, CELLS)


def packed_lists(lists: DataFrame, task: Task) -> DataFrame:
    """Return lists, their columns the fields of `PLACES`, in cells, and how often each item is shown."""

    def to_pack(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        counts = _Counts(task.places)
        for chunk in _chunks(batches):
            places = _to_records(chunk, PLACES)
            if task.of_visitors:
                yield to_cells(places, PLACES)
            if task.of_exposure:
                counts.add(places)
                if counts.size > _MOST_COUNTS:
                    yield to_cells(counts.leave(), SHOWN)
        if counts.size:
            yield to_cells(counts.leave(), SHOWN)

    return lists.mapInArrow(to_pack, CELLS)


def to_cells(found: Records, kind: int, segment: str | None = None) -> pa.RecordBatch:
    """Return a cell for each bucket of some records."""
    ids = found[RECORDS[kind].names[0]]  # type: ignore[index]
    buckets = ((ids.astype(np.uint32) * _GOLDEN) >> np.uint32(32 - _BUCKET_BITS)).astype(np.int32)
    order = np.argsort(buckets.astype(np.uint16), kind="stable")  # numbers of 16 bits are sorted by radix
    buckets = buckets[order]
    starts = np.flatnonzero(np.diff(buckets, prepend=-1))
    offsets = (np.append(starts, len(found)) * found.itemsize).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(found[order])]
    columns = {
        "bucket": pa.array(buckets[starts]),
        "kind": pa.array(np.full(len(starts), kind, dtype=np.int32)),
        C.SEGMENT: pa.array([segment] * len(starts), pa.string()),
        "cell": pa.Array.from_buffers(pa.binary(), len(starts), buffers),
    }
    return pa.RecordBatch.from_pydict(columns)


def records(cells: pa.Table, kind: int) -> Records:
    """Return all records of a kind."""
    own = cells.filter(pc.equal(cells["kind"], kind))["cell"]
    return np.frombuffer(b"".join(own.to_pylist()), RECORDS[kind])


def pieces(batches: Iterator[pa.RecordBatch], size: int) -> Iterator[pa.Table]:
    """Cut cells that are sorted by bucket into tables of about so many bytes; none cuts a bucket.

    >>> cells = to_cells(np.zeros(6, RECORDS[SCORED]), SCORED), to_cells(np.ones(6, RECORDS[SCORED]), SCORED)
    >>> [piece["bucket"].to_pylist() for piece in pieces(iter([cells[0], cells[0], cells[1]]), 72)]
    [[0, 0], [...]]
    """
    waiting: list[pa.RecordBatch] = []
    held = 0
    for batch in batches:
        waiting.append(batch)
        held += batch.nbytes
        if held > size:
            *whole, rest = _cut(pa.Table.from_batches(waiting).combine_chunks(), size)
            yield from whole
            waiting, held = rest.to_batches(), rest.nbytes
    if held:
        yield from _cut(pa.Table.from_batches(waiting).combine_chunks(), size)


def _cut(cells: pa.Table, size: int) -> list[pa.Table]:
    buckets = cells["bucket"].to_numpy()
    lengths = pc.binary_length(cells["cell"]).to_numpy()
    starts = np.flatnonzero(np.diff(buckets, prepend=-1))
    number = (np.cumsum(lengths) - lengths)[starts] // size  # of the piece in which a bucket begins
    cuts = starts[np.diff(number, prepend=-1) > 0]
    return [cells.slice(start, stop - start) for start, stop in pairwise([*cuts.tolist(), len(cells)])]


def _chunks(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Put batches together, so that there is something to sort."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        if batch.num_rows:
            waiting.append(batch)
            rows += batch.num_rows
        if rows >= _CHUNK:
            yield pa.Table.from_batches(waiting)
            waiting, rows = [], 0
    if rows:
        yield pa.Table.from_batches(waiting)


def _to_records(rows: pa.Table, kind: int) -> Records:
    found = np.empty(len(rows), RECORDS[kind])
    for name, column in zip(found.dtype.names or (), rows.columns, strict=True):
        found[name] = column.to_numpy()
    return found


class _Counts:
    """How often each item is shown by each model within each cut-off, and not within the one before."""

    def __init__(self, places: Sequence[int]) -> None:
        self._places = np.array(places)
        self._codes = np.empty(0, dtype=np.int64)
        self._counts = np.empty(0, dtype=np.int64)

    @property
    def size(self) -> int:
        """How many counts there are."""
        return len(self._codes)

    def add(self, places: Records) -> None:
        """Count more places."""
        group = places["model"].astype(np.int64) * len(self._places) + np.searchsorted(self._places, places["rank"])
        codes, counts = np.unique(group << 32 | places["item"].view(np.uint32), return_counts=True)
        codes, counts = np.concatenate([self._codes, codes]), np.concatenate([self._counts, counts])
        self._codes, rows = np.unique(codes, return_inverse=True)
        self._counts = np.zeros(len(self._codes), dtype=np.int64)
        np.add.at(self._counts, rows, counts)

    def leave(self) -> Records:
        """Return the counts, and forget them."""
        found = np.empty(self.size, RECORDS[SHOWN])
        found["item"] = (self._codes & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
        found["model"], found["place"] = np.divmod(self._codes >> 32, len(self._places))
        found["count"] = self._counts
        self._codes, self._counts = self._codes[:0], self._counts[:0]
        return found
