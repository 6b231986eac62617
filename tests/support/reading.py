"""Read a log as stage 1 does, whatever is wrong with its rows.

``read`` and ``told`` count and cap the events, too, as the log does. ``events``, ``outcomes`` and ``verdicts`` end
where each row has its reason: the same reader and the same rules, in a quarter of the time.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyspark.sql import Row, functions as F

import recommender.constants as C
from recommender.spark.row_counts import RowCounter
from recommender.stage1.event_kinds import EventKinds
from recommender.stage1.event_log import EventLog, EventLogSteps
from recommender.stage1.steps import DataLoader, EventValidator, ScoreEvents


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


def checked(path: Path, **loader: Any) -> list[Row]:
    """Return the rows of a log but for the headers of files, each with the reason why it is not fit for use."""
    step = DataLoader(event_filename=str(path), **{"allow_empty": True, **loader})
    loaded = step.load()
    with loaded.translating():
        rows = EventValidator().execute(step.events(loaded)).select(*step.event_columns, C.REASON)
        return rows.where(F.coalesce(C.REASON, F.lit("")) != C.HEADER).collect()


def events(path: Path, **loader: Any) -> list[tuple[Any, ...]]:
    """Return (time, visitor, kind, item, and the weight if there is one) of the good events, each once."""
    good = {tuple(row)[:-1] for row in checked(path, **loader) if row.reason is None}
    return sorted(tuple(value for place, value in enumerate(row) if place != 4) for row in good)


def outcomes(path: Path, **loader: Any) -> dict[str, int]:
    """Return the reasons of the rows of a log, good ones as good, like `told`; headers are left out."""
    return dict(Counter(row.reason or "good" for row in checked(path, **loader)))


def verdicts(path: Path, column: str, number: int, **loader: Any) -> Sequence[Any]:
    """Return what a column has in each event that is good, or the reason why the event is not.

    Args:
        path: of a log whose visitors are numbered from 0 in the order of its rows; a row that lacks its visitor is not
            looked for.
        column: of the events.
        number: of the rows.
        loader: parameters of the loader.
    """
    found = {int(row.visitorid): row.reason or row[column] for row in checked(path, **loader)}
    return [found[place] for place in range(number)]
