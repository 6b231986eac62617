"""Compare a log with the one before.

Example usage:
>>> before = {"events": 100, "events_by_kind": {"view": 90, "transaction": 10}}
>>> today = {"events": 39, "events_by_kind": {"view": 39}}
>>> DriftCheck().execute(today, before)
Traceback (most recent call last):
recommender.errors.DataQualityError: DRIFT rows -61% limit 50%: 39 events after 100 in the commit before; ...
>>> DriftCheck(max_drop=None).execute(today, before)
>>> DriftCheck(max_growth=1).execute(before, today)
Traceback (most recent call last):
recommender.errors.DataQualityError: DRIFT rows +156% limit 100%: 100 events after 39 in the commit before; ...
>>> DriftCheck(max_growth=2).execute(before, today)
>>> DriftCheck(max_drop=None, max_mix_change=0.05).execute(today, before)
Traceback (most recent call last):
recommender.errors.DataQualityError: DRIFT transaction -10.0 points limit 5.0: 0.0% of the events after ...
"""

from collections.abc import Mapping
from typing import Any

from recommender.base import Annotated, Field, step
from recommender.errors import DataQualityError

LAST_WITH_EVENTS = "last_with_events"  # what the profile of an empty log keeps of the last one that was not


@step
class DriftCheck:
    """Refuse a log that has little in common with the one of the commit before: half a delivery, a changed tracker.

    Init parameters:
        max_drop: share (0 to 1) by which the number of events may fall; null: any.
        max_growth: ratio by which it may grow, 1 is twice as many; null: any.
        max_mix_change: share of the events (0 to 1) by which that of any kind may change; null: any.
    Execution args:
        profile: of the events, as EventProfile returns it.
        before: that of the commit before; null: there is none, and nothing to compare with. Where it is that of an
            empty log, the last one that was not counts.
    Execution returns:
        nothing.
    Raises:
        DataQualityError: DRIFT, with what has changed and by how much.
    Persist strategy: none of its own.
    """

    max_drop: Annotated[float, Field(ge=0, le=1)] | None = 0.5
    max_growth: Annotated[float, Field(ge=0)] | None = None
    max_mix_change: Annotated[float, Field(ge=0, le=1)] | None = None

    def execute(self, profile: Mapping[str, Any], before: Mapping[str, Any] | None) -> None:
        """Compare; see the class."""
        when = "the last commit with events" if before and LAST_WITH_EVENTS in before else "the commit before"
        before = self.reference(before) if before else {}
        if not before.get("events"):
            return
        change = profile["events"] / before["events"] - 1
        numbers = f"{profile['events']:,} events after {before['events']:,} in {when}; see drift"
        if self.max_drop is not None and -change > self.max_drop:
            raise DataQualityError("DRIFT", f"rows {change:+.0%} limit {self.max_drop:.0%}: {numbers}.max_drop")
        if self.max_growth is not None and change > self.max_growth:
            raise DataQualityError("DRIFT", f"rows {change:+.0%} limit {self.max_growth:.0%}: {numbers}.max_growth")
        if self.max_mix_change is None:
            return
        now, then = _shares(profile), _shares(before)
        for kind in sorted({*now, *then}):
            one, other = now.get(kind, 0.0), then.get(kind, 0.0)
            if abs(one - other) > self.max_mix_change:
                moved = f"{kind} {(one - other) * 100:+.1f} points limit {self.max_mix_change * 100:.1f}"
                sentence = f"{moved}: {one:.1%} of the events after {other:.1%} in {when}"
                raise DataQualityError("DRIFT", f"{sentence}; see drift.max_mix_change")

    @staticmethod
    def reference(before: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what the next log is compared with: events and events_by_kind of the last log that was not empty."""
        last: Mapping[str, Any] = before.get(LAST_WITH_EVENTS, before)
        return {name: last[name] for name in ("events", "events_by_kind")}


def _shares(profile: Mapping[str, Any]) -> dict[str, float]:
    kinds = profile["events_by_kind"]
    total = sum(kinds.values()) or 1
    return {kind: number / total for kind, number in kinds.items()}
