"""Keep the rows of a source that are asked for: by the values of a column, or by a condition in SQL.

Example usage:
>>> rows = spark.createDataFrame([(1, "DE"), (2, None), (3, "FR")], "itemid long, country string")
>>> kept = where(loaded(rows, "the log"), "country = 'DE'")
>>> [row.itemid for row in kept.rows.collect()], kept.left_out
([1], (3, 2))
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pyspark.sql import Column, DataFrame, SparkSession, functions as F, types as T

from recommender.errors import ConfigError, InputError, Mistake, SchemaError
from recommender.sources.loaded import HEAD, MALFORMED, Loaded, loaded, quoted, shown  # noqa: F401 - for the example
from recommender.spark.aggregates import single_row


def where(source: Loaded, condition: str) -> Loaded:
    """Return the source without the rows of which a condition is not true, and how many these are.

    What is not a row of cells stays: it is for the quarantine. So do the names above the cells.

    Raises:
        ConfigError: it is not a condition (CFG_SQL). InputError: it fails on a row (SOURCE_QUERY).
    """
    is_row = F.lit(True)
    chosen = condition_of(condition, source.rows, "data_loader.where", "a row of the log")
    kept = F.coalesce(chosen, F.lit(False)) | F.col(MALFORMED).isNotNull()
    if HEAD in source.rows.columns:
        is_row = F.col(HEAD).isNull()
        kept = F.when(is_row, kept).otherwise(F.lit(True))
    source = replace(source, is_query=True)
    with source.translating():
        number, left_out = single_row(source.rows.agg(F.count_if(is_row), F.count_if(~kept)))
    return replace(source, rows=source.rows.where(kept), left_out=(number, left_out))


def of_partitions(source: Loaded, partitions: Mapping[str, Sequence[str | int]]) -> Loaded:
    """Return the rows that have one of the given values in each of the columns.

    Raises:
        SchemaError: the column does not exist (SCHEMA_MISSING), or it cannot have such a value (SCHEMA_TYPE).
    """
    rows = source.rows
    for name, values in partitions.items():
        if name not in source.columns:
            sentence = f"{name}; found [{shown(source.columns)}] in {source.name}; see data_loader.partitions"
            raise SchemaError("SCHEMA_MISSING", sentence)
        kind = rows.schema[name].dataType
        _check_values(name, values, kind)
        # Values of the column's own type, so that a source can leave out what is not asked for.
        rows = rows.where(F.col(quoted(name)).isin([F.lit(str(value)).cast(kind) for value in values]))
    return replace(source, rows=rows)


def is_empty(source: Loaded, rows: DataFrame) -> bool:
    """Return whether there are no rows; it is the first that is read of a source, and may fail."""
    rows = rows.where(F.col(HEAD).isNull()) if HEAD in rows.columns else rows
    try:
        with source.translating():
            return not source.columns or rows.isEmpty()
    except InputError:
        raise
    except Exception as error:
        ours = source.mistake(error)
        if ours is None:
            raise
        raise ours from None  # Spark's own text may show what is in a URL


def condition_of(text: str, rows: DataFrame, key: str, of: str) -> Column:
    """Return a condition in SQL as a column; for errors, `key` is its parameter, and `of` what a row is.

    Raises:
        ConfigError: it is not a condition on one row, or chance decides it (CFG_SQL).
    """
    try:
        holds = F.expr(text)
        kind = rows.select(holds.alias("holds")).schema["holds"].dataType
        if isinstance(kind, T.BooleanType):
            _ = rows.where(holds).schema  # an aggregate is not a condition on one row
            _ = rows.agg(F.max(holds)).schema  # an aggregate takes nothing that chance decides
    except Exception as error:  # noqa: BLE001 - whatever the parser or the analyser says
        first = str(error).strip().split("\n", 1)[0][:200]
        raise ConfigError(Mistake("CFG_SQL", key, f"{key} is not an SQL condition on {of}: {first}")) from None
    if not isinstance(kind, T.BooleanType):
        sentence = f"{key} must be true or false, but is {kind.simpleString()}"
        raise ConfigError(Mistake("CFG_SQL", key, sentence))
    return holds


def _check_values(name: str, values: Sequence[str | int], kind: T.DataType) -> None:
    texts = SparkSession.active().range(1).select(*(F.lit(str(value)).alias(f"v{n}") for n, value in enumerate(values)))
    casts = [F.expr(f"try_cast(v{n} AS {kind.simpleString()})") for n in range(len(values))]
    found = texts.select(*casts).first() or ()
    for value, cast in zip(values, found, strict=True):
        if cast is None:
            sentence = f"{name} expected {kind.simpleString()}, got {value!r}; see data_loader.partitions"
            raise SchemaError("SCHEMA_TYPE", sentence)
