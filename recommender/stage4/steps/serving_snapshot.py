"""Arrange what the service answers from: a row per visitor and a row per item, in the files of a serving snapshot.

Example usage:
>>> tables = {
...     "recommendations": spark.createDataFrame([(7, 1, 6, 0.5, "als")],
...                                              "visitorid long, rank int, itemid long, score float, source string"),
...     "similar_items": spark.createDataFrame([(5, 1, 6, 0.6)],
...                                            "itemid long, rank int, similar_itemid long, similarity float"),
...     "bought_together": spark.createDataFrame([(5, 1, 6, 2)],
...                                              "itemid long, rank int, together_itemid long, visitors long"),
...     "interactions": spark.createDataFrame([(0, 0, "view", 1.0, 9)], "visitor_index int, item_index int, "
...                                           "event string, score float, last_timestamp long"),
...     "visitors": spark.createDataFrame([(7, 0, 1), (8, 1, 0)], "visitorid long, visitor_index int, events long"),
...     "items": spark.createDataFrame([(5, 0), (6, 1)], "itemid long, item_index int"),
...     "item_factors": spark.createDataFrame([(0, [1.0, 0.0])], "id int, features array<float>"),
...     "popularity": spark.createDataFrame([(0, 2.0)], "item_index int, score double"),
... }
>>> visitors, items = ServingSnapshot().execute(**tables, kinds=["view"], visitor_count=1)
>>> visitors.select("visitors", "lists").collect()
[Row(visitors=1, lists=1)]
>>> [row["path"] for row in items.select("path").collect()]  # doctest: +NORMALIZE_WHITESPACE
['items.arrow', 'items_by_id.arrow', 'factors.arrow', 'gram.arrow', 'ranking.arrow', 'similar_items.arrow',
 'bought_together.arrow', 'popular_windows.arrow']
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession, functions as F

import recommender.constants as C
from recommender.errors import SchemaError
from recommender.settings.step import Annotated, Field, TableName, step
from recommender.snapshot.visitor_files import item_files, visitor_file
from recommender.sources.files import read_list
from recommender.sources.loaded import MALFORMED, quoted, shown
from recommender.sources.tables import catalog_versions, read_catalog
from recommender.sources.values import Ids
from recommender.spark.aggregates import fetch

OTHER = "(other kinds)"  # of events, where there are more than have a number
TITLE, PICTURE, ATTRIBUTES = "title", "picture", "attributes"

_MS_PER_DAY = 86_400_000
_PIECE = 8 * 2**20  # bytes of a file that come to the driver at once
_FEW = 0.5  # share of the items with a row in the table of titles, below which that is reported


@step
class ServingSnapshot:
    """Make the files of a serving snapshot: visitors with their lists and histories, items with all that is known.

    Init parameters:
        enabled: whether a snapshot is made.
        items_filename: file, folder or glob with a column itemid, and title and picture (a URL) as far as they are
            there; read by the end of its name, as event_filename. A row with too many or too few cells, or with an
            itemid that the log cannot have, names nothing and is reported.
        items_table: table of the catalog with these columns.
        attributes: more columns of that file or table, by which requests may filter: numbers, true and false, or text.
        popular_days: numbers of days; for each, requests may ask for what was popular in that many last days of the
            log, by the number of visitors that had an event with an item.
        visitors_per_file: how many visitors there are in a file, about; a file passes through the driver's memory.
    Execution args:
        recommendations, similar_items, bought_together: the tables of stage 3.
        interactions, visitors, items: those of stage 1.
        item_factors: id int, features array<float>: those of the model. popularity: the table of stage 2.
        neighbours: the table of stage 2, which takes the place of the factors; null: there is none.
        kinds: kinds of events, in the order of their numbers; interactions of other kinds are of the kind `OTHER`, if
            that is one of them, else they are left out.
        visitor_count: of the visitors that have events.
        allowed: item_index int, one row per item that may be recommended; null: every item may.
        gains: id int, features array<float>, whose last column is what popularity adds to the factors; null: nothing.
        versions: of `items_table`, as `versions` has returned it.
        warnings: takes a sentence for rows that name nothing, and if most items have none; null: nobody wants to know.
    Execution returns:
        (visitors, items): visitors long, lists long, content binary, a row per file, those of smaller ids in earlier
        partitions; path string, content binary, in order: what has the same path belongs together.
    Raises:
        InputError, SchemaError: the table of titles is missing, unreadable, or has no column itemid.
    Persist strategy: none of its own; stage 4 writes the files one by one.
    """

    enabled: bool = True
    items_filename: str | None = None
    items_table: TableName | None = None
    attributes: list[str] = Field(default_factory=list)
    popular_days: list[Annotated[int, Field(ge=1, le=3650)]] = Field(default_factory=lambda: [7, 30])
    visitors_per_file: Annotated[int, Field(ge=1, le=1_000_000)] = 100_000

    @property
    def files(self) -> list[str]:
        """The files with titles; a change of them makes another result."""
        return [self.items_filename] if self.enabled and self.items_filename else []

    def versions(self, started: bool) -> dict[str, str | None]:
        """Return the table with titles and its newest version; see `ItemRules.versions`."""
        return catalog_versions([self.items_table] if self.enabled and self.items_table else [], started)

    def execute(
        self,
        *,
        recommendations: DataFrame,
        similar_items: DataFrame,
        bought_together: DataFrame,
        interactions: DataFrame,
        visitors: DataFrame,
        items: DataFrame,
        item_factors: DataFrame,
        popularity: DataFrame,
        neighbours: DataFrame | None = None,
        kinds: Sequence[str],
        visitor_count: int,
        allowed: DataFrame | None = None,
        gains: DataFrame | None = None,
        versions: Mapping[str, str | None] = MappingProxyType({}),
        warnings: list[str] | None = None,
    ) -> tuple[DataFrame, DataFrame]:
        found: list[str] = [] if warnings is None else warnings
        ids = items.select(C.ITEM, C.ITEM_INDEX)
        lists, past = _lists(recommendations, ids), _past(interactions, kinds)
        known = visitors.where(F.col(C.EVENTS) > 0).select(C.VISITOR, C.VISITOR_INDEX)
        rows = known.join(past, C.VISITOR_INDEX, "left").join(lists, C.VISITOR, "left").drop(C.VISITOR_INDEX)
        parts = max(1, -(-visitor_count // self.visitors_per_file))
        ordered = rows.repartitionByRange(parts, C.VISITOR).sortWithinPartitions(C.VISITOR)
        files = ordered.mapInArrow(_visitor_files, "visitors long, lists long, content binary")
        facts = [
            popularity.select(C.ITEM_INDEX, F.col(C.SCORE).cast("double").alias("popularity")),
            _by_factors(item_factors) if neighbours is None else _by_neighbours(neighbours),
            _neighbours(similar_items, ids, "similar", C.SIMILARITY),
            _neighbours(bought_together, ids, "together", C.VISITORS),
        ]
        if self.popular_days:
            facts.append(_in_windows(interactions, self.popular_days))
        known_items = self._with_titles(_with_facts(ids, facts, allowed, gains), ids, versions, found)
        one = known_items.repartition(1).sortWithinPartitions(C.ITEM_INDEX)
        return files, one.mapInArrow(_item_files, "path string, content binary")

    def _with_titles(
        self, items: DataFrame, itemids: DataFrame, versions: Mapping[str, str | None], warnings: list[str]
    ) -> DataFrame:
        """Return the items with title, picture and attributes, null if there is none; warn of what is missing."""
        nothing = F.lit(None).cast("string")
        if self.items_filename:
            path = self.items_filename
            wanted = [C.ITEM, *self.attributes, TITLE, PICTURE]
            key = "snapshot.items_filename"
            loaded, place = read_list(SparkSession.active(), path, wanted, [TITLE, PICTURE], key=key), path
        elif self.items_table:
            place = self.items_table
            loaded = read_catalog(SparkSession.active(), place, versions.get(place), key="snapshot.items_table")
        else:
            return items.withColumns({TITLE: nothing, PICTURE: nothing})
        missing = [name for name in (C.ITEM, *self.attributes) if name not in loaded.columns]
        if missing:
            sentence = f"{', '.join(missing)}; found [{shown(loaded.columns)}] in {place}; see stage4.snapshot"
            raise SchemaError("SCHEMA_MISSING", sentence)
        there = set(loaded.columns) & set(loaded.rows.columns)
        names = list(dict.fromkeys((TITLE, PICTURE, *self.attributes)))
        texts = {name: F.col(quoted(name)).cast("string") if name in there else nothing for name in names}
        ids = Ids(items.schema[C.ITEM].dataType.simpleString(), ())
        id_ = ids.column(C.ITEM, loaded.rows.schema[C.ITEM].dataType, place)
        rows = loaded.rows.select(
            F.when(F.col(MALFORMED).isNull(), id_).alias("_id"),
            F.struct(*(text.alias(name) for name, text in texts.items())).alias("_texts"),
        )
        named = rows.where(F.col("_id").isNotNull())
        one = named.groupBy("_id").agg(F.max("_texts").alias("_texts"))  # of several rows of an item always the same
        joined = items.join(one, F.col(C.ITEM) == F.col("_id"), "left")
        known = itemids.join(one.select("_id"), F.col(C.ITEM) == F.col("_id"), "left")
        warnings += _missing(rows, known, place)
        found = {name: F.col("_texts").getField(name) for name in names}
        columns = {TITLE: found[TITLE], PICTURE: found[PICTURE]}
        if self.attributes:
            columns[ATTRIBUTES] = F.struct(*(found[name].alias(name) for name in self.attributes))
        return joined.withColumns(columns).drop("_id", "_texts")


def _missing(rows: DataFrame, known: DataFrame, place: str) -> list[str]:
    """Return a sentence about rows that name no item, and one if most items have no row."""
    total = F.count(F.lit(1))
    found = fetch(rows=rows.agg(total, F.count("_id")), items=known.agg(total, F.count("_id")))
    ((number, sound),), ((items, named),) = found["rows"], found["items"]
    why = "have too many or too few cells, or an itemid that the log cannot have, and name nothing"
    told = [f"{number - sound:,} of {number:,} rows of {place} {why}: see stage4.snapshot"] if sound < number else []
    if named < _FEW * items:
        sentence = f"{items - named:,} of {items:,} items have no row in {place}, and so no title and no attributes"
        told.append(f"{sentence}: see stage4.snapshot")
    return told


def _lists(recommendations: DataFrame, ids: DataFrame) -> DataFrame:
    """Return visitorid and its list, best first."""
    place = F.struct(C.RANK, C.ITEM_INDEX, C.SCORE, _number(C.SOURCE, C.SOURCES))
    listed = recommendations.join(ids, C.ITEM, "inner")
    return listed.groupBy(C.VISITOR).agg(F.sort_array(F.collect_list(place)).alias("list"))


def _past(interactions: DataFrame, kinds: Sequence[str]) -> DataFrame:
    """Return visitor_index and its history, newest first."""
    time = (-F.col(C.LAST_TIMESTAMP)).alias("before")
    event = F.struct(time, C.ITEM_INDEX, _number(C.EVENT, kinds), C.SCORE)
    is_known = F.col(C.EVENT).isin(list(kinds))
    if OTHER in kinds:
        known = interactions.withColumn(C.EVENT, F.when(is_known, F.col(C.EVENT)).otherwise(OTHER))
    else:
        known = interactions.where(is_known)
    return known.groupBy(C.VISITOR_INDEX).agg(F.sort_array(F.collect_list(event)).alias("history"))


def _by_factors(item_factors: DataFrame) -> DataFrame:
    """Return item_index and its factors."""
    return item_factors.select(F.col(C.ID).alias(C.ITEM_INDEX), C.FEATURES)


def _by_neighbours(neighbours: DataFrame) -> DataFrame:
    """Return item_index and its neighbours, the nearest first."""
    place = F.struct((-F.col(C.SIMILARITY)).alias("order"), C.NEIGHBOUR_INDEX, C.SIMILARITY)
    return neighbours.groupBy(C.ITEM_INDEX).agg(F.sort_array(F.collect_list(place)).alias("neighbours"))


def _neighbours(pairs: DataFrame, ids: DataFrame, other: str, value: str) -> DataFrame:
    """Return item_index and the other items of its pairs, in their order, as a column named `other`."""
    id_, index = f"{other}_{C.ITEM}", f"{other}_{C.ITEM_INDEX}"
    others = ids.select(F.col(C.ITEM).alias(id_), F.col(C.ITEM_INDEX).alias(index))
    rows = pairs.join(ids, C.ITEM, "inner").join(others, id_, "inner")
    place = F.struct(C.RANK, index, value)
    return rows.groupBy(C.ITEM_INDEX).agg(F.sort_array(F.collect_list(place)).alias(other))


def _in_windows(interactions: DataFrame, days: Sequence[int]) -> DataFrame:
    """Return item_index and windows: how many visitors had an event with the item in the last days of the log."""
    last = interactions.agg(F.max(C.LAST_TIMESTAMP).alias("end"))
    pairs = interactions.groupBy(C.VISITOR_INDEX, C.ITEM_INDEX).agg(F.max(C.LAST_TIMESTAMP).alias("last"))
    age = F.col("end") - F.col("last")
    counts = [F.count_if(age < number * _MS_PER_DAY).alias(f"{number}d") for number in days]
    rows = pairs.crossJoin(F.broadcast(last)).groupBy(C.ITEM_INDEX).agg(*counts)
    return rows.select(C.ITEM_INDEX, F.struct(*(f"{number}d" for number in days)).alias("windows"))


def _with_facts(
    ids: DataFrame, facts: Sequence[DataFrame], allowed: DataFrame | None, gains: DataFrame | None
) -> DataFrame:
    """Return the items with their facts, null without any; see `ServingSnapshot`."""
    more = []
    if gains is not None:
        more.append(gains.select(F.col(C.ID).alias(C.ITEM_INDEX), F.element_at(C.FEATURES, -1).alias("gain")))
    if allowed is not None:
        more.append(allowed.select(C.ITEM_INDEX, F.lit(True).alias("allowed")))
    for each in (*facts, *more):
        ids = ids.join(each, C.ITEM_INDEX, "left")
    absent = {"gain": F.lit(None).cast("float"), "allowed": F.lit(True)}  # nothing is blended, nothing is forbidden
    added = (value.alias(name) for name, value in absent.items() if name not in ids.columns)
    return ids.select("*", *added)


def _number(column: str, words: Sequence[str]) -> Column:
    """Return the position of a word, from 0."""
    known = F.array(*(F.lit(word) for word in words))
    position = F.call_function("array_position", known, F.col(column))  # Spark 3.5's own takes no column to look for
    return (position - 1).cast("tinyint").alias(column)


def _visitor_files(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Return the file of the visitors of a partition; none of an empty one."""
    pieces = [batch for batch in batches if batch.num_rows]
    if pieces:
        visitors, lists, content = visitor_file(pa.Table.from_batches(pieces))
        yield pa.RecordBatch.from_pydict(
            {"visitors": [visitors], "lists": [lists], "content": pa.array([content], pa.binary())}
        )


def _item_files(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Return the files of the items, in pieces."""
    pieces = [batch for batch in batches if batch.num_rows]
    if pieces:
        for path, content in item_files(pa.Table.from_batches(pieces)):
            for start in range(0, len(content), _PIECE):
                piece = pa.array([content[start : start + _PIECE]], pa.binary())
                yield pa.RecordBatch.from_pydict({"path": [path], "content": piece})
