"""Read the first rows of files of any format."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet

from recommender.errors import InputError, SchemaError
from recommender.inspect.cells import Cutting, cutting, rows_of
from recommender.inspect.objects import array_of_items, flat, object_of
from recommender.inspect.places import Place, check_kind, folders_of
from recommender.inspect.text import Text, head_of, read_text

MOST_ROWS = 100_000
MOST_FILES = 200
_MOST_BYTES = 64 * 2**20  # of text, in all
_LEAST_BYTES, _LEAST_ROWS = 2**18, 500  # of each file
_PLAIN = "data_loader reads one object per line; write it so, for example with jq -c '.[]' {name} > events.jsonl"


@dataclass(frozen=True)
class Form:
    """The form that files must share to be read together."""

    file_format: str
    encoding: str = "UTF-8"
    cutting: Cutting = field(default_factory=Cutting)
    has_header: bool = True
    explode: str | None = None


@dataclass(frozen=True)
class Table:
    """The first rows of files of one form."""

    form: Form  # how they are read
    files: list[Path]  # where they come from
    columns: list[str]  # names, nested ones with dots; without a header column_1, column_2 and so on
    rows: list[dict[str, Any]]  # column -> cell, each
    malformed: int = 0  # number of rows that could not be cut or parsed
    damaged: int = 0  # number of lines with bytes that are not characters
    repeated: int = 0  # number of rows that are the header again
    emptied: int = 0  # number of objects without elements, which make no row
    whole: bool = True  # whether these are all rows
    renamed: bool = False  # whether the header cannot be used, as a name stands there twice or is missing
    types: dict[str, str] = field(default_factory=dict)  # of the columns, where the file says so


def read_place(place: Place) -> tuple[list[Table], dict[Path, str]]:
    """Return a table of each form that the files of a place have, and the files that cannot be read, with the reason.

    Raises:
        InputError: there is one file, and it cannot be read.
    """
    step = -(-len(place.files) // MOST_FILES)
    files = place.files[::step]
    most = max(MOST_ROWS // max(len(files), 1), _LEAST_ROWS)
    tables: dict[tuple[object, ...], list[Table]] = {}
    problems: dict[Path, str] = {}
    for file in files:
        try:
            table = read_table(file, most, max(_MOST_BYTES // len(files), _LEAST_BYTES))
        except InputError as error:
            if len(files) == 1:
                raise
            problems[file] = error.sentence
            continue
        if table.columns:  # an empty file goes with any
            tables.setdefault((table.form, *table.columns, *table.types.values()), []).append(table)
    return [joined(alike) for alike in tables.values()], problems


def read_table(file: Path, most: int = MOST_ROWS, most_bytes: int = _MOST_BYTES) -> Table:
    """Return the first rows of a file; raise an InputError if it cannot be read."""
    head = head_of(file)
    check_kind(file, head)
    if head.startswith((b"PAR1", b"ORC")):
        table = _columnar(file, "parquet" if head.startswith(b"PAR1") else "orc", most)
    elif file.name.lower().endswith((".parquet", ".orc")) and head:
        raise InputError("INPUT_CORRUPT", f"{file.name} is not the {file.suffix[1:]} file that its name promises")
    else:
        text = read_text(file, most_bytes)
        first = next((line.lstrip() for line in text.lines if line.strip()), "")
        table = _json(file, text, most) if first[:1] in {"{", "["} else _csv(file, text, most)
    folders = folders_of(file)
    if not folders or not table.columns:
        return table
    columns = list(dict.fromkeys([*table.columns, *folders]))
    return replace(table, columns=columns, rows=[{**row, **folders} for row in table.rows])


def joined(tables: Sequence[Table]) -> Table:
    """Return tables of one form as one."""
    columns = dict.fromkeys(name for table in tables for name in table.columns)
    numbers = ("malformed", "damaged", "repeated", "emptied")
    sums = {name: sum(getattr(table, name) for table in tables) for name in numbers}
    return replace(
        tables[0],
        **sums,
        files=[file for table in tables for file in table.files],
        columns=list(columns),
        rows=[row for table in tables for row in table.rows],
        whole=all(table.whole for table in tables),
        types={name: kind for table in tables for name, kind in table.types.items()},
    )


def _csv(file: Path, text: Text, most: int) -> Table:
    cut = cutting(text.lines)
    rows = rows_of(text.lines[cut.skipped :], cut)
    names = cut.header or [f"column_{position + 1}" for position in range(cut.width)]
    header = next(rows, None) if cut.header else None
    names = [name or f"_c{position}" for position, name in enumerate(names)]
    found = list(islice(rows, most + 1))
    lacks_one = bool(cut.header and found) and all(row and not row[-1] and len(row) > len(names) for row in found)
    if lacks_one:  # every row ends in a delimiter, the header does not
        names.append(f"_c{len(names)}")
    renamed = lacks_one or len({name.lower() for name in names}) < len(names)
    if renamed:
        names = [name if names.index(name) == at else f"{name}_{at + 1}" for at, name in enumerate(names)]
    kept = [row for row in found[:most] if row is not None and len(row) == len(names)]
    cells = [dict(zip(names, (cell or None for cell in row), strict=True)) for row in kept if row != header]
    return Table(
        Form("csv", text.encoding, replace(cut, header=None, width=0), has_header=cut.header is not None),
        [file],
        names,
        cells,
        malformed=min(len(found), most) - len(kept),
        damaged=text.damaged,
        repeated=len(kept) - len(cells),
        whole=text.whole and len(found) <= most,
        renamed=renamed,
    )


def _json(file: Path, text: Text, most: int) -> Table:
    if text.encoding.startswith("UTF-16"):
        raise InputError("ENCODING", f"{file.name} is JSON in UTF-16, which is not read by line; convert it to UTF-8")
    lines = [line for line in text.lines if line.strip()]
    found = [object_of(line) for line in lines[:most]]
    objects = [row for row in found if row is not None]
    if not objects:
        if object_of(lines[0].rstrip(" ,")):
            way = f"remove it, for example with sed 's/, *$//' {file.name} > events.jsonl"
            raise InputError("INPUT_CORRUPT", f"{file.name} has a comma after each object; {way}")
        what = "is one JSON array" if lines[0].lstrip().startswith("[") else "has JSON objects of several lines"
        raise InputError("INPUT_CORRUPT", f"{file.name} {what}, but {_PLAIN.format(name=file.name)}")
    _check_names(file, list(dict.fromkeys(name for row in objects for name in row)))
    table = _nested(file, Form("json", text.encoding), objects)
    whole = text.whole and len(lines) <= most
    return replace(table, malformed=len(found) - len(objects), damaged=text.damaged, whole=whole)


def _columnar(file: Path, file_format: str, most: int) -> Table:
    try:
        batches, schema, number = _parquet(file, most) if file_format == "parquet" else _orc(file)
        rows = list(islice((row for batch in batches for row in batch.to_pylist()), most))
    except (pa.ArrowException, OSError, ValueError, NotImplementedError) as error:
        reason = str(error).split("\n", 1)[0][:120]
        raise InputError("INPUT_CORRUPT", f"{file.name} cannot be read as {file_format}: {reason}") from None
    _check_names(file, schema.names)
    table = _nested(file, Form(file_format), rows)
    columns = list(dict.fromkeys([*table.columns, *(schema.names if not table.form.explode else ())]))
    types = {each.name: str(each.type) for each in schema}
    return replace(table, columns=columns, types=types, whole=len(rows) == number)


def _check_names(file: Path, names: Sequence[str]) -> None:
    lower = Counter(name.lower() for name in names)
    twice = [name for name in names if lower[name.lower()] > 1]
    if twice:
        sentence = f"{', '.join(twice[:10])} stand in {file.name} for more than one column (case is ignored)"
        raise SchemaError("SCHEMA_AMBIGUOUS", f"{sentence}; rename one")


def _parquet(file: Path, most: int) -> tuple[Iterable[pa.RecordBatch], pa.Schema, int]:
    source = pa.parquet.ParquetFile(file)
    return source.iter_batches(min(most, 10_000)), source.schema_arrow, source.metadata.num_rows


def _orc(file: Path) -> tuple[Iterator[pa.RecordBatch], pa.Schema, int]:
    source = pa.orc.ORCFile(file)
    return (source.read_stripe(stripe) for stripe in range(source.nstripes)), source.schema, source.nrows


def _nested(file: Path, form: Form, objects: list[dict[str, Any]]) -> Table:
    explode = array_of_items(objects)
    flattened = [flat(row, explode) for row in objects]
    rows = [row for several in flattened for row in several]
    columns = dict.fromkeys(name for row in rows for name in row)
    emptied = sum(not several for several in flattened)
    return Table(replace(form, explode=explode), [file], list(columns), rows, emptied=emptied)
