"""Describe a log in numbers.

Example usage:
>>> events = spark.createDataFrame([(5, 7, "view", 3), (6, 7, "view", 4), (7, 8, "view", 3)],
...                                "timestamp long, visitorid long, event string, itemid long")
>>> counts = {name: events.groupBy(name).agg(F.count("*").alias("events")) for name in ("visitorid", "itemid")}
>>> profile = EventProfile(heaviest=1).execute(events, counts["visitorid"], counts["itemid"])
>>> profile["events"], profile["visitors"], profile["items"], profile["pairs"], profile["density"]
(3, 2, 2, 3, 0.75)
>>> profile["events_by_kind"], profile["events_by_day"], profile["events_by_kind_and_day"]
({'view': 3}, {'1970-01-01': 3}, {'view': {'1970-01-01': 3}})
>>> profile["events_per_visitor"], profile["heaviest_visitors"]
({'mean': 1.5, 'p50': 1, 'p90': 2, 'p99': 2, 'max': 2}, [{'id': '7', 'events': 2}])
>>> profile["long_tail"]
[[1, 2], [2, 3]]
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame, Row, functions as F

import recommender.constants as C
from recommender.evaluation.long_tail import alike, long_tail
from recommender.settings.step import Annotated, Field, step
from recommender.spark.aggregates import fetch
from recommender.times import as_time

_QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
_ACCURACY = 1000
_DAY = 24 * 60 * 60 * 1000  # in ms
_MOST_KINDS = 50
_MOST_DAYS = 3660
_DRAWN_KINDS, _DRAWN_DAYS = 4, 366  # whose events of each day are in the record: it stays small


@step
class EventProfile:
    """Describe the events: how many, of whom, on what, of which kind, when, and how unevenly.

    Quantiles are approximate (a rank off by a thousandth at most), and so is the number of distinct pairs of visitor
    and item (by about 2 %); the other numbers are exact. The driver sees a row per kind and day.

    Init parameters:
        heaviest: number of visitors and items with the most events that are named.
    Execution args:
        events: one row per event: timestamp long (ms), visitorid, event, itemid, none null.
        visitors, items: one row per visitorid, or itemid, with events long.
    Execution returns:
        Dictionary of plain JSON types: events, visitors, items, pairs (approximate), density (ratio of pairs that there
        are), events_by_kind (the 50 most frequent), events_by_day (UTC, the last ten years of days),
        events_by_kind_and_day (the four most frequent kinds; empty if there are more than 366 days),
        events_per_visitor and events_per_item (mean, p50, p90, p99, max), long_tail (how many events the most frequent
        items have, see `recommender.evaluation.long_tail`), heaviest_visitors and heaviest_items (id as text, events).
    Raises: nothing.
    Persist strategy: none of its own; the stage puts it into its commit's record, as profile.
    """

    heaviest: Annotated[int, Field(ge=0, le=100)] = 10

    def execute(self, events: DataFrame, visitors: DataFrame, items: DataFrame) -> dict[str, Any]:
        found = fetch(
            cells=_cells(events),
            pairs=events.agg(F.approx_count_distinct(F.xxhash64(C.VISITOR, C.ITEM), 0.02)),
            visitors=_spread(visitors),
            items=_spread(items),
            alike=alike(items, C.EVENTS),
            heaviest_visitors=self._heaviest(visitors, C.VISITOR),
            heaviest_items=self._heaviest(items, C.ITEM),
        )
        kinds, days, by_both = _counts(found["cells"])
        of_visitors, of_items = _as_spread(found["visitors"][0]), _as_spread(found["items"][0])
        of_items.pop("events")
        visitors_number, items_number = of_visitors.pop("number"), of_items.pop("number")
        possible = visitors_number * items_number
        pairs = min(found["pairs"][0][0], possible)
        most_frequent = sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))[:_MOST_KINDS]
        return {
            "events": of_visitors.pop("events"),
            "visitors": visitors_number,
            "items": items_number,
            "pairs": pairs,
            "density": pairs / possible if possible else 0.0,
            "events_by_kind": dict(most_frequent),
            "events_by_day": dict(sorted(days.items())[-_MOST_DAYS:]),
            "events_by_kind_and_day": {
                kind: dict(sorted(by_both[kind].items()))
                for kind, _ in most_frequent[:_DRAWN_KINDS]
                if len(days) <= _DRAWN_DAYS
            },
            "events_per_visitor": of_visitors,
            "events_per_item": of_items,
            "long_tail": long_tail(found["alike"], items_number),
            "heaviest_visitors": _named(found["heaviest_visitors"], C.VISITOR),
            "heaviest_items": _named(found["heaviest_items"], C.ITEM),
        }

    def _heaviest(self, counts: DataFrame, name: str) -> DataFrame:
        return counts.select(name, C.EVENTS).orderBy(F.desc(C.EVENTS), name).limit(self.heaviest)


def _cells(events: DataFrame) -> DataFrame:
    """Return kind, day and number; of kinds and days that are too many those with the most events."""
    day = F.floor(F.col(C.TIMESTAMP) / _DAY).cast("int").alias("day")
    counts = events.groupBy(F.col(C.EVENT).alias("kind"), day).agg(F.count(F.lit(1)).alias("number"))
    return counts.orderBy(F.desc("number"), "kind", "day").limit(_MOST_KINDS * _MOST_DAYS)


def _counts(cells: Sequence[Row]) -> tuple[dict[str, int], dict[str, int], dict[str, dict[str, int]]]:
    kinds: dict[str, int] = {}
    days: dict[str, int] = {}
    by_both: dict[str, dict[str, int]] = {}
    for row in cells:
        kind, day, number = row["kind"], as_time(row["day"] * _DAY)[:10], row["number"]
        kinds[kind] = kinds.get(kind, 0) + number
        days[day] = days.get(day, 0) + number
        by_both.setdefault(kind, {})[day] = number
    return kinds, days, by_both


def _spread(counts: DataFrame) -> DataFrame:
    """Return how the events are spread over the visitors, or over the items."""
    events = F.col(C.EVENTS)
    quantiles = F.percentile_approx(events, list(_QUANTILES.values()), _ACCURACY)
    return counts.agg(
        F.count(events).alias("number"),
        F.sum(events).alias("events"),
        quantiles.alias("quantiles"),
        F.max(events).alias("max"),
    )


def _as_spread(row: Row) -> dict[str, Any]:
    named: Mapping[str, int] = dict(zip(_QUANTILES, row["quantiles"] or [], strict=False))
    mean = row["events"] / row["number"] if row["number"] else None
    return {"number": row["number"], "events": row["events"] or 0, "mean": mean, **named, "max": row["max"]}


def _named(rows: Sequence[Row], name: str) -> list[dict[str, Any]]:
    heaviest = sorted(rows, key=lambda row: (-row[C.EVENTS], row[name]))
    return [{"id": str(row[name]), C.EVENTS: row[C.EVENTS]} for row in heaviest]
