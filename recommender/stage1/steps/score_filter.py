"""Keep the scores that say something.

Example usage:
>>> scores = spark.createDataFrame([(7, 1, 10.0), (7, 2, 9.0)], "visitorid long, itemid long, score double")
>>> ScoreFilter(min_score=10).execute(scores).show()
+---------+------+-----+
|visitorid|itemid|score|
+---------+------+-----+
|        7|     1| 10.0|
+---------+------+-----+
<BLANKLINE>
>>> pairs = spark.createDataFrame([(1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (3, 3)], "visitorid long, itemid long")
>>> core = ScoreFilter(min_items_per_visitor=2, min_visitors_per_item=2)
>>> sorted(tuple(row) for row in core.execute(pairs.withColumn("score", F.lit(1.0))).drop("score").collect())
[(1, 1), (1, 2), (2, 1), (2, 2)]
"""

from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.settings.step import Annotated, ColumnName, Field, step
from recommender.spark.cache import without_plan


@step
class ScoreFilter:
    """Keep the pairs of visitor and item that say enough to learn from.

    The least numbers of items and visitors are applied in turns until no row leaves any more (a k-core): removing a
    visitor may leave an item with too few. The pairs that stay after a round are a checkpoint: a reliable one where
    spark.checkpoint.dir (Spark 4) names a folder, else on the executors' disks, and lost with an executor.

    Init parameters:
        score_column_name: column with the score.
        min_score: least score (no unit, >= 0) that is kept; a single view scores 1 by default.
        min_items_per_visitor: least number of items that a visitor must have.
        min_visitors_per_item: least number of visitors that an item must have.
    Execution args:
        scores: one row per pair, `score_column_name` double; visitorid and itemid where the least numbers are above 1.
    Execution returns:
        the rows that are kept, same columns; row order undefined. With least numbers above 1 it is a checkpoint, which
        Spark frees when nobody refers to it any more.
    Raises:
        ConfigError: `min_score` is negative or not finite.
    Persist strategy: none of its own; stage 1 stores the encoded result.
    """

    score_column_name: ColumnName = C.SCORE
    min_score: Annotated[float, Field(ge=0)] = 1.0
    min_items_per_visitor: Annotated[int, Field(ge=1)] = 1
    min_visitors_per_item: Annotated[int, Field(ge=1)] = 1

    def execute(self, scores: DataFrame) -> DataFrame:
        return self.core(self.strong(scores))[0]

    def strong(self, scores: DataFrame) -> DataFrame:
        """Return the rows whose score is high enough."""
        return scores.where(F.col(self.score_column_name) >= self.min_score)

    @property
    def has_core(self) -> bool:
        """Whether numbers of items or visitors matter."""
        return max(self.min_items_per_visitor, self.min_visitors_per_item) > 1

    def core(self, scores: DataFrame) -> tuple[DataFrame, int]:
        """Return the rows of visitors and items that have enough of each other, and the number of rounds that took."""
        if not self.has_core:
            return scores, 0
        rows, numbers = scores, [-1]
        while True:
            kept = self._enough(rows, C.VISITOR, self.min_items_per_visitor)
            kept = self._enough(kept, C.ITEM, self.min_visitors_per_item)
            # A cache would keep the plans of all rounds, one inside the other.
            rows = without_plan(kept, is_reliable=_has_folder(kept))
            numbers.append(rows.count())
            if numbers[-1] == numbers[-2]:
                return rows, len(numbers) - 1

    @staticmethod
    def _enough(rows: DataFrame, column: str, least: int) -> DataFrame:
        """Return the rows whose value of a column is in enough rows; a pair is one row."""
        if least == 1:
            return rows
        enough = rows.groupBy(column).agg(F.count(F.lit(1)).alias("_number")).where(F.col("_number") >= least)
        return rows.join(enough.select(column), column, "left_semi").select(*rows.columns)


def _has_folder(rows: DataFrame) -> bool:
    spark = rows.sparkSession
    return spark.version >= "4" and bool(spark.conf.get("spark.checkpoint.dir", None))
