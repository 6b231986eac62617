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

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from pyspark.sql import Column, DataFrame, functions as F

import recommender.constants as C
from recommender.aggregates import single_row
from recommender.base import ColumnName, step
from recommender.errors import DataQualityError, SchemaError
from recommender.persistent import Persistent

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
        """Return the encoder; see the class."""
        if self.column_name not in rows.columns:
            found = ", ".join(rows.columns)
            raise SchemaError("SCHEMA_MISSING", f"{self.column_name}; found [{found}]; see the encoder's column_name")
        ids = rows.select(self.column_name).dropna().distinct().withColumn(_LATER, F.lit(False))
        if first is not None:
            sooner = first.select(self.column_name).distinct().withColumn("_first", F.lit(True))
            ids = ids.join(sooner, self.column_name, "left").select(
                self.column_name, F.col("_first").isNull().alias(_LATER)
            )
        if known is None:
            return self._numbered(ids, 0)
        known = known.select(self.column_name, self.index)
        found, expected = (frame.schema[self.column_name].dataType.simpleString() for frame in (ids, known))
        if found != expected:
            sentence = f"{self.column_name} expected {expected}, as numbered before, found {found}"
            raise SchemaError("SCHEMA_TYPE", f"{sentence}; see the encoder's start_afresh")
        (start,) = single_row(known.agg(F.coalesce(F.max(self.index) + 1, F.lit(0))))
        return known.unionByName(self._numbered(ids.join(known, self.column_name, "left_anti"), start))

    def encode(self, rows: DataFrame, encoder: DataFrame) -> DataFrame:
        """Return `rows` with the index in the place of the id; rows with an id that has no index are left out."""
        others = [name for name in rows.columns if name != self.column_name]
        encoder = encoder.select(self.column_name, self.index)
        return rows.join(encoder, self.column_name, "inner").select(self.index, *others)

    def _numbered(self, ids: DataFrame, start: int) -> DataFrame:
        """Number distinct ids from `start`: the later ones after the others, by bucket, then within the bucket."""
        identifier = F.col(self.column_name)
        chosen = F.when(F.pmod(F.xxhash64(identifier), F.lit(_IDS_PER_SAMPLE)) == 0, identifier)
        count, sample = single_row(ids.agg(F.count(identifier), F.array_sort(F.collect_list(chosen))))
        if start + count > _MAX_INDEX:
            raise DataQualityError("TOO_MANY_IDS", f"{start + count} distinct {self.column_name}, at most {_MAX_INDEX}")
        bounds = _bounds(sample, min(-(-count // _IDS_PER_BUCKET), _MAX_BUCKETS))
        number = F.when(F.col(_LATER), len(bounds) + 1).otherwise(0) + _bucket(identifier, bounds)
        numbers = ids.groupBy(number.alias("_bucket"))
        sizes: dict[int, int] = dict(numbers.agg(F.count(identifier)).toLocalIterator())
        # One row per bucket: its sorted ids.
        buckets = numbers.agg(F.array_sort(F.collect_list(identifier)).alias("_ids"))
        offsets = list(accumulate((sizes.get(bucket, 0) for bucket in range(2 * len(bounds) + 2)), initial=start))
        offset = F.element_at(F.array(*map(F.lit, offsets)), F.col("_bucket") + 1)
        numbered = buckets.select(offset.alias("_offset"), F.posexplode("_ids").alias("_position", self.column_name))
        return numbered.select(self.column_name, (F.col("_offset") + F.col("_position")).cast("int").alias(self.index))


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
