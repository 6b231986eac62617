"""Number the ids of a column densely.

Example usage:
>>> scores = spark.createDataFrame([("b",), ("c",), ("b",)], "itemid string")
>>> encoder = ColumnEncoder(column_name="itemid").execute(scores)
>>> encoder.orderBy("item_index").show()
+------+----------+
|itemid|item_index|
+------+----------+
|     b|         0|
|     c|         1|
+------+----------+
<BLANKLINE>
>>> more = spark.createDataFrame([("a",), ("c",)], "itemid string")
>>> ColumnEncoder(column_name="itemid").execute(more, known=encoder).orderBy("item_index").show()
+------+----------+
|itemid|item_index|
+------+----------+
|     b|         0|
|     c|         1|
|     a|         2|
+------+----------+
<BLANKLINE>
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from pyspark.sql import Column, DataFrame, GroupedData, functions as F

import recommender.constants as C
from recommender.errors import DataQualityError, SchemaError
from recommender.settings.step import ColumnName, step
from recommender.spark.aggregates import fetch
from recommender.tables.persistent import Persistent

_MAX_INDEX = 2**31 - 1
_IDS_PER_BUCKET = 100_000
_MAX_BUCKETS = 512
_IDS_PER_SAMPLE = 2048
_LATER = "_later"
_INDEX_NAMES = {C.VISITOR: C.VISITOR_INDEX, C.ITEM: C.ITEM_INDEX}


@step
class ColumnEncoder(Persistent):
    """Number the distinct ids of a column from 0 without gaps, in the order of the ids.

    Ids that are known keep their index and new ones get the next, so an index never changes its meaning. The ids are
    sorted in buckets on the cluster: the driver sees the sizes of the buckets, and one id in 2,048, of which it makes
    their bounds.

    Init parameters:
        column_name: column with the ids: integers, strings, or any other type that can be ordered.
        index_column_name: name of the index; null: visitor_index for visitorid, item_index for itemid, else the
            column's name with "_index" appended.
        start_afresh: whether the stage numbers from 0 again instead of going on from its last commit.
    Execution args:
        rows: any rows with the column; null ids are left out.
        known: an encoder of an earlier execution whose indexes stay as they are.
        first: some of the rows, whose ids are numbered before the others.
    Execution returns:
        The encoder: one row per id, `column_name` as in `rows`, `index_column_name` int from 0; row order undefined.
        It is the decoder as well. `encode` joins it to rows.
    Raises:
        SchemaError: the column is missing, or of another type than in `known`. DataQualityError: more than 2**31 - 1
        ids.
    Persist strategy: Parquet; stage 1 stores the encoders as the tables visitors and items.
    """

    column_name: ColumnName = C.ITEM
    index_column_name: ColumnName | None = None
    start_afresh: bool = False

    @property
    def index(self) -> str:
        """Name of the column with the index."""
        return self.index_column_name or _INDEX_NAMES.get(self.column_name, f"{self.column_name}_index")

    def execute(self, rows: DataFrame, known: DataFrame | None = None, first: DataFrame | None = None) -> DataFrame:
        return numbered(Numbering(self, rows, known, first))[0]

    def encode(self, rows: DataFrame, encoder: DataFrame) -> DataFrame:
        """Return `rows` with the index in the place of the id; rows with an id that has no index are left out."""
        others = [name for name in rows.columns if name != self.column_name]
        encoder = encoder.select(self.column_name, self.index)
        return rows.join(encoder, self.column_name, "inner").select(self.index, *others)


@step
class VisitorEncoder(ColumnEncoder):
    """Number the distinct visitors: ColumnEncoder with another default.

    Init parameters:
        column_name: column with the ids: integers, strings, or any other type that can be ordered.
        index_column_name: name of the index; null: visitor_index for visitorid, item_index for itemid, else the
            column's name with "_index" appended.
        start_afresh: whether the stage numbers from 0 again instead of going on from its last commit.
    """

    column_name: ColumnName = C.VISITOR


class Numbering(NamedTuple):
    """Ids to be numbered; see `ColumnEncoder`."""

    encoder: ColumnEncoder
    rows: DataFrame
    known: DataFrame | None = None
    first: DataFrame | None = None

    def ids(self) -> DataFrame:
        """Return the distinct ids that have no number yet, and which of them come later."""
        column = self.encoder.column_name
        if column not in self.rows.columns:
            found = ", ".join(self.rows.columns)
            raise SchemaError("SCHEMA_MISSING", f"{column}; found [{found}]; see the encoder's column_name")
        ids = self.rows.select(column).dropna().distinct().withColumn(_LATER, F.lit(False))
        if self.first is not None:
            sooner = self.first.select(column).distinct().withColumn("_first", F.lit(True))
            ids = ids.join(sooner, column, "left").select(column, F.col("_first").isNull().alias(_LATER))
        if self.known is None:
            return ids
        found, expected = (frame.schema[column].dataType.simpleString() for frame in (ids, self.known))
        if found != expected:
            sentence = f"{column} expected {expected}, as numbered before, found {found}"
            raise SchemaError("SCHEMA_TYPE", f"{sentence}; see the encoder's start_afresh")
        return ids.join(self.known.select(column), column, "left_anti")


def numbered(*numberings: Numbering) -> list[DataFrame]:
    """Return the encoders of several columns; what has to be known of their ids is found by the same queries."""
    ids = [numbering.ids() for numbering in numberings]
    found = fetch(
        **{f"ids{number}": _sampled(each, numberings[number].encoder) for number, each in enumerate(ids)},
        **{
            f"known{number}": numbering.known.agg((F.max(numbering.encoder.index) + 1).alias("start"))
            for number, numbering in enumerate(numberings)
            if numbering.known is not None
        },
    )
    buckets = []
    for number, numbering in enumerate(numberings):
        column = numbering.encoder.column_name
        count, sample, sooner = found[f"ids{number}"][0]
        start = next((row["start"] for row in found.get(f"known{number}", ()) if row["start"] is not None), 0)
        if start + count > _MAX_INDEX:
            raise DataQualityError("TOO_MANY_IDS", f"{start + count} distinct {column}, at most {_MAX_INDEX}")
        bounds = _bounds(sample, min(-(-count // _IDS_PER_BUCKET), _MAX_BUCKETS))
        sizes = None if bounds else {0: sooner, 1: count - sooner}
        buckets.append(_Buckets(numbering, ids[number], bounds, start, sizes))
    unknown = {f"sizes{number}": each.counted() for number, each in enumerate(buckets) if each.sizes is None}
    counted = fetch(**unknown) if unknown else {}
    return [each.numbered(dict(counted.get(f"sizes{number}", ()))) for number, each in enumerate(buckets)]


def _sampled(ids: DataFrame, encoder: ColumnEncoder) -> DataFrame:
    """Return the number of ids, one in 2,048 of them, and how many are numbered before the others."""
    identifier = F.col(encoder.column_name)
    chosen = F.when(F.pmod(F.xxhash64(identifier), F.lit(_IDS_PER_SAMPLE)) == 0, identifier)
    sample = F.array_sort(F.collect_list(chosen)).alias("sample")
    return ids.agg(F.count(identifier).alias("count"), sample, F.count_if(~F.col(_LATER)).alias("sooner"))


class _Buckets(NamedTuple):
    """Distinct ids in buckets: those that come later after the others, each by its sorted bounds."""

    numbering: Numbering
    ids: DataFrame
    bounds: Sequence[Any]
    start: int
    sizes: Mapping[int, int] | None  # of the buckets; None where they must be counted

    def _grouped(self) -> GroupedData:
        own = _bucket(F.col(self.numbering.encoder.column_name), self.bounds)
        number = F.when(F.col(_LATER), len(self.bounds) + 1).otherwise(0) + own
        return self.ids.groupBy(number.alias("_bucket"))

    def counted(self) -> DataFrame:
        """Return a row per bucket with its size."""
        return self._grouped().agg(F.count(self.numbering.encoder.column_name).alias("size"))

    def numbered(self, counted: Mapping[int, int]) -> DataFrame:
        """Return the encoder, given the sizes of the buckets where they were counted."""
        encoder, known = self.numbering.encoder, self.numbering.known
        column, index = encoder.column_name, encoder.index
        sizes = counted if self.sizes is None else self.sizes
        # One row per bucket: its sorted ids.
        buckets = self._grouped().agg(F.array_sort(F.collect_list(column)).alias("_ids"))
        number = 2 * (len(self.bounds) + 1)
        offsets = list(accumulate((sizes.get(bucket, 0) for bucket in range(number)), initial=self.start))
        offset = F.element_at(F.array(*map(F.lit, offsets)), F.col("_bucket") + 1)
        placed = buckets.select(offset.alias("_offset"), F.posexplode("_ids").alias("_position", column))
        new = placed.select(column, (F.col("_offset") + F.col("_position")).cast("int").alias(index))
        return new if known is None else known.select(column, index).unionByName(new)


def _bounds(sample: Sequence[Any], buckets: int) -> Sequence[Any]:
    """Return ids that part all ids into buckets of about equal size: quantiles of a sorted sample chosen by hash."""
    if buckets <= 1 or not sample:
        return []
    return sorted({sample[len(sample) * bucket // buckets] for bucket in range(1, buckets)})


def _bucket(column: Column, bounds: Sequence[Any], first: int = 0) -> Column:
    """Return how many of the sorted bounds are <= the column, plus `first`: a binary search."""
    if not bounds:
        return F.lit(first)
    middle = len(bounds) // 2
    left, right = _bucket(column, bounds[:middle], first), _bucket(column, bounds[middle + 1 :], first + middle + 1)
    return F.when(column < F.lit(bounds[middle]), left).otherwise(right)
