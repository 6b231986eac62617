"""Recognise what cells hold: times and their unit, ids and their type, kinds of events and their weight.

Example usage:
>>> times_of(["1577906627", "1577914937"]).unit, times_of([1612069510766593]).unit
('s', 'us')
>>> times_of(["31/12/2010 8:26", "1/12/2010 17:05"]).pattern
'd/M/yyyy H:mm'
>>> ids_of(["0108775015", "12"]).type, ids_of(["12", "-7"]).type
('string', 'long')
>>> weight_of("Add_To Cart"), weight_of("Product Viewed"), weight_of("remove_from_cart"), weight_of("hover")
(5, 1, 0, None)
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any, Final

import recommender.constants as C

_NULL_WORDS: Final = frozenset(map(str.lower, C.NULL_WORDS))
_SCALES: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_FROM, _TO = 694_224_000, 2_208_988_800  # the years 1992 to 2039, in s; .NET's ticks of today are ns of 1990
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
_WHOLE = re.compile(r"-?\d{1,19}(?:\.0*)?")
_LONGEST = 2**63
_ISO = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)(?:[ T](\d\d?):(\d\d?)(?::(\d\d?)(?:[.](\d{1,9}))?)?)?"
    r"\s*(?:(Z|UTC|GMT)|([+-])(\d\d):?(\d\d)?)?"
)
_CLOCK = r"(?P<join>[ T]|, )\d{1,2}:\d{2}(?P<second>:\d{2}(?P<part>\.\d{1,6})?)?(?P<half> ?[AaPp][Mm])?"
_YEAR_LAST = re.compile(
    rf"(?P<a>\d{{1,2}})(?P<sep>[./-])(?P<b>\d{{1,2}})(?P=sep)(?P<year>\d{{4}}|\d{{2}})(?:{_CLOCK})?"
)
_YEAR_FIRST = re.compile(rf"(?P<year>\d{{4}})(?P<sep>[./])(?P<a>\d{{1,2}})(?P=sep)(?P<b>\d{{1,2}})(?:{_CLOCK})?")
_NAMED_MONTH = re.compile(rf"(?P<a>\d{{1,2}})(?P<sep>[ /-])(?P<b>[A-Za-z]{{3}})(?P=sep)(?P<year>\d{{4}})(?:{_CLOCK})?")
_COMPACT = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
_TIME_OF_DAY = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?")
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_SAMPLE = 5000
_ENOUGH = 0.5  # ratio of the values that must be times
_MS_PER_DAY = 86_400_000
_ZERO = datetime(1970, 1, 1, tzinfo=timezone.utc)
_KINDS: Final = (
    (0, r"remove|refund|return|cancel|dislike|unlike|delete|abandon"),
    (10, r"purchas|transaction|^buy|bought|^orders?$|order(ed|complet|place)|^sales?$|^sold$|checkoutcomplet|^txn$"),
    (5, r"cart|basket|^productadded$|^addtobag$|begincheckout|initiatecheckout"),
    (3, r"fav|wish|^likes?$|bookmark|^save|^rat(e|ing)$|^share"),
    (1, r"view|click|^pv$|detail|visit|^play|listen|^read|^watch|^open|impression|seen|^see$"),
)


@dataclass(frozen=True)
class Times:
    """The format of the times in a column."""

    unit: str | None  # s, ms, us, ns or iso; None for a timestamp type or a pattern
    label: str  # what people call it
    read: Callable[[Any], int | None]  # returns a value in ms since 1970, None if it is not such a time
    pattern: str | None = None  # as Spark takes it, if there is one
    days: bool = False  # whether the time of day is missing
    zoned: bool = True  # whether the values say their time zone
    doubt: str | None = None  # what the user should check


@dataclass(frozen=True)
class Ids:
    """The type that holds all ids of a column, and how unusual they are."""

    type: str
    negative: int = 0
    zeros: int = 0
    inexact: int = 0
    different: int = 0


def text_of(value: Any) -> str | None:
    """Return a cell as text without blanks around it; None for what stands for nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    text = str(value).strip() if not isinstance(value, bool) else str(value).lower()
    return None if not text or text.lower() in _NULL_WORDS else text


def looks_like_data(text: str) -> bool:
    """Return whether a cell is a number, a time or an identifier, not the name of a column."""
    text = text.strip()
    return bool(_NUMBER.fullmatch(text) or _iso(text) is not None or _UUID.fullmatch(text) or _YEAR_LAST.match(text))


