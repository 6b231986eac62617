"""What a run does, as events for a scheduler: one JSON object per line.

Example usage:
>>> import sys
>>> with as_json(sys.stdout):
...     is_wanted(), emit("stage_done", stage="stage1", rows=3)
{"event": "stage_done", "at": "...", "stage": "stage1", "rows": 3}
(True, None)
>>> is_wanted()
False
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, TextIO

from recommender.settings.redaction import redacted

_streams: list[TextIO] = []  # the last one is written to


@contextmanager
def as_json(stream: TextIO) -> Iterator[None]:
    """Write the events of this process to a stream, instead of lines for people, until the context ends."""
    _streams.append(stream)
    try:
        yield
    finally:
        _streams.remove(stream)


def is_wanted() -> bool:
    """Return whether somebody reads events."""
    return bool(_streams)


def emit(event: str, **facts: Any) -> None:
    """Write an event, if somebody reads events.

    Args:
        event: run_started, stage_started, part_started, stage_done, run_done, warning or error.
        facts: plain JSON types.
    """
    if _streams:
        at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        _streams[-1].write(f"{json.dumps(redacted({'event': event, 'at': at, **facts}))}\n")
        _streams[-1].flush()
