"""Count the rows that the workflow would keep apart, by the reasons that it gives them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time as clock_time, timedelta, timezone
from typing import Any, Final

import recommender.constants as C
from recommender.inspect.roles import WEIGHT
from recommender.inspect.values import Times, number_of, text_of

_EARLIEST: Final = int(datetime.fromisoformat(f"{C.EARLIEST}T00:00:00+00:00").timestamp() * 1000)
_DAY = timedelta(days=1)
_NO_IDS = (list, dict, bool, date, clock_time, timedelta)

# Reason -> what the rows are.
WORDS: Final[Mapping[str, str]] = {
    "MALFORMED": "with too many or too few cells, or no JSON",
    "HEADER": "that are the header again",
    "ENCODING": "with bytes that are not characters",
    "NULL_ID": "without a visitor or an item",
    "BAD_ID": "whose visitor or item is a list, an object, a time, or true or false",
    "NULL_TIMESTAMP": "without a time",
    "BAD_TIMESTAMP": "with a time that cannot be read",
    "NULL_EVENT": "without a kind of event",
    "NEGATIVE_ID": "with a negative id",
    "ZERO_TIMESTAMP": "with a time in 1970: none, or one in another unit",
    "FUTURE_TIMESTAMP": "with a time in the future",
    "BAD_WEIGHT": "with a weight that is not a number",
}


def unfit(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], times: Times, clock: str | None, keep_negative: bool
) -> tuple[Counter[str], tuple[int, int] | None]:
    """Return the number of rows that are not fit for use, by reason, and the first and last time of the others."""
    latest = int((datetime.now(timezone.utc) + _DAY).timestamp() * 1000)
    reasons: Counter[str] = Counter()
    first = last = None
    for row in rows:
        time = times.read(row.get(columns[C.TIMESTAMP]))
        reason = _reason(row, columns, time, clock, latest, keep_negative)
        if reason:
            reasons[reason] += 1
        elif time is not None:
            first, last = min(first or time, time), max(last or time, time)
    return reasons, None if first is None or last is None else (first, last)


def _reason(
    row: Mapping[str, Any],
    columns: Mapping[str, str],
    time: int | None,
    clock: str | None,
    latest: int,
    keep_negative: bool,
) -> str | None:
    is_empty = text_of(row.get(columns[C.TIMESTAMP])) is None or (clock and text_of(row.get(clock)) is None)
    of_ids = _reason_of_ids([row.get(columns[name]) for name in (C.VISITOR, C.ITEM)], keep_negative)
    if of_ids not in {None, "NEGATIVE_ID"}:
        return of_ids
    if is_empty or time is None:
        return "NULL_TIMESTAMP" if is_empty else "BAD_TIMESTAMP"
    if C.EVENT in columns and text_of(row.get(columns[C.EVENT])) is None:
        return "NULL_EVENT"
    if of_ids or time < _EARLIEST:
        return of_ids or "ZERO_TIMESTAMP"
    if time > latest:
        return "FUTURE_TIMESTAMP"
    return "BAD_WEIGHT" if WEIGHT in columns and number_of(row.get(columns[WEIGHT])) is None else None


def _reason_of_ids(cells: Sequence[Any], keep_negative: bool) -> str | None:
    if any(isinstance(cell, _NO_IDS) for cell in cells):
        return "BAD_ID"
    ids = list(map(text_of, cells))
    if None in ids:
        return "NULL_ID"
    is_negative = not keep_negative and any(str(each).startswith("-") and str(each)[1:].isdecimal() for each in ids)
    return "NEGATIVE_ID" if is_negative else None
