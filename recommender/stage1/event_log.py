"""The log of events, from its source to the events that count."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import Column, DataFrame, functions as F

import recommender.constants as C
from recommender.errors import InputError
from recommender.settings.step import Steps
from recommender.sources.loaded import HEAD, Loaded
from recommender.spark.aggregates import single_row
from recommender.spark.cluster import together
from recommender.spark.row_counts import RowCounter, StepRows
from recommender.stage1.event_cells import raw_text
from recommender.stage1.event_kinds import EventKinds
from recommender.stage1.forecast import base_of, next_base
from recommender.stage1.steps import (
    DataLoader,
    DriftCheck,
    EventCap,
    EventDeduplicator,
    EventProfile,
    EventValidator,
    ScoreEvents,
)
from recommender.times import as_time


class EventLogSteps(Steps):
    """The steps from the source of the log to the events that count."""

    data_loader: DataLoader
    event_validator: EventValidator
    event_deduplicator: EventDeduplicator
    event_cap: EventCap
    profile: EventProfile
    drift: DriftCheck


_HEAD = "_head"  # how often the file of a line that is not a row begins with it
_BAD = "_bad"  # why and of what an event is not fit for use; null where it is
_NAMED = 10  # visitors, and pairs of visitor and item, with too many events that the profile names


@dataclass
class EventLog:
    """Load, validate, deduplicate and cap the events of a log, and describe it."""

    steps: EventLogSteps
    cache: Callable[[DataFrame], DataFrame]  # keeps a frame until the stage releases it
    counter: RowCounter  # counts the rows between the steps
    kinds: EventKinds  # compares the kinds of events with those of the configuration
    # found by `load`
    quarantine: DataFrame | None = None  # the rows that are not fit for use, as the table quarantine
    rows: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)  # reason -> number of rows that are kept apart
    empty: int = 0  # number of further rows that make no event, as they have no element in an array of items
    distinct: int = 0  # number of good events, each once
    events: int = 0  # number of those that count
    last: int | None = None  # time of the last good event, in ms; None if there is none
    weighed: bool = False  # whether events have weights of their own
    largest_weight: float = 1.0  # of these, in size
    # what the record of the commit says of the log
    profile: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, list[str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    _read: list[DataFrame] = field(default_factory=list)  # the rows of the source, and with what is wrong with them
    _distinct: DataFrame = field(init=False, repr=False)  # the good events, each once, as the cap takes them
    _taken: int = 0  # events that the cap was given
    _capped: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"visitors": [], "pairs": []})
    _base: dict[str, Any] | None = None
    _let_pass: list[str] = field(default_factory=list)
    _rewritten: int = 0
    _left_out: tuple[int, int] | None = None

    def load(self, version: str | None = None, before: Mapping[str, Any] | None = None) -> DataFrame:
        """Return the events that count, with the columns of an event, those of a visitor together.

        Args:
            version: of the table that is read; None: the newest, or what is read has none.
            before: record of the last commit.

        Raises:
            InputError: see DataLoader. DataQualityError: too much is quarantined, or see `_weigh`.
        """
        loader = self.steps.data_loader
        loaded = loader.load(version)
        self._note_columns(loader, loaded, before)
        read = loader.events(loaded)
        self.counter.came_out("data_loader", read)
        validated, noted = self._validated(read)
        # All that follows groups by visitor, or by visitor and something: no more shuffles of whole events.
        together_ = together(validated, C.VISITOR)
        rows = self.cache(self.steps.event_deduplicator.execute(together_, *noted))
        is_good = F.col(_BAD).isNull()
        events = rows.where(is_good).drop(_BAD, C.ROWS, *noted)
        with loaded.translating(), self.steps.event_validator.translating_rules():
            median, of_weights, of_kinds = self._count(rows, loaded)
        self.quarantine = self._quarantine(rows.where(~is_good))
        if self.empty:
            self.warnings.append(f"{self.empty:,} rows have no element in {loader.explode}, and make no event")
        self._note_rewritten(loader, loaded)
        self._note_quotes(loaded)
        self.steps.event_validator.check(self.rows, self.quarantined, median)
        if not self.distinct and not loader.allow_empty:
            reasons = ", ".join(f"{name} {count:,}" for name, count in self.quarantined.items())
            found = f": of {self.rows:,} rows {reasons}" if reasons else ""
            raise InputError("INPUT_EMPTY", f"{loaded.name} has no event that is fit for use{found}")
        self.counter.came_out("event_deduplicator", events, self.distinct)
        self._weigh(events, of_weights, of_kinds)
        return self._not_too_many(events)

    def describe(
        self,
        events: DataFrame,
        visitors: DataFrame,
        items: DataFrame,
        before: Mapping[str, Any] | None = None,
        *,
        repeats: bool = False,
    ) -> None:
        """Make the profile of the log, and compare it with that of the last commit's record.

        Args:
            events: those that `load` returned.
            visitors: visitorid and events of every visitor. items: itemid and events of every item.
            before: record of the last commit.
            repeats: whether that was made from the same files.
        """
        described = self.steps.profile.execute(events, visitors, items)
        self.profile = {
            "rows": self.rows,
            "quarantined": self.quarantined,
            "duplicates": self.good - self.distinct,
            **({"left_out": self._left_out[1]} if self._left_out else {}),
            "capped": {"events": self._taken - self.events, **self._capped},
            "newest": None if self.last is None else as_time(self.last),
            **described,
        }
        self._base, self._let_pass = base_of(before.get("profile") if before else None), []
        self._note(self.steps.drift.execute(self.profile, self._base, repeats=repeats))

    def compare_new(self, new: Mapping[str, int]) -> None:
        """Compare the ids with those of all logs before: visitors and items -> how many were never seen."""
        self.profile["new"] = dict(new)
        self._note(self.steps.drift.check_new(new, self.profile))

    @property
    def good(self) -> int:
        """Number of rows that are fit for use, duplicates included."""
        return self.rows - sum(self.quarantined.values())

    def report(self, rows: Mapping[str, int]) -> list[StepRows]:
        """Return the rows in and out of each step, given the counts."""
        numbers = (self.counter.number(frame, rows) for frame in self._read)
        read = next((number for number in numbers if number is not None), self.rows)
        valid = self.counter.number(self._read[-1], rows)
        valid = self.rows if valid is None else valid
        good, distinct = valid - sum(self.quarantined.values()), self.counter.number(self._distinct, rows)
        return [
            self._loaded_rows(read),
            StepRows("event_validator", valid, good, self._quarantine_note()),
            StepRows("event_deduplicator", self.good, self.distinct, "distinct events"),
            StepRows("event_cap", distinct, self.events, self._cap_note()),
        ]

    def _validated(self, read: DataFrame) -> tuple[DataFrame, list[str]]:
        """Return the events with their problems, a row each after the deduplicator, and the columns of notes."""
        self._read = [read]
        why = (C.REASON, raw_text().alias(C.RAW), C.SOURCE_FILE, F.col(f"{C.RAW}.head").alias(_HEAD))
        bad = F.when(F.col(C.REASON).isNotNull(), F.struct(*why))
        checked = self.steps.event_validator.execute(read)
        self.weighed = C.WEIGHT in checked.columns
        own = [C.WEIGHT] if self.weighed else []
        noted = [name for name in (C.REWRITTEN,) if name in checked.columns]
        validated: DataFrame = checked.select(*C.EVENT_COLUMNS, *own, bad.alias(_BAD), *noted)
        self.counter.came_out("event_validator", validated)
        self._read.append(validated)
        return validated, noted

    def _weigh(self, events: DataFrame, of_weights: Sequence[Any], of_kinds: Sequence[int]) -> None:
        """Judge the events' own weights and their kinds by their counts.

        Raises:
            DataQualityError: a weight is none (BAD_WEIGHT), or too many events have none (NO_WEIGHT).
        """
        scoring: ScoreEvents = self.kinds.scoring
        no_numbers, negative, self.largest_weight = of_weights
        scoring.check_own(self.distinct, no_numbers, negative)
        self.warnings += self.kinds.check(events, self.distinct, of_kinds)

    def _loaded_rows(self, read: int) -> StepRows:
        if self._left_out is None:
            return StepRows("data_loader", None, read)
        number, left_out = self._left_out
        return StepRows("data_loader", number, read, f"left out by where: {left_out:,}")

    def _quarantine_note(self) -> str:
        found = [f"{name} {number:,}" for name, number in self.quarantined.items()]
        return f"quarantined: {', '.join(found)}" if found else "none is quarantined"

    def _cap_note(self) -> str:
        named = ", ".join(f"{one[C.ID]} ({one[C.EVENTS]:,} events)" for one in self._capped["visitors"][:3])
        return f"too many events of {named}" if named else "no visitor has too many"

    def _quarantine(self, bad: DataFrame) -> DataFrame:
        """Return the rows that are not fit for use; what each file begins with is none, and leaves them."""
        columns = (C.REASON, C.RAW, C.SOURCE_FILE, C.ROWS)
        apart = bad.select(f"{_BAD}.*", C.ROWS).where(F.col(C.REASON) != C.NO_ELEMENT)
        is_header = F.col(C.REASON) == C.HEADER
        if C.HEADER not in self.quarantined:
            return apart.where(~is_header).select(*columns)
        repeated = apart.where(is_header).groupBy(*columns[:3], _HEAD).agg(F.sum(C.ROWS).alias("_all"))
        more = repeated.withColumn(C.ROWS, F.col("_all") - F.col(_HEAD)).where(F.col(C.ROWS) > 0)
        return apart.where(~is_header).select(*columns).unionByName(more.select(*columns))

    def _note_rewritten(self, loader: DataLoader, loaded: Loaded) -> None:
        """Warn of ids that are not as they were; they are looked at once more only if there are any."""
        if not self._rewritten:
            return
        rounded = loader.rounded(loaded)
        if rounded:
            sentence = f"{rounded:,} rows have an id such as 1.2E+11, which a spreadsheet has rounded"
            self.warnings.append(f"{sentence}: different ids may have become one; export them as text")
        if self._rewritten <= rounded:
            return
        if loader.id_type == "string":
            sentence = f"{self._rewritten - rounded:,} rows have an id such as 7.0, made of a whole number by a program"
            self.warnings.append(f"{sentence}; as text it is not the id 7, see data_loader.id_type")
            return
        merged = [f"{count:,} {name}" for name, count in loader.merged(loaded).items() if count]
        sentence = f"{self._rewritten - rounded:,} rows have an id that begins with zeros, which a number does not"
        more = f"; ids that differ in them alone are now one: {', '.join(merged)}" if merged else ""
        self.warnings.append(f"{sentence}{more}; see data_loader.id_type")

    def _note_quotes(self, loaded: Loaded) -> None:
        """Warn of quotes that are not closed in their line; the lines are looked at once more only if some are bad."""
        if self.quarantine is None or loaded.is_open is None or "MALFORMED" not in self.quarantined:
            return
        bad = self.quarantine.where(F.col(C.REASON) == "MALFORMED")
        (number,) = single_row(bad.agg(F.sum(F.when(loaded.is_open(F.col(C.RAW)), F.col(C.ROWS)))))
        if number:
            fault = f"{number:,} rows have a quote that is not closed in their line, so a line after one may be part of"
            hint = "if cells have line breaks, set data_loader.options.multiLine to 'true'"
            self.warnings.append(f"{fault} a cell and no event; {hint}")

    def _count(self, rows: DataFrame, loaded: Loaded) -> tuple[int | None, Sequence[Any], Sequence[int]]:
        """Count the distinct rows and those that they stand for.

        Returns:
            The median time of the distinct rows; what is wrong with own weights, and how many events are of which kind.

        Nothing is counted before the shuffle: what is computed again after a lost executor would count twice.
        """
        reason, reasons = F.col(f"{_BAD}.{C.REASON}"), self.steps.event_validator.reasons
        number = F.sum(C.ROWS)
        by_reason = (F.sum(F.when(reason == name, F.col(C.ROWS))) for name in reasons)
        last = F.max(F.when(reason.isNull(), F.col(C.TIMESTAMP)))
        median = F.percentile_approx(C.TIMESTAMP, 0.5)
        changed = F.sum(F.when(F.col(C.REWRITTEN), F.col(C.ROWS))) if C.REWRITTEN in rows.columns else F.lit(0)
        heads = _first_lines() if HEAD in loaded.rows.columns else F.lit(0)
        of_weights = self.kinds.scoring.own_facts(rows, reason.isNull())
        of_kinds = self.kinds.counts(rows, reason.isNull())
        facts = [F.count_if(reason.isNull()), last, median, number, changed, heads, *of_weights, *by_reason, *of_kinds]
        self.distinct, self.last, middle, total, self._rewritten, first_lines, *others = single_row(rows.agg(*facts))
        weights, counts = others[: len(of_weights)], others[len(of_weights) :]
        by_name = dict(zip(reasons, counts, strict=False))
        # Each file begins with lines that are not rows; what repeats them is.
        by_name[C.HEADER] = (by_name[C.HEADER] or 0) - first_lines
        self.empty = by_name.pop(C.NO_ELEMENT) or 0
        self.rows = (total or 0) - first_lines - self.empty
        self.quarantined = {name: count for name, count in by_name.items() if count}
        return middle, weights, counts[len(reasons) :]

    def _note(self, let_pass: list[str]) -> None:
        """Note the drift that was let pass, and the numbers that the next log is compared with."""
        reason = self.steps.drift.override
        self._let_pass += let_pass
        self.warnings += [f"let pass ({reason}): {sentence}" for sentence in let_pass]
        if self._let_pass:
            self.profile["let_pass"] = {"reason": reason, "found": self._let_pass}
        self.profile["base"] = next_base(self._base, self.profile, doubtful=bool(self._let_pass))

    def _note_columns(self, loader: DataLoader, loaded: Loaded, before: Mapping[str, Any] | None) -> None:
        """Note which columns the log has, and which are new."""
        unused = loader.unused(loaded)
        self.columns = {"found": loaded.columns, "unused": unused}
        self.warnings, self._left_out = list(loaded.warnings), loaded.left_out
        known = before.get("columns", {}).get("found") if before else None
        new = [name for name in unused if known and name not in known]
        if new:
            self.warnings.append(f"new in the log, and not loaded: {', '.join(new)}")

    def _not_too_many(self, events: DataFrame) -> DataFrame:
        """Return the events that count of each visitor."""
        cap = self.steps.event_cap
        heavy = self.cache(cap.heavy(events))
        self._distinct, number = events, self.counter.number_now(events)
        self._capped, self.events, self._taken = {"visitors": [], "pairs": []}, number, number
        if not heavy.count():
            self.counter.came_out("event_cap", events, number)
            return events
        capped = self.cache(together(cap.execute(events, heavy), C.VISITOR))
        self.events = capped.count()
        self.counter.came_out("event_cap", capped, self.events)
        if self.events < number:
            visitors, pairs = cap.reduced(heavy, capped), cap.heavy_pairs(events, heavy)
            self._capped = {
                "visitors": _most(visitors.withColumnRenamed(C.VISITOR, C.ID), C.ID),
                "pairs": _most(pairs, C.VISITOR, C.ITEM),
            }
        return capped


def _first_lines() -> Column:
    """Return the number of lines that the files begin with and that are not rows."""
    line = F.when(
        F.col(f"{_BAD}.{C.REASON}") == C.HEADER,
        F.struct(f"{_BAD}.{C.RAW}", f"{_BAD}.{C.SOURCE_FILE}", f"{_BAD}.{_HEAD}"),
    )
    return F.aggregate(F.collect_set(line), F.lit(0), lambda number, each: number + each[_HEAD])


def _most(counts: DataFrame, *key: str) -> list[dict[str, Any]]:
    most = counts.orderBy(F.desc(C.EVENTS), *key).limit(_NAMED).collect()
    return [{**{name: str(row[name]) for name in key}, C.EVENTS: row[C.EVENTS]} for row in most]
