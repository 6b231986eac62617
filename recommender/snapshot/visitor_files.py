"""The files of a snapshot from the rows that a worker of the cluster holds; see ``recommender.snapshot.write``.

Example usage:
>>> event = {"before": -1000, "item_index": 0, "event": 0, "score": 1.0}
>>> place = {"rank": 1, "item_index": 1, "score": 0.5, "source": 0}
>>> visitors, lists, content = visitor_file(pa.table({"visitorid": [7, 8], "list": [[place], None],
...                                                   "history": [[event], None]}))
>>> visitors, lists
(2, 1)
>>> pa.ipc.open_file(content).read_all()["history_timestamp"].to_pylist()
[[1000], []]
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recommender.snapshot.layout import (
    ATTRIBUTES,
    BOUGHT_TOGETHER,
    FACTORS,
    GRAM,
    ITEMS,
    ITEMS_BY_ID,
    NEIGHBOURS,
    POPULAR_WINDOWS,
    RANKING,
    SIMILAR_ITEMS,
)
from recommender.snapshot.write import (
    History,
    Lists,
    arrow_bytes,
    attributes_table,
    bought_together_table,
    factors_table,
    gram_table,
    items_by_id_table,
    items_table,
    neighbours_table,
    popular_windows_table,
    ranking_table,
    similar_items_table,
    visitors_table,
)


def visitor_file(rows: pa.Table) -> tuple[int, int, bytes]:
    """Return the visitors, those with a list, and the file of a part of the visitors.

    Args:
        rows: in the order of the visitors: visitorid; list: structs of item_index, score and source, best first, null
            for none; history: structs of before (minus the time), item_index, event and score, newest first, null for
            none.
    """
    offsets, places = _flat(rows["list"])
    lists = Lists(offsets, _numbers(places, "item_index"), _numbers(places, "score"), _numbers(places, "source"))
    offsets_of_events, events = _flat(rows["history"])
    item, event, score, before = (_numbers(events, name) for name in ("item_index", "event", "score", "before"))
    history = History(offsets_of_events, item, event, score, timestamp=-before)
    table = visitors_table(rows["visitorid"].combine_chunks(), lists, history)
    return rows.num_rows, int(np.count_nonzero(np.diff(offsets))), arrow_bytes(table).to_pybytes()


def item_files(rows: pa.Table) -> Iterator[tuple[str, bytes]]:
    """Return the paths and contents of the files of the items.

    Args:
        rows: in the order of the indexes, which are dense: itemid, item_index, popularity, features or neighbours
            (structs of neighbour_index and similarity, the nearest first), similar (structs of similar_item_index and
            similarity, the most alike first), gain, allowed, title and picture; null where there is nothing. These may
            be missing: together (structs of together_item_index and visitors, the most
            first), windows (a struct of numbers of visitors), attributes (a struct of texts).

    Raises:
        ValueError: the indexes are not dense: the items are not those of one encoder.
    """
    count = rows.num_rows
    if not np.array_equal(rows["item_index"].to_numpy(), np.arange(count)):
        raise ValueError(f"the indexes of {count:,} items are not 0 to {count - 1:,}")
    allowed = _filled(rows["allowed"], False).astype(np.bool_)
    popularity = np.maximum(_filled(rows["popularity"], 0.0), 0.0)
    ids = rows["itemid"].combine_chunks()
    texts = (rows[name].combine_chunks() for name in ("title", "picture"))
    yield ITEMS, _bytes(items_table(ids, popularity, allowed, *texts))
    yield ITEMS_BY_ID, _bytes(items_by_id_table(ids))
    if "neighbours" in rows.column_names:
        near = _pairs(rows["neighbours"], "neighbour_index", "similarity")
        yield NEIGHBOURS, _bytes(neighbours_table(count, *near))
    else:
        indexes, factors = _factors(rows["features"])
        yield FACTORS, _bytes(factors_table(indexes, factors, count))
        yield GRAM, _bytes(gram_table(factors))
        yield RANKING, _bytes(ranking_table(indexes, _blended(factors, rows["gain"], indexes), allowed))
    pairs = _pairs(rows["similar"], "similar_item_index", "similarity")
    yield SIMILAR_ITEMS, _bytes(similar_items_table(count, *pairs))
    if "together" in rows.column_names:
        pairs = _pairs(rows["together"], "together_item_index", "visitors")
        yield BOUGHT_TOGETHER, _bytes(bought_together_table(count, *pairs))
    if "windows" in rows.column_names:
        structs = rows["windows"].combine_chunks()
        numbers = {field.name: _numbers(structs, field.name) for field in structs.type}
        yield POPULAR_WINDOWS, _bytes(popular_windows_table(numbers))
    if "attributes" in rows.column_names:
        structs = rows["attributes"].combine_chunks()
        columns = {field.name: pc.struct_field(structs, field.name) for field in structs.type}
        yield ATTRIBUTES, _bytes(attributes_table(columns))


def _bytes(table: pa.Table) -> bytes:
    content: bytes = arrow_bytes(table).to_pybytes()
    return content


def _flat(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], pa.StructArray]:
    """Return where each row's structs begin and end, and the structs one after the other."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    flat = pc.list_flatten(column).combine_chunks()
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]), flat


def _pairs(column: pa.ChunkedArray, other: str, value: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return an item for each struct of its row, the other item, and what is known of the two."""
    offsets, places = _flat(column)
    items = np.repeat(np.arange(len(column)), np.diff(offsets))
    return items, _numbers(places, other), _numbers(places, value)


def _numbers(structs: pa.StructArray, name: str) -> NDArray[Any]:
    values: NDArray[Any] = pc.fill_null(pc.struct_field(structs, name), 0).to_numpy(zero_copy_only=False)
    return values


def _filled(column: pa.ChunkedArray, value: Any) -> NDArray[Any]:
    values: NDArray[Any] = pc.fill_null(column, value).to_numpy()
    return values


def _factors(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the indexes of the items that have factors, and the factors."""
    indexes = np.flatnonzero(column.is_valid().to_numpy())
    flat = pc.list_flatten(column).to_numpy().astype(np.float32, copy=False)
    return indexes, flat.reshape(len(indexes), -1)


def _blended(factors: NDArray[np.float32], gain: pa.ChunkedArray, indexes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the factors with one more column, if popularity is blended in."""
    if gain.null_count == len(gain):
        return factors
    gains = _filled(gain, 0.0)[indexes].astype(np.float32)
    return np.column_stack([factors, gains])
