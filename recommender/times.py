"""Times as people write them, and as the events have them: milliseconds since 1970, UTC.

Example usage:
>>> in_milliseconds("1970-01-02"), in_milliseconds("1970-01-01T01:00:00.5+01:00"), in_milliseconds("soon")
(86400000, 500, None)
>>> as_time(500), as_time(10**17)
('1970-01-01T00:00:00.500Z', 'year 3170843')
"""

from datetime import datetime, timedelta, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MS_PER_YEAR = 31_556_952_000


def in_milliseconds(text: str) -> int | None:
    """Return an ISO 8601 time, in UTC unless it has a zone, in ms since epoch; None for other texts."""
    try:
        time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    time = time if time.tzinfo else time.replace(tzinfo=timezone.utc)
    return round((time - _EPOCH) / timedelta(milliseconds=1))


def as_time(milliseconds: int) -> str:
    """Return ms since epoch as ISO 8601, UTC; just the year if it is beyond what a calendar has."""
    try:
        time = _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return f"year {1970 + milliseconds // _MS_PER_YEAR}"
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
