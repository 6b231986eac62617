"""Limit how many events of one visitor count.

Example usage:
>>> events = spark.createDataFrame([(n, 7, "view", n) for n in range(5)] + [(9, 8, "view", 1)],
...                                "timestamp long, visitorid long, event string, itemid long")
>>> cap = EventCap(max_per_visitor=2)
>>> heavy = cap.heavy(events)
>>> heavy.collect()
[Row(visitorid=7, events=5)]
>>> kept = cap.execute(events, heavy)
>>> cap.reduced(heavy, kept).collect()
[Row(visitorid=7, events=5)]
>>> kept.orderBy("timestamp").show()
+---------+---------+-----+------+
|timestamp|visitorid|event|itemid|
+---------+---------+-----+------+
|        3|        7| view|     3|
|        4|        7| view|     4|
|        9|        8| view|     1|
+---------+---------+-----+------+
<BLANKLINE>
"""

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window, functions as F

import recommender.constants as C
from recommender.settings.step import Annotated, Field, step

_PARTS = 64  # into which the events of a heavy visitor are cut, so that no task sorts them all


@step
class EventCap:
    """Keep the latest events of visitors that have too many, such as robots, so that no task waits for one visitor.

    Init parameters:
        max_per_visitor: events of a visitor that count, the latest; null: all.
        max_per_pair: events of a visitor on one item that count, the latest; null: all.
    Execution args:
        events: one row per event: timestamp long (ms), visitorid, itemid, none null; further columns stay.
        heavy: the visitors that may have too many events, as `heavy` returns them.
    Execution returns:
        the events that count, same columns; row order undefined.
    Raises: nothing.
    Persist strategy: none of its own.
    """

    max_per_visitor: Annotated[int, Field(ge=1)] | None = 20_000
    max_per_pair: Annotated[int, Field(ge=1)] | None = 5_000

    def heavy(self, events: DataFrame) -> DataFrame:
        """Return visitorid and events long of the visitors that have more events than the lower limit."""
        counts = events.groupBy(C.VISITOR).agg(F.count(F.lit(1)).alias(C.EVENTS))
        limits = [limit for limit in (self.max_per_visitor, self.max_per_pair) if limit is not None]
        return counts.where(F.col(C.EVENTS) > min(limits)) if limits else counts.where(F.lit(False))

    def execute(self, events: DataFrame, heavy: DataFrame) -> DataFrame:
        visitors = heavy.select(C.VISITOR)
        others = events.join(visitors, C.VISITOR, "left_anti").select(*events.columns)
        kept = events.join(visitors, C.VISITOR, "left_semi").select(*events.columns)
        if self.max_per_pair is not None:
            kept = _latest(kept, [C.VISITOR, C.ITEM], self.max_per_pair)
        if self.max_per_visitor is not None:
            kept = _latest(kept, [C.VISITOR], self.max_per_visitor)
        return others.unionByName(kept)

    def reduced(self, heavy: DataFrame, kept: DataFrame) -> DataFrame:
        """Return those of the heavy visitors of whose events some do not count, with all that they have."""
        counts = kept.groupBy(C.VISITOR).agg(F.count(F.lit(1)).alias("_kept"))
        return heavy.join(counts, C.VISITOR, "inner").where(F.col(C.EVENTS) > F.col("_kept")).select(*heavy.columns)

    def heavy_pairs(self, events: DataFrame, heavy: DataFrame) -> DataFrame:
        """Return visitorid, itemid and events long of the pairs that have more events than `max_per_pair`."""
        pairs = events.join(heavy.select(C.VISITOR), C.VISITOR, "left_semi").groupBy(C.VISITOR, C.ITEM)
        counts = pairs.agg(F.count(F.lit(1)).alias(C.EVENTS))
        return counts.where(F.lit(False) if self.max_per_pair is None else F.col(C.EVENTS) > self.max_per_pair)


def _latest(events: DataFrame, key: Sequence[str], limit: int) -> DataFrame:
    """Return the latest events of each key: those that are so in a part of its events, then those of all."""
    order = [F.desc(name) for name in (C.TIMESTAMP, *(name for name in events.columns if name != C.TIMESTAMP))]
    part = F.pmod(F.xxhash64(*events.columns), F.lit(_PARTS))
    within = events.withColumn("_part", part)
    place = F.row_number().over(Window.partitionBy(*key, "_part").orderBy(*order))
    candidates = within.withColumn("_place", place).where(F.col("_place") <= limit)
    place = F.row_number().over(Window.partitionBy(*key).orderBy(*order))
    return candidates.withColumn("_place", place).where(F.col("_place") <= limit).select(*events.columns)
