"""Compare a log with those before.

Example usage:
>>> before = {"events": 100, "events_by_kind": {"view": 90, "transaction": 10}}
>>> today = {"events": 39, "events_by_kind": {"view": 39}}
>>> DriftCheck().execute(today, base_of(before))
Traceback (most recent call last):
recommender.errors.DataQualityError: DRIFT rows -61% limit 50%: 39 events after 100 in the commit before; ...
>>> DriftCheck(max_drop=None).execute(today, base_of(before))
[]
>>> DriftCheck(max_growth=1).execute(before, base_of(today))
Traceback (most recent call last):
recommender.errors.DataQualityError: DRIFT rows +156% limit 100%: 100 events after 39 in the commit before; ...
>>> DriftCheck(max_drop=None, max_mix_change=0.05).execute(today, base_of(before))
Traceback (most recent call last):
recommender.errors.DataQualityError: DRIFT transaction -10.0 points limit 5.0: 0.0% of the events after 10.0% ...
>>> DriftCheck(override="views only since Monday").execute(today, base_of(before))
['rows -61% limit 50%: 39 events after 100 in the commit before; see drift.max_drop']
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

from recommender.errors import DataQualityError
from recommender.settings.step import Annotated, Field, step
from recommender.stage1.forecast import base_of, forecast, quarantined_share  # noqa: F401 - one for the example

_DAY: Final = timedelta(days=1)
_ENOUGH: Final = 100  # events of a day that can be compared with another


@step
class DriftCheck:
    """Refuse a log that has little in common with those before: half a delivery, a changed tracker, a stopped feed.

    It is compared with the last commits that nobody doubted (``recommender.stage1.forecast``). A log that is known to
    be different is let pass by a reason in `override`, given for one run with ``--set stage1.drift.override=...``; the
    reason stays in the record, and the log does not become what the next one is compared with.

    Init parameters:
        max_drop: share (0 to 1) by which the number of events may fall from the run before; null: any.
        max_below_forecast: share (0 to 1) by which it may be less than the last runs let expect, by their trend and
            weekday, or three times the usual error of that forecast where this is more; null: any.
        max_growth: ratio by which it may grow, 1 is twice as many; null: any.
        max_mix_change: share of the events (0 to 1) by which that of any kind may change; null: any.
        max_day_drop: share (0 to 1) by which the newest day may have fewer events than the same weekday before; a day
            that is not half over is left out, and so is one after a day with fewer than 100 events; null: any.
        max_new_visitors: largest share (0 to 1) of the visitors in the log that no log before had; null: any.
        max_new_items: the same of items; null: any.
        max_quarantine_change: share of the rows (0 to 1) by which that of the quarantined ones may grow; null: any.
        must_advance: whether a log that is not the same file as before must have an event newer than all before.
        override: why this log is accepted anyway; null: it is not.
    Execution args:
        profile: of the events, as EventProfile returns it.
        base: what it is compared with; null: there is nothing.
        repeats: whether the log is the same file as that of the commit before.
    Execution returns:
        What was found and let pass, a sentence each.
    Raises:
        DataQualityError: DRIFT, with what has changed and by how much.
    Persist strategy: none of its own.
    """

    max_drop: Annotated[float, Field(ge=0, le=1)] | None = 0.5
    max_below_forecast: Annotated[float, Field(ge=0, le=1)] | None = 0.2
    max_growth: Annotated[float, Field(ge=0)] | None = None
    max_mix_change: Annotated[float, Field(ge=0, le=1)] | None = 0.3
    max_day_drop: Annotated[float, Field(ge=0, le=1)] | None = 0.4
    max_new_visitors: Annotated[float, Field(ge=0, le=1)] | None = 0.8
    max_new_items: Annotated[float, Field(ge=0, le=1)] | None = 0.5
    max_quarantine_change: Annotated[float, Field(ge=0, le=1)] | None = 0.05
    must_advance: bool = True
    override: Annotated[str, Field(pattern=r"\S")] | None = None

    def execute(
        self, profile: Mapping[str, Any], base: Mapping[str, Any] | None, *, repeats: bool = False
    ) -> list[str]:
        if base is None:
            return []
        checks = (self._rows, self._forecast, self._mix, self._day, self._quarantine)
        found = [sentence for check in checks for sentence in check(profile, base)]
        return self._judged(found if repeats else [*found, *self._feed(profile, base)])

    def check_new(self, new: Mapping[str, int], profile: Mapping[str, Any]) -> list[str]:
        """Compare the ids with those of all logs before."""
        limits = {"visitors": self.max_new_visitors, "items": self.max_new_items}
        found = []
        for name, number in new.items():
            limit, all_ids = limits[name], max(profile[name], 1)
            if limit is not None and number > limit * all_ids:
                numbers = f"{number:,} of {all_ids:,} were in no log before"
                found.append(
                    f"{name} {number / all_ids:.0%} new limit {limit:.0%}: {numbers}; see drift.max_new_{name}"
                )
        return self._judged(found)

    def _judged(self, found: list[str]) -> list[str]:
        if found and self.override is None:
            why = "" if len(found) == 1 else f" (and {len(found) - 1} more: {'; '.join(found[1:])})"
            how = "let it pass once with --set stage1.drift.override=REASON"
            raise DataQualityError("DRIFT", f"{found[0]}{why}; {how}")
        return found

    def _rows(self, profile: Mapping[str, Any], base: Mapping[str, Any]) -> Iterator[str]:
        number, before = profile["events"], base["runs"][-1][1]
        change = number / before - 1
        numbers = f"{number:,} events after {before:,} in the commit before"
        if self.max_drop is not None and -change > self.max_drop:
            yield f"rows {change:+.0%} limit {self.max_drop:.0%}: {numbers}; see drift.max_drop"
        if self.max_growth is not None and change > self.max_growth:
            yield f"rows {change:+.0%} limit {self.max_growth:.0%}: {numbers}; see drift.max_growth"

    def _forecast(self, profile: Mapping[str, Any], base: Mapping[str, Any]) -> Iterator[str]:
        days = profile.get("events_by_day")
        found = forecast(base["runs"], max(days)) if days else None
        if found is None or self.max_below_forecast is None or found[0] <= 0:
            return
        limit, change = max(self.max_below_forecast, found[1]), profile["events"] / found[0] - 1
        if -change > limit:
            numbers = f"{profile['events']:,} events, and the last {len(base['runs'])} runs let expect {found[0]:,.0f}"
            yield f"rows {change:+.0%} limit {limit:.0%}: {numbers}; see drift.max_below_forecast"

    def _mix(self, profile: Mapping[str, Any], base: Mapping[str, Any]) -> Iterator[str]:
        if self.max_mix_change is None or not profile["events"]:
            return
        now, then = _shares(profile), _shares(base)
        for kind in sorted({*now, *then}):
            one, other = now.get(kind, 0.0), then.get(kind, 0.0)
            if abs(one - other) > self.max_mix_change:
                moved = f"{kind} {(one - other) * 100:+.1f} points limit {self.max_mix_change * 100:.1f}"
                shares = f"{one:.1%} of the events after {other:.1%} in the commit before"
                yield f"{moved}: {shares}; see drift.max_mix_change"

    def _day(self, profile: Mapping[str, Any], base: Mapping[str, Any]) -> Iterator[str]:  # noqa: ARG002
        newest = profile.get("newest")
        if newest is None or self.max_day_drop is None or not newest[:4].isdecimal():
            return
        last = datetime.fromisoformat(newest.replace("Z", "+00:00"))
        day, over = last.date(), (last.hour * 60 + last.minute + 1) / (24 * 60)
        if over < 0.5:  # noqa: PLR2004 - the day before shows more
            day, over = day - _DAY, 1.0
        number, before = (_events_on(profile, each) for each in (day, day - 7 * _DAY))
        change = number / (before * over) - 1 if before else 0.0
        if before >= _ENOUGH and -change > self.max_day_drop:
            numbers = f"{number:,} events, and {before:,} on the same weekday before"
            yield f"{day} {change:+.0%} limit {self.max_day_drop:.0%}: {numbers}; see drift.max_day_drop"

    def _quarantine(self, profile: Mapping[str, Any], base: Mapping[str, Any]) -> Iterator[str]:
        now, then = quarantined_share(profile), base["quarantined"]
        if self.max_quarantine_change is not None and now - then > self.max_quarantine_change:
            limit = f"{(now - then) * 100:+.1f} points limit {self.max_quarantine_change * 100:.1f}"
            rows = f"{now:.1%} of the rows after {then:.1%} in the commit before"
            yield f"quarantine {limit}: {rows}; see drift.max_quarantine_change"

    def _feed(self, profile: Mapping[str, Any], base: Mapping[str, Any]) -> Iterator[str]:
        newest, then = profile.get("newest"), base["newest"]
        has_shrunk = profile["events"] < base["runs"][-1][1]  # that is judged by the number of events
        if self.must_advance and newest and then and newest <= then and not has_shrunk:
            yield f"the feed has stopped: no event is newer than those of before, {then}; see drift.must_advance"


def _shares(profile: Mapping[str, Any]) -> dict[str, float]:
    kinds = profile["events_by_kind"]
    total = sum(kinds.values()) or 1
    return {kind: number / total for kind, number in kinds.items()}


def _events_on(profile: Mapping[str, Any], day: date) -> int:
    return int(profile["events_by_day"].get(day.isoformat(), 0))
