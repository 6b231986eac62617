"""What a source gives.

Example usage:
>>> quoted("visitor`id")
'`visitor``id`'
"""

from dataclasses import dataclass, field
from typing import Final

from pyspark.sql import DataFrame

# Columns that a source adds to its own.
FILE: Final = "__file"  # the file, table or query that a row comes from
MALFORMED: Final = "__malformed"  # the text of a row that could not be parsed, else null


@dataclass(frozen=True)
class Loaded:
    """The rows of a source.

    Attributes:
        rows: the source's own columns, ``FILE`` and ``MALFORMED``; of text files only those that were asked for.
        columns: names of all columns of the source.
        name: what an error calls the source.
        warnings: what the user should know, a sentence each.
    """

    rows: DataFrame
    columns: list[str]
    name: str
    warnings: list[str] = field(default_factory=list)


def quoted(name: str) -> str:
    """Return a name as Spark's SQL takes it, whatever is in it."""
    return f"`{name.replace('`', '``')}`"


def shown(columns: list[str]) -> str:
    """Return names of columns for an error."""
    return ", ".join(name if name.isprintable() else ascii(name) for name in columns)[:300]


def duplicates(columns: list[str]) -> list[str]:
    """Return the names that stand more than once, case ignored.

    >>> duplicates(["a", "b", "A"])
    ['a', 'A']
    """
    lower = [name.lower() for name in columns]
    return [name for name in columns if lower.count(name.lower()) > 1]
