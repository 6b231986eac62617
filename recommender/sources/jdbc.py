"""Read events from a database over JDBC: in parts side by side, with a login from the environment.

Names are quoted as the database quotes them, and never pasted. A database that does not answer is tried again, one that
refuses the login is not: three wrong passwords may lock an account.

Example usage:
>>> Database("jdbc:postgresql://db:5432/shop").host
'db:5432'
>>> Database("jdbc:postgresql://db/shop").quoted('public.Events 2015')
'"public"."Events 2015"'
>>> Database("jdbc:mysql://db/shop").quoted("events")
'`events`'
"""

import itertools
import math
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from decimal import Decimal

from pyspark.sql import DataFrame, SparkSession, types as T

from recommender.errors import ConfigError, InputError, Mistake, RecommenderError, SchemaError, TransientError
from recommender.settings.redaction import remember
from recommender.sources.loaded import Loaded, loaded, shown
from recommender.sources.options import wrong_option
from recommender.spark.errors import explained
from recommender.times import in_milliseconds

WAITS = (1.0, 4.0, 15.0)  # seconds before the 2nd, 3rd and 4th try to reach a database

_MAX_PORT = 65_535
_BACKTICKS = ("`", "`")
_QUOTES = {**dict.fromkeys(("mysql", "mariadb", "databricks", "hive2"), _BACKTICKS), "sqlserver": ("[", "]")}
# Java looks for the driver of a URL where --jars does not put it; by its name it is found. database -> class.
_DRIVERS = {
    "postgresql": "org.postgresql.Driver",
    "mysql": "com.mysql.cj.jdbc.Driver",
    "mariadb": "org.mariadb.jdbc.Driver",
    "sqlserver": "com.microsoft.sqlserver.jdbc.SQLServerDriver",
    "oracle": "oracle.jdbc.OracleDriver",
    "db2": "com.ibm.db2.jcc.DB2Driver",
    "snowflake": "net.snowflake.client.jdbc.SnowflakeDriver",
    "redshift": "com.amazon.redshift.jdbc.Driver",
    "sqlite": "org.sqlite.JDBC",
    "duckdb": "org.duckdb.DuckDBDriver",
    "h2": "org.h2.Driver",
}
# What an error of a driver's holds, and what it means; of several the first.
_MISTAKES: Sequence[tuple[re.Pattern[str], type[RecommenderError], str, str]] = (
    (
        re.compile(r"No suitable driver|ClassNotFoundException|Did not find registered driver"),
        InputError,
        "SOURCE_DRIVER",
        "{place}: this Spark has no driver for it; give spark-submit its --jars, see data_loader.jdbc_driver",
    ),
    (
        re.compile(
            r"authentication failed|no password was provided|Access denied for user|Login failed for user|ORA-01017"
            r"|Invalid authorization|role \"[^\"]*\" does not exist|Incorrect username or password"
        ),
        TransientError,
        "SOURCE_REFUSED",
        "{host} refuses the login; see the environment variables {login}_USER and {login}_PASSWORD",
    ),
    (
        re.compile(
            r"Connection (?:to \S+ )?refused|connection attempt failed|Communications link failure|UnknownHost"
            r"|TCP/IP connection to the host|timed out|is starting up|is shutting down|I/O error|terminating connection"
            r"|connection has been closed|too many clients|Network Adapter could not"
        ),
        TransientError,
        "SOURCE_DOWN",
        "{host} does not answer after {tries} retries; start it again to go on",
    ),
    (
        re.compile(r"relation \"[^\"]*\" does not exist|Table '[^']*' doesn't exist|Invalid object name|ORA-00942"),
        InputError,
        "INPUT_NOT_FOUND",
        "{place} does not exist; see data_loader.table",
    ),
    (
        re.compile(r"NUMERIC_VALUE_OUT_OF_RANGE|DECIMAL_PRECISION_EXCEEDS|cannot be represented as Decimal"),
        SchemaError,
        "SCHEMA_TYPE",
        "{place} has a number with more digits than Spark reads; cast it to text in data_loader.query",
    ),
    (
        re.compile(r"COLUMN_ALREADY_EXISTS"),
        SchemaError,
        "SCHEMA_AMBIGUOUS",
        "two columns of {place} have the same name, case ignored; name the columns in data_loader.query",
    ),
    (
        re.compile(r"ArithmeticException: long overflow"),
        SchemaError,
        "SCHEMA_TYPE",
        "{place} has a time that Spark cannot hold, such as infinity; see data_loader.jdbc_upper_bound",
    ),
    (
        re.compile(r"(?:SQL\w*|PSQL)Exception: (?P<said>.*)"),
        InputError,
        "SOURCE_QUERY",
        "{place} cannot be read: {said}",
    ),
)


