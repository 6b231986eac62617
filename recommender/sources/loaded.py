"""The rows of a source.

Example usage:
>>> quoted("visitor`id")
'`visitor``id`'
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from pyspark.sql import Column, DataFrame, functions as F

from recommender.errors import InputError, RecommenderError, SchemaError
from recommender.spark.errors import explained, failed_on_a_row

# Columns that a source adds to its own.
FILE: Final = "__file"  # the file, table or query that a row comes from
MALFORMED: Final = "__malformed"  # the text of a row that could not be parsed, else null
HEAD: Final = "__head"  # of CSV: of a line that is one of those that its file begins with, how often it does; else null
EMPTY: Final = "__empty"  # of an array of which each element is a row: whether the row stands for an array without one

# Unicode's white space.
BLANKS: Final = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
)


@dataclass(frozen=True)
class Loaded:
    """The rows of a source."""

    # the source's own columns, ``FILE`` and ``MALFORMED``; of text files only those that were asked for
    rows: DataFrame
    columns: list[str]  # names of all columns of the source
    name: str  # what an error calls the source
    warnings: list[str] = field(default_factory=list)  # what the user should know, a sentence each
    # returns what an error that is met while the rows are read says about the source; None: it is a bug
    mistake: Callable[[Exception], RecommenderError | None] = explained
    is_query: bool = False  # whether the rows are computed by an expression of the user's in Spark's SQL
    # whether times in nanoseconds are among the rows as numbers, since Spark has no type for them
    nanoseconds: bool = False
    # column -> the one with its text, of times that the driver may change. A filter on the column itself is right, as
    # the source evaluates it
    texts: Mapping[str, str] = field(default_factory=dict)
    # returns whether the text of a row has a quote that is not closed in it; None if no row may have one
    is_open: Callable[[Column], Column] | None = None
    # number of rows, and of those that are left out by `where`; None without it
    left_out: tuple[int, int] | None = None

    def as_text(self) -> "Loaded":
        """Return the rows with the text of those columns that have one."""
        own = {name: F.col(quoted(text)) for name, text in self.texts.items()}
        return replace(self, rows=self.rows.withColumns(own).drop(*self.texts.values())) if own else self

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Raise errors of the source, while the rows are computed, as ours, without the values of a row.

        Raises:
            InputError: a query fails on a row (SOURCE_QUERY), or what the source says of an error.
        """
        try:
            yield
        except RecommenderError:
            raise
        except Exception as error:
            failed = failed_on_a_row(error) if self.is_query else None
            known = explained(error)
            ours = None if failed or known else self.mistake(error)
            if known and known.sentence.startswith("a file "):  # Spark 3.5 does not say which one
                ours = type(known)(known.id, known.sentence.replace("a file", f"a file of {self.name}", 1))
            if ours is not None:
                raise ours from None  # Spark's own text may show what is in a row or a URL
            if failed is None:
                raise
            sentence = f"{self.name} fails on a row, with {failed}; write it with try_cast, try_divide or try_add"
            raise InputError("SOURCE_QUERY", sentence) from None


def quoted(name: str) -> str:
    """Return a name as Spark's SQL takes it, whatever is in it."""
    return f"`{name.replace('`', '``')}`"


def in_sql(text: str) -> str:
    """Return a text as Spark's SQL takes it, in quotes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def trimmed(name: str) -> str:
    """Return Spark's SQL for a column as text without the white space at its ends: Unicode's, of which trim knows one.

    >>> spark.createDataFrame([("\\u00a0 a b\\u2003",)], "itemid string").selectExpr(trimmed("itemid")).first()[0]
    'a b'
    """
    return f"trim(BOTH '{BLANKS}' FROM cast({quoted(name)} as string))"


def shown(columns: list[str]) -> str:
    """Return names of columns for an error."""
    return ", ".join(name if name.isprintable() and name == name.strip() else ascii(name) for name in columns)[:300]


def loaded(rows: DataFrame, name: str, file: Column | None = None) -> Loaded:
    """Return the rows of a source whose rows are never malformed.

    Args:
        name: what an error calls the source.
        file: where a row comes from; the source, unless it is given.

    Raises:
        SchemaError: two columns have the same name.
    """
    check_names(rows.columns, name)
    added = {MALFORMED: F.lit(None).cast("string"), FILE: F.lit(name) if file is None else file}
    return Loaded(rows.withColumns(added), rows.columns, name)


def check_names(columns: list[str], place: str, way: str = "") -> None:
    """Refuse names that stand more than once, case ignored; `way` is one more way out.

    >>> check_names(["a", "b", "A"], "the log")
    Traceback (most recent call last):
    recommender.errors.SchemaError: SCHEMA_AMBIGUOUS a, A stand in the log for more than one column ...
    """
    lower = [name.lower() for name in columns]
    twice = [name for name in columns if lower.count(name.lower()) > 1]
    if twice:
        fault = f"{shown(twice)} stand in {place} for more than one column (case is ignored)"
        raise SchemaError("SCHEMA_AMBIGUOUS", fault, "rename one", way)
