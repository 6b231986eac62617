"""Make times of what a source has: milliseconds since 1970, UTC, whatever the session's time zone is.

Text without a zone is local time. A time that a change to summer time leaves out is moved forward by the hour that
is left out, and of a time that happens twice the first is taken, as java.time does.

Example usage:
>>> rows = spark.createDataFrame([("2021-03-28 01:30:00",), ("2021-03-28 02:30:00",), ("08:00:00",)], "at string")
>>> berlin = Clock("iso", zone="Europe/Berlin")
>>> [row[0] for row in rows.select(berlin.milliseconds("at", rows.schema["at"].dataType, "log")).collect()]
[1616891400000, 1616895000000, None]
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pyspark.sql import Column, SparkSession, functions as F, types as T

from recommender.errors import SchemaError
from recommender.sources.loaded import in_sql, quoted
from recommender.sources.values import exact_number

# How many of a unit are a millisecond, or how many milliseconds it has.
_PER_MS: Final = {"ms": 1, "us": 1000, "ns": 1_000_000}
_MS_PER: Final = {"ms": 1, "s": 1000, "day": 86_400_000}
_LEAST_NANOSECONDS = 10**17  # in 1973; as milliseconds it would be in the year 3,170,843
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ISO = "^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
_DATE = f"{_ISO}$"
_ZONED = "(Z|UTC|GMT|[+-][0-9]{1,2}(:?[0-9]{2}){0,2}|[A-Za-z]+/[A-Za-z_/+-]+)$"
_TIMED = f"{_ISO}[T ]+[0-9]{{1,2}}:"
_MINUTES = f"{_TIMED}[0-9]{{2}}(?![0-9:])"  # a time without seconds, which no cast takes
_ZONE_LETTERS = re.compile(r"[VzOXxZ]")


@dataclass(frozen=True)
class Clock:
    """How to read the times of a source."""

    unit: str  # ms, s, us or ns since 1970, or iso
    zone: str = "UTC"  # of times without one
    pattern: str | None = None  # Spark's pattern for text; None: by the unit
    nanoseconds: bool = False  # whether a whole number may be a time in nanoseconds that Spark has no type for

    def milliseconds(self, source: str, found: T.DataType, place: str) -> Column:
        """Return the times of a column of a type; null where one cannot be read.

        Raises:
            SchemaError: nothing of that type is a time (SCHEMA_TYPE).
        """
        name = quoted(source)
        if isinstance(found, T.TimestampType):
            return F.expr(f"unix_millis({name})")
        if isinstance(found, T.DateType | T.TimestampNTZType):
            return F.expr(_of_calendar(name, found)) if self.zone == "UTC" else self._local(name, found)
        if self._has_pattern(found):
            return F.expr(self._by_pattern(f"cast({name} AS string)"))
        if isinstance(found, T.StringType) and self.unit == "iso":
            return F.expr(f"unix_millis({self._iso(f'trim({name})')})")
        if isinstance(found, T.StringType | T.NumericType) and self.unit != "iso":
            return self._of_number(source, found)
        sentence = f"{source} expected a time found {found.simpleString()}, file {place}"
        raise SchemaError("SCHEMA_TYPE", f"{sentence}; see data_loader.timestamp_unit")

    def bounded(self, source: str, found: T.DataType, place: str) -> tuple[Column, Callable[[int], Column]]:
        """Return the times as the source has them where that can be, and what makes one of a time in ms."""
        column = F.col(quoted(source))
        is_number = isinstance(found, T.IntegralType) and not self._has_pattern(found)
        if is_number and self.unit != "iso" and not self.nanoseconds:
            return column, lambda time: F.lit(in_unit(time, self.unit))
        if isinstance(found, T.DateType) and self.zone == "UTC":
            return column, lambda time: F.expr(f"date_from_unix_date({in_unit(time, 'day')})")
        if isinstance(found, T.TimestampType):
            return column, lambda time: F.expr(f"timestamp_millis({time})")
        if isinstance(found, T.TimestampNTZType) and self.zone == "UTC":
            return column, lambda time: F.expr(f"timestamp_ntz '{_calendar(time)}'")
        return self.milliseconds(source, found, place), F.lit

    def _has_pattern(self, found: T.DataType) -> bool:
        """Return whether the pattern is that of a column of a type: text, or whole numbers such as 20190131."""
        is_text = isinstance(found, T.StringType) or (isinstance(found, T.IntegralType) and not self.nanoseconds)
        return self.pattern is not None and is_text

    def check(self) -> str | None:
        """Return the mistake in the zone, as far as it can be found without Spark."""
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return f"timezone must be the name of a time zone as Europe/Berlin, got {self.zone!r}"
        return None

    def wrong_pattern(self, spark: SparkSession) -> str | None:
        """Return Spark's error about the pattern, if it has one; no job runs."""
        try:
            spark.sql("SELECT 'x' AS x").select(F.expr(self._by_pattern("x"))).first()
        except Exception as error:  # noqa: BLE001 - whatever Spark says
            if "WEEK_BASED" in str(error):
                return "Y, w, W, u, e and F count weeks; write it as dd.MM.yyyy HH:mm"
            return str(error).strip().split("\n", 1)[0][:200]
        return None

    def _of_number(self, source: str, found: T.DataType) -> Column:
        name, column = quoted(source), F.col(quoted(source))
        if isinstance(found, T.FloatType | T.DoubleType | T.DecimalType):
            return F.expr(f"try_cast({self._scaled(f'cast({name} AS double)')} AS bigint)")
        if isinstance(found, T.StringType):
            column = F.expr(exact_number(source, 2**63 - 1))
            return F.coalesce(self._whole(column), F.expr(f"try_cast({self._of_fraction(name)} AS bigint)"))
        whole = self._whole(column.cast("bigint"))
        if not self.nanoseconds:
            return whole
        is_nanoseconds = F.abs(column) >= _LEAST_NANOSECONDS
        return F.when(is_nanoseconds, F.floor(column / _PER_MS["ns"]).cast("bigint")).otherwise(whole)

    def _whole(self, number: Column) -> Column:
        """Return whole numbers of the unit as milliseconds."""
        if self.unit == "s":
            return F.when(number.between(-(2**53), 2**53), number * 1000)
        if self.unit == "ms":
            return number
        per = _PER_MS[self.unit]
        return ((number - F.pmod(number, F.lit(per))) / per).cast("bigint")

    def _of_fraction(self, name: str) -> str:
        """Return SQL for the milliseconds of text with a fraction of the unit."""
        number = f"try_cast(trim({name}) AS decimal(38, 12))"
        return f"floor({number} * 1000)" if self.unit == "s" else f"floor({number} / {_PER_MS[self.unit]})"

    def _scaled(self, number: str) -> str:
        """Return SQL for the milliseconds of a number with a fraction; a millisecond is what it holds of seconds."""
        scaled = f"round({number} * 1000)" if self.unit == "s" else f"floor({number} / {_PER_MS[self.unit]})"
        return f"CASE WHEN abs({number}) <= {2.0**62:.1f}D THEN {scaled} END"

    def _iso(self, text: str) -> str:
        """Return SQL for the time of a text that is a full date, with a time or without."""
        time = f"try_cast({self._with_zone(text)} AS timestamp)"
        with_seconds = self._with_zone(f"regexp_replace({text}, '{_MINUTES}', '$0:00')")
        without = f"CASE WHEN {text} RLIKE '{_MINUTES}' THEN try_cast({with_seconds} AS timestamp) END"
        is_full = f"{text} RLIKE '{_DATE}' OR {text} RLIKE '{_TIMED}'"
        return f"CASE WHEN {is_full} THEN coalesce({time}, {without}) END"

    def _with_zone(self, text: str) -> str:
        local = f"CASE WHEN {text} RLIKE '{_DATE}' THEN concat({text}, ' 00:00:00 {self.zone}') "
        return f"{local}WHEN {text} RLIKE '{_ZONED}' THEN {text} ELSE concat({text}, ' {self.zone}') END"

    def _by_pattern(self, name: str) -> str:
        pattern, text = str(self.pattern), f"trim({name})"
        letters = re.sub(r"'[^']*'", "", pattern)
        if not _ZONE_LETTERS.search(letters):
            pattern, text = f"{pattern} VV", f"concat({text}, ' {self.zone}')"
        return f"unix_millis(try_to_timestamp({text}, {in_sql(pattern)}))"

    def _local(self, name: str, found: T.DataType) -> Column:
        """Return the times of a calendar without a zone that are those of another zone than UTC."""
        text = f"cast({name} AS string)"
        midnight = " 00:00:00" if isinstance(found, T.DateType) else ""
        return F.expr(f"unix_millis(try_cast(concat({text}, '{midnight} {self.zone}') AS timestamp))")


def in_unit(milliseconds: int, unit: str) -> int:
    """Return the first number of a unit that is not before a time.

    >>> in_unit(1001, "day"), in_unit(1001, "s"), in_unit(1001, "ms"), in_unit(1001, "us")
    (1, 2, 1001, 1001000)
    """
    return milliseconds * _PER_MS[unit] if unit in _PER_MS else -(-milliseconds // _MS_PER[unit])


def _of_calendar(name: str, found: T.DataType) -> str:
    """Return SQL for the milliseconds of a date or a time without a zone, as of UTC whatever the session's zone is."""
    days = f"unix_date(cast({name} AS date)) * 86400000L"
    if isinstance(found, T.DateType):
        return days
    seconds = f"(hour({name}) * 3600 + minute({name}) * 60 + second({name})) * 1000L"
    return f"{days} + {seconds} + cast(date_format({name}, 'SSS') AS bigint)"


def _calendar(milliseconds: int) -> str:
    return (_EPOCH + timedelta(milliseconds=milliseconds)).replace(tzinfo=None).isoformat(" ", "milliseconds")
