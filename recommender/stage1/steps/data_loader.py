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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import or_
from typing import Literal

from pyspark.sql import Column, DataFrame, SparkSession, functions as F, types as T

import recommender.constants as C
from recommender.base import Annotated, ColumnName, Field, TableName, field, step
from recommender.errors import ConfigError, InputError, Mistake, SchemaError
from recommender.sources import (
    FILE,
    MALFORMED,
    Database,
    Loaded,
    catalog_version,
    format_of,
    path_version,
    quoted,
    read_catalog,
    read_database,
    read_files,
    read_lake,
    read_query,
    shown,
    trimmed,
)
from recommender.times import in_milliseconds

_MAX_PORT = 65_535
_REQUIRED = (C.TIMESTAMP, C.VISITOR, C.EVENT, C.ITEM)
_LAKES = ("delta", "iceberg")
_MS_PER_UNIT = {"ms": 1, "s": 1000, "day": 86_400_000}
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
            .csv, .json, .ndjson or .orc at the end of the name (also compressed), else parquet.
        delimiter: the character between the cells of a CSV file.
        columns: event column -> the log's name for it; a column that is not listed has its own name.
        id_type: type of visitorid and itemid, long (64 bit) or string.
        timestamp_unit: ms, s or us since 1970 (UTC), or iso: text such as 2015-05-03T03:00:00Z. A column of a timestamp
            type needs none.
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
        `id_type`, event string, transactionid string; what is empty or cannot be read is null, transactionid also where
        the log has no such column. And for the EventValidator: problem string (MALFORMED, ENCODING or null), raw string
        (the row as it came), source_file string. Further columns are dropped.
    Raises:
        InputError: the source is missing, empty or unreadable. SchemaError: a column is missing, ambiguous or of a
        wrong type. TransientError: a database does not answer, or refuses the login.
    Persist strategy: none of its own; the log is the source of truth.
    """

    event_filename: str | None = None
    file_format: Literal["auto", "csv", "json", "parquet", "orc", "delta", "iceberg"] = "auto"
    delimiter: Annotated[str, Field(pattern=r'^[^"\\\r\n]$')] = ","
    columns: Mapping[str, ColumnName] = field(default_factory=dict)
    id_type: Literal["long", "string"] = "long"
    timestamp_unit: Literal["ms", "s", "us", "iso"] = "ms"
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
        unknown = sorted(set(self.columns) - set(C.EVENT_COLUMNS))
        if unknown:
            raise ValueError(f"columns names {', '.join(unknown)}, but an event has {', '.join(C.EVENT_COLUMNS)}")
        named = [name for name in ("event_filename", "table", "query") if getattr(self, name)]
        if len(named) > 1:
            raise ValueError(f"give one source: {' and '.join(named)} are given")
        if self.version is not None and self.as_of is not None:
            raise ValueError("give either version or as_of, and set the other to null")
        self._check_travel()
        self._check_jdbc()
        self._check_times()
        for option in self.options:
            reason = _NOT_OPTIONS.get(option.lower())
            if reason:
                raise ValueError(f"options.{option} is refused: {reason}")

    def _check_times(self) -> None:
        times = {"since": self.since, "until": self.until}
        for name, value in times.items():
            if value is not None and in_milliseconds(value) is None:
                raise ValueError(f"{name} must be a time as 2015-05-03T03:00:00Z, got {value!r}")
        since, until = (None if value is None else in_milliseconds(value) for value in times.values())
        if since is not None and until is not None and since >= until:
            raise ValueError(f"since must be before until, got {self.since} and {self.until}: no event is between them")

    def _check_jdbc(self) -> None:
        if self.jdbc_url and self.event_filename:
            raise ValueError("jdbc_url is given with event_filename; a database has a table or a query")
        if self.jdbc_url and not (self.table or self.query):
            raise ValueError("jdbc_url is given without a table or a query of that database; give one")
        if self.jdbc_url and not _is_url(self.jdbc_url):
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
        """What is read: a file, folder or glob, the name of a table, or the query; None where none is given."""
        return self.event_filename or self.table or self.query or None

    @property
    def files(self) -> str | None:
        """The file, folder or glob whose names, sizes and times tell whether it has changed; None for other sources."""
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
        """Return the events; see the class."""
        return self.events(self.load(version)).withColumn(C.RAW, raw_text())

    def load(self, version: str | None = None) -> Loaded:
        """Return the rows of the source with its own columns, those filtered out that are not asked for."""
        if not self.source:
            raise ConfigError(Mistake("CFG_MISSING", "event_filename", "event_filename names no events to load"))
        loaded = self._loaded(SparkSession.active(), version)
        rows = self._of_time(self._of_partitions(loaded), loaded)
        if not self.allow_empty and _is_empty(loaded, rows):
            raise InputError("INPUT_EMPTY", f"{loaded.name} has no events{self._asked()}; see data_loader.allow_empty")
        return replace(loaded, rows=rows)

    def _asked(self) -> str:
        """Return which of the events are asked for."""
        parts = [f"{name} {' or '.join(map(str, values))}" for name, values in self.partitions.items()]
        times = [f"{name} {value}" for name, value in (("since", self.since), ("until", self.until)) if value]
        asked = [f"partitions {' and '.join(parts)}"] if parts else []
        return f" for {', '.join([*asked, *times])}" if asked or times else ""

    def events(self, loaded: Loaded) -> DataFrame:
        """Return the events that the rows of a source are; raw is a struct, of which `raw_text` makes the text."""
        sources = {name: self._source_column(loaded, name) for name in C.EVENT_COLUMNS}
        rows = loaded.rows
        columns = {name: self._column(rows, name, source, loaded.name) for name, source in sources.items()}
        texts = [
            F.col(quoted(source))
            for source in sources.values()
            if source is not None and isinstance(rows.schema[source].dataType, T.StringType)
        ]
        damaged = reduce(or_, (text.contains("\x00") | text.contains("\ufffd") for text in texts), F.lit(False))
        problem = F.when(F.col(MALFORMED).isNotNull(), "MALFORMED").when(damaged, "ENCODING")
        cells = F.struct(*(F.col(quoted(source)) for source in sources.values() if source is not None))
        return rows.select(
            *(column.alias(name) for name, column in columns.items()),
            problem.alias(C.PROBLEM),
            F.struct(F.col(MALFORMED).alias("text"), cells.alias("cells")).alias(C.RAW),
            F.col(FILE).alias(C.SOURCE_FILE),
        )

    def unused(self, loaded: Loaded) -> list[str]:
        """Return the columns of the source that are not loaded."""
        used = {self._source_column(loaded, name) for name in C.EVENT_COLUMNS} | set(self.partitions)
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
        path, file_format = str(self.event_filename), self._format()
        if file_format in _LAKES:
            return read_lake(spark, path, file_format, version, self.as_of, self.options)
        wanted = list(dict.fromkeys([*(self.columns.get(name, name) for name in C.EVENT_COLUMNS), *self.partitions]))
        optional = [name for name in C.EVENT_COLUMNS if name not in {*_REQUIRED, *self.columns}]
        return self._empty_or(
            lambda: read_files(spark, path, file_format, wanted, self.delimiter, self.options, optional)
        )

    def _empty_or(self, read: Callable[[], Loaded]) -> Loaded:
        try:
            return read()
        except InputError as error:
            if error.id != "INPUT_EMPTY" or not self.allow_empty:
                raise
        names = [*(self.columns.get(name, name) for name in C.EVENT_COLUMNS), *self.partitions]
        schema = ", ".join(f"{quoted(name)} string" for name in dict.fromkeys([*names, MALFORMED, FILE]))
        rows = SparkSession.active().createDataFrame([], schema)
        return Loaded(rows, list(dict.fromkeys(names)), str(self.event_filename))

    def _format(self) -> str:
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

    def _of_partitions(self, loaded: Loaded) -> DataFrame:
        rows = loaded.rows
        for name, values in self.partitions.items():
            if name not in loaded.columns:
                raise self._missing(name, loaded, "see data_loader.partitions")
            kind = rows.schema[name].dataType
            _check_values(name, values, kind)
            # Values of the column's own type, so that a source can leave out what is not asked for.
            rows = rows.where(F.col(quoted(name)).isin([F.lit(str(value)).cast(kind) for value in values]))
        return rows

    def _of_time(self, rows: DataFrame, loaded: Loaded) -> DataFrame:
        """Keep the events of the wanted time, and those without a time: they are for the quarantine."""
        if self.since is None and self.until is None:
            return rows
        column, bound = self._time_and_bound(loaded)
        wanted = F.lit(True)
        if self.since is not None:
            wanted &= column >= bound(in_milliseconds(self.since) or 0)
        if self.until is not None:
            wanted &= column < bound(in_milliseconds(self.until) or 0)
        return rows.where(wanted | column.isNull())

    def _time_and_bound(self, loaded: Loaded) -> tuple[Column, Callable[[int], Column]]:
        """Return the time of the events, as the source has it where that can be, and what makes a time of its kind."""
        source = str(self._source_column(loaded, C.TIMESTAMP))
        found, unit = loaded.rows.schema[source].dataType, self.timestamp_unit
        column = F.col(quoted(source))
        if isinstance(found, T.IntegralType) and unit != "iso":
            return column, lambda time: F.lit(_in_unit(time, unit))
        if isinstance(found, T.DateType):
            return column, lambda time: F.expr(f"date_from_unix_date({_in_unit(time, 'day')})")
        if isinstance(found, T.TimestampType | T.TimestampNTZType):
            return column, lambda time: F.expr(f"timestamp_millis({time})").cast(found)
        return self._converted(source, found, "bigint", loaded.name), F.lit

    def _source_column(self, loaded: Loaded, name: str) -> str | None:
        """Return the log's column of the mapped name; None for a column that the log may lack."""
        source = self.columns.get(name, name)
        if source in loaded.columns:
            return source
        if name not in _REQUIRED and name not in self.columns:
            return None
        raise self._missing(source, loaded, "map other names with data_loader.columns")

    def _missing(self, source: str, loaded: Loaded, hint: str) -> SchemaError:
        return SchemaError("SCHEMA_MISSING", f"{source}; found [{shown(loaded.columns)}] in {loaded.name}; {hint}")

    def _column(self, rows: DataFrame, name: str, source: str | None, place: str) -> Column:
        """Return one of our columns, made from the log's column."""
        if source is None:
            return F.lit(None).cast("string")
        wanted = {C.TIMESTAMP: "bigint", C.VISITOR: self._id_type, C.ITEM: self._id_type}.get(name, "string")
        found = rows.schema[source].dataType
        if name == C.TIMESTAMP:
            return self._converted(source, found, wanted, place)
        return self._plain(source, found, wanted, place)

    @property
    def _id_type(self) -> str:
        return "bigint" if self.id_type == "long" else "string"

    def _converted(self, source: str, found: T.DataType, wanted: str, place: str) -> Column:
        """Return a time in milliseconds."""
        name = quoted(source)
        if isinstance(found, T.TimestampType | T.TimestampNTZType | T.DateType):
            return F.expr(f"unix_millis(cast({name} as timestamp))")
        if self.timestamp_unit == "iso" and isinstance(found, T.StringType):
            return F.expr(f"unix_millis(try_cast(trim({name}) as timestamp))")
        number = self._plain(source, found, wanted, place)
        if self.timestamp_unit == "s":
            return F.when(number.between(-(2**53), 2**53), number * 1000)
        return F.floor(number / 1000).cast("bigint") if self.timestamp_unit == "us" else number

    def _plain(self, source: str, found: T.DataType, wanted: str, place: str) -> Column:
        name = quoted(source)
        if isinstance(found, T.StringType):
            text = trimmed(source) if wanted == "string" else f"trim({name})"  # a cast to a number trims all blanks
            return F.expr(f"try_cast(nullif({text}, '') as {wanted})")
        if isinstance(found, T.DecimalType):  # such as a database's NUMERIC, which has 18 places after the point
            return F.when(F.col(name) == F.floor(name), F.expr(f"try_cast(floor({name}) as {wanted})"))
        if isinstance(found, T.IntegralType) or wanted == "string":
            return F.col(name).cast(wanted)
        raise SchemaError("SCHEMA_TYPE", f"{source} expected {wanted} found {found.simpleString()}, file {place}")


