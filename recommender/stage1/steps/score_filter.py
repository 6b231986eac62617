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
"""

from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.base import Annotated, ColumnName, Field, step


@step
class ScoreFilter:
    """Keep the pairs of visitor and item whose score is high enough to learn from.

    Init parameters:
        score_column_name: column with the score.
        min_score: least score (no unit, >= 0) that is kept; a single view scores 1 by default.
    Execution args:
        scores: one row per pair, `score_column_name` double.
    Execution returns:
        the rows whose score is >= `min_score`, same columns; row order undefined.
    Raises:
        ConfigError: `min_score` is negative or not finite.
    Persist strategy: none of its own; stage 1 stores the encoded result.
    """

    score_column_name: ColumnName = C.SCORE
    min_score: Annotated[float, Field(ge=0)] = 1.0

    def execute(self, scores: DataFrame) -> DataFrame:
        """Return the rows that are kept; see the class."""
        return scores.where(F.col(self.score_column_name) >= self.min_score)
