"""Decide which items may be recommended at all.

Example usage:
>>> import pathlib, tempfile
>>> path = pathlib.Path(tempfile.mkdtemp()) / "recalled.csv"
>>> _ = path.write_text("itemid\\n2\\n")
>>> items = spark.createDataFrame([(1, 0, 86_400_000), (2, 1, 86_400_000), (3, 2, 0)],
...                               "itemid long, item_index int, last_timestamp long")
>>> rules = ItemRules(deny_filename=str(path), max_days_unseen=0.5)
>>> rules.execute(items).collect()
[Row(item_index=0)]
>>> ItemRules().execute(items) is None
True
"""

import unicodedata
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pyspark.sql import Column, DataFrame, SparkSession, functions as F, types as T

import recommender.constants as C
from recommender.errors import InputError, SchemaError
from recommender.settings.step import Annotated, Field, TableName, step
from recommender.sources.files import read_list
from recommender.sources.loaded import MALFORMED, Loaded, shown, trimmed
from recommender.sources.tables import catalog_versions, read_catalog
from recommender.sources.values import Ids
from recommender.spark.aggregates import single_row

_MS_PER_DAY = 86_400_000
_LISTED = "_listed"
_PARTS = {letter: unicodedata.normalize("NFD", letter) for letter in map(chr, range(0xC0, 0x3100))}
_BASES = {letter: parts[0] for letter, parts in _PARTS.items() if len(parts) > 1}  # letter with a mark -> without


@step
class ItemRules:
    """Keep items from being recommended: by lists of what may not and of what may be shown, and by when last seen.

    The rules are applied before anything is ranked, in the lists that models are judged by as in those that are served.

    Init parameters:
        deny_filename: file, folder or glob with a column itemid: items that may not be recommended; read by
            the end of its name, as event_filename.
        deny_table: table of the catalog with such a column.
        allow_filename: file, folder or glob with a column itemid: only these items may be recommended.
        allow_table: table of the catalog with such a column.
        max_days_unseen: days (of 24 hours) since an item's last event, counted from the last event of all items, after
            which it is not recommended any more; null: it always is.
    Execution args:
        items: itemid, item_index int, last_timestamp long (ms, null for an item without events), one row per item.
        versions: of the tables of the lists, as `versions` has returned them; a table is read as it was then.
        warnings: takes a sentence for each list that has none of the items, or ids that are written in another way than
            the log's; null: nobody wants to know.
        hidden: ids of items, as text, that may not be recommended either: those of `python -m recommender hide`.
    Execution returns:
        item_index int, one row per item that may be recommended, order undefined; null if there is no rule, and
        every item may.
    Raises:
        InputError: a list is missing, or it or one of its rows is unreadable. SchemaError: a list has no column itemid,
        or an id that the log cannot have: it would match no item, and what is to be hidden would stay visible.
    Persist strategy: none of its own.
    """

    deny_filename: str | None = None
    deny_table: TableName | None = None
    allow_filename: str | None = None
    allow_table: TableName | None = None
    max_days_unseen: Annotated[float, Field(gt=0)] | None = None

    @property
    def files(self) -> list[str]:
        """The files of the lists; a change of them makes another result."""
        return [path for path in (self.deny_filename, self.allow_filename) if path]

    def versions(self, started: bool) -> dict[str, str | None]:
        """Return the tables of the lists and their newest versions; None without a session, or if there is none."""
        return catalog_versions(filter(None, (self.deny_table, self.allow_table)), started)

    def execute(
        self,
        items: DataFrame,
        versions: Mapping[str, str | None] = MappingProxyType({}),
        warnings: list[str] | None = None,
        hidden: Sequence[str] = (),
    ) -> DataFrame | None:
        found: list[str] = [] if warnings is None else warnings
        denied, allowed = (self._lists(of, versions) for of in ("deny", "allow"))
        if not denied and not allowed and not hidden and self.max_days_unseen is None:
            return None
        kept = items
        if hidden:
            ids = items.sparkSession.createDataFrame([(each,) for each in hidden], f"{_LISTED} string")
            kept = kept.join(ids, F.col(C.ITEM).cast("string") == F.col(_LISTED), "left_anti")
        if self.max_days_unseen is not None:
            (last,) = single_row(items.agg(F.max(C.LAST_TIMESTAMP)))
            kept = kept.where(F.col(C.LAST_TIMESTAMP) >= F.lit((last or 0) - self.max_days_unseen * _MS_PER_DAY))
        for how, lists in (("left_semi", allowed), ("left_anti", denied)):
            for listed in lists:
                ids = _checked(items, *listed, found)
                kept = kept.join(ids, C.ITEM, how)
        return kept.select(C.ITEM_INDEX)

    def _lists(self, of: str, versions: Mapping[str, str | None]) -> list[tuple[DataFrame, str]]:
        """Return the lists of one kind, deny or allow: the ids of each, and where they are from."""
        path, table = getattr(self, f"{of}_filename"), getattr(self, f"{of}_table")
        spark, key = SparkSession.active(), f"item_rules.{of}"
        found = [read_list(spark, path, [C.ITEM], key=f"{key}_filename")] if path else []
        found += [read_catalog(spark, table, versions.get(table), key=f"{key}_table")] if table else []
        return [_column(loaded) for loaded in found]


