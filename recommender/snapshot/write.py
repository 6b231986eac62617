"""Write a serving snapshot: tables in, the bytes of its files and the manifest out; nothing here knows of a cluster.

Example usage:
>>> import pathlib, tempfile
>>> folder = pathlib.Path(tempfile.mkdtemp())
>>> items = items_table(pa.array([11, 12]), popularity=np.array([3.0, 1.0]), allowed=np.array([True, True]))
>>> factors = np.array([[1.0, 0.0], [0.6, 0.8]], dtype=np.float32)
>>> lists = Lists(np.array([0, 1]), item=np.array([1]), score=np.array([0.5]), source=np.array([0]))
>>> history = History(np.array([0, 1]), item=np.array([0]), event=np.array([0]), score=np.array([1.0]),
...                   timestamp=np.array([1000]))
>>> tables = {
...     part_name(0): visitors_table(pa.array([7]), lists, history),
...     ITEMS: items,
...     ITEMS_BY_ID: items_by_id_table(items["itemid"]),
...     FACTORS: factors_table(np.array([0, 1]), factors, count=2),
...     RANKING: ranking_table(np.array([0, 1]), factors, allowed=np.array([True, True])),
...     GRAM: gram_table(factors),
...     SIMILAR_ITEMS: similar_items_table(2, np.array([0, 1]), np.array([1, 0]), np.array([0.6, 0.6])),
... }
>>> files = {path: write(folder, path, arrow_bytes(table)) for path, table in tables.items()}
>>> files[GRAM]["bytes"] > 0
True
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recommender.ranking import arranged, gram
from recommender.snapshot.layout import (
    FACTORS,  # noqa: F401 - for the example
    GRAM,  # noqa: F401
    ITEMS,  # noqa: F401
    ITEMS_BY_ID,  # noqa: F401
    RANKING,  # noqa: F401
    SIMILAR_ITEMS,  # noqa: F401
    IdType,
    bought_together_schema,
    factors_schema,
    gram_schema,
    items_by_id_schema,
    items_schema,
    neighbours_schema,
    part_name,  # noqa: F401
    popular_windows_schema,
    ranking_schema,
    similar_items_schema,
    visitors_schema,
)


@dataclass(frozen=True)
class Lists:
    """The lists of some visitors, one after the other, each best first.

    Attributes:
        offsets: where each visitor's items begin, and the end: one more than there are visitors.
        item: their indexes. score: as published. source: positions in the manifest's sources.
    """

    offsets: NDArray[np.integer]
    item: NDArray[np.integer]
    score: NDArray[np.floating]
    source: NDArray[np.integer]


@dataclass(frozen=True)
class History:
    """The histories of some visitors, one after the other, each newest first: a row per item and kind of event.

    Attributes:
        offsets: where each visitor's rows begin, and the end.
        item: indexes. event: positions in the manifest's events. score: the weight, as stage 1 stores it.
        timestamp: of the last such event, ms since epoch, UTC.
    """

    offsets: NDArray[np.integer]
    item: NDArray[np.integer]
    event: NDArray[np.integer]
    score: NDArray[np.floating]
    timestamp: NDArray[np.integer]


def id_type(ids: pa.Array | pa.ChunkedArray) -> IdType:
    """Return what the manifest calls the type of some ids."""
    return "string" if pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type) else "long"


def visitors_table(ids: pa.Array, lists: Lists, history: History) -> pa.Table:
    """Return a part of the visitors.

    Args:
        ids: in rising order, strings by their UTF-8 bytes. lists, history: in the same order.
    """
    columns = [
        ids,
        *(_lists(lists.offsets, values) for values in (lists.item, lists.score, lists.source)),
        *(
            _lists(history.offsets, values)
            for values in (history.item, history.event, history.score, history.timestamp)
        ),
    ]
    return _table(columns, visitors_schema(id_type(ids)))


def items_table(
    ids: pa.Array,
    popularity: NDArray[np.float64],
    allowed: NDArray[np.bool_],
    titles: pa.Array | None = None,
    pictures: pa.Array | None = None,
) -> pa.Table:
    """Return the items.

    Args:
        ids: in the order of the indexes. popularity: 0 for an item that may not fill a list.
        allowed: whether an item may be recommended.
        titles, pictures: texts, null if there is none; None: there are none at all.
    """
    nothing = pa.nulls(len(ids), pa.string())
    columns = [ids, pa.array(popularity), pa.array(allowed), titles or nothing, pictures or nothing]
    return _table(columns, items_schema(id_type(ids)))


def attributes_table(columns: Mapping[str, pa.Array | pa.ChunkedArray]) -> pa.Table:
    """Return the attributes of the items: numbers if all values of a column are, else true and false, else text.

    >>> texts = {"price": ["9.5", None], "in_stock": ["true", "false"], "brand": ["x", "1"]}
    >>> table = attributes_table({name: pa.array(column) for name, column in texts.items()})
    >>> [str(field.type) for field in table.schema]
    ['double', 'bool', 'string']

    Args:
        columns: name -> texts in the order of the indexes, null for nothing.
    """
    return pa.table({name: _typed(column) for name, column in columns.items()}).combine_chunks()


def _typed(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    texts = column.cast(pa.string())
    for kind in () if texts.null_count == len(texts) else (pa.float64(), pa.bool_()):
        try:
            return texts.cast(kind)
        except pa.ArrowInvalid:
            continue
    return texts


def items_by_id_table(ids: pa.Array | pa.ChunkedArray) -> pa.Table:
    """Return the indexes of the items in the order of their ids, strings by their UTF-8 bytes."""
    return _table([pc.sort_indices(ids)], items_by_id_schema())


def factors_table(indexes: NDArray[np.integer], factors: NDArray[np.float32], count: int) -> pa.Table:
    """Return the factors of all items.

    Args:
        indexes: of the items that have factors, in any order. factors: theirs, shape (items, rank).
        count: of all items.
    """
    rank = factors.shape[1]
    dense, present = np.zeros((count, rank), dtype=np.float32), np.zeros(count, dtype=np.bool_)
    dense[indexes], present[indexes] = factors, True
    schema = factors_schema(rank)
    bits = pa.py_buffer(np.packbits(present, bitorder="little").tobytes())
    values = pa.array(dense.ravel())
    return pa.table([pa.Array.from_buffers(schema.types[0], count, [bits], children=[values])], schema=schema)


def ranking_table(indexes: NDArray[np.integer], factors: NDArray[np.float32], allowed: NDArray[np.bool_]) -> pa.Table:
    """Return the items that can be ranked.

    Args:
        indexes: of the items that have factors, in any order.
        factors: theirs, as they are ranked: with one more column where popularity is blended in.
        allowed: of every item, by its index: whether it may be recommended.
    """
    order = np.argsort(indexes, kind="stable")
    order = order[allowed[indexes[order]]]
    items = arranged(indexes[order], factors[order])
    features = pa.FixedSizeListArray.from_arrays(pa.array(items.factors.ravel()), factors.shape[1])
    return _table([pa.array(items.indexes), features, pa.array(items.norms)], ranking_schema(factors.shape[1]))


def gram_table(factors: NDArray[np.float32]) -> pa.Table:
    """Return YᵀY of the model's own factors, in the order of the items' indexes: sums have one order."""
    rank = factors.shape[1]
    rows = pa.FixedSizeListArray.from_arrays(pa.array(gram(factors).ravel()), rank)
    return _table([rows], gram_schema(rank))


def similar_items_table(
    count: int, items: NDArray[np.integer], similar: NDArray[np.integer], similarity: NDArray[np.floating]
) -> pa.Table:
    """Return the similar items of all items.

    Args:
        count: of all items.
        items: indexes in rising order, once for each similar item. similar: its index, the most alike first.
        similarity: of the two.
    """
    offsets = np.searchsorted(items, np.arange(count + 1))
    return _table([_lists(offsets, similar), _lists(offsets, similarity)], similar_items_schema())


def neighbours_table(
    count: int, items: NDArray[np.integer], neighbours: NDArray[np.integer], similarity: NDArray[np.floating]
) -> pa.Table:
    """Return the neighbours of all items; the arguments are as those of `similar_items_table`."""
    offsets = np.searchsorted(items, np.arange(count + 1))
    return _table([_lists(offsets, neighbours), _lists(offsets, similarity)], neighbours_schema())


def bought_together_table(
    count: int, items: NDArray[np.integer], together: NDArray[np.integer], visitors: NDArray[np.integer]
) -> pa.Table:
    """Return what is bought together; the arguments are as those of `similar_items_table`."""
    offsets = np.searchsorted(items, np.arange(count + 1))
    return _table([_lists(offsets, together), _lists(offsets, visitors)], bought_together_schema())


def popular_windows_table(visitors: Mapping[str, NDArray[np.integer]]) -> pa.Table:
    """Return how many visitors each item had: window -> numbers in the order of the indexes."""
    return _table([pa.array(numbers) for numbers in visitors.values()], popular_windows_schema(visitors))


def arrow_bytes(table: pa.Table) -> pa.Buffer:
    """Return a table as an Arrow IPC file without compression."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue()


def write(folder: Path, path: str, content: pa.Buffer | bytes) -> dict[str, Any]:
    """Write a file of a snapshot; return what the manifest says of it."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        file.write(content)
    return {"bytes": target.stat().st_size, "sha256": hashlib.sha256(content).hexdigest()}


def _lists(offsets: NDArray[np.integer], values: NDArray[Any]) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values))


def _table(columns: list[Any], schema: pa.Schema) -> pa.Table:
    """Return columns with exactly these types; a null where there may be none is an error of the caller."""
    typed = [
        (column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column).cast(field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    for column, field in zip(typed, schema, strict=True):
        if column.null_count and not field.nullable:
            raise ValueError(f"column {field.name} must not have nulls, got {column.null_count:,}")
    return pa.table(typed, schema=schema)
