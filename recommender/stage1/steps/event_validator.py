"""Let only complete events pass.

Example usage:
>>> events = spark.createDataFrame([(1, 7, "view", 3), (2, None, "view", 3)],
...                                "timestamp long, visitorid long, event string, itemid long")
>>> EventValidator().execute(events).show()
+---------+---------+-----+------+
|timestamp|visitorid|event|itemid|
+---------+---------+-----+------+
|        1|        7| view|     3|
+---------+---------+-----+------+
<BLANKLINE>
"""

from pyspark.sql import DataFrame

import recommender.constants as C
from recommender.base import step


@step
class EventValidator:
    """Drop the events that lack a timestamp, a visitor, a kind or an item.

    Init parameters:
        none.
    Execution args:
        events: one row per event, as DataLoader returns them: a cell that could not be read is null.
    Execution returns:
        the complete events, same columns, none of the four null; row order undefined. The stage counts the rows in and
        out, so that what was dropped is reported.
    Raises:
        nothing.
    Persist strategy: none of its own.
    """

    def execute(self, events: DataFrame) -> DataFrame:
        """Return the complete events; see the class."""
        return events.dropna(subset=[C.TIMESTAMP, C.VISITOR, C.EVENT, C.ITEM])