def _column(loaded: Loaded) -> tuple[DataFrame, str]:
    """Return the ids of a list as text, null of a row that cannot be read, and where they are from."""
    place = loaded.name
    if C.ITEM not in loaded.columns:
        fault = f"{C.ITEM}; found [{shown(loaded.columns)}] in {place}; a list of items has that column, see item_rules"
        raise SchemaError("SCHEMA_MISSING", fault)
    found = loaded.rows.schema[C.ITEM].dataType
    is_whole = isinstance(found, T.StringType | T.IntegralType) or (
        isinstance(found, T.DecimalType) and not found.scale
    )
    if not is_whole:
        sentence = f"{C.ITEM} expected whole numbers or text found {found.simpleString()} in {place}"
        raise SchemaError("SCHEMA_TYPE", f"{sentence}; its numbers would match no item, see item_rules")
    text = F.expr(trimmed(C.ITEM))
    is_text = F.col(MALFORMED).isNull() & ~text.contains("\x00") & ~text.contains("\ufffd")
    return loaded.rows.select(F.when(is_text, text).alias(_LISTED)), place


def _checked(items: DataFrame, listed: DataFrame, place: str, warnings: list[str]) -> DataFrame:
    """Return the ids of a list as the log has them; warn of a list that is empty or has none of the items.

    Raises:
        InputError: a row cannot be read. SchemaError: an id is none that the log can have.
    """
    wanted = items.schema[C.ITEM].dataType
    kind = listed.schema[_LISTED].dataType
    ids = listed.withColumn(C.ITEM, Ids(wanted.simpleString(), ()).column(_LISTED, kind, "the list"))
    found = ids.join(items.select(C.ITEM, F.lit(True).alias("_is_item")), C.ITEM, "left")
    is_given, is_id = F.coalesce(F.col(_LISTED) != "", F.lit(False)), F.col(C.ITEM).isNotNull()
    counts = F.count_if(is_given & ~is_id), F.count_if(~is_given & ~is_id)
    number, known, wrong, missing = single_row(found.agg(F.count(F.lit(1)), F.count("_is_item"), *counts))
    if wrong:
        fault = f"{C.ITEM} expected {wanted.simpleString()} found other text in {wrong:,} of {number:,} rows of {place}"
        raise SchemaError("SCHEMA_TYPE", f"{fault}; it would match no item, see item_rules")
    if missing:
        sentence = f"{place} has a row with too many or too few cells, or without an {C.ITEM} that is text"
        raise InputError("INPUT_CORRUPT", f"{sentence}; mend it, for a list is read as a whole, see item_rules")
    if not number:
        warnings.append(f"{place} has no ids: see item_rules")
    elif not known:
        warnings.append(f"none of the {number:,} ids in {place} is one of an item: see item_rules")
    if known < number and isinstance(wanted, T.StringType):
        strange = found.where(F.col("_is_item").isNull()).select(_alike(C.ITEM).alias("alike"))
        near = strange.join(items.select(_alike(C.ITEM).alias("alike")), "alike", "left_semi").count()
        if near:
            why = "match no item, but would without case, accents, invisible characters, first zeros or a .0 at the end"
            warnings.append(f"{near:,} ids in {place} {why}: write them as the log does, see item_rules")
    return ids.select(C.ITEM)


def _alike(name: str) -> Column:
    """Return an id without what a spreadsheet, a program or another form of Unicode changes in one."""
    plain = F.translate(F.lower(F.col(name)), "".join(_BASES), "".join(_BASES.values()))
    return F.regexp_replace(F.regexp_replace(plain, r"[\p{M}\p{Cf}\s]", ""), "^0+(?=.)|[.]0+$", "")
