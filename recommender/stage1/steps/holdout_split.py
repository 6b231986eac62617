"""Divide the events of the evaluated visitors into what a model may see and what it must predict.

Example usage:
>>> train = spark.createDataFrame([(1, 10, 100, "view")], "timestamp long, visitorid long, itemid long, event string")
>>> test = spark.createDataFrame([(5, 20, 100, "view"), (6, 20, 101, "view"), (7, 20, 102, "view")], train.schema)
>>> history, holdout = HoldoutSplit(last_events=1).execute(train, test)
>>> [row.itemid for row in holdout.collect()], sorted(row.itemid for row in history.collect())
([102], [100, 101])
>>> HoldoutSplit(every_visitor=True, last_events=2).mark(train.union(test)).orderBy("timestamp").show()
+---------+---------+------+-----+-----+
|timestamp|visitorid|itemid|event| held|
+---------+---------+------+-----+-----+
|        1|       10|   100| view|false|
|        5|       20|   100| view|false|
|        6|       20|   101| view| true|
|        7|       20|   102| view| true|
+---------+---------+------+-----+-----+
<BLANKLINE>
>>> import pathlib, tempfile
>>> path = pathlib.Path(tempfile.mkdtemp()) / "holdout.csv"
>>> _ = path.write_text("visitorid,itemid\\n20,103\\n,104\\n")
>>> HoldoutSplit(holdout_filename=str(path)).load("bigint")[0].show()
+---------+------+-----+---------+------+
|visitorid|itemid|score|timestamp|usable|
+---------+------+-----+---------+------+
|       20|   103|  1.0|     NULL|  true|
|     NULL|   104|  1.0|     NULL| false|
+---------+------+-----+---------+------+
<BLANKLINE>
"""

from collections.abc import Sequence
from functools import reduce
from operator import and_

from pyspark.sql import Column, DataFrame, SparkSession, Window, functions as F, types as T

import recommender.constants as C
from recommender.errors import SchemaError
from recommender.settings.step import Annotated, Field, TableName, step
from recommender.sources.files import read_list
from recommender.sources.loaded import MALFORMED, Loaded, quoted, shown, trimmed
from recommender.sources.tables import catalog_versions, read_catalog
from recommender.sources.values import Ids

_PARTS = 1_000_000  # the resolution of a share
_OPTIONAL = [C.SCORE, C.TIMESTAMP]  # of a holdout that the user brings
_LAST_EVENTS = 5
_WAYS = ("every_visitor", "holdout_filename", "holdout_table")  # parameters that replace the split's test events
_LARGEST = 3.4e38  # of a 32 bit float, as which scores are stored


