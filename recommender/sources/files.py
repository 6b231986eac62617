"""Read events from files: CSV, JSON lines, Parquet, ORC; also compressed, many, in partition folders, or by a glob.

Columns are found by name, in every file by its own header. No schema is guessed: the cells of text files stay strings,
and are cast by name afterwards. Nothing is skipped in silence: a file that looks unfinished, or that Spark would leave
out because of the folder that it is in, is an error.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from urllib.parse import unquote

from pyspark.sql import DataFrame, SparkSession, functions as F, types as T

from recommender.errors import InputError, SchemaError
from recommender.sources.loaded import FILE, MALFORMED, Loaded, check_names, loaded, quoted, shown
from recommender.spark_errors import explained

_UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".inprogress", ".crdownload", "._copying_", ".swp", "~")
_SAMPLED_LINES = 1000
_HEADERS_AT_ONCE = 8
_STRICT = {"ignoreCorruptFiles": "false", "ignoreMissingFiles": "false"}
_CHECKED = {"parquet.page.verify-checksum.enabled": "true", **_STRICT}
_HINT = "see data_loader"
_FILE_PATH = "_metadata.file_path"
# What an error of Spark's holds, and what it says about the input.
_MISTAKES: Sequence[tuple[tuple[str, ...], type[InputError], str, str]] = (
    (("PATH_NOT_FOUND",), InputError, "INPUT_NOT_FOUND", "{path} does not exist; see data_loader.event_filename"),
    (("UNABLE_TO_INFER_SCHEMA",), InputError, "INPUT_EMPTY", "{path} has no events"),
    (
        ("COLUMN_ALREADY_EXISTS",),
        SchemaError,
        "SCHEMA_AMBIGUOUS",
        "two columns of {path} have names that differ in case only; rename one",
    ),
    (
        ("No FileSystem for scheme", "ClassNotFoundException"),
        InputError,
        "INPUT_NOT_FOUND",
        "{path}: this Spark has no library for its file system",
    ),
    (
        ("CONFLICTING_DIRECTORY_STRUCTURES", "Conflicting directory structures", "CONFLICTING_PARTITION_COLUMN_NAMES"),
        InputError,
        "UNEXPECTED_FILE",
        "the folders below {path} do not all have names as key=value",
    ),
)


def read_files(
    spark: SparkSession,
    path: str,
    file_format: str,
    wanted: Sequence[str],
    delimiter: str = ",",
    options: Mapping[str, str] | None = None,
) -> Loaded:
    """Read files.

    Args:
        spark: the session.
        path: file, folder or glob.
        file_format: csv, json (a JSON object per line), parquet or orc.
        wanted: names of the columns that are needed; text files are parsed for no others.
        delimiter: the character between the cells of a CSV file.
        options: further options of Spark's reader.

    Raises:
        InputError: nothing is there (INPUT_NOT_FOUND, INPUT_EMPTY), a file looks unfinished (UNEXPECTED_FILE), is no
            text (ENCODING) or cannot be read (INPUT_CORRUPT). SchemaError: two columns have the same name.
    """
    given = dict(options or {})
    try:
        files = _files(spark, path)
        if file_format == "csv":
            return _csv(spark, path, files, wanted, {"sep": delimiter, "escape": '"', **given})
        if file_format == "json":
            return _json(spark, path, wanted, given)
        rows = spark.read.format(file_format).options(**{**_CHECKED, **given}).load(path)
        return loaded(rows, path, F.col(_FILE_PATH))
    except (InputError, SchemaError):
        raise
    except Exception as error:
        ours = _mistake(error, path, file_format)
        if ours is None:
            raise
        raise ours from error


def _files(spark: SparkSession, path: str) -> list[str]:
    """Return the files that will be read; the listing runs no Spark job."""

    def listed(recursive: bool) -> list[str]:
        reader = spark.read.format("binaryFile").option("recursiveFileLookup", str(recursive).lower())
        return [unquote(file) for file in reader.load(path).inputFiles()]

    files, below = listed(False), listed(True)
    for file in (*files, *below):
        if file.lower().endswith(_UNFINISHED):
            sentence = f"{file} looks unfinished; remove it, or name the finished files with a glob"
            raise InputError("UNEXPECTED_FILE", f"{sentence}; {_HINT}.event_filename")
    nested = sorted(set(below) - set(files))
    if nested:
        sentence = f"{nested[0]} lies in a folder inside the input, which is not read; move it, or name it with a glob"
        raise InputError("UNEXPECTED_FILE", f"{sentence}; {_HINT}.event_filename")
    if not files:
        raise InputError("INPUT_EMPTY", f"{path} has no events: there is no file in it; {_HINT}.event_filename")
    return files


def _csv(
    spark: SparkSession, path: str, files: Sequence[str], wanted: Sequence[str], options: Mapping[str, str]
) -> Loaded:
    """Read CSV files, each by its own header; those with the same header are read together."""
    by_header: dict[tuple[str, ...], list[str]] = {}
    for file, header in _headers(spark, files, options).items():
        by_header.setdefault(header, []).append(file)
    empty = by_header.pop((), [])
    if not by_header:
        raise InputError("INPUT_EMPTY", f"{path} has no events: every file of it is empty")
    for header, its_files in by_header.items():
        check_names(list(header), its_files[0])
    if len(by_header) == 1 and not empty:
        parts = [_parsed_csv(spark, path, next(iter(by_header)), wanted, options)]
    else:
        base = {} if any(sign in path for sign in "*?[{") or len(files) == 1 else {"basePath": path}
        parts = [
            _parsed_csv(spark, list(map(_literal, its)), header, wanted, {**base, **options})
            for header, its in by_header.items()
        ]
    rows = reduce(DataFrame.unionByName, parts)
    columns = [*dict.fromkeys(name for header in by_header for name in header)]
    folders = [name for name in rows.columns if name not in columns and f"/{name}=" in files[0]]
    return Loaded(rows, [*columns, *folders], path, _warnings(path, by_header, wanted, empty))


def _warnings(
    path: str, by_header: Mapping[tuple[str, ...], list[str]], wanted: Sequence[str], empty: Sequence[str]
) -> list[str]:
    """Return what is unusual about the headers of the files."""
    warnings = []
    if len(by_header) > 1:
        warnings.append(f"the files of {path} have {len(by_header)} different headers; cells are found by name")
    somewhere = {name for header in by_header for name in header}
    for header, files in by_header.items():
        lacking = [name for name in wanted if name in somewhere and name not in header]
        if lacking:
            warnings.append(f"{len(files):,} files, one is {files[0]}, have no column {shown(lacking)}")
    if empty:
        warnings.append(f"{len(empty):,} files of {path} are empty, one is {empty[0]}")
    return warnings


def _parsed_csv(
    spark: SparkSession,
    paths: str | list[str],
    header: Sequence[str],
    wanted: Sequence[str],
    options: Mapping[str, str],
) -> DataFrame:
    """Return the wanted columns of files with one header, and those of their partition folders."""
    schema = T.StructType([T.StructField(name, T.StringType()) for name in (*header, MALFORMED)])
    settings = {**options, "header": "true", "mode": "PERMISSIVE", "columnNameOfCorruptRecord": MALFORMED, **_STRICT}
    rows = spark.read.schema(schema).options(**settings).csv(paths)
    kept = [name for name in rows.columns if name in {*wanted, MALFORMED} or name not in header]
    lacking = {name: F.lit(None).cast("string") for name in wanted if name not in rows.columns}
    return _with_place(rows.select(*map(quoted, kept))).withColumns(lacking)


def _headers(spark: SparkSession, files: Sequence[str], options: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the header of every file; of an empty one there is none."""
    encoding = {
        key: value for key, value in options.items() if key.lower() in {"encoding", "charset", "linesep", "multiline"}
    }
    # A line as one cell: nothing separates or quotes it.
    reader_options = {**encoding, "sep": "\x01", "quote": "", "escape": "\x02", **_STRICT}

    def first(file: str) -> tuple[str, ...]:
        lines = spark.read.schema("line string").options(**reader_options).csv(_literal(file))
        row = lines.first()
        text = "" if row is None or row[0] is None else str(row[0])
        if "\x00" in text or "\ufffd" in text:
            sentence = f"{file} is not UTF-8 text: its first line has bytes that are no characters"
            raise InputError("ENCODING", f"{sentence}; see {_HINT}.options (encoding, multiLine), or convert the file")
        return tuple(_cells(text, options["sep"]))

    with ThreadPoolExecutor(_HEADERS_AT_ONCE) as pool:
        return dict(zip(files, pool.map(first, files), strict=True))


