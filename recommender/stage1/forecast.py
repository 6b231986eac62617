"""Choose the runs that a log is compared with, the last ones that nobody doubted, and forecast its number of events.

A log that was let pass although something was found does not become the base of the next comparison. Two of them in a
row do: what a person has let pass twice is how the log is now.

Example usage:
>>> runs = [["2026-05-01", 1000], ["2026-05-02", 1100], ["2026-05-03", 1200]]
>>> forecast(runs, "2026-05-04")
(1300.0, 0.0)
>>> forecast(runs[:2], "2026-05-04") is None
True
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from statistics import median
from typing import Any, Final

_FEWEST = 3  # runs, for a forecast
_MOST = 28  # runs that are kept
_WEEK: Final = timedelta(days=7)
_SURE: Final = 3  # how many times its usual error a forecast may be off

Run = Sequence[Any]  # newest day (ISO), events


def base_of(profile: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what a log is compared with, by the profile of the last commit; None if there is nothing."""
    if profile is None:
        return None
    if "base" in profile:
        return profile["base"]  # type: ignore[no-any-return]
    return _snapshot(profile) if profile.get("events") else None


def next_base(
    base: Mapping[str, Any] | None, profile: Mapping[str, Any], *, doubtful: bool
) -> Mapping[str, Any] | None:
    """Return what the next log is compared with.

    Args:
        doubtful: whether it was let pass although something was found.
    """
    if not profile["events"]:
        return base
    now = _snapshot(profile)
    if base is None:
        return now
    if doubtful and "doubted" not in base:
        return {**base, "doubted": now["runs"]}
    before = base["doubted"] if doubtful else base["runs"]
    others = [run for run in before if run[0] != now["runs"][0][0]]
    return {**now, "runs": [*others, *now["runs"]][-_MOST:]}


def forecast(runs: Sequence[Run], day: str) -> tuple[float, float] | None:
    """Return how many events a log should have whose newest day is given, and how far off that may be as a share.

    With two weeks of runs: as many as on the same weekday before, and what the run before had more or less than a week
    before it. Else, for a log that grows: one more step of the usual size. None where neither says anything.
    """
    expected = _expected(runs, day)
    if expected is None:
        return None
    before = [(_expected(runs[:place], run[0]), run[1]) for place, run in enumerate(runs)]
    errors = [abs(found / number - 1) for found, number in before if found is not None and number]
    return expected, _SURE * median(errors) if errors else 0.0


def _expected(runs: Sequence[Run], day: str) -> float | None:
    if len(runs) < _FEWEST:
        return None
    known: dict[str, float] = {run[0]: float(run[1]) for run in runs}
    last_day, last = runs[-1]
    week_before, last_week_before = _week_before(day), _week_before(last_day)
    if week_before in known and last_week_before in known:
        return known[week_before] + float(last) - known[last_week_before]
    steps = [after[1] - before[1] for before, after in pairwise(runs[-8:])]
    return float(last + median(steps)) if min(steps) >= 0 < max(steps) else None


def _week_before(day: str) -> str:
    try:
        return (date.fromisoformat(day) - _WEEK).isoformat()
    except ValueError:  # a year that no calendar has
        return ""


def _snapshot(profile: Mapping[str, Any]) -> dict[str, Any]:
    days = profile.get("events_by_day") or {"1970-01-01": 0}
    return {
        "runs": [[max(days), profile["events"]]],
        "events_by_kind": profile["events_by_kind"],
        "newest": profile.get("newest"),
        "quarantined": quarantined_share(profile),
    }


def quarantined_share(profile: Mapping[str, Any]) -> float:
    """Return the share of the rows that is not fit for use."""
    return float(sum(profile.get("quarantined", {}).values()) / max(profile.get("rows", 0), 1))
