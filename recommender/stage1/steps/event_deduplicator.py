"""Keep one of several rows that are the same event.

Example usage:
>>> events = spark.createDataFrame([(5, 7, "view", 3), (5, 7, "view", 3), (6, 7, "view", 3)],
...                                "timestamp long, visitorid long, event string, itemid long")
>>> EventDeduplicator().execute(events).orderBy("timestamp").show()
+---------+---------+-----+------+----+
|timestamp|visitorid|event|itemid|rows|
+---------+---------+-----+------+----+
|        5|        7| view|     3|   2|
|        6|        7| view|     3|   1|
+---------+---------+-----+------+----+
<BLANKLINE>
"""

from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.settings.step import step


@step
class EventDeduplicator:
    """Keep one of several rows that agree in all columns: a log that was delivered twice counts once.

    Init parameters:
        keep_duplicates: whether every row stays, as in the seed.
    Execution args:
        events: one row per event, any columns that can be grouped by.
        noted: a column boolean that makes no difference between rows; null: every column does.
    Execution returns:
        The distinct rows, and rows long: of how many rows each is one; `noted` is true where it is of one of these. Row
        order undefined.
    Raises: nothing.
    Persist strategy: none of its own.
    """

    keep_duplicates: bool = False

    def execute(self, events: DataFrame, noted: str | None = None) -> DataFrame:
        if self.keep_duplicates:
            return events.withColumn(C.ROWS, F.lit(1).cast("bigint"))
        key = [name for name in events.columns if name != noted]
        seen = [F.max(noted).alias(noted)] if noted in events.columns and noted is not None else []
        return events.groupBy(*key).agg(*seen, F.count(F.lit(1)).alias(C.ROWS))