@step
class HoldoutSplit:
    """Divide the events of the test visitors into history and holdout.

    A visitor with events in both parts of the split (a cut by time) is known: its history is its training events, its
    holdout what it did after the cut. A visitor with test events only (a cut by visitor) is unknown: its last events by
    time, or a share of its items, are the holdout, and the rest is its history.

    With `every_visitor` there is no other split: of every visitor the last events, or a share of the items, are held
    out, and all the others are trained with. A holdout that the user brings is taken as it is: all events are trained
    with.

    Init parameters:
        last_events: how many of a visitor's last events by time are held out; one event at least stays in the history,
            so a visitor with a single event is not evaluated. null where `share` is given.
        share: ratio (0 to 1) of a visitor's items that are held out, chosen by a hash of visitor and item, so that the
            choice is the same on any cluster. null where `last_events` is given.
        seed: changes the choice of `share`.
        every_visitor: whether events of every visitor are held out, instead of those of train_test_split's test part.
        holdout_filename: file, folder or glob with the holdout, columns visitorid, itemid and, if there are, score (1
            if there is none) and timestamp (ms); by .csv, .json, .ndjson or .orc at the end of the name, also
            compressed, else Parquet. The visitors in it are evaluated, and every event of the log is trained with.
        holdout_table: table of the catalog with such columns, instead of files.
        min_score: least score (no unit) of a held-out pair that a list should have, a rating of 4 for example; null:
            every score above 0.
    Execution args:
        train, test: one row per event: timestamp long (ms), visitorid, itemid, event, none null; further columns stay.
        known: visitorid, a row per visitor with events in both; null: they are found here.
    Execution returns:
        (history, holdout): events of the test visitors, with the columns of `test`. Row order undefined.
    Raises:
        ConfigError: both or none of `last_events` and `share` are given, or two ways to hold out. By `load`,
        InputError: the user's holdout is missing or unreadable. SchemaError: a column is missing or of a wrong type.
    Persist strategy: none of its own; stage 1 stores both, grouped and scored.
    """

    last_events: Annotated[int, Field(ge=1)] | None = _LAST_EVENTS
    share: Annotated[float, Field(gt=0, lt=1)] | None = None
    seed: int = 0
    every_visitor: bool = False
    holdout_filename: str | None = None
    holdout_table: TableName | None = None
    min_score: Annotated[float, Field(gt=0)] | None = None

    def __post_init__(self) -> None:
        ways = [name for name in _WAYS if getattr(self, name)]
        if len(ways) > 1:
            raise ValueError(f"give one way to hold out: {' and '.join(ways)} are given")
        if not self.place:
            if (self.last_events is None) == (self.share is None):
                raise ValueError("give either last_events or share, and set the other to null")
            return
        without_effect = {
            "last_events": self.last_events not in {_LAST_EVENTS, None},
            "share": self.share is not None,
            "seed": self.seed != 0,
        }
        ignored = [name for name, is_set in without_effect.items() if is_set]
        if ignored:
            sentence = f"{ways[0]} is given, so nothing is held out of the log by {' and '.join(ignored)}"
            raise ValueError(f"{sentence}: leave one of them out")

    @property
    def place(self) -> str | None:
        """The file, folder, glob or table with the user's own holdout; None where it is made from the log."""
        return self.holdout_filename or self.holdout_table or None

    @property
    def key(self) -> str:
        """The parameter that says what is held out instead of a part of the split's test events; "" where none does."""
        return next((name for name in _WAYS if getattr(self, name)), "")

    @property
    def files(self) -> list[str]:
        """The files of the user's own holdout; a change of them makes another result."""
        return [self.holdout_filename] if self.holdout_filename else []

    def versions(self, started: bool) -> dict[str, str | None]:
        """Return the table of the user's own holdout and its version; None without a session, or where it has none."""
        return catalog_versions(filter(None, [self.holdout_table]), started)

    def execute(self, train: DataFrame, test: DataFrame, known: DataFrame | None = None) -> tuple[DataFrame, DataFrame]:
        if known is None:
            evaluated = test.select(C.VISITOR).distinct()
            known = train.select(C.VISITOR).distinct().join(evaluated, C.VISITOR, "left_semi")
        held = F.col("_held")
        divided = test.join(known, C.VISITOR, "left_anti").withColumn("_held", self._held(test))
        history = divided.where(~held).drop("_held").unionByName(train.join(known, C.VISITOR, "left_semi"))
        holdout = divided.where(held).drop("_held").unionByName(test.join(known, C.VISITOR, "left_semi"))
        return history, holdout

    def mark(self, events: DataFrame) -> DataFrame:
        """Return the events of all visitors with the column held: which are held out; one of a visitor never is."""
        if self.share is None:
            return events.withColumn(C.HELD, self._held(events))
        # An item of each visitor stays, that of the greatest draw.
        greatest = F.max(self._draw()).over(Window.partitionBy(C.VISITOR))
        return events.withColumn(C.HELD, self._held(events) & (self._draw() < greatest))

    def load(
        self, id_type: str, version: str | None = None, null_words: Sequence[str] = C.NULL_WORDS
    ) -> tuple[DataFrame, list[str]]:
        """Return the rows of the holdout that the user brings, and warnings about them, a sentence each.

        Args:
            id_type: type of the log's ids, bigint or string.
            version: of the table; null: the newest, or it has none.
            null_words: words that stand for a missing id.

        Returns:
            visitorid and itemid as `id_type`, score double, timestamp long, and usable boolean: whether both ids are
            there and of that type, and the score is a number that a 32 bit float holds. Row order undefined.
        """
        loaded = self._loaded(version)
        missing = [name for name in C.PAIR if name not in loaded.columns]
        if missing:
            sentence = f"{', '.join(missing)}; found [{shown(loaded.columns)}] in {loaded.name}"
            hint = f"a holdout has the columns {', '.join(C.PAIR)}, see holdout.{self.key}"
            raise SchemaError("SCHEMA_MISSING", f"{sentence}; {hint}")
        ids = {name: self._id(loaded, name, Ids(id_type, null_words)) for name in C.PAIR}
        cells = {**ids, C.SCORE: self._score(loaded), C.TIMESTAMP: self._time(loaded)}
        score = F.col(C.SCORE)
        sound = [F.col(name).isNotNull() for name in C.PAIR]
        sound += [score.isNotNull() & ~F.isnan(score) & (F.abs(score) <= _LARGEST), F.col(MALFORMED).isNull()]
        rows = loaded.rows.select(*(cell.alias(name) for name, cell in cells.items()), F.col(MALFORMED))
        usable = F.coalesce(reduce(and_, sound), F.lit(False))
        return rows.select(*cells, usable.alias(C.USABLE)), loaded.warnings

    @staticmethod
    def to_predict(holdout: DataFrame, history: DataFrame) -> DataFrame:
        """Return the rows of `holdout` that a list should have.

        Those are the pairs that are not in `history`, since the others are known already, and whose score is above 0,
        since an item that was sent back is not worth recommending.
        """
        liked = holdout.where(F.col(C.SCORE) > 0)
        return liked.join(history.select(*C.PAIR).distinct(), C.PAIR, "left_anti")

    def high_enough(self, holdout: DataFrame) -> DataFrame:
        """Return the rows of `holdout` with at least `min_score`."""
        return holdout if self.min_score is None else holdout.where(F.col(C.SCORE) >= self.min_score)

    @property
    def too_low(self) -> str:
        """Which score is too low to be predicted."""
        return "of 0 or below" if self.min_score is None else f"below {self.min_score:g}"

    def note(self, held: int, left: int) -> str:
        """Return how many of the pairs that were held out are not to be predicted, and why."""
        low = "not above 0" if self.min_score is None else self.too_low
        return f"{held - left:,} of {held:,} pairs left the holdout: already in the history, or {low}"

    def _held(self, events: DataFrame) -> Column:
        if self.share is not None:
            return self._draw() < round(self.share * _PARTS)
        of_visitor = Window.partitionBy(C.VISITOR)
        own = [F.desc(C.WEIGHT)] if C.WEIGHT in events.columns else []
        latest_first = of_visitor.orderBy(F.desc(C.TIMESTAMP), F.desc(C.ITEM), F.desc(C.EVENT), *own)
        held = F.least(F.lit(self.last_events), F.count(F.lit(1)).over(of_visitor) - 1)
        return F.row_number().over(latest_first) <= held

    def _draw(self) -> Column:
        """Return a number of 0 to `_PARTS` for each pair."""
        return F.pmod(F.xxhash64(*C.PAIR, F.lit(self.seed)), F.lit(_PARTS))

    def _loaded(self, version: str | None) -> Loaded:
        spark, key = SparkSession.active(), f"holdout.{self.key}"
        if self.holdout_table:
            return read_catalog(spark, self.holdout_table, version, key=key)
        path = str(self.holdout_filename)
        return read_list(spark, path, [*C.PAIR, *_OPTIONAL], _OPTIONAL, key=key)

    def _mistyped(self, name: str, kind: str, loaded: Loaded) -> SchemaError:
        found = loaded.rows.schema[name].dataType.simpleString()
        sentence = f"{name} expected {kind} found {found} in {loaded.name}"
        return SchemaError("SCHEMA_TYPE", f"{sentence}; write it again, see holdout.{self.key}")

    def _id(self, loaded: Loaded, name: str, ids: Ids) -> Column:
        """Return an id as the type that it has in the log; null where it is none."""
        found = loaded.rows.schema[name].dataType
        if not _is_whole(found):
            raise self._mistyped(name, ids.kind, loaded)
        return ids.column(name, found, loaded.name)

    def _score(self, loaded: Loaded) -> Column:
        """Return the score, 1 if there is none, null where it is not a number."""
        if C.SCORE not in loaded.columns:
            return F.lit(1.0)
        if not isinstance(loaded.rows.schema[C.SCORE].dataType, T.StringType | T.NumericType):
            raise self._mistyped(C.SCORE, "double", loaded)
        text = F.trim(F.col(C.SCORE).cast("string"))
        return F.when(F.coalesce(text, F.lit("")) == "", F.lit(1.0)).otherwise(_cast(C.SCORE, "double"))

    def _time(self, loaded: Loaded) -> Column:
        """Return the time in ms, null if there is none, or where it cannot be read: nothing depends on it."""
        if C.TIMESTAMP not in loaded.columns:
            return F.lit(None).cast("bigint")
        found = loaded.rows.schema[C.TIMESTAMP].dataType
        if isinstance(found, T.TimestampType | T.TimestampNTZType | T.DateType):
            return F.expr(f"unix_millis(cast({quoted(C.TIMESTAMP)} as timestamp))")
        if not _is_whole(found):
            raise self._mistyped(C.TIMESTAMP, "bigint", loaded)
        return _cast(C.TIMESTAMP, "bigint")


def _is_whole(found: T.DataType) -> bool:
    if isinstance(found, T.DecimalType):
        return found.scale == 0
    return isinstance(found, T.StringType | T.IntegralType)


def _cast(name: str, kind: str) -> Column:
    return F.expr(f"try_cast(nullif({trimmed(name)}, '') as {kind})")
