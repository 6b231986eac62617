"""Reach into a column: a field by its path, and the elements of an array, each as a row."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pyspark.sql import DataFrame, functions as F, types as T

from recommender.errors import SchemaError
from recommender.sources.loaded import EMPTY, Loaded, quoted, shown


def exploded(loaded: Loaded, name: str) -> Loaded:
    """Return a row for each element of an array, which takes its place; a row without one stays, and is marked `EMPTY`.

    Raises:
        SchemaError: the column does not exist (SCHEMA_MISSING), or it is not an array (SCHEMA_TYPE).
    """
    path = _path(loaded.rows, name)
    if path is None:
        sentence = f"{name}; found [{shown(loaded.columns)}] in {loaded.name}; see data_loader.explode"
        raise SchemaError("SCHEMA_MISSING", sentence)
    kind = _type(loaded.rows, path)
    if not isinstance(kind, T.ArrayType):
        found = f"{name} expected an array found {kind.simpleString()} in {loaded.name}"
        raise SchemaError("SCHEMA_TYPE", f"{found}; see data_loader.explode")
    is_empty = F.coalesce(F.size(_sql(path)), F.lit(0)) <= 0
    rows = loaded.rows.withColumn(EMPTY, is_empty).withColumn("__element", F.explode_outer(_sql(path)))
    rows = rows.drop(name) if name in rows.columns else rows
    columns = list(dict.fromkeys([*loaded.columns, name]))
    return replace(loaded, rows=rows.withColumnRenamed("__element", name), columns=columns)


def reached(loaded: Loaded, names: Iterable[str]) -> Loaded:
    """Return the rows with a column for each path into others; raise a SchemaError if an array is in the way."""
    cells = {}
    for name in names:
        path = None if name in loaded.rows.columns or "." not in name else _path(loaded.rows, name)
        if path is not None:
            _type(loaded.rows, path)
            cells[name] = F.col(_sql(path))
    columns = list(dict.fromkeys([*loaded.columns, *cells]))
    return replace(loaded, rows=loaded.rows.withColumns(cells), columns=columns) if cells else loaded


def root_of(name: str, columns: Sequence[str]) -> str:
    """Return the column that a name is, or that it begins with.

    >>> root_of("a.b", ["a"]), root_of("a.b", ["a.b", "a"]), root_of("c", ["a"])
    ('a', 'a.b', 'c')
    """
    first = name.split(".", 1)[0]
    return first if name not in columns and first in columns else name


def _path(rows: DataFrame, name: str) -> list[str] | None:
    """Return a column, and the fields from there on that a name leads to; None if it leads nowhere."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        column = ".".join(parts[:length])
        if column in rows.columns:
            path = [column, *parts[length:]]
            return path if _leads(rows.schema[column].dataType, parts[length:]) else None
    return None


def _leads(kind: T.DataType, fields: Sequence[str]) -> bool:
    for name in fields:
        if isinstance(kind, T.ArrayType):
            return True  # the error says what to do
        if not isinstance(kind, T.StructType) or name not in kind.names:
            return False
        kind = kind[name].dataType
    return True


def _type(rows: DataFrame, path: Sequence[str]) -> T.DataType:
    kind = rows.schema[path[0]].dataType
    for position, name in enumerate(path[1:], start=1):
        if isinstance(kind, T.ArrayType):
            array = ".".join(path[:position])
            sentence = f"{'.'.join(path)} expected a value found an array in {array}"
            raise SchemaError("SCHEMA_TYPE", f"{sentence}; make an event of each element with data_loader.explode")
        kind = kind[name].dataType if isinstance(kind, T.StructType) else T.NullType()
    return kind


def _sql(path: Sequence[str]) -> str:
    return ".".join(map(quoted, path))
