"""Read a log as stage 1 does, whatever is wrong with its rows."""

from collections import Counter
from pathlib import Path
from typing import Any

from recommender.spark.row_counts import RowCounter
from recommender.stage1.event_kinds import EventKinds
from recommender.stage1.event_log import EventLog, EventLogSteps
from recommender.stage1.steps import ScoreEvents


def event_log(config: dict[str, Any]) -> EventLog:
    """Return a log whose events need no weight."""
    kinds = EventKinds(ScoreEvents(max_unweighted=1), known=None)
    return EventLog(EventLogSteps.build(config), lambda rows: rows.cache(), RowCounter(), kinds)


def read(path: Path, **loader: Any) -> EventLog:
    """Return a log that was read, whatever is wrong with its rows."""
    loader = {"event_filename": str(path), "allow_empty": True, **loader}
    config = {"data_loader": loader, "event_validator": {"max_quarantined": 1.0}}
    found = event_log(config)
    found.good_events = found.load().collect()  # type: ignore[attr-defined]
    return found


def warnings_of(log: EventLog) -> list[str]:
    """Return the warnings, but for those about kinds: few of them occur here."""
    return [warning for warning in log.warnings if "score_events" not in warning]


def told(path: Path, **loader: Any) -> dict[str, int]:
    """Return the reasons of the rows of a log, good ones as good; the table quarantine has as many of them."""
    found = read(path, **loader)
    assert found.quarantine is not None
    kept: Counter[str] = Counter()
    for row in found.quarantine.collect():
        kept[row.reason] += row.rows
    assert kept == found.quarantined
    assert found.rows == found.good + sum(kept.values())
    return {**found.quarantined, **({"good": found.good} if found.good else {})}


def events(path: Path, **loader: Any) -> list[tuple[Any, ...]]:
    """Return (time, visitor, kind, item, and the weight if there is one) of the good events."""
    good = read(path, **loader).good_events  # type: ignore[attr-defined]
    return sorted(tuple(value for place, value in enumerate(row) if place != 4) for row in good)