def number_of(value: Any) -> float | None:
    """Return a cell as a number; None if it is none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value) if math.isfinite(value) else None
        except OverflowError:
            return None
    text = text_of(value)
    return float(text) if text and _NUMBER.fullmatch(text) and math.isfinite(float(text)) else None


def weight_of(kind: str) -> int | None:
    """Return how much a kind of event weighs; None if its name says nothing."""
    word = re.sub(r"[^a-z0-9]", "", kind.lower())
    return next((weight for weight, pattern in _KINDS if re.search(pattern, word)), None)


def ids_of(values: Iterable[Any], exact: int = 2**53) -> Ids:
    """Return the type of ids; text holds everything, and is needed for leading zeros.

    Args:
        exact: below this a number with a fraction holds every whole number.
    """
    kept = {value for value in values if not isinstance(value, list | dict) and text_of(value) is not None}
    texts = {str(text_of(value)) for value in kept}
    whole = [text for text in texts if _WHOLE.fullmatch(text)]
    zeros = sum(bool(re.match(r"-?0\d", text)) for text in whole)
    fits = all(-_LONGEST <= int(text.split(".")[0]) < _LONGEST for text in whole)
    inexact = sum(isinstance(value, float) and (not value.is_integer() or abs(value) >= exact) for value in kept)
    inexact += sum(bool(re.fullmatch(r"\d(?:\.\d+)?[eE]\+\d+", text)) for text in texts)
    long = len(whole) == len(texts) and not zeros and fits and bool(texts)
    floats = any(isinstance(value, float) for value in kept)
    negative = sum(text.startswith("-") for text in whole) if long else 0
    return Ids("long" if long and not floats else "string", negative, zeros, inexact, len(texts))


def times_of(values: Sequence[Any]) -> Times | None:
    """Return the format of times; None if most values are not times."""
    step = max(len(values) // _SAMPLE, 1)
    kept = [value for value in values[::step] if text_of(value) is not None]
    if not kept:
        return None
    labels = Counter(_label(value) for value in kept)
    label = next((label for label, _ in labels.most_common() if label), None)
    if label is None or labels[label] < _ENOUGH * len(kept):
        return None
    if label in _SCALES:
        rounded = sum("e" in str(value).lower() for value in kept if isinstance(value, str)) > _ENOUGH * len(kept)
        doubt = "times such as 1.5463E+12 were rounded by a spreadsheet, to hours or days" if rounded else None
        return Times(label, f"{label} since 1970", lambda value: _of_number(value, label), doubt=doubt)
    if label == "typed":
        days = all(not isinstance(value, datetime) for value in kept)
        zoned = all(not isinstance(value, datetime) or value.tzinfo is not None for value in kept)
        return Times(None, "a date" if days else "a timestamp", _of_typed, days=days, zoned=zoned)
    texts = [str(text_of(value)) for value in kept]
    if label == "iso":
        days = not any(":" in text for text in texts)
        zoned = days or any(re.search(r"(Z|UTC|GMT|\d[+-]\d\d(:?\d\d)?)$", text) for text in texts)
        return Times("iso", "days as 2019-01-31" if days else "text as 2019-01-31T08:30", _iso, days=days, zoned=zoned)
    return _patterned(label, [text for text in texts if _label(text) == label])


def is_part_of_time(values: Sequence[Any]) -> str | None:
    """Return what values are that have only a part of a time: time of day, or year."""
    texts = [text for text in map(text_of, values[:_SAMPLE]) if text]
    for name, pattern in (("time of day", _TIME_OF_DAY), ("year", re.compile(r"(?:19|20)\d\d"))):
        if texts and sum(bool(pattern.fullmatch(text)) for text in texts) > _ENOUGH * len(texts):
            return name
    return None


def _label(value: Any) -> str | None:
    """Return in which way a value is a time; None if it is none."""
    if isinstance(value, date):
        return "typed"
    text = text_of(value)
    if text is None or isinstance(value, bool):
        return None
    if _COMPACT.fullmatch(text):
        return "yyyyMMdd"
    number = number_of(value)
    if number is not None:
        return next((unit for unit, scale in _SCALES.items() if _FROM <= number / scale < _TO), None)
    return "iso" if _iso(text) is not None else _shape(text)


def _shape(text: str) -> str | None:
    """Return of what parts a time is made, for `_patterned`."""
    for name, shape in (("last", _YEAR_LAST), ("first", _YEAR_FIRST), ("named", _NAMED_MONTH)):
        found = shape.fullmatch(text)
        if found:
            half = bool(found["half"]) and ("with blank" if " " in found["half"] else "without")
            part = len(found["part"] or ".") - 1
            parts = (name, found["sep"], found["join"], bool(found["second"]), part, half, len(found["year"]))
            return "|".join(map(str, parts))
    return None


def _of_number(value: Any, unit: str) -> int | None:
    number = number_of(value)
    return None if number is None or abs(number) > _LONGEST else int(number * 1000 / _SCALES[unit])


def _of_typed(value: Any) -> int | None:
    if isinstance(value, datetime):  # also that of pandas, which pyarrow makes of nanoseconds
        zone = value.utcoffset() or timedelta(0)
        day = value.date().toordinal() - _ZERO.toordinal()
        clock = (value.hour * 3600 + value.minute * 60 + value.second) * 1000 + value.microsecond // 1000
        return day * _MS_PER_DAY + clock - zone // timedelta(milliseconds=1)
    return (value.toordinal() - _ZERO.toordinal()) * _MS_PER_DAY if isinstance(value, date) else None


def _iso(value: Any) -> int | None:
    found = _ISO.fullmatch(str(value).strip())
    if not found:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    try:
        time = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError:
        return None
    offset = timedelta(hours=int(found[10] or 0), minutes=int(found[11] or 0)) * (-1 if found[9] == "-" else 1)
    return int((time - _ZERO - offset) / timedelta(milliseconds=1)) + int((found[7] or "0").ljust(3, "0")[:3])


def _patterned(label: str, texts: Sequence[str]) -> Times:
    """Return times written with another pattern than ISO's."""
    if label == "yyyyMMdd":
        return _with_pattern("yyyyMMdd", "%Y%m%d", days=True)
    name, sep, join, second, part, half, years = label.split("|")
    firsts, seconds = ([int(number) for number in numbers] for numbers in _day_and_month(name, texts))
    doubt = None
    if name == "named":
        spark, python = f"d{sep}MMM{sep}yyyy", f"%d{sep}%b{sep}%Y"
    elif name == "first":
        spark, python = f"yyyy{sep}M{sep}d", f"%Y{sep}%m{sep}%d"
    else:
        month_first = max(seconds) > 12 or (max(firsts) <= 12 and sep == "/" and half != "False")  # noqa: PLR2004
        if max(firsts) <= 12 and max(seconds) <= 12:  # noqa: PLR2004
            doubt = (
                f"whether {texts[0].split(' ')[0]} begins with the {'month' if month_first else 'day'} cannot be seen"
            )
        year, short = ("yyyy", "%Y") if years == "4" else ("yy", "%y")
        spark = sep.join(("M", "d", year) if month_first else ("d", "M", year))
        python = sep.join(("%m", "%d", short) if month_first else ("%d", "%m", short))
    if join != "None":
        joined = "'T'" if join == "T" else join
        blank = " " if half == "with blank" else ""
        spark += f"{joined}{'H' if half == 'False' else 'h'}:mm" + (":ss" if second == "True" else "")
        spark += ("." + "S" * int(part) if part != "0" else "") + (f"{blank}a" if half != "False" else "")
        python += f"{join}{'%H' if half == 'False' else '%I'}:%M" + (":%S" if second == "True" else "")
        python += (".%f" if part != "0" else "") + (f"{blank}%p" if half != "False" else "")
    return _with_pattern(spark, python, join == "None", doubt)


def _day_and_month(name: str, texts: Sequence[str]) -> tuple[list[str], list[str]]:
    if name != "last":
        return ["0"], ["0"]
    found = [match for match in map(_YEAR_LAST.fullmatch, texts) if match]
    return [match["a"] for match in found], [match["b"] for match in found]


def _with_pattern(spark: str, python: str, days: bool, doubt: str | None = None) -> Times:
    def read(value: Any) -> int | None:
        try:
            time = datetime.strptime(str(value).strip(), python).replace(tzinfo=timezone.utc)
        except ValueError:
            return None
        return (time - _ZERO) // timedelta(milliseconds=1)

    return Times(None, f"text as {spark}", read, spark, days, zoned=days, doubt=doubt)
