"""Read events from tables and queries of the catalog, and from Delta and Iceberg tables, also as they were earlier.

Which version of a table was read is asked for before it is read, and then read by that version, so that the record of a
run names what it was made from. A format without versions has none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pyspark.sql import SparkSession

from recommender.errors import InputError
from recommender.sources.loaded import Loaded, in_sql, loaded, quoted
from recommender.spark.errors import explained

# What an error of Spark's holds, and what it says about the table: the id, the fault, and the advice.
_MISTAKES = (
    (
        ("DATA_SOURCE_NOT_FOUND", "Failed to find the data source"),
        "SOURCE_FORMAT",
        "this Spark cannot read the format of {name}: give its library to spark-submit with --packages",
        "",
    ),
    (
        ("TABLE_OR_VIEW_NOT_FOUND", "PATH_NOT_FOUND", "SCHEMA_NOT_FOUND"),
        "INPUT_NOT_FOUND",
        "{name} does not exist: {first}",
        "see {key}",
    ),
    (
        ("REQUIRES_SINGLE_PART_NAMESPACE", "CATALOG_NOT_FOUND"),
        "INPUT_NOT_FOUND",
        "{name} does not exist: there is no such catalog",
        "see {key}",
    ),
    (
        ("TIME_TRAVEL", "time travel", "Time travel"),
        "NO_TIME_TRAVEL",
        "{name} has no versions",
        "leave out data_loader.version and as_of",
    ),
)
# The options of a reader of a path; a table of the catalog takes SQL instead.
_TRAVEL = {"delta": ("versionAsOf", "timestampAsOf"), "iceberg": ("snapshot-id", "as-of-timestamp")}
# Queries for the newest version of a table, and the column that has it.
_DELTA = ("DESCRIBE HISTORY {} LIMIT 1", "version")
# Iceberg lists snapshots that were rolled back, and those of other branches, too: what readers see is the branch main.
_ICEBERG = ("SELECT snapshot_id FROM {}.refs WHERE name = 'main'", "snapshot_id")


def read_catalog(
    spark: SparkSession,
    table: str,
    version: str | None = None,
    as_of: str | None = None,
    *,
    key: str = "data_loader.table",
) -> Loaded:
    """Read a table of the catalog.

    Args:
        table: catalog.schema.table; what is left out is the session's current one.
        version: version or snapshot to read.
        as_of: time, as SQL takes it, at which to read.
        key: the parameter that names the table, for errors.

    Raises:
        InputError: the table does not exist (INPUT_NOT_FOUND), or it has no versions (NO_TIME_TRAVEL).
    """
    name = ".".join(quoted(part) for part in table.split("."))
    when = ""
    if version is not None:
        when = f" VERSION AS OF {version}" if version.isdigit() else f" VERSION AS OF {in_sql(version)}"
    elif as_of is not None:
        when = f" TIMESTAMP AS OF {in_sql(as_of)}"
    try:
        rows = spark.sql(f"SELECT * FROM {name}{when}") if when else spark.table(name)  # noqa: S608 - quoted
        return loaded(rows, table)
    except Exception as error:
        raise _mistake(error, table, key) or error from error


def read_query(spark: SparkSession, query: str) -> Loaded:
    """Read the rows of a query in Spark's SQL.

    Raises:
        InputError: it cannot be analysed, is not a query of rows, or fails on a row that it reads (SOURCE_QUERY).
    """
    try:
        # Spark runs a command at once; inside of a query it is a mistake of syntax.
        inside = query.strip().rstrip("; \t\r\n")
        rows = spark.sql(f"SELECT * FROM (\n{inside}\n) AS source")  # noqa: S608 - the user's own
        return replace(loaded(rows, "the query"), is_query=True)
    except Exception as error:
        raise _mistake(error, "the query", "data_loader.query") or error from error


def read_lake(
    spark: SparkSession,
    path: str,
    table_format: str,
    version: str | None = None,
    as_of: str | None = None,
    options: Mapping[str, str] | None = None,
) -> Loaded:
    """Read a Delta or Iceberg table by its path.

    Args:
        spark: the session; it needs the format's own library.
        version: version or snapshot to read.
        as_of: time at which to read, as the format's reader takes it.

    Raises:
        InputError: it is not there, or the session lacks the library (SOURCE_FORMAT).
    """
    by_version, by_time = _TRAVEL[table_format]
    travel = {by_version: version, by_time: as_of}
    given = {**(options or {}), **{key: value for key, value in travel.items() if value is not None}}
    try:
        return loaded(spark.read.format(table_format).options(**given).load(path), path)
    except Exception as error:
        raise _mistake(error, path, "data_loader.event_filename") or error from error


def catalog_version(spark: SparkSession, table: str) -> str | None:
    """Return the version that a table of the catalog has now: Delta's version, Iceberg's snapshot; None without one."""
    name = ".".join(quoted(part) for part in table.split("."))
    return _newest(spark, *_DELTA, name) or _newest(spark, *_ICEBERG, name)


def catalog_versions(tables: Iterable[str], started: bool) -> dict[str, str | None]:
    """Return tables of the catalog, each with its version now; None if there is none, and for all without a session."""
    return {table: catalog_version(SparkSession.active(), table) if started else None for table in tables}


def path_version(spark: SparkSession, path: str, table_format: str) -> str | None:
    """Return the version that a Delta or Iceberg table has now; None where it cannot be asked for."""
    return _newest(spark, *{"delta": _DELTA, "iceberg": _ICEBERG}[table_format], f"{table_format}.{quoted(path)}")


def _newest(spark: SparkSession, query: str, column: str, name: str) -> str | None:
    try:
        row = spark.sql(query.format(name)).first()
    except Exception:  # noqa: BLE001 - a format without versions raises whatever it likes
        return None
    return None if row is None else str(row[column])


def _mistake(error: Exception, name: str, key: str) -> Exception | None:
    """Return what an error of Spark's says about the table that a parameter, `key`, names."""
    if isinstance(error, InputError):
        return error
    text = str(error)
    first = text.strip().split("\n", 1)[0][:200]
    for signs, id_, fault, advice in _MISTAKES:
        if any(sign in text for sign in signs):
            return InputError(id_, fault.format(name=name, first=first), advice.format(key=key))
    if type(error).__name__ == "ParseException" and name == "the query":
        return InputError("SOURCE_QUERY", f"the query cannot be read, it must be one SELECT: {first}", f"see {key}")
    if type(error).__name__ in {"ParseException", "AnalysisException"}:
        return InputError("SOURCE_QUERY", f"{name} cannot be read: {first}", f"see {key}")
    return explained(error)
