"""Read CSV files, each by its own header.

A file is read line by line, and every line is cut into all of its cells, so that a row with too many or too few of them
is malformed whatever is wanted of it. A line with a quote that is not closed is malformed too: what follows it may be
the rest of its cell. Where cells may have line breaks (multiLine) Spark's own reader cuts the files, and quotes that
hide rows are looked for.

What a file begins with (a header, lines to skip) is known by its text; a later line of the same text is not a row, and
is marked as such, to be counted.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial, reduce
from operator import and_, or_

from pyspark.sql import Column, DataFrame, SparkSession, functions as F

from recommender.errors import InputError, SchemaError
from recommender.sources.csv_head import LINE, Head, Layout, has_values, heads, lines, quotes
from recommender.sources.loaded import FILE, HEAD, MALFORMED, Loaded, check_names, quoted, shown
from recommender.sources.paths import STRICT, base_of, lacking, listed, literal, twice, with_place

_CELLS = "__cells"
_NAMES_OF_OWN = "or name the columns by data_loader.header: false, skip_rows and column_names"
_MOST_COLUMNS = 20_480  # that Spark cuts a line into; of a row there may be as many more than in the header
_NOT_OF_CELLS = {"encoding", "charset", "linesep", "comment", "multiline"}


def read_csv(
    spark: SparkSession,
    path: str,
    wanted: Sequence[str],
    layout: Layout,
    optional: Sequence[str] = (),
    *,
    whole: bool = False,
) -> Loaded:
    """Read CSV files; those that begin in the same way are read together. See `read_files` for the arguments.

    Raises:
        InputError: there are no events (INPUT_EMPTY), what there is, is not text (ENCODING), or a quote is never closed
            (INPUT_CORRUPT). SchemaError: two columns have the same name, or a file has none of the wanted ones.
    """
    files = listed(spark, path)
    layout = replace(layout, options={**base_of(path, files), **layout.options})
    _check_options(spark, layout)
    by_head: dict[Head, list[str]] = {}
    empty = []
    for file, head in heads(spark, files, layout).items():
        by_head.setdefault(head, []).append(file) if head.names else empty.append(file)
    if not by_head:
        raise InputError("INPUT_EMPTY", f"{path} has no rows: every file of it is empty")
    by_names = {file: head.names for head, its_files in by_head.items() for file in its_files}
    for head, its_files in by_head.items():
        if not has_values(head.names, wanted):
            check_names(list(head.names), its_files[0], _NAMES_OF_OWN)
    check_wanted(by_names, [name for name in wanted if name not in optional])
    if layout.has_multiline and layout.quote:
        _check_quotes(lines(spark, path, layout), layout)
    columns = list(dict.fromkeys(name for head in by_head for name in head.names))
    kept = columns if whole else [*wanted]
    if len(by_head) == 1 and not empty:
        parts = [_part(spark, path, next(iter(by_head)), layout, kept)]
    else:
        parts = [_part(spark, list(map(literal, its)), head, layout, kept) for head, its in by_head.items()]
    rows = reduce(DataFrame.unionByName, parts)
    folders = [name for name in rows.columns if name not in columns and f"/{name}=" in files[0]]
    is_cut = bool(layout.quote) and not layout.has_multiline
    is_open = partial(_is_open, layout=layout) if is_cut else None
    warnings = [*_warnings(path, by_names, wanted, empty), *twice(files, columns, "files")]
    return Loaded(rows, [*columns, *folders], path, warnings, is_open=is_open)


def check_wanted(columns: Mapping[str, Sequence[str]], wanted: Sequence[str]) -> None:
    """Refuse a file that has none of the wanted columns beside files that have some.

    >>> check_wanted({"events.csv": ["itemid", "event"], "tree.csv": ["parent"]}, ["itemid", "event"])
    Traceback (most recent call last):
    recommender.errors.SchemaError: SCHEMA_MISSING itemid, event; found [parent] in tree.csv, ...
    """
    lower = {file: {name.lower() for name in names} for file, names in columns.items()}
    without = [file for file, names in lower.items() if not any(name.lower() in names for name in wanted)]
    if wanted and without and len(without) < len(columns):
        there = columns[without[0]]
        names = "values, and no names of columns" if has_values(there, wanted) else f"[{shown(list(there))}]"
        found = f"found {names} in {without[0]}"
        fault = f"{', '.join(wanted)}; {found}, which lies beside files with such columns"
        advice = "move it, or name the others with a glob"
        raise SchemaError("SCHEMA_MISSING", fault, advice, "see data_loader.event_filename")


def _warnings(
    path: str, by_names: Mapping[str, Sequence[str]], wanted: Sequence[str], empty: Sequence[str]
) -> list[str]:
    warnings = []
    different = len(set(by_names.values()))
    if different > 1:
        warnings.append(f"the files of {path} have {different} different headers; cells are found by name")
    warnings += lacking(by_names, wanted)
    if empty:
        warnings.append(f"{len(empty):,} files of {path} are empty, one is {empty[0]}")
    return warnings


def _part(spark: SparkSession, paths: str | list[str], head: Head, layout: Layout, wanted: Sequence[str]) -> DataFrame:
    """Return the wanted columns of files that begin in the same way, and those of their partition folders."""
    rows = (_of_whole_files if layout.has_multiline else _of_lines)(spark, paths, head, layout)
    cells = {name: F.col(f"{_CELLS}.{cell}") for name, cell in zip(head.names, _names(head), strict=True)}
    lack = {name: F.lit(None).cast("string") for name in wanted if name not in {*cells, *rows.columns}}
    kept = {name: cell for name, cell in {**cells, **lack}.items() if name in wanted}
    folders = [quoted(name) for name in rows.columns if name not in {LINE, _CELLS, *kept}]
    return rows.select(*(cell.alias(name) for name, cell in kept.items()), *folders)


def _names(head: Head) -> list[str]:
    """Return names of the cells that need no quotes."""
    return [f"__c{position}" for position, _ in enumerate(head.names)]


def _reading(head: Head, layout: Layout) -> tuple[str, dict[str, str]]:
    """Return the schema of all cells of a row, and the options that they are cut by."""
    schema = ", ".join(f"{name} string" for name in (*_names(head), MALFORMED))
    rule = {"sep": head.delimiter, "mode": "PERMISSIVE", "columnNameOfCorruptRecord": MALFORMED}
    if not layout.option("maxColumns"):
        rule["maxColumns"] = str(_MOST_COLUMNS + len(head.names))
    return schema, {"escape": '"', **layout.options, **rule}


def _check_options(spark: SparkSession, layout: Layout) -> None:
    """Let Spark check the options now; it would not before the first row is cut."""
    if layout.options and not layout.has_multiline:
        schema, settings = _reading(Head(("a",), layout.delimiter), layout)
        of_cells = {name: value for name, value in settings.items() if name.lower() not in _NOT_OF_CELLS}
        spark.sql("SELECT 'a' AS line").select(F.from_csv("line", schema, of_cells).alias("cells")).first()


def _of_lines(spark: SparkSession, paths: str | list[str], head: Head, layout: Layout) -> DataFrame:
    schema, settings = _reading(head, layout)
    of_cells = {name: value for name, value in settings.items() if name.lower() not in _NOT_OF_CELLS}
    rows = lines(spark, paths, layout).withColumn(_CELLS, F.from_csv(F.col(LINE), schema, of_cells))
    line, mark = F.col(LINE), F.when(F.lit(False), 0)
    for text in dict.fromkeys(head.lines):
        mark = mark.when(line == text, head.lines.count(text))
    malformed = F.col(f"{_CELLS}.{MALFORMED}")
    if layout.quote:
        malformed = F.when(_is_open(line, layout), line).otherwise(malformed)
    return rows.withColumns({MALFORMED: malformed, HEAD: mark})


def _is_open(line: Column, layout: Layout) -> Column:
    """Return whether a line has a quote that is not closed in it."""
    return line.contains(layout.quote) & (quotes(line, layout) % 2 != 0)


def _of_whole_files(spark: SparkSession, paths: str | list[str], head: Head, layout: Layout) -> DataFrame:
    """Return the rows of files whose cells may have line breaks; of a malformed row a row per line."""
    (schema, settings), names, encoding = _reading(head, layout), _names(head), layout.encoding
    kept = {name: value for name, value in settings.items() if name.lower() not in {"encoding", "charset", "multiline"}}
    given = {**kept, **STRICT, "encoding": encoding.of_reader, "header": "false", "multiLine": layout.multiline}
    found = with_place(spark.read.schema(schema).options(**given, columnPruning="false").csv(paths))
    found = found.withColumns({name: encoding.translated(F.col(name)) for name in (*names, MALFORMED)})
    pairs = zip(names, head.header, strict=False)
    is_header = [F.trim(F.coalesce(name, F.lit(""))) == cell.strip() for name, cell in pairs]
    first = reduce(and_, is_header, F.lit(bool(head.header)))
    mark = F.when(first | F.coalesce(F.trim(F.col(MALFORMED)).isin(list(head.lines)), F.lit(False)), 1)
    hides = F.coalesce(reduce(or_, (_hides_rows(F.col(name), head, layout) for name in names)), F.lit(False))
    text = F.when(hides, F.concat_ws(head.delimiter, *names)).otherwise(F.col(MALFORMED))
    of_lines = F.filter(F.split(text, "\r\n|\r|\n"), lambda line: F.trim(line) != "")
    each = F.when(text.isNull(), F.array(F.lit(None).cast("string"))).otherwise(of_lines)
    cells = F.struct(*names).alias(_CELLS)
    folders = [quoted(name) for name in found.columns if name not in {*names, MALFORMED}]
    return found.select(cells, mark.alias(HEAD), F.explode(each).alias(MALFORMED), *folders)


def _hides_rows(cell: Column, head: Head, layout: Layout) -> Column:
    """Return whether a cell has a quote and a line that could be a row: the quote of another row has ended it."""
    row = rf"(?m)^(?:.*?{re.escape(head.delimiter)}){{{max(len(head.names) - 1, 1)}}}"
    return cell.contains("\n") & cell.contains(layout.quote or '"') & cell.rlike(row)


def _check_quotes(rows: DataFrame, layout: Layout) -> None:
    """Refuse a file with a quote that is never closed: the rest of the file would be one cell."""
    is_odd = F.sum(quotes(F.col(LINE), layout)) % 2 != 0
    odd = rows.groupBy(FILE).agg(is_odd.alias("odd")).where("odd").first()
    if odd is not None:
        fault = f"{odd[FILE]} has a quote that is never closed, which hides the rows after it"
        raise InputError("INPUT_CORRUPT", fault, "mend the file, or see data_loader.options (quote, multiLine)")
