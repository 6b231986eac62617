"""Count which items are bought together.

Example usage:
>>> day = 86_400_000
>>> bought = spark.createDataFrame(
...     [(v, i, "transaction", 10.0, at) for v, i, at in [(0, 5, 0), (0, 6, 9), (0, 7, 3 * day), (1, 5, 0), (1, 6, 0)]],
...     "visitor_index int, item_index int, event string, score float, last_timestamp long")
>>> BoughtTogether().execute(bought).orderBy("item_index").show()
+----------+----+-------------------+--------+
|item_index|rank|together_item_index|visitors|
+----------+----+-------------------+--------+
|         5|   1|                  6|       2|
|         6|   1|                  5|       2|
+----------+----+-------------------+--------+
<BLANKLINE>
"""

from pyspark.sql import DataFrame, Window, functions as F

import recommender.constants as C
from recommender.settings.step import Annotated, Field, step

_MS_PER_HOUR = 3_600_000
_PLACE, _AT, _OTHER_AT = "_place", "_at", "_other_at"


@step
class BoughtTogether:
    """Count the visitors that bought two items at about the same time, and keep the most frequent pairs of each item.

    A visitor of n items makes n² pairs. So only the latest items of each visitor are looked at: that bounds the work,
    whatever wholesalers and robots do. An item that many visitors bought costs little: its pairs are counted where they
    are made.

    Init parameters:
        k: how many items are kept for each item, 0 to 1000; 0: none are counted.
        events: kinds of events that are purchases.
        max_hours_apart: how far apart two purchases may be, in hours, by the last time that the visitor bought each.
        max_items_per_visitor: how many of a visitor's items count, the latest, equal times by item_index; 2 to 10,000.
    Execution args:
        interactions: visitor_index int, item_index int, event string, last_timestamp long (ms), any other columns.
        allowed: item_index int, one row per item that may be shown; null: every item may.
    Execution returns:
        item_index int, rank int from 1, together_item_index int, visitors long. At most k rows per item, the most
        visitors first, equal ones by index, never the item itself; row order undefined.
    Raises:
        ConfigError: a parameter is out of range.
    Persist strategy: none of its own; stage 3 stores them with their ids as the table bought_together.
    """

    k: Annotated[int, Field(ge=0, le=1000)] = 10
    events: list[str] = Field(default_factory=lambda: [C.PURCHASE])
    max_hours_apart: Annotated[float, Field(gt=0)] = 24.0
    max_items_per_visitor: Annotated[int, Field(ge=2, le=10_000)] = 100

    def execute(self, interactions: DataFrame, allowed: DataFrame | None = None) -> DataFrame:
        """Return what is bought together; see the class."""
        bought = interactions.where(F.col(C.EVENT).isin(list(self.events)) & F.lit(self.k > 0))
        pairs = bought.groupBy(C.VISITOR_INDEX, C.ITEM_INDEX).agg(F.max(C.LAST_TIMESTAMP).alias(_AT))
        latest = Window.partitionBy(C.VISITOR_INDEX).orderBy(F.desc(_AT), C.ITEM_INDEX)
        own = pairs.withColumn(_PLACE, F.row_number().over(latest))
        own = own.where(F.col(_PLACE) <= self.max_items_per_visitor).drop(_PLACE)
        others = own.withColumnsRenamed({C.ITEM_INDEX: C.TOGETHER_ITEM_INDEX, _AT: _OTHER_AT})
        if allowed is not None:
            may = allowed.select(F.col(C.ITEM_INDEX).alias(C.TOGETHER_ITEM_INDEX))
            others = others.join(may, C.TOGETHER_ITEM_INDEX, "left_semi")
        is_near = F.abs(F.col(_AT) - F.col(_OTHER_AT)) <= self.max_hours_apart * _MS_PER_HOUR
        met = own.join(others, C.VISITOR_INDEX, "inner").where(
            is_near & (F.col(C.ITEM_INDEX) != F.col(C.TOGETHER_ITEM_INDEX))
        )
        counted = met.groupBy(C.ITEM_INDEX, C.TOGETHER_ITEM_INDEX).agg(F.count(F.lit(1)).alias(C.VISITORS))
        most = Window.partitionBy(C.ITEM_INDEX).orderBy(F.desc(C.VISITORS), C.TOGETHER_ITEM_INDEX)
        placed = counted.withColumn(C.RANK, F.row_number().over(most))
        return placed.where(F.col(C.RANK) <= self.k).select(C.ITEM_INDEX, C.RANK, C.TOGETHER_ITEM_INDEX, C.VISITORS)
