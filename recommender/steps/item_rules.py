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

from collections.abc import Mapping
from types import MappingProxyType

from pyspark.sql import DataFrame, SparkSession, functions as F, types as T

import recommender.constants as C
from recommender.aggregates import single_row
from recommender.base import Annotated, Field, TableName, step
from recommender.errors import SchemaError
from recommender.sources import catalog_versions, format_of, read_catalog, read_files, shown, trimmed

_MS_PER_DAY = 86_400_000


@step
class ItemRules:
    """Keep items from being recommended: by lists of what may not and of what may be shown, and by when last seen.

    The rules are applied before anything is ranked, in the lists that models are judged by as in those that are served.

    Init parameters:
        deny_filename: file, folder or glob with a column itemid: items that may not be recommended; by .csv, .json,
            .ndjson or .orc at the end of the name, also compressed, else Parquet.
        deny_table: table of the catalog with such a column.
        allow_filename: file, folder or glob with a column itemid: only these items may be recommended.
        allow_table: table of the catalog with such a column.
        max_days_unseen: days (of 24 hours) since an item's last event, counted from the last event of all items, after
            which it is not recommended any more; null: it always is.
    Execution args:
        items: itemid, item_index int, last_timestamp long (ms, null for an item without events), one row per item.
        versions: of the tables of the lists, as `versions` has returned them; a table is read as it was then.
    Execution returns:
        item_index int, one row per item that may be recommended, order undefined; null where there is no rule, and
        every item may.
    Raises:
        InputError: a list is missing or unreadable. SchemaError: a list has no column itemid, or one of fractions.
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
        """Return the tables of the lists and their newest versions; None without a session, or where there is none."""
        return catalog_versions(filter(None, (self.deny_table, self.allow_table)), started)

    def execute(self, items: DataFrame, versions: Mapping[str, str | None] = MappingProxyType({})) -> DataFrame | None:
        """Return the items that may be recommended; see the class."""
        denied = [_list_of_files(path) for path in [self.deny_filename] if path]
        denied += [_list_of_table(table, versions.get(table)) for table in [self.deny_table] if table]
        allowed = [_list_of_files(path) for path in [self.allow_filename] if path]
        allowed += [_list_of_table(table, versions.get(table)) for table in [self.allow_table] if table]
        if not denied and not allowed and self.max_days_unseen is None:
            return None
        kept = items
        if self.max_days_unseen is not None:
            (last,) = single_row(items.agg(F.max(C.LAST_TIMESTAMP)))
            kept = kept.where(F.col(C.LAST_TIMESTAMP) >= F.lit((last or 0) - self.max_days_unseen * _MS_PER_DAY))
        for listed in allowed:
            kept = _joined(kept, listed, "left_semi")
        for listed in denied:
            kept = _joined(kept, listed, "left_anti")
        return kept.select(C.ITEM_INDEX)


def _list_of_files(path: str) -> DataFrame:
    loaded = read_files(SparkSession.active(), path, format_of(path), [C.ITEM])
    return _column(loaded.rows, loaded.columns, path)


def _list_of_table(table: str, version: str | None) -> DataFrame:
    loaded = read_catalog(SparkSession.active(), table, version, None)
    return _column(loaded.rows, loaded.columns, table)


def _column(rows: DataFrame, columns: list[str], place: str) -> DataFrame:
    if C.ITEM not in columns:
        sentence = f"{C.ITEM}; found [{shown(columns)}] in {place}; a list of items has that column, see item_rules"
        raise SchemaError("SCHEMA_MISSING", sentence)
    found = rows.schema[C.ITEM].dataType
    if isinstance(found, T.FractionalType) and not (isinstance(found, T.DecimalType) and found.scale == 0):
        sentence = f"{C.ITEM} expected whole numbers or text found {found.simpleString()} in {place}"
        raise SchemaError("SCHEMA_TYPE", f"{sentence}; its numbers would match no item, see item_rules")
    return rows.select(F.expr(trimmed(C.ITEM)).alias("_listed"), F.lit(place).alias("_place"))


def _joined(items: DataFrame, listed: DataFrame, how: str) -> DataFrame:
    """Join by the ids; a list need not have the type of the log.

    Raises:
        SchemaError: an id of the list is none that the log can have.
    """
    wanted = items.schema[C.ITEM].dataType
    cast = listed.select("_listed", "_place", F.expr(f"try_cast(_listed AS {wanted.simpleString()})").alias(C.ITEM))
    wrong = cast.where(F.col(C.ITEM).isNull() & F.col("_listed").isNotNull() & (F.col("_listed") != "")).first()
    if wrong is not None:
        sentence = f"{C.ITEM} expected {wanted.simpleString()} found {wrong['_listed'][:40]!r} in {wrong['_place']}"
        raise SchemaError("SCHEMA_TYPE", f"{sentence}; it would match no item, see item_rules")
    return items.join(cast.select(C.ITEM), C.ITEM, how)