def raw_text() -> Column:
    """Return the row as it came, of the raw of `DataLoader.events`: made of a bad event alone, as it takes a while."""
    return F.coalesce(F.col(f"{C.RAW}.text"), F.to_json(f"{C.RAW}.cells"))


def _in_unit(milliseconds: int, unit: str) -> int:
    """Return the first number of a unit that is not before a time.

    >>> _in_unit(1001, "day"), _in_unit(1001, "s"), _in_unit(1001, "ms"), _in_unit(1001, "us")
    (1, 2, 1001, 1001000)
    """
    return milliseconds * 1000 if unit == "us" else -(-milliseconds // _MS_PER_UNIT[unit])


def _is_url(url: str) -> bool:
    """Return whether a URL of JDBC has a host, and a port that can be one, as far as its kind is known.

    >>> urls = "jdbc:postgresql://db:5432/shop", "jdbc:postgresql://db:x/shop", "jdbc:mysql:/db/shop"
    >>> [_is_url(url) for url in urls]
    [True, False, False]
    """
    if re.match(r"jdbc:(?:postgresql|mysql|mariadb|sqlserver):(?!//).*/", url):
        return False
    port = re.match(r"jdbc:\w+://[\w.-]+:([^/?;,]*)", url)
    return port is None or (port[1].isdecimal() and 1 <= int(port[1]) <= _MAX_PORT)


def _is_empty(loaded: Loaded, rows: DataFrame) -> bool:
    """Return whether there are no rows; it is the first that is read of a source, and may fail."""
    try:
        with loaded.told():
            return not loaded.columns or rows.isEmpty()
    except InputError:
        raise
    except Exception as error:
        ours = loaded.mistake(error)
        if ours is None:
            raise
        raise ours from None  # Spark's own text may show what is in a URL


def _check_values(name: str, values: Sequence[str | int], kind: T.DataType) -> None:
    """Refuse values that a column of a type cannot have."""
    texts = SparkSession.active().range(1).select(*(F.lit(str(value)).alias(f"v{n}") for n, value in enumerate(values)))
    casts = [F.expr(f"try_cast(v{n} AS {kind.simpleString()})") for n in range(len(values))]
    found = texts.select(*casts).first() or ()
    for value, cast in zip(values, found, strict=True):
        if cast is None:
            sentence = f"{name} expected {kind.simpleString()}, got {value!r}; see data_loader.partitions"
            raise SchemaError("SCHEMA_TYPE", sentence)
