"""Make one score per visitor and item.

Example usage:
>>> scored = spark.createDataFrame([(7, 1, 1.0), (7, 1, 5.0)], "visitorid long, itemid long, score double")
>>> ScoreGrouper().execute(scored).show()
+---------+------+-----+
|visitorid|itemid|score|
+---------+------+-----+
|        7|     1|  6.0|
+---------+------+-----+
<BLANKLINE>
>>> columns = "visitorid long, itemid long, score double, timestamp long"
>>> rated = spark.createDataFrame([(7, 1, 5.0, 10), (7, 1, 2.5, 20)], columns)
>>> [ScoreGrouper(aggregate=how).execute(rated).first().score for how in ("sum", "last", "max", "mean")]
[7.5, 2.5, 5.0, 3.75]
"""

from typing import Literal

from pyspark.sql import Column, DataFrame, Window, functions as F

import recommender.constants as C
from recommender.errors import SchemaError
from recommender.settings.step import Annotated, ColumnName, Field, field, step

_FOUND, _NUMBER, _CHOSEN = "_found", "_number", "_chosen"


@step
class ScoreGrouper:
    """Make one score of the events that share a key.

    Init parameters:
        key: columns that make the key.
        score_column_name: column with the score of an event.
        aggregate: how several events of one key meet: their sum; the last by time, of equal times the largest; the max;
            or the mean. Events that say nothing (their kind has no weight) are left out.
        max_score: greatest score; what is above counts as this, in `parts` too. null: there is none.
    Execution args:
        scored_events: one row per event with the key columns, of any type, and `score_column_name` double; for the last
            one timestamp long (ms) too.
        says_something: condition on the events that count; null: in a sum those with a score other than 0, else all.
    Execution returns:
        One row per key, order undefined: the key columns, `score_column_name` double, and, where the events have a
        timestamp, last_timestamp long (ms): that of the key's last event that counts, of its last event where none
        does; the score is 0 then.
    Raises:
        SchemaError: a column is missing.
    Persist strategy: none of its own; stage 1 stores the filtered scores.
    """

    key: Annotated[list[ColumnName], Field(min_length=1)] = field(default_factory=lambda: [C.VISITOR, C.ITEM])
    score_column_name: ColumnName = C.SCORE
    aggregate: Literal["sum", "last", "max", "mean"] = "sum"
    max_score: Annotated[float, Field(gt=0)] | None = None

    def execute(self, scored_events: DataFrame, says_something: Column | None = None) -> DataFrame:
        grouped = self._grouped(scored_events, self.key, says_something)
        score = _share(grouped, F.col(_NUMBER))
        if self.max_score is not None:
            score = F.least(score, F.lit(float(self.max_score)))
        return self._with(score, grouped, self.key)

    def parts(self, scored_events: DataFrame, key: list[str], says_something: Column | None = None) -> DataFrame:
        """Return one row per `key`, of more columns than the step's own; the parts of a score add up to it.

        Of the last event, or the greatest, one part is the whole score, and the others are 0.
        """
        grouped = self._grouped(scored_events, key, says_something)
        of_whole = Window.partitionBy(*self.key)
        score = _share(grouped, F.sum(_NUMBER).over(of_whole))
        if _CHOSEN in grouped.columns:
            is_chosen = F.col(_CHOSEN).eqNullSafe(F.max(_CHOSEN).over(of_whole))
            score = F.when(is_chosen, score).otherwise(F.lit(0.0))
        return self.limited(self._with(score, grouped, key))

    def _grouped(self, events: DataFrame, key: list[str], says_something: Column | None) -> DataFrame:
        """Return one row per key: what makes its score, and the time of the last event that counts."""
        self._check(events, key)
        score, counts = F.col(self.score_column_name), F.lit(True) if says_something is None else says_something
        if self.aggregate == "sum":
            facts, counts = [F.sum(score).alias(_FOUND)], score != 0
        elif self.aggregate == "mean":
            facts = [F.sum(F.when(counts, score)).alias(_FOUND), F.count_if(counts).alias(_NUMBER)]
        else:
            order = [F.col(C.TIMESTAMP)] if self.aggregate == "last" else []
            finer = [F.col(name) for name in key if name not in self.key]
            chosen = F.max(F.when(counts, F.struct(*order, score.alias(_FOUND), *finer)))
            facts = [chosen.alias(_CHOSEN), chosen.getField(_FOUND).alias(_FOUND)]
        if C.TIMESTAMP in events.columns:
            time = F.col(C.TIMESTAMP)
            facts.append(F.coalesce(F.max(F.when(counts, time)), F.max(time)).alias(C.LAST_TIMESTAMP))
        return events.groupBy(*key).agg(*facts)

    def _check(self, events: DataFrame, key: list[str]) -> None:
        needed = [*key, self.score_column_name, *([C.TIMESTAMP] if self.aggregate == "last" else [])]
        missing = [name for name in needed if name not in events.columns]
        if missing:
            found = ", ".join(events.columns)
            raise SchemaError("SCHEMA_MISSING", f"{', '.join(missing)}; found [{found}]; see group_scores.key")

    def _with(self, score: Column, grouped: DataFrame, key: list[str]) -> DataFrame:
        times = [C.LAST_TIMESTAMP] if C.LAST_TIMESTAMP in grouped.columns else []
        return grouped.select(*key, score.alias(self.score_column_name), *times)

    def limited(self, parts: DataFrame) -> DataFrame:
        """Return parts that add up to `max_score` at most: where it is more, all of a key shrink alike."""
        if self.max_score is None:
            return parts
        score, limit = F.col(self.score_column_name), F.lit(float(self.max_score))
        total = F.sum(score).over(Window.partitionBy(*self.key))
        shrunk = F.when(total > limit, score * (limit / total)).otherwise(score)
        return parts.withColumn(self.score_column_name, shrunk)


def _share(grouped: DataFrame, number: Column) -> Column:
    """Return the value of each row; of a mean, its share of so many events; 0 without events."""
    found = F.col(_FOUND)
    if _NUMBER in grouped.columns:
        found = F.when(number > 0, found / number)
    return F.coalesce(found, F.lit(0.0))