def _literal(file: str) -> str:
    """Return the name of one file as a glob that matches it alone.

    >>> print(_literal("/logs/day[1].csv").replace(chr(92), "|"))
    /logs/day|[1|].csv
    """
    return re.sub(r"([\\\[\]{}*?])", r"\\\1", file)


def _cells(line: str, delimiter: str) -> list[str]:
    """Return the names in a header; one without a name, as pandas writes for its index, gets one.

    >>> _cells(',a,"b,c"', ",")
    ['_c0', 'a', 'b,c']
    """
    if not line.strip():
        return []
    names = next(csv.reader([line.removeprefix("\ufeff")], delimiter=delimiter))
    return [name.strip() or f"_c{position}" for position, name in enumerate(names)]


def _json(spark: SparkSession, path: str, wanted: Sequence[str], options: Mapping[str, str]) -> Loaded:
    """Read JSON lines; which keys there are is seen from the first lines."""
    lines = spark.read.options(**_STRICT).text(path)
    sample = lines.where(F.trim("value") != "").limit(_SAMPLED_LINES)
    keys = sample.select(F.explode(F.expr("json_object_keys(value)")).alias("key")).distinct()
    found = sorted(row["key"] for row in keys.toLocalIterator())
    folders = [name for name in lines.columns if name != "value"]
    if any("\x00" in key or "\ufffd" in key for key in found):
        raise InputError("ENCODING", f"{path} is not UTF-8 text; convert it")
    if not found and not lines.isEmpty():
        bad = sample.where(F.col("value").contains("\x00") | F.col("value").contains("\ufffd"))
        if not bad.isEmpty():
            raise InputError("ENCODING", f"{path} is not UTF-8 text; convert it")
        raise InputError("INPUT_CORRUPT", f"{path} has no JSON object per line; {_HINT}.file_format")
    check_names(found, path)
    names = [name for name in wanted if name not in folders]
    schema = T.StructType([T.StructField(name, T.StringType()) for name in (*names, MALFORMED)])
    settings = {**options, "mode": "PERMISSIVE", "columnNameOfCorruptRecord": MALFORMED, **_STRICT}
    rows = spark.read.schema(schema).options(**settings).json(path)
    return Loaded(_with_place(rows), [*found, *folders], path)


def _with_place(rows: DataFrame) -> DataFrame:
    return rows.withColumn(FILE, F.col(_FILE_PATH))


def _mistake(error: Exception, path: str, file_format: str) -> InputError | None:
    """Return what an error of Spark's says about the input."""
    text = str(error)
    for signs, made, name, sentence in _MISTAKES:
        if any(sign in text for sign in signs):
            return made(name, sentence.format(path=path))
    ours = explained(error)
    if isinstance(ours, InputError):
        hint = f"; if it is no {file_format}, see data_loader.file_format"
        return type(ours)(ours.id, ours.sentence.replace("a file", path, 1) + hint)
    return None
