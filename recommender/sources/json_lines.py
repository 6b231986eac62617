"""Read JSON lines: a line is one object and nothing else, or it is malformed.

Spark's own reader of JSON makes two rows of a line with an array of two objects, none of an empty array, and reads no
further than the first object of a line. Here lines are read as text, so that each is one row whatever is in it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession, functions as F

from recommender.errors import ConfigError, InputError, Mistake
from recommender.sources.encodings import Encoding
from recommender.sources.loaded import FILE, MALFORMED, Loaded, check_names, quoted
from recommender.sources.nested import root_of
from recommender.sources.options import chosen
from recommender.sources.paths import HINT, STRICT, base_of, listed, no_text, twice, with_place

_LINE, _OBJECT = "__line", "__object"
_SAMPLED_LINES = 1000
# The characters between the tokens of JSON; a line of only these does not count.
_TRIMMED = f"trim(BOTH ' \t\r\n' FROM {_LINE})"


def read_json(
    spark: SparkSession,
    path: str,
    wanted: Sequence[str],
    optional: Sequence[str],
    options: Mapping[str, str],
    array: str | None = None,
    *,
    whole: bool = False,
) -> Loaded:
    """Read JSON lines; which keys there are is seen from the first lines, and where that is not enough, from all.

    See `read_files` for the arguments.

    Raises:
        InputError: there are no objects (INPUT_EMPTY, INPUT_CORRUPT), or what there is, is not text (ENCODING).
        SchemaError: two keys of an object differ in case only. ConfigError: multiLine or UTF-16 is among the options.
    """
    if any(key.lower() == "multiline" and value.lower() != "false" for key, value in options.items()):
        sentence = "data_loader.options.multiLine is for CSV; JSON is read with one object per line"
        raise ConfigError(Mistake("CFG_OPTION", "data_loader.options.multiLine", sentence))
    if Encoding(chosen(options, "encoding") or chosen(options, "charset")).is_wide:
        sentence = "data_loader.options.encoding: JSON is read line by line, which a file in UTF-16 or UTF-32 cannot be"
        raise ConfigError(Mistake("CFG_OPTION", "data_loader.options.encoding", f"{sentence}; convert it to UTF-8"))
    files = listed(spark, path)
    lines = _lines(spark, path, {**base_of(path, files), **options})
    folders = [name for name in lines.columns if name != _LINE]
    required = {*wanted} - {*optional} - {*folders}
    found = _keys(lines.limit(_SAMPLED_LINES), options)
    if not {root_of(name, found) for name in required} <= {*found}:
        found = _keys(lines, options)
    _check_text(lines, found, path)
    check_names(found, path)
    columns = [*found, *(name for name in optional if name not in {*found, *folders}), *folders]
    names = [name for name in wanted if name not in folders and root_of(name, found) in {*found, name}]
    kinds = _kinds([*names, *([array] if array else []), *(found if whole else [])], found, array)
    return Loaded(_parsed(lines, kinds, folders, options), columns, path, twice(files, found, "folders"))


def _kinds(names: Sequence[str], found: Sequence[str], array: str | None) -> dict[str, str]:
    """Return the types of the keys in SQL: what a name leads into is an object, all else is text.

    >>> _kinds(["id", "cart.items.id", "cart.items"], ["id", "cart"], "cart.items")
    {'id': 'string', 'cart': 'struct<`items`: array<struct<`id`: string>>>'}
    """
    tree: dict[str, Any] = {}
    for name in names:
        node = tree
        for part in [name] if root_of(name, found) == name else name.split("."):
            node = node.setdefault(part, {})

    def kind(node: Mapping[str, Any], path: str) -> str:
        fields = ", ".join(f"{quoted(part)}: {kind(inner, f'{path}.{part}')}" for part, inner in node.items())
        value = f"struct<{fields}>" if fields else "string"
        return f"array<{value}>" if path == array else value

    return {name: kind(node, name) for name, node in tree.items()}


def _lines(spark: SparkSession, path: str, options: Mapping[str, str]) -> DataFrame:
    """Return the lines, those without anything left out, and the columns of the folders."""
    settings = {**options, "wholetext": "false", **STRICT}
    rows = spark.read.schema(f"{_LINE} string").options(**settings).text(path)
    encoding = Encoding(chosen(options, "encoding") or chosen(options, "charset"))
    rows = rows.withColumn(_LINE, encoding.decoded(F.col(_LINE)))
    return rows.where(F.expr(_TRIMMED) != "")


def _keys(lines: DataFrame, options: Mapping[str, str]) -> list[str]:
    objects = F.from_json(_LINE, "map<string, string>", dict(options))
    keys = lines.select(F.explode(F.map_keys(objects)).alias("key")).distinct()
    return sorted(row["key"] for row in keys.toLocalIterator())


def _check_text(lines: DataFrame, found: Sequence[str], path: str) -> None:
    """Refuse what has no objects, or names that are not text."""
    strange = F.col(_LINE).contains("\x00") | F.col(_LINE).contains("\ufffd")
    if any("\x00" in key or "\ufffd" in key for key in found) or (
        not found and not lines.limit(_SAMPLED_LINES).where(strange).isEmpty()
    ):
        raise no_text(path, str(lines.select(_LINE).first()[0]), "encoding")  # type: ignore[index]
    if not found and not lines.isEmpty():
        raise InputError("INPUT_CORRUPT", f"{path} has no JSON object per line", f"{HINT}.file_format")


def _parsed(
    lines: DataFrame, kinds: Mapping[str, str], folders: Sequence[str], options: Mapping[str, str]
) -> DataFrame:
    """Return the cells of the lines, and the text of those that are malformed."""
    schema = ", ".join(f"{quoted(name)} {kind}" for name, kind in {**kinds, MALFORMED: "string"}.items())
    settings = {**options, "mode": "PERMISSIVE", "columnNameOfCorruptRecord": MALFORMED}
    rows = with_place(lines).withColumn(_OBJECT, F.from_json(_LINE, schema, settings))
    malformed = F.when(_is_one_object(settings), F.col(f"{_OBJECT}.{MALFORMED}")).otherwise(F.col(_LINE))
    cells = [F.col(f"{_OBJECT}.{quoted(name)}").alias(name) for name in kinds]
    return rows.select(*cells, *map(quoted, folders), malformed.alias(MALFORMED), FILE)


def _is_one_object(options: Mapping[str, str]) -> Column:
    """Return whether a line that can be parsed is one object with nothing after it."""
    text = F.expr(_TRIMMED)
    # Of an object without another in it the only brace that closes is the last character.
    flat = F.expr(f"locate('}}', {_TRIMMED}) = length({_TRIMMED})")
    # What ends one of the brackets too early is wrong in the other.
    in_array = F.from_json(F.concat(F.lit("["), text, F.lit("\n]")), "array<string>", dict(options))
    in_object = F.from_json(F.concat(F.lit('{"a":'), text, F.lit("\n}")), "a string", dict(options))
    alone = F.coalesce((F.size(in_array) == 1) & in_object["a"].isNotNull(), F.lit(False))
    return text.startswith("{") & F.when(flat, F.lit(True)).otherwise(alone)
