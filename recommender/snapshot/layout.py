"""How a serving snapshot is laid out: the names of its files, and the columns and types in them.

    manifest.json            what the snapshot is, and the size and hash of each of its files; sealed
    visitors/part-*.arrow    a row per visitor, in the order of the ids, over all parts
    items.arrow              a row per item, in the order of its index: the row is the index
    items_by_id.arrow        the indexes of the items in the order of their ids
    factors.arrow            the factors of each item, in the order of the indexes
    ranking.arrow            what may be recommended and has factors, in the order in which it is searched
    gram.arrow               YᵀY, what every fold-in starts from
    neighbours.arrow         in place of the last three, if the model is one of neighbours: those of each item
    similar_items.arrow      the most alike items of each item, in the order of the indexes
    bought_together.arrow    the items most often bought with each item, in the order of the indexes; it may be missing
    popular_windows.arrow    how many visitors each item had in the last days of the log; it may be missing
    attributes.arrow         what the shop knows of each item, by which requests may filter; it may be missing

All but the manifest are Arrow IPC files without compression: they are mapped into memory and used as they lie on disk,
so that a version is there at once, and all processes share one copy.

Example usage:
>>> visitors_schema("long").field("visitorid").type
DataType(int64)
"""

from collections.abc import Iterable
from typing import Final, Literal

import pyarrow as pa

from recommender.constants import ALS, ITEM_TO_ITEM

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
VISITORS: Final = "visitors"
ITEMS: Final = "items.arrow"
ITEMS_BY_ID: Final = "items_by_id.arrow"
FACTORS: Final = "factors.arrow"
RANKING: Final = "ranking.arrow"
GRAM: Final = "gram.arrow"
NEIGHBOURS: Final = "neighbours.arrow"
SIMILAR_ITEMS: Final = "similar_items.arrow"
BOUGHT_TOGETHER: Final = "bought_together.arrow"
POPULAR_WINDOWS: Final = "popular_windows.arrow"
ATTRIBUTES: Final = "attributes.arrow"
SINGLE_FILES: Final = (ITEMS, ITEMS_BY_ID, SIMILAR_ITEMS)
MODEL_FILES: Final = {ALS: (FACTORS, RANKING, GRAM), ITEM_TO_ITEM: (NEIGHBOURS,)}

IdType = Literal["long", "string"]

_ID_TYPES: Final = {"long": pa.int64(), "string": pa.string()}


def part_name(number: int) -> str:
    """Return the path of a part of the visitors.

    >>> part_name(3)
    'visitors/part-00003.arrow'
    """
    return f"{VISITORS}/part-{number:05d}.arrow"


def visitors_schema(id_type: IdType) -> pa.Schema:
    """Return the columns of the visitors: the list of each, best first, and its history, newest first."""
    return _schema(
        ("visitorid", _ID_TYPES[id_type]),
        ("item", pa.list_(pa.int32())),
        ("score", pa.list_(pa.float32())),
        ("source", pa.list_(pa.int8())),  # position in the manifest's sources
        ("history_item", pa.list_(pa.int32())),
        ("history_event", pa.list_(pa.int8())),  # position in the manifest's events
        ("history_score", pa.list_(pa.float32())),
        ("history_timestamp", pa.list_(pa.int64())),  # ms since epoch, UTC
    )


def items_schema(id_type: IdType) -> pa.Schema:
    """Return the columns of the items; popularity 0: not among the popular ones; a picture is a URL."""
    return _schema(
        ("itemid", _ID_TYPES[id_type]),
        ("popularity", pa.float64()),
        ("allowed", pa.bool_()),
        ("title", pa.string(), True),
        ("picture", pa.string(), True),
    )


def items_by_id_schema() -> pa.Schema:
    """Return the column of the items in the order of their ids."""
    return _schema(("item", pa.int32()))


def factors_schema(rank: int) -> pa.Schema:
    """Return the column of the factors; null for an item that the model does not know."""
    return _schema(("features", pa.list_(pa.float32(), rank), True))


def ranking_schema(width: int) -> pa.Schema:
    """Return the columns of the items that can be ranked: falling norm, equal norms by item.

    Args:
        width: the rank of the model, or one more where popularity is blended in.
    """
    return _schema(("item", pa.int32()), ("features", pa.list_(pa.float32(), width)), ("norm", pa.float64()))


def gram_schema(rank: int) -> pa.Schema:
    """Return the column of YᵀY, one row of the matrix per row."""
    return _schema(("row", pa.list_(pa.float64(), rank)))


def neighbours_schema() -> pa.Schema:
    """Return the columns of the neighbours, the nearest first."""
    return _schema(("item", pa.list_(pa.int32())), ("similarity", pa.list_(pa.float64())))


def similar_items_schema() -> pa.Schema:
    """Return the columns of the similar items, the most alike first."""
    return _schema(("item", pa.list_(pa.int32())), ("similarity", pa.list_(pa.float32())))


def bought_together_schema() -> pa.Schema:
    """Return the columns of what is bought together, the most visitors first."""
    return _schema(("item", pa.list_(pa.int32())), ("visitors", pa.list_(pa.int32())))


def popular_windows_schema(names: Iterable[str]) -> pa.Schema:
    """Return a column for each window, such as 7d: how many visitors an item had."""
    return _schema(*((name, pa.int32()) for name in names))


def _schema(*fields: tuple[str, pa.DataType] | tuple[str, pa.DataType, bool]) -> pa.Schema:
    return pa.schema([pa.field(name, type_, nullable=bool(nullable)) for name, type_, *nullable in fields])
