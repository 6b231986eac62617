"""Read CSV files, each by its own header.

Example usage:
>>> cells(',a,"b;c"', ";"), cells("a,'b,c'", ",", "'")
([',a,"b', 'c"'], ['a', 'b,c'])
"""

import csv
from collections.abc import Mapping, Sequence
from functools import reduce

from pyspark.sql import DataFrame, SparkSession, functions as F, types as T

from recommender.errors import InputError
from recommender.sources.loaded import MALFORMED, Loaded, check_names, quoted
from recommender.sources.paths import HINT, STRICT, base_of, lacking, listed, literal, of_each, with_place

_OF_LINES = ("encoding", "charset", "linesep", "multiline", "comment")  # options that say what a line is


def read_csv(spark: SparkSession, path: str, wanted: Sequence[str], options: Mapping[str, str]) -> Loaded:
    """Read CSV files; those with the same header are read together.

    Args:
        spark: the session.
        path: file, folder or glob.
        wanted: names of the columns that are parsed.
        options: of Spark's reader, sep among them.

    Raises:
        InputError: there are no events (INPUT_EMPTY), or what there is, is no text (ENCODING).
        SchemaError: two columns have the same name.
    """
    files = listed(spark, path)
    headers = _headers(spark, files, options)
    by_header: dict[tuple[str, ...], list[str]] = {}
    for file, header in headers.items():
        by_header.setdefault(header, []).append(file)
    empty = by_header.pop((), [])
    if not by_header:
        raise InputError("INPUT_EMPTY", f"{path} has no events: every file of it is empty")
    for header, its_files in by_header.items():
        check_names(list(header), its_files[0])
    if len(by_header) == 1 and not empty:
        parts = [_parsed(spark, path, next(iter(by_header)), wanted, options)]
    else:
        given = {**base_of(path, files), **options}
        parts = [_parsed(spark, list(map(literal, its)), header, wanted, given) for header, its in by_header.items()]
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
    warnings += lacking({file: header for header, files in by_header.items() for file in files}, wanted)
    if empty:
        warnings.append(f"{len(empty):,} files of {path} are empty, one is {empty[0]}")
    return warnings


def _parsed(
    spark: SparkSession,
    paths: str | list[str],
    header: Sequence[str],
    wanted: Sequence[str],
    options: Mapping[str, str],
) -> DataFrame:
    """Return the wanted columns of files with one header, and those of their partition folders."""
    schema = T.StructType([T.StructField(name, T.StringType()) for name in (*header, MALFORMED)])
    settings = {**options, "header": "true", "mode": "PERMISSIVE", "columnNameOfCorruptRecord": MALFORMED, **STRICT}
    rows = spark.read.schema(schema).options(**settings).csv(paths)
    kept = [name for name in rows.columns if name in {*wanted, MALFORMED} or name not in header]
    lack = {name: F.lit(None).cast("string") for name in wanted if name not in rows.columns}
    return with_place(rows.select(*map(quoted, kept))).withColumns(lack)


def _headers(spark: SparkSession, files: Sequence[str], options: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the header of every file; of an empty one there is none."""
    of_lines = {key: value for key, value in options.items() if key.lower() in _OF_LINES}
    quote = next((value for key, value in options.items() if key.lower() == "quote"), '"')
    # A line as one cell: nothing separates or quotes it.
    settings = {**of_lines, "sep": "\x01", "quote": "", "escape": "\x02", **STRICT}

    def first(file: str) -> tuple[str, ...]:
        lines = spark.read.schema("line string").options(**settings).csv(literal(file))
        row = lines.first()
        text = "" if row is None or row[0] is None else str(row[0])
        if "\x00" in text or "\ufffd" in text:
            sentence = f"{file} is not UTF-8 text: its first line has bytes that are no characters"
            raise InputError("ENCODING", f"{sentence}; {HINT}.options (encoding, multiLine), or convert the file")
        return tuple(cells(text, options["sep"], quote))

    return of_each(files, first)


def cells(line: str, delimiter: str, quote: str = '"') -> list[str]:
    """Return the names in a header; one without a name, as pandas writes for its index, gets one.

    >>> cells(',a,"b,c"', ",")
    ['_c0', 'a', 'b,c']
    """
    if not line.strip():
        return []
    line = line.removeprefix("\ufeff")
    if len(quote) == 1 and quote != "\x00":
        names = next(csv.reader([line], delimiter=delimiter, quotechar=quote))
    else:  # nothing is quoted, or Spark will say what is wrong with the option
        names = next(csv.reader([line], delimiter=delimiter, quoting=csv.QUOTE_NONE))
    return [name.strip() or f"_c{position}" for position, name in enumerate(names)]
