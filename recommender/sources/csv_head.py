"""Read the beginning of a CSV file: lines that are skipped, a header, and the number of cells of a row.

Example usage:
>>> cells(',a,"b;c"', ";"), cells("a,'b,c'", ",", "'"), cells("1::2", "::")
([',a,"b', 'c"'], ['a', 'b,c'], ['1', '2'])
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession, functions as F

from recommender.errors import SchemaError
from recommender.sources.encodings import Encoding
from recommender.sources.options import chosen
from recommender.sources.paths import STRICT, check_packed, literal, no_text, of_each, with_place

LINE: Final = "__line"  # the text of a line
_VALUE = re.compile(r"[{\[]|[-+]?\d[\d.,:TZ/ +-]*$")  # in the place of a name
_COMPRESSED = (".gz", ".gzip", ".bz2", ".zst", ".lz4", ".snappy", ".deflate")
_OF_LINES = ("linesep", "comment")  # options that say what a line is
_SEP = re.compile(r' *"?sep=(.+?)"? *', re.IGNORECASE)  # the first line as Excel writes it
# The characters that Java's trim removes: a line of only these does not count.
_BLANKS = "".join(chr(code) for code in range(33))
# No character of a text: nothing separates or quotes the cells of a line that is one cell.
_NOTHING: Mapping[str, str] = {"sep": "\ufffe", "quote": "\uffff", "escape": "\uffff"}


@dataclass(frozen=True)
class Layout:
    """How CSV files are laid out."""

    delimiter: str = ","  # what stands between the cells, one or more characters
    header: bool = True  # whether the first line has the names of the columns
    column_names: Sequence[str] = ()  # names of the columns of files without a header; none: c1, c2 and so on
    skip_rows: int = 0  # number of lines before the header, or before the first row; blank lines are not counted
    options: Mapping[str, str] = field(default_factory=dict)  # further options of Spark's reader

    def option(self, name: str, default: str = "") -> str:
        """Return an option, whatever the case of its name."""
        return chosen(self.options, name, default)

    @property
    def encoding(self) -> Encoding:
        """The encoding of the files."""
        return Encoding(self.option("encoding") or self.option("charset"))

    @property
    def has_multiline(self) -> bool:
        """Whether cells may have line breaks; a file of wide characters is read in the same way."""
        return self.option("multiLine", "false").lower() != "false" or self.encoding.is_wide

    @property
    def multiline(self) -> str:
        """The option multiLine of files whose cells may have line breaks."""
        given = self.option("multiLine", "false")
        return "true" if given.lower() == "false" else given

    @property
    def quote(self) -> str:
        """The character that quotes a cell; empty where none does."""
        return "" if self.option("quote", '"') in {"", "\x00"} else self.option("quote", '"')


@dataclass(frozen=True)
class Head:
    """The beginning of a file."""

    names: tuple[str, ...]  # of the columns; none of an empty file
    delimiter: str  # what stands between its cells
    lines: tuple[str, ...] = ()  # those that are not rows: skipped ones, ``sep=;``, the header
    header: tuple[str, ...] = ()  # the cells of the header as they are; none without one


def lines(spark: SparkSession, paths: str | list[str], layout: Layout) -> DataFrame:
    """Return the lines of files as text, with the file of each; blank ones and comments are left out."""
    encoding = layout.encoding
    if layout.has_multiline:  # Spark's CSV reader knows lines of wide characters, and cuts no other ones as it should
        of_lines = {name: layout.option(name) for name in _OF_LINES if layout.option(name)}
        given = {**of_lines, **_NOTHING, "encoding": encoding.of_reader, "multiLine": layout.multiline}
        rows = spark.read.schema(f"{LINE} string").options(**given, **STRICT).csv(paths)
    else:
        given = {name: value for name, value in layout.options.items() if name.lower() not in {"encoding", "charset"}}
        rows = spark.read.schema(f"{LINE} string").options(**given, wholetext="false", **STRICT).text(paths)
    rows = with_place(rows)
    if not layout.has_multiline:
        rows = rows.withColumn(LINE, encoding.decoded(F.col(LINE)))
    comment = layout.option("comment")
    is_row = F.expr(f"trim(LEADING '{_sql(_BLANKS)}' FROM {LINE}) != ''")
    return rows.where(is_row & ~F.col(LINE).startswith(comment) if comment else is_row)


def _sql(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


def quotes(line: Column, layout: Layout) -> Column:
    """Return the number of quotes in a line, without escaped ones."""
    quote, escape = layout.quote, layout.option("escape", '"')
    if escape and escape != quote:
        for escaped in (escape * 2, f"{escape}{quote}"):
            line = F.replace(line, F.lit(escaped), F.lit(""))
    return F.length(line) - F.length(F.replace(line, F.lit(quote), F.lit("")))


def heads(spark: SparkSession, files: Sequence[str], layout: Layout) -> dict[str, Head]:
    """Return what each file begins with.

    Raises:
        InputError: it is not text (ENCODING). SchemaError: there are not as many columns as names.
    """
    number = layout.skip_rows + 2  # sep=; and the header, or the first row

    def look(file: str) -> Head:
        first = [str(row[0] or "").removeprefix("\ufeff") for row in lines(spark, literal(file), layout).take(number)]
        looked_at = head_lines(first, layout)
        if any("\x00" in line or "\ufffd" in line for line in looked_at):
            raise no_text(file, first[0], "encoding, multiLine")
        if not first and file.lower().endswith(_COMPRESSED):
            check_packed(spark, file)
        return head_of(first, layout, file)

    return of_each(files, look)


def head_lines(first: Sequence[str], layout: Layout) -> Sequence[str]:
    """Return those of the first lines of a file that say what its columns are, and those before."""
    return first[: layout.skip_rows + 1 + bool(first and _SEP.fullmatch(first[0]))]


def head_of(first: Sequence[str], layout: Layout, file: str = "") -> Head:
    """Return what a file begins with whose first lines are given.

    >>> head_of(["sep=;", "a;b", "1;2"], Layout())
    Head(names=('a', 'b'), delimiter=';', lines=('sep=;', 'a;b'), header=('a', 'b'))
    >>> head_of(["sep=\\t", "a\\tb"], Layout()).names
    ('a', 'b')
    >>> head_of(["1;2"], Layout(";", header=False))
    Head(names=('c1', 'c2'), delimiter=';', lines=(), header=())
    """
    found = _SEP.fullmatch(first[0]) if first else None
    delimiter = found[1] if found else layout.delimiter
    skipped = layout.skip_rows + bool(found)
    if len(first) <= skipped:
        return Head((), delimiter, tuple(first))
    is_spaced = layout.option("ignoreLeadingWhiteSpace").lower() == "true"
    raw = cells(first[skipped], delimiter, layout.quote, is_spaced=is_spaced)
    if layout.header:
        names = [name.strip() or f"_c{position}" for position, name in enumerate(raw)]
        return Head(tuple(names), delimiter, tuple(first[: skipped + 1]), tuple(raw))
    names = list(layout.column_names) or [f"c{position}" for position, _ in enumerate(raw, start=1)]
    if len(names) != len(raw):
        sentence = f"data_loader.column_names has {len(names)} names, and the first row of {file} has {len(raw)} cells"
        raise SchemaError("SCHEMA_MISSING", f"{sentence}; name every column, and see data_loader.delimiter")
    return Head(tuple(names), delimiter, tuple(first[:skipped]))


def has_values(names: Sequence[str], wanted: Sequence[str]) -> bool:
    """Return whether a row stands in the place of a header; it must not be shown.

    >>> has_values(["7", "view"], ["itemid"]), has_values(["ann\\t5"], []), has_values(["itemid", "5"], ["itemid"])
    (True, True, False)
    """
    cells_ = (cell for name in names for cell in re.split(r"[\t;|]|::", name))  # the delimiter may be another one
    return any(map(_VALUE.match, cells_)) and not set(names) & set(wanted)


def cells(line: str, delimiter: str, quote: str = '"', *, is_spaced: bool = False) -> list[str]:
    """Return the cells of a line; `is_spaced`: blanks before quotes do not count.

    >>> cells(',a,"b,c"', ",")
    ['', 'a', 'b,c']
    """
    one = delimiter if len(delimiter) == 1 else "\x1f"
    line = line.replace(delimiter, one)
    try:
        if len(quote) == 1:
            return next(csv.reader([line], delimiter=one, quotechar=quote, skipinitialspace=is_spaced))
    except csv.Error:  # a cell is longer than Python reads
        pass
    return line.split(one)  # nothing is quoted, or Spark will say what is wrong with the option
