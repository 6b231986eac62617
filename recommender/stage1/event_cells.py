"""Make the columns of an event from the columns of a log, and find the problem of a row, so that its reason is true."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame, functions as F, types as T

import recommender.constants as C
from recommender.sources.loaded import EMPTY, FILE, HEAD, MALFORMED, Loaded, quoted, trimmed
from recommender.sources.moments import Clock
from recommender.sources.values import Ids, weight

_IDS = (C.VISITOR, C.ITEM)


@dataclass(frozen=True)
class EventCells:
    """The meaning of the columns of a log."""

    names: Mapping[str, str | None]  # column of an event -> the log's column; None where the log has none
    # ids, clock: what makes ids and times
    ids: Ids
    clock: Clock
    # kind in the log, in small letters and without blanks at its ends -> kind of event; others stay
    kinds: Mapping[str, str] = field(default_factory=dict)
    constant: str | None = None  # kind of all events; None: that of the log's column

    def of(self, log: Loaded) -> DataFrame:
        """Return the events; raw is a struct, of which `raw_text` makes the text.

        There are two steps: Java compiles no method as long as one for both would be.
        """
        rows = log.rows
        named = {name: source for name, source in self.names.items() if source is not None}
        types = {name: rows.schema[source].dataType for name, source in named.items()}
        values = {name: self._value(name, named, types, log.name) for name in self.names}
        cells = {name: f"_cell_{name}" for name in named}
        marks = [name for name in (MALFORMED, FILE, HEAD, EMPTY) if name in rows.columns]
        made = rows.select(
            *(value.alias(name) for name, value in values.items()),
            *(F.col(quoted(source)).alias(cells[name]) for name, source in named.items()),
            *marks,
        )
        as_it_came = {source: F.col(cells[name]).alias(source) for name, source in named.items()}
        head = F.col(HEAD) if HEAD in marks else F.lit(None)
        text, every = F.col(MALFORMED).alias("text"), F.struct(*as_it_came.values()).alias("cells")
        return made.select(
            *values,
            self._problem(marks, cells, types).alias(C.PROBLEM),
            F.struct(text, every, head.cast("int").alias("head")).alias(C.RAW),
            F.col(FILE).alias(C.SOURCE_FILE),
            *self._rewritten(cells, types),
        )

    def _rewritten(self, cells: Mapping[str, str], types: Mapping[str, T.DataType]) -> list[Column]:
        """Return the column rewritten, where ids come as text."""
        texts = [cells[name] for name in _IDS if isinstance(types[name], T.StringType)]
        return [reduce(or_, map(self.ids.is_rewritten, texts)).alias(C.REWRITTEN)] if texts else []

    def _value(self, name: str, named: Mapping[str, str], types: Mapping[str, T.DataType], place: str) -> Column:
        if name not in named:
            return F.lit(self.constant if name == C.EVENT else None).cast("string")
        source, found = named[name], types[name]
        if name in _IDS:
            return self.ids.column(source, found, place)
        if name == C.TIMESTAMP:
            return self.clock.milliseconds(source, found, place)
        if name == C.WEIGHT:
            return weight(source, found, place)
        text = _text(source, found)
        if name != C.EVENT or not self.kinds:
            return text
        looked_up = F.lower(F.trim(text))
        return F.coalesce(*(F.when(looked_up == kind, other) for kind, other in self.kinds.items()), text)

    def _problem(self, marks: Sequence[str], cells: Mapping[str, str], types: Mapping[str, T.DataType]) -> Column:
        texts = (F.col(cell) for name, cell in cells.items() if isinstance(types[name], T.StringType))
        damaged = reduce(or_, (text.contains("\x00") | text.contains("\ufffd") for text in texts), F.lit(False))
        first = F.when(F.lit(False), "")
        if HEAD in marks:
            first = first.when(F.col(HEAD).isNotNull(), C.HEADER)
        first = first.when(F.col(MALFORMED).isNotNull(), "MALFORMED").when(damaged, "ENCODING")
        if EMPTY in marks:
            first = first.when(F.col(EMPTY), C.NO_ELEMENT)
        for name, problem in ((C.VISITOR, "BAD_ID"), (C.ITEM, "BAD_ID"), (C.TIMESTAMP, "BAD_TIMESTAMP")):
            first = first.when(F.col(name).isNull() & self.ids.is_given(cells[name], types[name]), problem)
        return first.when(F.col(C.WEIGHT).isNull(), "BAD_WEIGHT") if C.WEIGHT in cells else first


def raw_text() -> Column:
    """Return the row as it came, of the raw of `EventCells.of`: made of a bad event alone, as it takes a while."""
    return F.coalesce(F.col(f"{C.RAW}.text"), F.to_json(f"{C.RAW}.cells"))


def _text(source: str, found: T.DataType) -> Column:
    """Return a column as text, null where it is blank."""
    name = quoted(source)
    if isinstance(found, T.StringType):
        return F.expr(f"nullif({trimmed(source)}, '')")
    if isinstance(found, T.DecimalType):  # such as a database's NUMERIC, which has 18 places after the point
        return F.expr(f"CASE WHEN {name} = floor({name}) THEN cast(floor({name}) AS string) END")
    return F.col(name).cast("string")
