"""Give every event a score by its kind.

Example usage:
>>> events = spark.createDataFrame([(1, "view"), (2, "transaction"), (3, "wave")], "itemid long, event string")
>>> ScoreEvents(score_map={"view": 1, "transaction": 10}).execute(events).show()
+------+-----------+-----+
|itemid|      event|score|
+------+-----------+-----+
|     1|       view|  1.0|
|     2|transaction| 10.0|
|     3|       wave|  0.0|
+------+-----------+-----+
<BLANKLINE>
"""

from collections.abc import Mapping
from itertools import chain

from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.base import Annotated, ColumnName, Field, field, step
from recommender.errors import SchemaError


@step
class ScoreEvents:
    """Add a score column: the weight of the event's kind.

    Init parameters:
        input_column_name: column with the kind of event.
        score_column_name: column to add.
        score_map: kind of event -> weight (no unit, >= 0); a kind that is not listed weighs 0.
    Execution args:
        events: one row per event, any columns, `input_column_name` string.
    Execution returns:
        `events` with `score_column_name` double, never null; row order undefined.
    Raises:
        ConfigError: a weight is negative or not finite. SchemaError: the column is missing.
    Persist strategy: none of its own; stage 1 stores the grouped scores.
    """

    input_column_name: ColumnName = C.EVENT
    score_column_name: ColumnName = C.SCORE
    score_map: Mapping[str, Annotated[float, Field(ge=0)]] = field(default_factory=lambda: dict(C.DEFAULT_SCORES))

    def execute(self, events: DataFrame) -> DataFrame:
        """Return the scored events; see the class."""
        if self.input_column_name not in events.columns:
            found = ", ".join(events.columns)
            hint = "see score_events.input_column_name"
            raise SchemaError("SCHEMA_MISSING", f"{self.input_column_name}; found [{found}]; {hint}")
        weight = F.lit(0.0)
        if self.score_map:
            weights = F.create_map(*(F.lit(x) for x in chain(*self.score_map.items())))
            weight = F.coalesce(weights[F.col(self.input_column_name)].cast("double"), weight)
        return events.withColumn(self.score_column_name, weight)
