"""Read Parquet and ORC files, whose schemas may have changed from file to file.

Spark takes the schema of one file for all: a column that this one lacks is lost, and in ORC a column of another type is
null in silence. Here the schemas of all files are looked at.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import reduce

from pyspark.sql import DataFrame, SparkSession, functions as F, types as T

from recommender.errors import InputError, SchemaError
from recommender.sources.csv_files import check_wanted
from recommender.sources.loaded import FILE, MALFORMED, Loaded, check_names, loaded, quoted
from recommender.sources.nested import root_of
from recommender.sources.paths import STRICT, base_of, lacking, listed, literal, of_each, place, twice

_CHECKED = {"parquet.page.verify-checksum.enabled": "true", **STRICT}
# Types of which each holds every value of those before it.
_WIDER: Sequence[Sequence[type[T.DataType]]] = (
    (T.ByteType, T.ShortType, T.IntegerType, T.LongType),
    (T.FloatType, T.DoubleType),
)
_NO_BYTE = ("UNABLE_TO_INFER_SCHEMA", "length is too low: 0)")  # how a file without a byte fails
_COMPARED_FILES = 500  # of more files the schemas are merged in one job, and not looked at one by one
_Kinds = tuple[tuple[str, T.DataType], ...]
# Spark has no type for times in nanoseconds, as pandas writes them; they are read as numbers where this is set.
_NANOSECONDS = "spark.sql.legacy.parquet.nanosAsLong"


def read_columnar(
    spark: SparkSession, path: str, file_format: str, wanted: Sequence[str], options: Mapping[str, str]
) -> Loaded:
    """Read Parquet or ORC files; those in which the wanted columns have the same types are read together.

    See `read_files` for the arguments. Where the files differ only the wanted columns are read.

    Raises:
        InputError: there are no files (INPUT_EMPTY). SchemaError: two columns have the same name, or a wanted column
            has types in two files of which neither holds the other (SCHEMA_TYPE).
    """
    files = listed(spark, path)
    try:
        return _read(spark, path, files, file_format, wanted, {**options, **_CHECKED})
    except Exception as error:
        if "TIMESTAMP(NANOS" not in str(error):
            raise
    with _nanoseconds_as_numbers(spark):
        found = _read(spark, path, files, file_format, wanted, {**options, **_CHECKED})
    return replace(found, nanoseconds=True)


@contextmanager
def _nanoseconds_as_numbers(spark: SparkSession) -> Iterator[None]:
    """Let Spark take times in nanoseconds for numbers while it looks at the schemas of files."""
    before = spark.conf.get(_NANOSECONDS, None)
    spark.conf.set(_NANOSECONDS, "true")
    try:
        yield
    finally:
        spark.conf.unset(_NANOSECONDS) if before is None else spark.conf.set(_NANOSECONDS, before)


def _read(
    spark: SparkSession,
    path: str,
    files: Sequence[str],
    file_format: str,
    wanted: Sequence[str],
    settings: Mapping[str, str],
) -> Loaded:

    def read(paths: str | list[str], **more: str) -> DataFrame:
        return spark.read.format(file_format).options(**{**settings, **more}).load(paths)

    if len(files) > _COMPARED_FILES:
        return loaded(read(path, mergeSchema="true", **base_of(path, files)), path, place())

    def look(file: str) -> T.StructType | None:
        try:
            return read(literal(file)).schema
        except Exception as error:
            if not any(sign in str(error) for sign in _NO_BYTE):
                raise
            return None

    looked = of_each(files, look)
    schemas = {file: schema for file, schema in looked.items() if schema is not None}
    empty = [file for file in files if file not in schemas]
    if not schemas:
        raise InputError("INPUT_EMPTY", f"{path} has no rows")
    alike: dict[_Kinds, list[str]] = {}
    for file, schema in schemas.items():
        check_names(schema.names, file)
        alike.setdefault(_kinds(schema, wanted), []).append(file)
    check_wanted({file: schema.names for file, schema in schemas.items()}, wanted)
    both = twice(files, (name for schema in schemas.values() for name in schema.names), "folders")
    warnings = [*([f"{len(empty):,} files of {path} are empty, one is {empty[0]}"] if empty else []), *both]
    if len(alike) == 1:
        paths = list(map(literal, schemas)) if empty else path
        return replace(loaded(read(paths, **base_of(path, files)), path, place()), warnings=warnings)
    types = _types({its[0]: dict(kinds) for kinds, its in alike.items()})
    parts = [
        _part(read(list(map(literal, its)), **base_of(path, files)), schemas[its[0]].names, dict(kinds), types)
        for kinds, its in alike.items()
    ]
    rows = reduce(DataFrame.unionByName, parts)
    columns = dict.fromkeys(name for schema in schemas.values() for name in schema.names)
    folders = [name for name in rows.columns if name not in {*types, MALFORMED, FILE}]
    names = {file: [name for name, _ in kinds] for kinds, its in alike.items() for file in its}
    return Loaded(rows, [*columns, *folders], path, [*lacking(names, wanted), *warnings])


def _kinds(schema: T.StructType, wanted: Sequence[str]) -> _Kinds:
    """Return the wanted columns that a file has, and their types; as in Spark, case is ignored."""
    types = {column.name.lower(): column.dataType for column in schema}
    roots = dict.fromkeys(root_of(name, schema.names) for name in wanted)
    return tuple((name, types[name.lower()]) for name in roots if name.lower() in types)


def _types(kinds: Mapping[str, Mapping[str, T.DataType]]) -> dict[str, T.DataType]:
    """Return the type of each column that holds its values in all of the files.

    >>> _types({"a": {"x": T.IntegerType()}, "b": {"x": T.LongType(), "y": T.StringType()}})
    {'x': LongType(), 'y': StringType()}
    >>> _types({"a": {"x": T.LongType()}, "b": {"x": T.StringType()}})
    Traceback (most recent call last):
    recommender.errors.SchemaError: SCHEMA_TYPE x expected bigint found string, file b; ...
    """
    types: dict[str, T.DataType] = {}
    for file, its_kinds in kinds.items():
        for name, kind in its_kinds.items():
            wider = _wider(types.get(name, kind), kind)
            if wider is None:
                found = f"{name} expected {types[name].simpleString()} found {kind.simpleString()}, file {file}"
                raise SchemaError("SCHEMA_TYPE", found, "write it again, or read it on its own")
            types[name] = wider
    return types


def _wider(first: T.DataType, second: T.DataType) -> T.DataType | None:
    if first == second:
        return first
    for order in _WIDER:
        if type(first) in order and type(second) in order:
            return max(first, second, key=lambda kind: order.index(type(kind)))
    return None


def _part(
    rows: DataFrame, columns: Sequence[str], kinds: Mapping[str, T.DataType], types: Mapping[str, T.DataType]
) -> DataFrame:
    """Return the columns of files with the same types as those of all files, and those of the folders."""
    cells = [
        (F.col(quoted(name)) if name in kinds else F.lit(None)).cast(kind).alias(name) for name, kind in types.items()
    ]
    folders = [quoted(name) for name in rows.columns if name not in columns]
    return rows.select(*cells, *folders, F.lit(None).cast("string").alias(MALFORMED), place().alias(FILE))
