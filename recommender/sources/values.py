"""Make ids and weights of what a source has: exactly, or not at all.

A number is an id if it is whole and its type holds it exactly. Other numbers, lists and objects are not ids.

Example usage:
>>> rows = spark.createDataFrame([("7",), ("257597.0",), ("1.5",), ("9.2e+18",), ("null",)], "id string")
>>> ids = Ids("bigint")
>>> kind = rows.schema["id"].dataType
>>> rows.select(ids.column("id", kind, "log").alias("id"), ids.is_given("id", kind).alias("given")).show()
+------+-----+
|    id|given|
+------+-----+
|     7| true|
|257597| true|
|  NULL| true|
|  NULL| true|
|  NULL|false|
+------+-----+
<BLANKLINE>
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pyspark.sql import Column, functions as F, types as T

import recommender.constants as C
from recommender.errors import SchemaError
from recommender.sources.loaded import BLANKS, in_sql, quoted, trimmed

# Up to here a number with a fraction holds every whole number.
_EXACT = {T.FloatType: 2**24, T.DoubleType: 2**53}
ROUNDED: Final = "^ *[0-9]([.][0-9]+)?E[+][0-9]+ *$"  # a number as a spreadsheet shortens it
_UUID_BYTES = 16
_UUID_PARTS = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
# A whole number as a program writes it that takes it for one with a fraction; of 18 places, for more are rounded.
_FLOAT = "^ *[+-]?[0-9]+([.]0*|[.]?[0-9]{0,18}[eE][+]?[0-9]+) *$"


@dataclass(frozen=True)
class Ids:
    """Read a column as ids."""

    kind: str  # type of an id, bigint or string
    null_words: Sequence[str] = C.NULL_WORDS  # text that stands for no id, case ignored

    def column(self, name: str, found: T.DataType, place: str) -> Column:
        """Return the ids of a column of a type; null if there is none, or a value is not an id.

        Raises:
            SchemaError: nothing of that type is an id (SCHEMA_TYPE).
        """
        column = quoted(name)
        if isinstance(found, T.StringType):
            return F.expr(self._of_text(name))
        if isinstance(found, T.DecimalType):  # such as a database's NUMERIC, which has 18 places after the point
            return F.expr(f"CASE WHEN {column} = floor({column}) THEN try_cast(floor({column}) AS {self.kind}) END")
        if isinstance(found, T.IntegralType):
            return F.col(column).cast(self.kind)
        if self.kind == "string" and isinstance(found, T.FloatType | T.DoubleType):
            is_whole = f"abs({column}) <= {_EXACT[type(found)]} AND {column} = floor({column})"
            return F.expr(f"CASE WHEN {is_whole} THEN cast(cast({column} AS bigint) AS string) END")
        if self.kind == "string" and isinstance(found, T.BinaryType):
            parts = ", ".join(f"substr(lower(hex({column})), {start}, {size})" for start, size in _UUID_PARTS)
            # Text of 16 letters is not a UUID.
            is_uuid = f"octet_length({column}) = {_UUID_BYTES} AND NOT cast({column} AS string) RLIKE '^[ -~]+$'"
            return F.expr(f"CASE WHEN {is_uuid} THEN concat_ws('-', {parts}) END")
        sentence = f"{name} expected {self.kind} found {found.simpleString()}, file {place}"
        raise SchemaError("SCHEMA_TYPE", f"{sentence}; {_way_out(found)}")

    def is_given(self, name: str, found: T.DataType) -> Column:
        """Return whether there is something in a column, and no word for nothing."""
        column = F.col(quoted(name))
        if isinstance(found, T.FloatType | T.DoubleType):
            return column.isNotNull() & ~F.isnan(column)
        if not isinstance(found, T.StringType):
            return column.isNotNull()
        return F.coalesce(~column.rlike(self._nothing), F.lit(False))

    def is_rewritten(self, name: str) -> Column:
        """Return whether an id that comes as text is another one than it was.

        As it becomes a number, zeros at the beginning are lost; as text it keeps the .0 of a program that took it for a
        number with a fraction. In either case a spreadsheet may have rounded it.
        """
        column = F.col(quoted(name))
        is_rounded = column.contains("E+") & column.rlike(ROUNDED)
        if self.kind == "string":
            return F.coalesce((column.endswith(".0") & column.rlike("^ *[0-9]+[.]0$")) | is_rounded, F.lit(False))
        return F.coalesce((column.startswith("0") & column.rlike("^0+[0-9]")) | is_rounded, F.lit(False))

    def _of_text(self, name: str) -> str:
        """Return SQL for an id made of text: of as few expressions as can be, for Java compiles no long methods."""
        if self.kind == "bigint":
            return exact_number(name)
        column, text = quoted(name), trimmed(name)
        longest = max(map(len, self.null_words), default=0)
        is_nothing = f"length({text}) <= {longest} AND {column} RLIKE {in_sql(self._nothing)}"
        is_json = f"json_array_length({column}) IS NOT NULL OR json_object_keys({column}) IS NOT NULL"
        is_list = f"substr({text}, 1, 1) IN ('[', '{{') AND ({is_json})"
        return f"CASE WHEN {is_nothing} THEN NULL WHEN {is_list} THEN NULL ELSE {text} END"

    @property
    def _nothing(self) -> str:
        """A pattern for text that is not an id: blank, or a word for nothing."""
        words = "|".join(f"\\Q{word}\\E" for word in self.null_words if word.strip())
        return f"^[{BLANKS}]*(?iu:{words})?[{BLANKS}]*$" if words else f"^[{BLANKS}]*$"


def exact_number(name: str, limit: int = 2**53) -> str:
    """Return SQL for the whole number in a text; null if it is another text.

    Args:
        limit: the greatest number that one with a point or an exponent may be: a program may have rounded others.
    """
    column = quoted(name)  # a cast to a number trims all blanks
    number = f"try_cast({column} AS decimal(38, 18))"
    is_whole = f"{column} RLIKE '{_FLOAT}' AND abs({number}) <= {limit} AND {number} = floor({number})"
    return f"coalesce(try_cast({column} AS bigint), CASE WHEN {is_whole} THEN try_cast({number} AS bigint) END)"


def weight(name: str, found: T.DataType, place: str) -> Column:
    """Return a weight, null where it is not a finite number; raise a SchemaError for other types."""
    if not isinstance(found, T.StringType | T.NumericType):
        sentence = f"{name} expected double found {found.simpleString()}, file {place}"
        raise SchemaError("SCHEMA_TYPE", f"{sentence}; see data_loader.columns.weight")
    number = f"try_cast({quoted(name)} AS double)"
    # A cast takes 2d and 2f for 2, as Java does.
    is_plain = f"NOT {quoted(name)} RLIKE '[dfDF] *$' AND " if isinstance(found, T.StringType) else ""
    return F.expr(f"CASE WHEN {is_plain}abs({number}) < double('Infinity') THEN {number} END")


def _way_out(found: T.DataType) -> str:
    if isinstance(found, T.ArrayType):
        return "an array is not an id: make an event of each element with data_loader.explode"
    if isinstance(found, T.StructType | T.MapType):
        return "name the field that holds it, as order.id"
    if isinstance(found, T.FloatType | T.DoubleType):
        return "write whole numbers, or see data_loader.id_type"
    return "see data_loader.id_type"
