"""Arrange the recommendations for those who read them.

Example usage:
>>> lists = spark.createDataFrame([(8, 1, 5, 0.5, "als"), (7, 1, 6, 0.7, "als")],
...                               "visitorid long, rank int, itemid long, score float, source string")
>>> Publisher().execute(lists).select("visitorid", "rank", "itemid").show()
+---------+----+------+
|visitorid|rank|itemid|
+---------+----+------+
|        7|   1|     6|
|        8|   1|     5|
+---------+----+------+
<BLANKLINE>
"""

from typing import Literal

from pyspark.sql import DataFrame

import recommender.constants as C
from recommender.settings.step import step
from recommender.tables.persistent import Persistent


@step
class Publisher(Persistent):
    """Publish the recommendations as Parquet, and name them in a channel.

    Init parameters:
        channel: the named pointer that is moved to the new version, live or candidate.
    Execution args:
        recommendations: the table of stage 3.
    Execution returns:
        the same rows and columns, sorted by visitorid and rank across all files, so that a reader who looks for one
        visitor needs one row group.
    Raises:
        ConfigError: the channel is unknown.
    Persist strategy: Parquet; stage 4 stores it as the table recommendations, and the job then moves the channel.
    """

    channel: Literal["live", "candidate"] = "live"

    def execute(self, recommendations: DataFrame) -> DataFrame:
        return recommendations.orderBy(C.VISITOR, C.RANK)
