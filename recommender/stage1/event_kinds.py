"""The kinds of events: which of the log have no weight, and which of the configuration never occur."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from pyspark.sql import Column, DataFrame, functions as F

from recommender.errors import DataQualityError
from recommender.spark.aggregates import fetch
from recommender.stage1.steps import ScoreEvents
from recommender.terminal.kinds import MOST_SHOWN, counted, listed, nearest, shown

_MOST_KINDS: Final = 1000  # that the driver sees


class EventKinds:
    """Compare the kinds of the events with those of the configuration.

    What is needed is counted in an aggregate that is made anyway; only where something is wrong are the kinds of the
    log looked up.

    Init parameters:
        scoring: the step that weighs the events; it is the attribute `scoring` too.
        known: the kinds of event_validator.known_events, if these are given.
    """

    def __init__(self, scoring: ScoreEvents, known: Sequence[str] | None) -> None:
        self.scoring = scoring
        self._places: dict[str, list[str]] = {}  # kind -> parameters that name it
        for place, kinds in (("score_events.score_map", scoring.score_map), ("event_validator.known_events", known)):
            for kind in kinds or ():
                self._places.setdefault(kind, []).append(place)

    def counts(self, rows: DataFrame, is_event: Column) -> list[Column]:
        """Return aggregates: how many events have no weight, and how many are of each kind of the configuration."""
        kind = self.scoring.kind_of(rows)
        weighed = F.coalesce(kind.isin(list(self.scoring.score_map)), F.lit(False))
        found = [F.count_if(is_event & (kind == name)) for name in self._places]
        return [F.count_if(is_event & ~weighed), *found]

    def check(self, events: DataFrame, number: int, numbers: Sequence[int]) -> list[str]:
        """Return warnings, a sentence each.

        Args:
            events: those that are fit for use. number: how many there are.
            numbers: the values of `counts`.

        Raises:
            DataQualityError: too many events have no weight (NO_WEIGHT).
        """
        unweighted, *of_kinds = numbers
        missing = [kind for kind, found in zip(self._places, of_kinds, strict=True) if not found]
        if not number or not (unweighted or missing):
            return []
        found = self._look_up(events)
        others = {kind: count for kind, count in found.items() if kind not in self.scoring.score_map}
        if unweighted > self.scoring.max_unweighted * number:
            raise DataQualityError("NO_WEIGHT", self._refusal(others, unweighted, number))
        return [*self._without_weight(others, unweighted, number), *(self._absent(kind, found) for kind in missing)]

    def _look_up(self, events: DataFrame) -> dict[str, int]:
        """Return the kinds of the log and their counts, the most frequent first."""
        kind = self.scoring.kind_of(events).alias("kind")
        counts = events.groupBy(kind).agg(F.count(F.lit(1)).alias("number"))
        rows = fetch(kinds=counts.orderBy(F.desc("number"), "kind").limit(_MOST_KINDS))["kinds"]
        ordered = sorted(rows, key=lambda row: (-row["number"], str(row["kind"])))
        return {str(row["kind"]): row["number"] for row in ordered}

    def _refusal(self, others: Mapping[str, int], unweighted: int, number: int) -> str:
        limit = self.scoring.max_unweighted
        found = f"{unweighted:,} of {number:,} events ({unweighted / number:.1%}) have no weight, {limit:.1%} may"
        weighed = listed(self.scoring.score_map) or "no kind"
        example = ", ".join(f"{json.dumps(kind, ensure_ascii=False)}: 1" for kind in list(others)[:3])
        hint = f"write score_events.score_map: {{{example}}} with your weights, or map them by data_loader.event_map"
        return f"{found}: {counted(others)}; score_map has {weighed}; {hint}, or raise score_events.max_unweighted"

    def _without_weight(self, others: Mapping[str, int], unweighted: int, number: int) -> list[str]:
        named = list(others.items())[:MOST_SHOWN]
        hint = "see score_events.score_map and data_loader.event_map"
        sentences = []
        for kind, count in named:
            say = "has no weight and counts" if count == 1 else "have no weight and count"
            meant = nearest(kind, self.scoring.score_map)
            sentences.append(f"{shown(kind)}: {count:,} of {number:,} events {say} for nothing{meant}; {hint}")
        rest = unweighted - sum(count for _, count in named)
        if rest:
            sentences.append(f"{rest:,} of {number:,} events of further kinds have no weight and count for nothing")
        return sentences

    def _absent(self, kind: str, found: Mapping[str, int]) -> str:
        places = " and ".join(self._places[kind])
        meant = nearest(kind, [name for name in found if name not in self._places])
        return f"{shown(kind)} of {places} never occurs{meant or f'; the log has {counted(found)}'}"
