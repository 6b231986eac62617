"""Tell the good events from those that are kept apart, with the reason.

Example usage:
>>> events = spark.createDataFrame([(5, 7, "view", 3), (6, None, "view", 3), (7, 8, "view", -1), (8, 9, "hover", 3)],
...                                "timestamp long, visitorid long, event string, itemid long")
>>> EventValidator(earliest=None, rules={"HOVER": "event <> 'hover'"}).execute(events).show()
+---------+---------+-----+------+-----------+
|timestamp|visitorid|event|itemid|     reason|
+---------+---------+-----+------+-----------+
|        5|        7| view|     3|       NULL|
|        6|     NULL| view|     3|    NULL_ID|
|        7|        8| view|    -1|NEGATIVE_ID|
|        8|        9|hover|     3|      HOVER|
+---------+---------+-----+------+-----------+
<BLANKLINE>
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from functools import reduce
from typing import Final, Literal

from pyspark.sql import Column, DataFrame, functions as F, types as T

import recommender.constants as C
from recommender.errors import DataQualityError
from recommender.settings.step import Annotated, Field, field, step
from recommender.sources.chosen import condition_of
from recommender.spark.errors import failed_on_a_row
from recommender.times import as_time, in_milliseconds

_EARLIEST, _LATEST = 10**8, 10**14  # a median outside, in ms, is January 1970 or after the year 5138: another unit
_SECONDS_UNTIL = 10**11

# Why an event is kept apart: reason -> what holds for such an event; None where the rule does not apply. The first
# that holds is the reason.
RULES: Final[Mapping[str, Callable[["EventValidator", DataFrame], Column | None]]] = {
    "MALFORMED": lambda _, events: _problem(events, "MALFORMED"),
    C.HEADER: lambda _, events: _problem(events, C.HEADER),
    "ENCODING": lambda _, events: _problem(events, "ENCODING"),
    C.NO_ELEMENT: lambda _, events: _problem(events, C.NO_ELEMENT),
    "BAD_ID": lambda _, events: _problem(events, "BAD_ID"),
    "NULL_ID": lambda *_: F.col(C.VISITOR).isNull() | F.col(C.ITEM).isNull(),
    "BAD_TIMESTAMP": lambda _, events: _problem(events, "BAD_TIMESTAMP"),
    "NULL_TIMESTAMP": lambda *_: F.col(C.TIMESTAMP).isNull(),
    "NULL_EVENT": lambda *_: F.col(C.EVENT).isNull(),
    "NEGATIVE_ID": lambda validator, events: validator.negative(events),
    "ZERO_TIMESTAMP": lambda validator, _: validator.too_early(),
    "FUTURE_TIMESTAMP": lambda validator, _: F.col(C.TIMESTAMP) > validator.latest,
    "LATE": lambda validator, _: validator.is_late(),
    "UNKNOWN_EVENT": lambda validator, _: validator.unknown(),
    "BAD_WEIGHT": lambda _, events: _problem(events, "BAD_WEIGHT"),
}


# Reason -> where the way out may be, for the most frequent one.
_WAYS: Final[Mapping[str, str]] = {
    "MALFORMED": "data_loader.file_format, delimiter and options",
    "ENCODING": "data_loader.options (encoding)",
    "BAD_ID": "data_loader.id_type",
    "BAD_TIMESTAMP": "data_loader.timestamp_unit and timestamp_format",
    "NULL_EVENT": "data_loader.constant_event",
    "NEGATIVE_ID": "event_validator.negative_ids",
    "ZERO_TIMESTAMP": "data_loader.timestamp_unit, event_validator.earliest",
    "FUTURE_TIMESTAMP": "data_loader.timestamp_unit",
    "BAD_WEIGHT": "data_loader.columns.weight",
}


@step
class EventValidator:
    """Give every event that is not fit for use a reason, and judge whether too many have one.

    The reasons, of which an event gets the first that holds: HEADER (a line that repeats the header of its file),
    MALFORMED (the row could not be parsed), ENCODING (bytes that are not text), BAD_ID (what is there is no id of the
    type), NULL_ID (null, blank, or a word for it), BAD_TIMESTAMP (what is there cannot be read as a time),
    NULL_TIMESTAMP, NULL_EVENT, NEGATIVE_ID, ZERO_TIMESTAMP (before `earliest`: in 1970 or before), FUTURE_TIMESTAMP,
    LATE, UNKNOWN_EVENT, BAD_WEIGHT (no finite number), and those of `rules`.

    Init parameters:
        negative_ids: quarantine or keep negative ids; ids that are text have no sign.
        earliest: ISO 8601 time before which no event of a shop can be: what is in 1970 is in another unit, or a zero;
            null: only the time 0 and what is before it are refused.
        future_after: ISO 8601 time after which a timestamp is in the future; null: a day after the run began.
        late_before: ISO 8601 time before which an event comes too late to count; null: none does. What earlier runs
            have committed never changes.
        known_events: the kinds of events that are known; null: every kind passes, and one that score_events does not
            list weighs 0, as in the seed.
        rules: REASON -> SQL condition on timestamp, visitorid, event, itemid and transactionid that a good event meets.
        max_quarantined: share of the rows (0 to 1) that may be quarantined in all.
        max_quarantined_by_reason: REASON -> share of the rows (0 to 1) that may be quarantined for it.
    Execution args:
        events: one row per event, as DataLoader returns them; the column problem may be missing.
    Execution returns:
        `events` without problem, and with reason string: null where the event is good. Row order undefined.
    Raises:
        ConfigError: a rule is not an SQL condition, or chance decides it. DataQualityError, by `check`: too many rows
        are quarantined (QUARANTINE_RATE), or the timestamps have another unit (TIME_UNIT); by `translating_rules`: a
        rule fails on an event (RULE_FAILED).
    Persist strategy: none of its own; stage 1 stores the quarantined rows as the table quarantine.
    """

    negative_ids: Literal["quarantine", "keep"] = "quarantine"
    earliest: str | None = C.EARLIEST
    future_after: str | None = None
    late_before: str | None = None
    known_events: Annotated[list[str], Field(min_length=1)] | None = None
    rules: Mapping[Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")], str] = field(default_factory=dict)
    max_quarantined: Annotated[float, Field(ge=0, le=1)] = 0.01
    max_quarantined_by_reason: Mapping[str, Annotated[float, Field(ge=0, le=1)]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("earliest", "future_after", "late_before"):
            value = getattr(self, name)
            if value is not None and in_milliseconds(value) is None:
                raise ValueError(f"{name} must be a time as 2015-05-03T03:00:00Z, got {value!r}")
        taken = sorted(set(self.rules) & set(RULES))
        if taken:
            raise ValueError(f"rules may not be named {', '.join(taken)}: these reasons exist")
        unknown = sorted(set(self.max_quarantined_by_reason) - set(self.reasons))
        if unknown:
            raise ValueError(
                f"max_quarantined_by_reason names {', '.join(unknown)}; there are {', '.join(self.reasons)}"
            )

    @property
    def reasons(self) -> list[str]:
        """All reasons, in the order of their rules."""
        return [*RULES, *self.rules]

    def execute(self, events: DataFrame) -> DataFrame:
        broken = {name: rule(self, events) for name, rule in RULES.items()} | self._own(events)
        held = [(name, condition) for name, condition in broken.items() if condition is not None]
        reason = reduce(lambda so_far, rule: so_far.when(rule[1], rule[0]), held[1:], F.when(held[0][1], held[0][0]))
        return events.withColumn(C.REASON, reason).drop(C.PROBLEM)

    @contextmanager
    def translating_rules(self) -> Iterator[None]:
        """Raise errors of own rules, while the events are computed, as ours, without the values of an event."""
        try:
            yield
        except Exception as error:
            failed = failed_on_a_row(error) if self.rules else None
            if failed is None:
                raise
            sentence = f"one of event_validator.rules ({', '.join(self.rules)}) fails on an event, with {failed}"
            hint = "write it with try_cast, try_divide, try_add or try_element_at, which give null"
            raise DataQualityError("RULE_FAILED", f"{sentence}; {hint}, and the event is quarantined") from None

    def check(self, rows: int, quarantined: Mapping[str, int], median: int | None) -> None:
        """Judge the counts.

        Args:
            quarantined: reason -> number of rows.
            median: of the timestamps of the distinct rows, in ms.
        """
        if median is not None and (_EARLIEST <= median < _SECONDS_UNTIL or median > _LATEST):
            unit = "seconds" if median < _SECONDS_UNTIL else "micro- or nanoseconds"
            sentence = f"median {as_time(median)[:10]}: the timestamps look like {unit}"
            raise DataQualityError("TIME_UNIT", f"{sentence}; see data_loader.timestamp_unit")
        number = sum(quarantined.values())
        by_reason = ", ".join(f"{name} {count:,}" for name, count in quarantined.items() if count)
        shares = [("", number, self.max_quarantined, "max_quarantined")] + [
            (f"{name} ", quarantined.get(name, 0), limit, "max_quarantined_by_reason")
            for name, limit in self.max_quarantined_by_reason.items()
        ]
        for name, count, limit, parameter in shares:
            if count > limit * rows:
                rate = f"{name}{_more(count / rows, limit)}"
                sentence = f"{rate}: {number:,} of {rows:,} rows are quarantined ({by_reason})"
                way = _WAYS.get(max(quarantined, key=lambda reason: quarantined[reason]))
                ways = " or ".join(filter(None, (way, f"event_validator.{parameter}")))
                raise DataQualityError("QUARANTINE_RATE", f"{sentence}; see {ways}")

    @property
    def latest(self) -> int:
        """Return the last time, in ms, that is not in the future."""
        if self.future_after is not None:
            return in_milliseconds(self.future_after) or 0
        return round((datetime.now(timezone.utc) + timedelta(days=1)).timestamp() * 1000)

    def negative(self, events: DataFrame) -> Column | None:
        """Return whether an id is negative."""
        numbers = [name for name in (C.VISITOR, C.ITEM) if isinstance(events.schema[name].dataType, T.NumericType)]
        if self.negative_ids == "keep" or not numbers:
            return None
        return reduce(Column.__or__, [F.col(name) < 0 for name in numbers])

    def too_early(self) -> Column:
        """Return whether no event can be of that time."""
        least = None if self.earliest is None else in_milliseconds(self.earliest)
        return F.col(C.TIMESTAMP) < (1 if least is None else least)

    def is_late(self) -> Column | None:
        """Return whether an event comes too late to count."""
        return None if self.late_before is None else F.col(C.TIMESTAMP) < (in_milliseconds(self.late_before) or 0)

    def unknown(self) -> Column | None:
        """Return whether the kind of an event is not known."""
        return None if self.known_events is None else ~F.col(C.EVENT).isin(list(self.known_events))

    def _own(self, events: DataFrame) -> dict[str, Column | None]:
        """Return what breaks the rules of the config: where one is not true, or cannot be said."""
        broken: dict[str, Column | None] = {}
        for name, condition in self.rules.items():
            holds = condition_of(condition, events, f"event_validator.rules.{name}", "an event")
            broken[name] = ~F.coalesce(holds, F.lit(False))
        return broken


def _problem(events: DataFrame, name: str) -> Column | None:
    return F.col(C.PROBLEM) == name if C.PROBLEM in events.columns else None


def _more(share: float, limit: float) -> str:
    """Return in percent that a share is above a limit, with as many digits as that takes.

    >>> _more(0.032, 0.01), _more(0.010004, 0.01)
    ('3.2% > 1.0%', '1.0004% > 1%')
    """
    short, short_limit = f"{share:.1%}", f"{limit:.1%}"
    return f"{short} > {short_limit}" if short != short_limit else f"{share * 100:.6g}% > {limit * 100:.6g}%"
