"""Load the event log.

Example usage:
>>> import pathlib, tempfile
>>> path = pathlib.Path(tempfile.mkdtemp()) / "events.csv"
>>> _ = path.write_text("event,user,timestamp,itemid,colour\\nview,7,1430622000000,1,red\\n")
>>> loader = DataLoader(event_filename=str(path), columns={"visitorid": "user"})
>>> loader.execute().select("timestamp", "visitorid", "event", "itemid", "problem").show()
+-------------+---------+-----+------+-------+
|    timestamp|visitorid|event|itemid|problem|
+-------------+---------+-----+------+-------+
|1430622000000|        7| view|     1|   NULL|
+-------------+---------+-----+------+-------+
<BLANKLINE>
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import reduce
from typing import Literal

from pyspark.sql import Column, DataFrame, SparkSession, functions as F, types as T

import recommender.constants as C
from recommender.errors import ConfigError, InputError, Mistake, SchemaError
from recommender.settings.step import Annotated, ColumnName, ColumnNames, Field, TableName, field, step
from recommender.sources.chosen import is_empty, of_partitions, where
from recommender.sources.csv_head import Layout, has_values
from recommender.sources.files import format_of, format_within, read_files, shortened
from recommender.sources.jdbc import Database, is_url, read_database
from recommender.sources.loaded import FILE, HEAD, MALFORMED, Loaded, quoted, shown, trimmed
from recommender.sources.moments import Clock
from recommender.sources.nested import exploded, reached
from recommender.sources.options import unknown_option
from recommender.sources.tables import catalog_version, path_version, read_catalog, read_lake, read_query
from recommender.sources.values import ROUNDED, Ids
from recommender.spark.aggregates import single_row
from recommender.stage1.event_cells import EventCells, raw_text
from recommender.times import in_milliseconds

_REQUIRED = (C.TIMESTAMP, C.VISITOR, C.EVENT, C.ITEM)
_LAKES = ("delta", "iceberg")
_OF_CSV = {"header": True, "column_names": [], "skip_rows": 0}  # parameters that only CSV files have, and defaults
_PATH = re.compile(r"[A-Za-z_]\w*(?:\.\w+)+")  # into an object, in a condition
_CHANGE_OF_TIME = 3 * 3_600_000  # in ms; no summer time is so far from the time of winter
_NOT_OPTIONS = {
    **dict.fromkeys(("ignorecorruptfiles", "ignoremissingfiles"), "a file that cannot be read must not be skipped"),
    **dict.fromkeys(("user", "password"), "the login comes from the environment, see jdbc_login"),
    **dict.fromkeys(("url", "dbtable", "query", "driver", "fetchsize"), "it has a parameter of its own"),
    **dict.fromkeys(("partitioncolumn", "numpartitions"), "see jdbc_partition_column and jdbc_partitions"),
    **dict.fromkeys(("lowerbound", "upperbound"), "see jdbc_lower_bound and jdbc_upper_bound"),
    **dict.fromkeys(("mode", "header", "columnnameofcorruptrecord", "sep", "delimiter"), "the loader sets it"),
}


@step
class DataLoader:
    """Load events from files, tables, queries or a database into one schema, columns found by name.

    Give one source: event_filename, or table, or query; with jdbc_url the table or query is that of a database.

    Init parameters:
        event_filename: file, folder or glob with the events; without it, a table or a query, the job generates sample
            events.
        file_format: csv, json (an object per line), parquet, orc, delta or iceberg (the path of a table), or auto: by
            the end of the name (also compressed), or of those of the files of a folder: csv by .csv, .tsv, .txt, .dat
            or .data, json by .json, .jsonl or .ndjson, orc by .orc, else parquet.
        delimiter: what stands between the cells of a CSV file, one or more characters, \\t for a tab; of a .tsv it is a
            tab, and a first line sep=; says what it is.
        header: whether the first line of a CSV file has the names of its columns.
        column_names: names of the columns of CSV files without a header; none: c1, c2 and so on.
        skip_rows: number of lines that a CSV file has before its header, or before its first row, without blank ones.
        columns: event column -> the log's name for it; a column that is not listed has its own name. A dot leads into
            an object (properties.product_id); [date, time] makes a timestamp of two columns. weight: a number that
            score_events multiplies the weight of the kind with.
        explode: column with an array, of which each element is an event (items, with itemid: items.item_id). A row
            with an empty array makes no event, and is counted.
        constant_event: kind of all events, of a log without a column for it.
        event_map: kind in the log -> kind of event; case and blanks at the ends do not matter. Others stay as they are.
        where: SQL condition on the log's own columns; a row of which it is not true is left out, and counted.
        id_type: type of visitorid and itemid, long (64 bit) or string.
        null_words: text that stands for no id, case ignored.
        timestamp_unit: ms, s, us or ns since 1970 (UTC), or iso: text that is a date, with a time or without, such as
            2015-05-03T03:00:00Z. A column of a timestamp type needs none.
        timestamp_format: Spark's pattern for timestamps that are other text, for example dd.MM.yyyy HH:mm, or whole
            numbers such as 20190131 (yyyyMMdd).
        timezone: of times without a zone, as Europe/Berlin. A time that the change to summer time leaves out is moved
            forward by what is left out; of a time that happens twice the first is taken.
        table: table to read, as catalog.schema.table; what is left out is the session's current one.
        query: query to read, in Spark's SQL, or in the database's with jdbc_url.
        version: version (Delta) or snapshot (Iceberg) of the table; null: the newest when the run begins.
        as_of: time at which the table is read, as its format takes it, for example 2026-01-31 00:00:00.
        since: events from this time on are read; ISO 8601, UTC unless it says otherwise.
        until: events before this time are read.
        partitions: column -> the values of it that are read; of a partitioned source only these parts are opened.
        allow_empty: whether a source without rows is an empty log instead of an error.
        options: further options of Spark's reader, for example {encoding: UTF-16, multiLine: 'true'}.
        jdbc_url: the database, for example jdbc:postgresql://host/shop, without a login.
        jdbc_driver: class of its driver; null: the one that answers to the URL.
        jdbc_login: the environment variables <jdbc_login>_USER and <jdbc_login>_PASSWORD hold the login.
        jdbc_partition_column: number, date or timestamp column by which the rows are read in parts, side by side.
        jdbc_lower_bound: least value of that column; null: found by a query.
        jdbc_upper_bound: greatest value of that column; null: found by a query.
        jdbc_partitions: number of parts, and so of connections at once.
        jdbc_predicates: SQL conditions, a part each, in the place of jdbc_partition_column; together they must take
            every row once.
        jdbc_fetch_size: rows per round trip.
    Execution args:
        version: version of the table to read in the place of the newest; see `newest_version`.
    Execution returns:
        One row per row of the source, order undefined: timestamp long (ms since epoch, UTC), visitorid and itemid as
        `id_type`, event string, transactionid string, and weight double if `columns` names it; what is empty or cannot
        be read is null, transactionid even if the log has no such column. And for the EventValidator: problem string
        (MALFORMED, ENCODING, BAD_ID, BAD_TIMESTAMP, BAD_WEIGHT or null), raw string (the row as it came),
        source_file string. Further columns are dropped. `events` also has rows for what makes no event (HEADER,
        NO_ELEMENT), so that it can be counted, and rewritten boolean where ids come as text.
    Raises:
        InputError: the source is missing, empty or unreadable. SchemaError: a column is missing, ambiguous or of a
        wrong type. TransientError: a database does not answer, or refuses the login.
    Persist strategy: none of its own; the log is the source of truth.
    """

    event_filename: str | None = None
    file_format: Literal["auto", "csv", "json", "parquet", "orc", "delta", "iceberg"] = "auto"
    delimiter: Annotated[str, Field(pattern=r'^(\\t|[^"\\\r\n]{1,10})$')] = ","
    header: bool = True
    column_names: list[ColumnName] = field(default_factory=list)
    skip_rows: Annotated[int, Field(ge=0, le=1000)] = 0
    columns: Mapping[str, ColumnNames] = field(default_factory=dict)
    explode: ColumnName | None = None
    constant_event: Annotated[str, Field(min_length=1)] | None = None
    event_map: Mapping[str, Annotated[str, Field(min_length=1)]] = field(default_factory=dict)
    where: Annotated[str, Field(min_length=1)] | None = None
    id_type: Literal["long", "string"] = "long"
    null_words: list[str] = field(default_factory=lambda: list(C.NULL_WORDS))
    timestamp_unit: Literal["ms", "s", "us", "ns", "iso"] = "ms"
    timestamp_format: Annotated[str, Field(min_length=1)] | None = None
    timezone: str = "UTC"
    table: TableName | None = None
    query: Annotated[str, Field(min_length=1)] | None = None
    version: Annotated[str, Field(pattern=r"^[\w.-]+$")] | Annotated[int, Field(ge=0)] | None = None
    as_of: Annotated[str, Field(pattern=r"^[\w :.+-]+$")] | None = None
    since: str | None = None
    until: str | None = None
    partitions: Mapping[ColumnName, list[str | int]] = field(default_factory=dict)
    allow_empty: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    jdbc_url: Annotated[str, Field(pattern=r"^jdbc:\w+:.+")] | None = None
    jdbc_driver: str | None = None
    jdbc_login: Annotated[str, Field(pattern=r"^\w+$")] = "JDBC"
    jdbc_partition_column: ColumnName | None = None
    jdbc_lower_bound: str | int | None = None
    jdbc_upper_bound: str | int | None = None
    jdbc_partitions: Annotated[int, Field(ge=1, le=1000)] = 8
    jdbc_predicates: list[str] = field(default_factory=list)
    jdbc_fetch_size: Annotated[int, Field(ge=1)] = 10_000

    def __post_init__(self) -> None:
        named = [name for name in ("event_filename", "table", "query") if getattr(self, name)]
        if len(named) > 1:
            raise ValueError(f"give one source: {' and '.join(named)} are given")
        if self.version is not None and self.as_of is not None:
            raise ValueError("give either version or as_of, and set the other to null")
        self._check_travel()
        self._check_jdbc()
        self._check_times()
        self._check_columns()
        self._check_files()

    def _check_columns(self) -> None:
        known = (*C.EVENT_COLUMNS, C.WEIGHT)
        unknown = sorted(set(self.columns) - set(known))
        if unknown:
            raise ValueError(f"columns names {', '.join(unknown)}, but an event has {', '.join(known)}")
        for name, source in self.columns.items():
            if not isinstance(source, str) and (name != C.TIMESTAMP or not source):
                raise ValueError(f"columns.{name} must be one column, got {source}")
        if self._name(C.VISITOR) == self._name(C.ITEM):
            raise ValueError(f"columns has {self._name(C.ITEM)} as visitorid and as itemid: name the column of each")
        if self.constant_event is not None and (C.EVENT in self.columns or self.event_map):
            raise ValueError("constant_event is the kind of every event: leave out columns.event and event_map")
        if len(self._kinds) < len(self.event_map):
            raise ValueError("event_map has a kind twice: case and blanks at the ends do not matter")

    def _check_files(self) -> None:
        given = [name for name, usual in _OF_CSV.items() if getattr(self, name) != usual]
        is_csv = bool(self.event_filename) and self._format() == "csv"
        if given and not is_csv:
            raise ValueError(f"{given[0]} is for CSV files: leave it out, or set file_format to csv")
        if self.column_names and self.header:
            raise ValueError("column_names is for files without a header: set header to false, and skip_rows as needed")
        for option in self.options:
            reason = _NOT_OPTIONS.get(option.lower())
            if reason:
                raise ValueError(f"options.{option} is refused: {reason}")
        unknown = unknown_option(self._format() or "", self.options) if self.event_filename else None
        if unknown:
            raise ValueError(unknown)
        if is_csv and self.skip_rows and self._layout.has_multiline:
            raise ValueError("skip_rows is for files that are read line by line: leave out options.multiLine")

    def _check_times(self) -> None:
        times = {"since": self.since, "until": self.until}
        for name, value in times.items():
            if value is not None and in_milliseconds(value) is None:
                raise ValueError(f"{name} must be a time as 2015-05-03T03:00:00Z, got {value!r}")
        since, until = (None if value is None else in_milliseconds(value) for value in times.values())
        if since is not None and until is not None and since >= until:
            raise ValueError(f"since must be before until, got {self.since} and {self.until}: no event is between them")
        wrong = Clock(self.timestamp_unit, self.timezone).check()
        if wrong:
            raise ValueError(wrong)
        if self.timestamp_format is not None and self.timestamp_unit not in {"ms", "iso"}:
            raise ValueError(f"give either timestamp_format or timestamp_unit {self.timestamp_unit}")
        is_text = self.timestamp_format is not None or self.timestamp_unit == "iso"
        if not isinstance(self.columns.get(C.TIMESTAMP, ""), str) and not is_text:
            raise ValueError(
                "columns.timestamp of several columns is text: give timestamp_format, or timestamp_unit iso"
            )

    def _check_jdbc(self) -> None:
        if self.jdbc_url and self.event_filename:
            raise ValueError("jdbc_url is given with event_filename; a database has a table or a query")
        if self.jdbc_url and not (self.table or self.query):
            raise ValueError("jdbc_url is given without a table or a query of that database; give one")
        if self.jdbc_url and not is_url(self.jdbc_url):
            raise ValueError("jdbc_url must be as jdbc:postgresql://host:5432/shop, with a port of 1 to 65535 or none")
        if self.jdbc_partition_column and self.jdbc_predicates:
            raise ValueError("give either jdbc_partition_column or jdbc_predicates")
        of_database = ("jdbc_partition_column", "jdbc_predicates", "jdbc_lower_bound", "jdbc_upper_bound")
        given = [name for name in of_database if getattr(self, name) not in (None, [])]
        if given and not self.jdbc_url:
            raise ValueError(f"{given[0]} is for a database: give jdbc_url, or leave it out")
        if not self.jdbc_partition_column and {"jdbc_lower_bound", "jdbc_upper_bound"} & {*given}:
            raise ValueError(f"{given[0]} is a bound of jdbc_partition_column: give that, or leave it out")

    def _check_travel(self) -> None:
        if self.version is None and self.as_of is None:
            return
        if self.jdbc_url or self.query or (self.event_filename and self.file_format not in _LAKES):
            raise ValueError("version and as_of are for a table, or a file_format of delta or iceberg")

    @property
    def source(self) -> str | None:
        """The source: a file, folder or glob, the name of a table, or the query; None where none is given."""
        return self.event_filename or self.table or self.query or None

    @property
    def files(self) -> str | None:
        """The file, folder or glob whose names, sizes and times show whether it has changed; None for other sources."""
        return self.event_filename if self.event_filename and self.file_format not in _LAKES else None

    def newest_version(self) -> str | None:
        """Return the version of the source to read, the newest unless one is given; None where it has no versions."""
        if self.version is not None or self.as_of is not None:
            return f"as of {self.as_of}" if self.version is None else str(self.version)
        if self.jdbc_url or not self.source or self.query or self.files:
            return None
        spark = SparkSession.active()
        if self.table:
            return catalog_version(spark, self.table)
        return path_version(spark, self.source, self.file_format)

    def execute(self, version: str | None = None) -> DataFrame:
        events = self.events(self.load(version)).withColumn(C.RAW, raw_text())
        is_row = ~F.coalesce(F.col(C.PROBLEM), F.lit("")).isin(C.HEADER, C.NO_ELEMENT)
        return events.where(is_row).drop(C.REWRITTEN)

    def load(self, version: str | None = None) -> Loaded:
        """Return the rows of the source with its own columns, those filtered out that are not asked for.

        Columns are added for what `columns` finds inside of others.
        """
        if not self.source:
            raise ConfigError(Mistake("CFG_MISSING", "event_filename", "event_filename names no events to load"))
        spark = SparkSession.active()
        try:
            loaded = self._loaded(spark, version)
        except InputError as error:
            if error.id != "INPUT_EMPTY" or not self.allow_empty:
                raise
            return self._nothing(spark)
        self._check_format(spark, loaded)
        loaded = of_partitions(loaded, self.partitions)
        loaded = loaded if self.where is None else where(loaded, self.where)
        if self.explode is not None:
            loaded = exploded(loaded, self.explode)
        # Only then may the source filter by time; Spark 3.5 writes such a filter without quotes for a database.
        is_utc = self.timezone == "UTC" and int(spark.version.split(".")[0]) > 3  # noqa: PLR2004
        loaded = self._with_time(reached(loaded if is_utc else loaded.as_text(), self._wanted()))
        loaded = replace(loaded, rows=self._of_time(loaded.rows, loaded))
        loaded = loaded.as_text() if is_utc else loaded
        if not self.allow_empty and is_empty(loaded, loaded.rows):
            if HEAD in loaded.rows.columns:  # a wrong delimiter or encoding may hide all rows
                _ = [self._source_column(loaded, name) for name in self.event_columns]
            raise InputError("INPUT_EMPTY", f"{loaded.name} has no events{self._asked()}; see data_loader.allow_empty")
        return loaded

    def _check_format(self, spark: SparkSession, loaded: Loaded) -> None:
        wrong = self._clock(loaded).wrong_pattern(spark) if self.timestamp_format is not None else None
        if wrong is not None:
            sentence = f"data_loader.timestamp_format must be a pattern of Spark's, which says: {wrong}"
            raise ConfigError(Mistake("CFG_VALUE", "data_loader.timestamp_format", sentence))

    def _with_time(self, loaded: Loaded) -> Loaded:
        """Return the rows with one column for the time, if there are several."""
        names = self.columns.get(C.TIMESTAMP, C.TIMESTAMP)
        if isinstance(names, str):
            return loaded
        missing = next((name for name in names if name not in loaded.columns), None)
        if missing is not None:
            raise self._missing(missing, loaded, "see data_loader.columns")
        cells = [F.expr(trimmed(name)) for name in names]
        spaced = [part for cell in cells for part in (F.lit(" "), cell)][1:]
        name = self._name(C.TIMESTAMP)
        rows = loaded.rows.withColumn(name, F.concat(*spaced))
        return replace(loaded, rows=rows, columns=[*loaded.columns, name])

    def _asked(self) -> str:
        """Return which of the events are asked for."""
        parts = [f"{name} {' or '.join(map(str, values))}" for name, values in self.partitions.items()]
        times = [f"{name} {value}" for name, value in (("since", self.since), ("until", self.until)) if value]
        asked = [f"partitions {' and '.join(parts)}"] if parts else []
        asked += ["the condition data_loader.where"] if self.where else []
        return f" for {', '.join([*asked, *times])}" if asked or times else ""

    def events(self, loaded: Loaded) -> DataFrame:
        """Return the events that the rows of a source are; raw is a struct, of which `raw_text` makes the text."""
        names = {name: self._source_column(loaded, name) for name in self.event_columns}
        return EventCells(names, self._ids, self._clock(loaded), self._kinds, self.constant_event).of(loaded)

    @property
    def event_columns(self) -> list[str]:
        """The columns of an event; a weight only where the log has one."""
        return [*C.EVENT_COLUMNS, *([C.WEIGHT] if C.WEIGHT in self.columns else [])]

    def merged(self, loaded: Loaded) -> dict[str, int]:
        """Return visitorid, itemid -> number of ids that are several in the log, as zeros before them are lost."""
        texts = []
        for name in (C.VISITOR, C.ITEM):
            source = str(self._source_column(loaded, name))
            found = loaded.rows.schema[source].dataType
            if isinstance(found, T.StringType):
                made, text = self._ids.column(source, found, loaded.name), F.expr(trimmed(source))
                texts.append(loaded.rows.select(F.lit(name).alias("of"), made.alias(C.ID), text.alias("text")))
        ids = reduce(DataFrame.unionByName, texts).where(F.col(C.ID).isNotNull())
        numbers = ids.groupBy("of", C.ID).agg((F.min("text") != F.max("text")).alias("merged"))
        counts = [F.count_if((F.col("of") == name) & F.col("merged")) for name in (C.VISITOR, C.ITEM)]
        return dict(zip((C.VISITOR, C.ITEM), single_row(numbers.agg(*counts)), strict=True))

    def rounded(self, loaded: Loaded) -> int:
        """Return the number of rows with an id that a spreadsheet has shortened, such as 1.2E+11."""
        names = [str(self._source_column(loaded, name)) for name in (C.VISITOR, C.ITEM)]
        texts = [name for name in names if isinstance(loaded.rows.schema[name].dataType, T.StringType)]
        is_rounded = [F.coalesce(F.col(quoted(name)).rlike(ROUNDED), F.lit(False)) for name in texts]
        (number,) = single_row(loaded.rows.agg(F.count_if(reduce(Column.__or__, is_rounded, F.lit(False)))))
        return int(number)

    def unused(self, loaded: Loaded) -> list[str]:
        """Return the columns of the source that are not loaded."""
        used = {self._source_column(loaded, name) for name in self.event_columns} | set(self.partitions)
        used |= {name.split(".", 1)[0] for name in self._wanted()} | set(self._wanted())
        used |= {self.explode} if self.explode else set()
        return [name for name in loaded.columns if name not in used]

    def _loaded(self, spark: SparkSession, version: str | None) -> Loaded:
        version = str(self.version) if self.version is not None else None if self.as_of is not None else version
        if self.jdbc_url:
            return read_database(
                spark, self._database(self.jdbc_url), str(self.source), is_query=self.query is not None
            )
        if self.table:
            return read_catalog(spark, self.table, version, self.as_of)
        if self.query:
            return read_query(spark, self.query)
        path = str(self.event_filename)
        file_format = self._format() or format_within(spark, path)
        unknown = unknown_option(file_format, self.options)
        if unknown:
            raise ConfigError(Mistake("CFG_OPTION", "data_loader.options", f"data_loader.{unknown}"))
        if file_format in _LAKES:
            return read_lake(spark, path, file_format, version, self.as_of, self.options)
        wanted = self._wanted()
        optional = [C.TRANSACTION] if C.TRANSACTION not in self.columns else []
        if file_format == "json" and self.where:
            inside = [name for name in _PATH.findall(self.where) if name not in wanted]
            wanted, optional = [*wanted, *inside], [*optional, *inside]
        has_where = self.where is not None
        found = read_files(
            spark, path, file_format, wanted, self._layout, optional, array=self.explode, whole=has_where
        )
        warnings = shortened(found, [self._name(C.VISITOR), self._name(C.ITEM)])
        return replace(found, warnings=[*found.warnings, *warnings])

    def _wanted(self) -> list[str]:
        names: list[str] = []
        for name in self.event_columns:
            source = self.columns.get(name, name)
            if name != C.EVENT or self.constant_event is None:
                names += [source] if isinstance(source, str) else source
        return list(dict.fromkeys([*names, *self.partitions]))

    def _name(self, name: str) -> str:
        """Return the log's name for a column of an event."""
        source = self.columns.get(name, name)
        return source if isinstance(source, str) else " + ".join(source)

    def _nothing(self, spark: SparkSession) -> Loaded:
        names = [*map(self._name, self.event_columns), *self.partitions]
        schema = ", ".join(f"{quoted(name)} string" for name in dict.fromkeys([*names, MALFORMED, FILE]))
        return Loaded(spark.createDataFrame([], schema), list(dict.fromkeys(names)), str(self.event_filename))

    @property
    def _layout(self) -> Layout:
        return Layout(self.delimiter, self.header, tuple(self.column_names), self.skip_rows, self.options)

    @property
    def _ids(self) -> Ids:
        return Ids("bigint" if self.id_type == "long" else "string", self.null_words)

    @property
    def _kinds(self) -> dict[str, str]:
        return {kind.strip().lower(): other for kind, other in self.event_map.items()}

    def _clock(self, loaded: Loaded) -> Clock:
        if self._name(C.TIMESTAMP) in loaded.texts:
            return Clock("iso", self.timezone)
        return Clock(self.timestamp_unit, self.timezone, self.timestamp_format, loaded.nanoseconds)

    def _format(self) -> str | None:
        """Return the format of the files, as far as it is known without looking at them."""
        return format_of(str(self.event_filename)) if self.file_format == "auto" else self.file_format

    def _database(self, url: str) -> Database:
        low, high = (None if bound is None else str(bound) for bound in (self.jdbc_lower_bound, self.jdbc_upper_bound))
        return Database(
            url=url,
            driver=self.jdbc_driver,
            login=self.jdbc_login,
            partition_column=self.jdbc_partition_column,
            bounds=(low, high),
            partitions=self.jdbc_partitions,
            predicates=self.jdbc_predicates,
            fetch_size=self.jdbc_fetch_size,
            options=self.options,
        )

    def _of_time(self, rows: DataFrame, loaded: Loaded) -> DataFrame:
        """Keep the events of the wanted time, and those without a time: they are for the quarantine."""
        if self.since is None and self.until is None:
            return rows
        source = str(self._source_column(loaded, C.TIMESTAMP))
        found = loaded.rows.schema[source].dataType
        clock = self._clock(loaded)
        column, bound = clock.bounded(source, found, loaded.name)
        if self.jdbc_url and isinstance(found, T.TimestampType):
            # A driver writes a bound as local time, of which an hour happens twice when summer time ends.
            rows = rows.where(self._is_wanted(column, bound, more=_CHANGE_OF_TIME) | column.isNull())
            column, bound = clock.milliseconds(source, found, loaded.name), F.lit
        return rows.where(self._is_wanted(column, bound) | column.isNull())

    def _is_wanted(self, column: Column, bound: Callable[[int], Column], more: int = 0) -> Column:
        """Return whether a time lies between since and until, or up to so many ms besides."""
        wanted = F.lit(True)
        if self.since is not None:
            wanted &= column >= bound((in_milliseconds(self.since) or 0) - more)
        if self.until is not None:
            wanted &= column < bound((in_milliseconds(self.until) or 0) + more)
        return wanted

    def _source_column(self, loaded: Loaded, name: str) -> str | None:
        """Return the log's column of the mapped name; None for a column that the log may lack."""
        source = self._name(name)
        if name == C.EVENT and self.constant_event is not None:
            return None
        if source in loaded.columns:
            return source
        if name not in _REQUIRED and name not in self.columns:
            return None
        raise self._missing(source, loaded, "map other names with data_loader.columns")

    def _missing(self, source: str, loaded: Loaded, hint: str) -> SchemaError:
        names = loaded.columns
        is_one = HEAD in loaded.rows.columns and len(names) == 1
        fault = ""
        if is_one and self._layout.encoding.is_wide:
            fault, hint = "is not a header in the encoding that is set", "see data_loader.options (encoding)"
        elif HEAD in loaded.rows.columns and has_values(names, self._wanted()):  # a row, which must not be shown
            hint = "see data_loader.file_format" if names[0][:1] in "{[" else "see data_loader.header and delimiter"
            fault = "has values, and no names of columns"
        elif is_one:
            hint = "see data_loader.delimiter"
        if fault:
            return SchemaError("SCHEMA_MISSING", f"{source}; the first line of {loaded.name} {fault}", hint)
        return SchemaError("SCHEMA_MISSING", f"{source}; found [{shown(loaded.columns)}] in {loaded.name}; {hint}")
