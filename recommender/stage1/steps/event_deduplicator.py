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
from recommender.base import step


@step
class EventDeduplicator:
    """Keep one of several rows that agree in all columns: a log that was delivered twice counts once.

    Init parameters:
        keep_duplicates: whether every row stays, as in the seed.
    Execution args:
        events: one row per event, any columns that can be grouped by.
    Execution returns:
        The distinct rows, and rows long: of how many rows each is one. Row order undefined.
    Raises:
        nothing.
    Persist strategy: none of its own.
    """

    keep_duplicates: bool = False

    def execute(self, events: DataFrame) -> DataFrame:
        """Return the distinct events; see the class."""
        if self.keep_duplicates:
            return events.withColumn(C.ROWS, F.lit(1).cast("bigint"))
        return events.groupBy(*events.columns).agg(F.count(F.lit(1)).alias(C.ROWS))
