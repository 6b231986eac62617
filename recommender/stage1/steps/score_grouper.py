"""Sum the scores per visitor and item.

Example usage:
>>> scored = spark.createDataFrame([(7, 1, 1.0), (7, 1, 5.0)], "visitorid long, itemid long, score double")
>>> ScoreGrouper().execute(scored).show()
+---------+------+-----+
|visitorid|itemid|score|
+---------+------+-----+
|        7|     1|  6.0|
+---------+------+-----+
<BLANKLINE>
"""

from pyspark.sql import DataFrame, Window, functions as F

import recommender.constants as C
from recommender.base import Annotated, ColumnName, Field, field, step
from recommender.errors import SchemaError


@step
class ScoreGrouper:
    """Sum the scores of the events that share a key.

    Init parameters:
        key: columns that make the key.
        score_column_name: column to sum.
        max_score: greatest sum; what is above counts as this, in `limited` too. null: there is none.
    Execution args:
        scored_events: one row per event with the key columns, of any type, and `score_column_name` double.
    Execution returns:
        One row per key, order undefined: the key columns, `score_column_name` double, and, where the events have a
        timestamp, last_timestamp long (ms): that of the key's last event with a score other than 0, of its last event
        where all have 0.
    Raises:
        SchemaError: a column is missing.
    Persist strategy: none of its own; stage 1 stores the filtered scores.
    """

    key: Annotated[list[ColumnName], Field(min_length=1)] = field(default_factory=lambda: [C.VISITOR, C.ITEM])
    score_column_name: ColumnName = C.SCORE
    max_score: Annotated[float, Field(gt=0)] | None = None

    def execute(self, scored_events: DataFrame) -> DataFrame:
        """Return one row per key; see the class."""
        missing = [name for name in (*self.key, self.score_column_name) if name not in scored_events.columns]
        if missing:
            found = ", ".join(scored_events.columns)
            raise SchemaError("SCHEMA_MISSING", f"{', '.join(missing)}; found [{found}]; see group_scores.key")
        score = F.sum(self.score_column_name)
        score = score if self.max_score is None else F.least(score, F.lit(float(self.max_score)))
        sums = [score.alias(self.score_column_name)]
        if C.TIMESTAMP in scored_events.columns:
            counts = F.when(F.col(self.score_column_name) != 0, F.col(C.TIMESTAMP))
            sums.append(F.coalesce(F.max(counts), F.max(C.TIMESTAMP)).alias(C.LAST_TIMESTAMP))
        return scored_events.groupBy(*self.key).agg(*sums)

    def limited(self, parts: DataFrame) -> DataFrame:
        """Return rows, some per key, whose scores add up to `max_score` at most: where it is more, all shrink alike."""
        if self.max_score is None:
            return parts
        score, limit = F.col(self.score_column_name), F.lit(float(self.max_score))
        total = F.sum(score).over(Window.partitionBy(*self.key))
        shrunk = F.when(total > limit, score * (limit / total)).otherwise(score)
        return parts.withColumn(self.score_column_name, shrunk)
