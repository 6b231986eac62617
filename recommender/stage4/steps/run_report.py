"""Pick a few visitors to look at, what they did and what they are recommended; and count how often items are in lists.

Example usage:
>>> lists = spark.createDataFrame([(7, 1, 6, 0.7, "als")],
...                               "visitorid long, rank int, itemid long, score float, source string")
>>> visitors = spark.createDataFrame([(7, 0)], "visitorid long, visitor_index int")
>>> items = spark.createDataFrame([(5, 0, 1), (6, 1, 3)], "itemid long, item_index int, events long")
>>> interactions = spark.createDataFrame([(0, 0, "view", 9)],
...                                      "visitor_index int, item_index int, event string, last_timestamp long")
>>> shown = RunReport().execute(lists, interactions, visitors, items)
>>> shown.examples
[Example(visitorid=7, source='als', history=[('view', 5)], recommended=[(6, 0.7)])]
>>> shown.long_tail
[[1, 1], [2, 1]]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, Row, functions as F

import recommender.constants as C
from recommender.evaluation.long_tail import alike, long_tail
from recommender.settings.step import Annotated, Field, step
from recommender.spark.aggregates import fetch
from recommender.terminal.text import visible

# The sources of which examples are shown in turn; a version is either of als or of item_to_item.
_IN_TURN = {"model": (C.ALS, C.ITEM_TO_ITEM), C.FOLD_IN: (C.FOLD_IN,), C.POPULAR: (C.POPULAR,)}


@dataclass(frozen=True)
class Example:
    """One visitor: its last events as (event, itemid), newest first, and its list as (itemid, score), best first."""

    visitorid: Any
    source: str
    history: list[tuple[str, Any]]
    recommended: list[tuple[Any, float]]


@dataclass(frozen=True)
class Shown:
    """The examples, and how many places of all lists the most frequent items have; see `evaluation.long_tail`."""

    examples: list[Example]
    long_tail: list[list[int]]


@step
class RunReport:
    """Pick example visitors, one of each source first, by a hash of the id; and count how often items are in lists.

    Init parameters:
        examples: how many visitors to show, 0 to 20.
        history_length: how many of a visitor's last interactions to show, 1 to 100.
    Execution args:
        recommendations: the published table. interactions, visitors, items: the tables of stage 1.
    Execution returns:
        `Shown`: a list of at most `examples` `Example`, and the long tail of the lists, as a share of the items that
        have events in this log.
    Raises:
        ConfigError: a parameter is out of range.
    Persist strategy: none; the examples are printed, and stage 4 puts both into its commit's record.
    """

    examples: Annotated[int, Field(ge=0, le=20)] = 3
    history_length: Annotated[int, Field(ge=1, le=100)] = 8

    def execute(
        self, recommendations: DataFrame, interactions: DataFrame, visitors: DataFrame, items: DataFrame
    ) -> Shown:
        """Return the examples and the long tail; see the class."""
        counts = recommendations.groupBy(C.ITEM).agg(F.count(F.lit(1)).alias("places"))
        found = fetch(
            alike=alike(counts, "places"),
            items=items.agg(F.count_if(F.col(C.EVENTS) > 0)),
            **self._drawn(recommendations),
        )
        ((number,),) = found["items"]
        curve = long_tail(found["alike"], max(number, sum(row["items"] for row in found["alike"])))
        chosen = self._chosen(found)
        return Shown(self._examples(chosen, recommendations, interactions, visitors, items) if chosen else [], curve)

    def _examples(
        self,
        chosen: Sequence[tuple[Any, str]],
        recommendations: DataFrame,
        interactions: DataFrame,
        visitors: DataFrame,
        items: DataFrame,
    ) -> list[Example]:
        """Return what the chosen visitors did, and get."""
        named = [visitor for visitor, _ in chosen]
        place = F.struct(C.RANK, C.ITEM, C.SCORE)
        lists = recommendations.where(F.col(C.VISITOR).isin(named))
        ids = F.broadcast(visitors.where(F.col(C.VISITOR).isin(named)).select(C.VISITOR, C.VISITOR_INDEX))
        event = F.struct(C.LAST_TIMESTAMP, C.EVENT, C.ITEM)
        newest = F.slice(F.sort_array(F.collect_list(event), asc=False), 1, self.history_length)
        past = interactions.join(ids, C.VISITOR_INDEX, "inner")
        past = past.join(items.select(C.ITEM, C.ITEM_INDEX), C.ITEM_INDEX, "inner")
        found = fetch(
            lists=lists.groupBy(C.VISITOR).agg(F.array_sort(F.collect_list(place)).alias("places")),
            past=past.groupBy(C.VISITOR).agg(newest.alias("events")),
        )
        recommended = {
            row[C.VISITOR]: [(p[C.ITEM], float(f"{p[C.SCORE]:.4g}")) for p in row["places"]] for row in found["lists"]
        }
        history = {row[C.VISITOR]: [(e[C.EVENT], e[C.ITEM]) for e in row["events"]] for row in found["past"]}
        return [Example(v, source, history.get(v, []), recommended[v]) for v, source in chosen]

    def _drawn(self, recommendations: DataFrame) -> dict[str, DataFrame]:
        """Return a few visitors of each source of a first place, by a hash of the id."""
        first = recommendations.where(F.col(C.RANK) == 1)
        draw = F.xxhash64(C.VISITOR).alias("draw")
        return {
            turn: first.where(F.col(C.SOURCE).isin(list(sources)))
            .select(draw, C.VISITOR, C.SOURCE)
            .orderBy("draw", C.VISITOR)
            .limit(self.examples)
            for turn, sources in _IN_TURN.items()
            if self.examples
        }

    def _chosen(self, found: Mapping[str, Sequence[Row]]) -> list[tuple[Any, str]]:
        """Return (visitorid, source of its first place), the sources in turn."""
        drawn = [sorted(found[turn]) for turn in _IN_TURN if turn in found]
        turns = [
            (visitors[turn][C.VISITOR], visitors[turn][C.SOURCE])
            for turn in range(self.examples)
            for visitors in drawn
            if turn < len(visitors)
        ]
        return turns[: self.examples]


def example_text(example: Example) -> str:
    """Return one visitor's history and recommendations."""
    history = visible(", ".join(f"{event} {item}" for event, item in example.history))
    listed = visible(", ".join(f"{item} ({score:.3g})" for item, score in example.recommended))
    visitor = visible(str(example.visitorid))
    return f"visitor {visitor} ({example.source})\n  did:         {history}\n  recommended: {listed}"
