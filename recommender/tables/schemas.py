"""The stored tables: names, columns and types. They are the contracts between the jobs.

The type of an id is the source's own; it is written here as ``id`` and taken from the commit record when a table is
read.

>>> columns("popularity")
['item_index', 'score']
>>> mismatch("popularity", [("item_index", "int"), ("score", "float")])
'score is float, not double'
"""

from collections.abc import Iterable, Mapping
from typing import Final

_INTERACTIONS: Final = "visitor_index int, item_index int, event string, score float, last_timestamp bigint"
_MEASURED: Final = "metric string, k int, value double, low double, high double, visitors bigint"

TABLES: Final[Mapping[str, str]] = {
    # stage 1: a row per (visitor, item) of the training part; the time, in ms, is of its last event that has a weight
    "scores": "visitor_index int, item_index int, score float, last_timestamp bigint",
    # a row per (visitor, item, kind of event) of the whole log
    "interactions": _INTERACTIONS,
    # the same for the evaluated visitors, as far as the model may see it
    "history": _INTERACTIONS,
    # a row per (visitor, item) that the lists of the evaluated visitors are judged by
    "holdout": "visitor_index int, item_index int, score float, last_timestamp bigint",
    # a row per different row of the log that is not fit for use: why, as it came, from where, and how often
    "quarantine": "reason string, raw string, source_file string, rows bigint",
    # a row per visitor that was ever numbered, with its events in this log; trained: all of these that count are in
    # `scores`
    "visitors": "visitorid id, visitor_index int, events bigint, score double, trained boolean",
    # a row per item that was ever numbered; the times, in ms, are of its last event in this log, and of its last
    # training event; null if there is none
    "items": "itemid id, item_index int, events bigint, score double, last_timestamp bigint, last_trained bigint",
    # stage 2: MLlib's own tables inside the saved model
    "model/userFactors": "id int, features array<float>",
    "model/itemFactors": "id int, features array<float>",
    "popularity": "item_index int, score double",
    # the same where a score weighs less the longer ago the pair's last training event is
    "recent_popularity": "item_index int, score double",
    # a row per item and one of its neighbours, at most stage2.item_to_item.neighbours per item; only if the gate has
    # chosen item_to_item
    "neighbours": "item_index int, neighbour_index int, similarity double",
    # low and high bound the value with 95 % confidence; null if there is no interval
    "metrics": f"model string, {_MEASURED}",
    # the same for groups of the visitors
    "segment_metrics": f"model string, segment string, {_MEASURED}",
    # the means of the replicates that the intervals are made of, in the same order and of the same visitors for all
    # models; null in one that nobody is in
    "bootstrap": "model string, metric string, k int, means array<double>",
    # stage 3: a row per visitor and rank; source: als or fold_in, or else item_to_item; or popular
    "recommendations": "visitorid id, rank int, itemid id, score float, source string",
    # a row per item and rank; similarity: cosine of the factors, or that of item_to_item
    "similar_items": "itemid id, rank int, similar_itemid id, similarity float",
    # a row per item and rank; visitors: how many bought both
    "bought_together": "itemid id, rank int, together_itemid id, visitors bigint",
    # tune: a row per trial of a search; state: complete, short (few iterations, or a share of the visitors) or failed;
    # parameters: as JSON
    "trials": "trial int, state string, value double, low double, high double, seconds double, share double, "
    "parameters string",
}

# The tables that a commit may lack; who reads one that is missing gets None.
OPTIONAL: Final = frozenset({"neighbours"})


def fields(table: str) -> list[tuple[str, str]]:
    """Return the (name, type) of a table's columns in order."""
    pairs = (column.split(" ", 1) for column in TABLES[table].split(", "))
    return [(name, type_) for name, type_ in pairs]


def columns(table: str) -> list[str]:
    """Return the names of a table's columns in order."""
    return [name for name, _ in fields(table)]


def mismatch(table: str, found: Iterable[tuple[str, str]]) -> str:
    """Return how the (name, type) pairs of a DataFrame differ from a table's contract; "" if they do not."""
    expected, given = fields(table), list(found)
    if [name for name, _ in given] != columns(table):
        return f"the columns are {[name for name, _ in given]}, not {columns(table)}"
    wrong = [
        f"{name} is {type_}, not {wanted}"
        for (name, wanted), (_, type_) in zip(expected, given, strict=True)
        if wanted not in {type_, "id"}
    ]
    return "; ".join(wrong)