@dataclass(frozen=True)
class Database:
    """How a database is read."""

    url: str  # of JDBC, without a login
    # class of the driver; None: that of a known database, else the one that answers to the URL
    driver: str | None = None
    login: str = "JDBC"  # the environment variables <login>_USER and <login>_PASSWORD hold the login
    partition_column: str | None = None  # column by whose value the rows are cut into parts
    bounds: tuple[str | None, str | None] = (None, None)  # least and greatest value of it; None is found by a query
    partitions: int = 8  # number of parts, and so of connections at once
    predicates: Sequence[str] = ()  # SQL conditions that cut the rows into parts instead
    fetch_size: int = 10_000  # rows per round trip
    options: Mapping[str, str] = field(default_factory=dict)  # further options of Spark's reader

    @property
    def host(self) -> str:
        """Host and port, for people."""
        found = re.search(r"//(?:[^/?;@]*@)?([^/?;]+)", self.url)
        return found[1] if found else self.kind

    @property
    def kind(self) -> str:
        """The word of the URL for the kind of database, postgresql for example."""
        return self.url.split(":")[1]

    def quoted(self, name: str) -> str:
        """Return a name, its parts separated by dots, as this database quotes it."""
        return ".".join(map(self.quoted_column, name.split(".")))

    def quoted_column(self, name: str) -> str:
        """Return the name of a column, in which a dot is a character as any other, as this database quotes it."""
        left, right = _QUOTES.get(self.kind, ('"', '"'))
        return f"{left}{name.replace(right, right * 2)}{right}"

    def connection(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the options that every connection has; the login comes from the environment."""
        login = {key: environ.get(f"{self.login}_{key.upper()}") for key in ("user", "password")}
        remember(login["password"] or "")
        given = {**login, "driver": self.driver or _DRIVERS.get(self.kind), "fetchsize": str(self.fetch_size)}
        # A timestamp without a zone is not one of the zone of this machine.
        return {
            "preferTimestampNTZ": "true",
            **self.options,
            **{key: value for key, value in given.items() if value is not None},
        }


def driver_class(url: str) -> str | None:
    """Return the class of the driver that is taken for a URL of JDBC, None if that is left to Java.

    >>> driver_class("jdbc:mysql://db/shop")
    'com.mysql.cj.jdbc.Driver'
    """
    return _DRIVERS.get(Database(url).kind)


def read_database(
    spark: SparkSession,
    database: Database,
    source: str,
    is_query: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> Loaded:
    """Read a table, or a query in the database's own SQL.

    The parts are read by queries of their own: what is changed meanwhile may be seen by some of them only.

    Args:
        source: name of a table, quoted here, or a query.
        environ: where the login comes from.

    Raises:
        TransientError: the database does not answer after three more tries (SOURCE_DOWN), or refuses the login
            (SOURCE_REFUSED). InputError: the table or the driver does not exist, or the query is wrong.
    """
    place = f"{'the query' if is_query else source} at {database.host}"

    def mistake(error: Exception) -> RecommenderError | None:
        return _mistake(error, database, place)

    for wait in (*WAITS, None):
        try:
            return replace(_read(spark, database, source, is_query, place, environ), mistake=mistake)
        except Exception as error:
            ours = mistake(error)
            if ours is None:
                raise
            if ours.id != "SOURCE_DOWN" or wait is None:
                raise ours from None  # Spark's own text may show what is in the URL
            time.sleep(wait)
    raise AssertionError


def is_url(url: str) -> bool:
    """Return whether a URL of JDBC has a host, and a port that can be one, as far as its kind is known.

    >>> urls = "jdbc:postgresql://db:5432/shop", "jdbc:postgresql://db:x/shop", "jdbc:mysql:/db/shop"
    >>> [is_url(url) for url in urls]
    [True, False, False]
    """
    if re.match(r"jdbc:(?:postgresql|mysql|mariadb|sqlserver):(?!//).*/", url):
        return False
    port = re.match(r"jdbc:\w+://[\w.-]+:([^/?;,]*)", url)
    return port is None or (port[1].isdecimal() and 1 <= int(port[1]) <= _MAX_PORT)


def _read(
    spark: SparkSession, database: Database, source: str, is_query: bool, place: str, environ: Mapping[str, str]
) -> Loaded:
    connection = database.connection(environ)
    # A query may end in a comment, which ends with its line.
    inside = source.strip().rstrip("; \t\r\n")
    table = f"({inside}\n) recommender_source" if is_query else database.quoted(source)
    reader = spark.read.format("jdbc").options(**connection).option("url", database.url)
    texts = _texts(reader.option("dbtable", table).load()) if database.kind == "postgresql" else {}
    if texts:
        more = ", ".join(f"{database.quoted_column(name)}::text AS {text}" for name, text in texts.items())
        table = f"(SELECT *, {more} FROM {table}) recommender_source"  # noqa: S608 - quoted
    rows, predicates = reader.option("dbtable", table).load(), list(database.predicates)
    if database.partition_column is not None:
        column = _found(rows, database.partition_column, place)
        kind = rows.schema[column].dataType
        bounds = _bounds(reader, database, table, column, kind)
        if bounds is not None and isinstance(kind, T.TimestampNTZType):  # which Spark 3.5 cannot cut by
            predicates = _cut(database.quoted_column(column), bounds, database.partitions)
        elif bounds is not None:
            parted = {"partitionColumn": column, "lowerBound": bounds[0], "upperBound": bounds[1]}
            reader = reader.options(**parted, numPartitions=str(database.partitions))
            rows = reader.option("dbtable", table).load()
    if predicates:
        rows = spark.read.jdbc(database.url, table, predicates=predicates, properties=connection)
    found = loaded(rows, place)
    return replace(found, columns=[name for name in found.columns if name not in texts.values()], texts=texts)


def _texts(rows: DataFrame) -> dict[str, str]:
    """Return columns with times without a zone, each with a name for its text.

    The driver reads such a time in this machine's zone, and moves one that the zone's change to summer time leaves out.
    """
    local = [column.name for column in rows.schema if isinstance(column.dataType, T.TimestampNTZType)]
    return {name: f"__text{place}" for place, name in enumerate(local)}


def _cut(column: str, bounds: tuple[str, str], parts: int) -> list[str]:
    """Return conditions that cut the rows into parts of equal length in time; a row without a time is in the first."""
    low, high = (in_milliseconds(bound) or 0 for bound in bounds)
    places = sorted({low + (high - low) * part // parts for part in range(1, parts)})
    times = [datetime.fromtimestamp(place / 1000, tz=timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f") for place in places]
    if not times:
        return []
    between = [f"{column} >= '{since}' AND {column} < '{until}'" for since, until in itertools.pairwise(times)]
    return [f"{column} < '{times[0]}' OR {column} IS NULL", *between, f"{column} >= '{times[-1]}'"]


def _bounds(reader: object, database: Database, table: str, column: str, kind: T.DataType) -> tuple[str, str] | None:
    """Return the least and the greatest value of the column that cuts the rows, as far as they are not given."""
    if not isinstance(kind, T.NumericType | T.DateType | T.TimestampType | T.TimestampNTZType):
        expected = f"{column} expected a number, date or timestamp found {kind.simpleString()}"
        raise SchemaError("SCHEMA_TYPE", f"{expected}; see data_loader.jdbc_partition_column")
    is_number = isinstance(kind, T.NumericType)
    given = tuple(
        None if bound is None else _given(bound, name, is_number)
        for name, bound in zip(("jdbc_lower_bound", "jdbc_upper_bound"), database.bounds, strict=True)
    )
    found = given if None not in given else _found_bounds(reader, database, table, column)
    if found is None:
        return None
    low, high = (str(there if bound is None else bound) for bound, there in zip(given, found, strict=True))
    if _order(low, is_number) <= _order(high, is_number):
        return low, high
    if None in given:  # all rows are beyond the bound that is given, and in one part
        return (low, low) if given[0] is not None else (high, high)
    sentence = f"data_loader.jdbc_lower_bound must not be above jdbc_upper_bound, got {low} and {high}"
    raise ConfigError(Mistake("CFG_RANGE", "data_loader.jdbc_lower_bound", sentence))


def _found_bounds(reader: object, database: Database, table: str, column: str) -> tuple[object, object] | None:
    """Return the least and the greatest value of a column as Spark takes bounds: numbers are whole."""
    name = database.quoted_column(column)
    query = f"(SELECT MIN({name}) AS low, MAX({name}) AS high FROM {table}) recommender_bounds"  # noqa: S608 - quoted
    row = reader.option("dbtable", query).load().first()  # type: ignore[attr-defined]
    low, high = (None, None) if row is None else row
    if low is None or high is None or not _is_finite(low) or not _is_finite(high):
        return None
    return (math.floor(low), math.ceil(high)) if isinstance(low, int | float | Decimal) else (low, high)


def _order(bound: str, is_number: bool) -> int:
    return int(bound) if is_number else in_milliseconds(bound) or 0


def _is_finite(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _given(bound: str, name: str, is_number: bool) -> str:
    """Return a bound that is given, if it is a value of the column."""
    if is_number and re.fullmatch(r"[+-]?\d{1,18}", bound):
        return bound
    if not is_number and in_milliseconds(bound) is not None:
        return bound
    expected = "a whole number" if is_number else "a time as 2015-05-03 03:00:00"
    sentence = f"data_loader.{name} must be {expected}, as jdbc_partition_column is, got {bound!r}"
    raise ConfigError(Mistake("CFG_TYPE", f"data_loader.{name}", sentence))


def _found(rows: DataFrame, column: str, place: str) -> str:
    if column not in rows.columns:
        sentence = f"{column}; found [{shown(rows.columns)}] in {place}; see data_loader.jdbc_partition_column"
        raise SchemaError("SCHEMA_MISSING", sentence)
    return column


def _mistake(error: Exception, database: Database, place: str) -> RecommenderError | None:
    if isinstance(error, RecommenderError):
        return error
    text = _chain(error)
    for pattern, made, id_, sentence in _MISTAKES:
        found = pattern.search(text)
        if found:
            said = re.sub(r': "[^"]*"$', "", found["said"].strip())[:200] if "said" in found.groupdict() else ""
            facts = {"place": place, "host": database.host, "login": database.login, "tries": len(WAITS), "said": said}
            return made(id_, sentence.format(**facts))
    return wrong_option(error, database.options) or explained(error)


def _chain(error: BaseException) -> str:
    """Return the text of an error and of its causes: Spark's own leaves out the text of the driver."""
    trace = str(getattr(error, "_stackTrace", ""))
    return "\n".join([str(error), *(line for line in trace.split("\n") if line.startswith("Caused by: "))])
