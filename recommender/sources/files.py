"""Read events from files: CSV, JSON lines, Parquet, ORC; also compressed, many, in partition folders, or by a glob.

Columns are found by name, in every file by its own header or schema. No schema is guessed: the cells of text files
stay strings, and are cast by name afterwards. Nothing is skipped in silence: a file that looks unfinished, or that
Spark would leave out because of the folder that it is in, is an error.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pyspark.sql import SparkSession, functions as F, types as T

import recommender.constants as C
from recommender.errors import InputError, RecommenderError, SchemaError
from recommender.sources.columnar import read_columnar
from recommender.sources.csv_files import read_csv
from recommender.sources.csv_head import Layout
from recommender.sources.json_lines import read_json
from recommender.sources.lakes import check_plain
from recommender.sources.loaded import HEAD, Loaded
from recommender.sources.options import wrong_option
from recommender.sources.paths import listed
from recommender.spark.errors import explained

# What an error of Spark's holds, and what it says about the input: the error, its id, the fault, and the advice.
_MISTAKES: Sequence[tuple[tuple[str, ...], type[InputError], str, str, str]] = (
    (("PATH_NOT_FOUND",), InputError, "INPUT_NOT_FOUND", "{path} does not exist", "see data_loader.event_filename"),
    (
        ("Illegal file pattern",),
        InputError,
        "INPUT_NOT_FOUND",
        "{path} is not a pattern for names of files: a bracket in it is not closed",
        "see data_loader.event_filename",
    ),
    (("UNABLE_TO_INFER_SCHEMA",), InputError, "INPUT_EMPTY", "{path} has no rows", ""),
    (
        ("COLUMN_ALREADY_EXISTS",),
        SchemaError,
        "SCHEMA_AMBIGUOUS",
        "two columns of {path} have names that differ in case only",
        "rename one",
    ),
    (
        # The last one is how the Parquet of Spark 3.5 fails on a type that is younger than itself.
        (
            "UNSUPPORTED_TIME_TYPE",
            "PARQUET_TYPE_",
            "Illegal Parquet type",
            "Parquet type not",
            "LogicalType.getSetField",
            "DECIMAL_PRECISION_EXCEEDS",
        ),
        SchemaError,
        "SCHEMA_TYPE",
        "{path} has a column of a type that Spark cannot read{kind}",
        "write it without this column",
    ),
    (
        ("CANNOT_MERGE_SCHEMAS", "CANNOT_MERGE_INCOMPATIBLE_DATA_TYPE"),
        SchemaError,
        "SCHEMA_TYPE",
        "a column has types in two files of {path} that do not go together",
        "write one of them again",
    ),
    (
        ("No FileSystem for scheme", "ClassNotFoundException"),
        InputError,
        "INPUT_NOT_FOUND",
        "{path}: this Spark has no library for its file system",
        "",
    ),
    (
        ("TextParsingException", "MALFORMED_CSV_RECORD"),
        InputError,
        "INPUT_CORRUPT",
        "{path} has a line with more cells, or a longer one, than Spark's reader takes",
        "mend it, or see data_loader.options (maxColumns, maxCharsPerColumn)",
    ),
    (
        ("CONFLICTING_DIRECTORY_STRUCTURES", "Conflicting directory structures", "CONFLICTING_PARTITION_COLUMN_NAMES"),
        InputError,
        "UNEXPECTED_FILE",
        "the folders below {path} do not all have names as key=value",
        "",
    ),
)


# A format at the end of a name, before the suffix of a compression and the sign for more.
_SUFFIX = re.compile(r"\.([a-z]+)(?:\.(?:gz|gzip|bz2|zst|lz4|snappy|deflate))?\**(?:/\**)*$")
_KIND = re.compile(r"(?:Parquet type[\w ]*: |data type )([A-Z].*?)(?:\.| is not|$)", re.MULTILINE)
_OF_TABS = ("tsv", "tab")


def format_of(path: str) -> str | None:
    """Return the format that the name of a file, folder or glob ends in, before a compression; None if in no format.

    >>> format_of("logs/2026.csv.gz"), format_of("day=*/*.ndjson"), format_of("u.data"), format_of("my.csv_export/x")
    ('csv', 'json', 'csv', None)
    """
    return C.FORMATS.get(_suffix(path))


def format_within(spark: SparkSession, path: str) -> str:
    """Return the format of a path by its name, else by the names of its files if they agree; else parquet."""
    named = format_of(path)
    if named:
        return named
    try:
        formats = {format_of(file) for file in listed(spark, path)}
    except Exception:  # noqa: BLE001 - who reads it says what is wrong
        formats = set()
    return formats.pop() or "parquet" if len(formats) == 1 else "parquet"


def layout_of(path: str, layout: Layout) -> Layout:
    """Return how the CSV files of a path are laid out: tabs are between the cells where the name says so.

    >>> layout_of("events.tsv.gz", Layout()).delimiter, layout_of("events.csv", Layout(";")).delimiter
    ('\\t', ';')
    """
    is_of_tabs = _suffix(path) in _OF_TABS and layout.delimiter == Layout().delimiter
    return replace(layout, delimiter="\t" if is_of_tabs else layout.delimiter.replace("\\t", "\t"))


def _suffix(path: str) -> str:
    found = _SUFFIX.search(path.lower())
    return found[1] if found else ""


def read_files(
    spark: SparkSession,
    path: str,
    file_format: str,
    wanted: Sequence[str],
    layout: Layout | None = None,
    optional: Sequence[str] = (),
    *,
    array: str | None = None,
    whole: bool = False,
) -> Loaded:
    """Read files.

    Args:
        path: file, folder or glob.
        file_format: csv, json (a JSON object per line), parquet or orc.
        wanted: names of the columns that are needed; a dot leads into an object.
        layout: how CSV files are laid out, and further options of Spark's reader.
        optional: those of the wanted columns that need not be there.
        array: name of a column that holds an array.
        whole: whether there are more columns to be had than the wanted ones.

    Raises:
        InputError: nothing is there (INPUT_NOT_FOUND, INPUT_EMPTY), a file looks unfinished (UNEXPECTED_FILE), is no
            text (ENCODING) or cannot be read (INPUT_CORRUPT). SchemaError: two columns have the same name, or a column
            has another type in another file. ConfigError: Spark does not know an option (CFG_OPTION).
    """
    layout = layout_of(path, layout or Layout())
    given = dict(layout.options)

    def mistake(error: Exception) -> RecommenderError | None:
        return _mistake(error, path, file_format, given)

    try:
        if file_format == "csv":
            found = read_csv(spark, path, wanted, layout, optional, whole=whole)
        elif file_format == "json":
            found = read_json(spark, path, wanted, optional, given, array, whole=whole)
        else:
            check_plain(spark, path)
            found = read_columnar(spark, path, file_format, wanted, given)
        return replace(found, mistake=mistake)
    except Exception as error:
        ours = mistake(error)
        if ours is None or ours is error:
            raise
        raise ours from error


def shortened(found: Loaded, names: Sequence[str]) -> list[str]:
    """Return a sentence about folders such as itemid=007, of which Spark makes numbers, if a column is made of them."""
    kinds = {column.name: column.dataType for column in found.rows.schema}
    numbers = [name for name in names if isinstance(kinds.get(name), T.NumericType)]
    signs = re.compile(rf"/({'|'.join(map(re.escape, numbers))})=(0\d+|[^/]*[^/\d-][^/]*)/")
    match = next(filter(None, map(signs.search, found.rows.inputFiles() if numbers else ())), None)
    if match is None:
        return []
    number = f"{float(match[2]):.15g}" if re.fullmatch(r"[-+\d.eE]+", match[2]) else "a number"
    return [f"the folder {match[1]}={match[2]} is read as {number}: Spark makes numbers of the names of folders"]


def read_list(
    spark: SparkSession, path: str, wanted: Sequence[str], optional: Sequence[str] = (), *, key: str
) -> Loaded:
    """Read the files of a list beside the log, by the end of their name; rows that repeat the header are left out.

    Args:
        path, wanted, optional: see `read_files`.
        key: the parameter that names the files, for errors.
    """
    try:
        found = read_files(spark, path, format_within(spark, path), wanted, optional=optional)
    except InputError as error:  # some of its advice is about the log
        advice = [each for each in error.advice if "data_loader" not in each]
        raise type(error)(error.id, error.fault, *advice, f"see {key}") from error
    if HEAD not in found.rows.columns:
        return found
    return replace(found, rows=found.rows.where(F.col(HEAD).isNull()).drop(HEAD))


def _mistake(error: Exception, path: str, file_format: str, options: Mapping[str, str]) -> RecommenderError | None:
    """Return what an error of Spark's says about the input."""
    if isinstance(error, RecommenderError):
        return error
    text = str(error)
    for signs, made, name, fault, advice in _MISTAKES:
        if any(sign in text for sign in signs):
            kind = _KIND.search(text)
            return made(name, fault.format(path=path, kind=f", {kind[1]}" if kind else ""), advice)
    if "is not a Parquet file" in text and _suffix(path) != "parquet":
        fault = f"{path} is not Parquet, as which files without a known ending are read, and those of several formats"
        return InputError("SOURCE_FORMAT", fault, "see data_loader.file_format, or name the files with a glob")
    ours = wrong_option(error, options) or explained(error, place=path)
    if isinstance(ours, InputError):
        hint = f"if it is not {file_format}, see data_loader.file_format"
        return type(ours)(ours.id, ours.fault, *ours.advice, hint)
    return ours
