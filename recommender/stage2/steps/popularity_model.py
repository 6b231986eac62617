"""Rank items by popularity: the baseline that a model must beat, and the fallback where it has nothing to say.

Example usage:
>>> scores = spark.createDataFrame([(0, 3, 1.0), (1, 3, 5.0)], "visitor_index int, item_index int, score float")
>>> PopularityModel().execute(scores).collect()
[Row(item_index=3, score=6.0)]
"""

from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.settings.step import step
from recommender.spark.aggregates import exact_sum, single_row
from recommender.tables.persistent import Persistent


@step
class PopularityModel(Persistent):
    """Sum the scores of each item over all visitors.

    They are added as decimals, exactly, so that the result does not depend on the order in which a cluster adds.

    Init parameters: none.
    Execution args:
        scores: visitor_index int, item_index int, score float: the training part only.
        largest: the largest size of a score; null: it is fetched here.
    Execution returns:
        item_index int, score double, one row per item; row order undefined.
    Raises: nothing.
    Persist strategy: Parquet; stage 2 stores it as the table popularity.
    """

    def execute(self, scores: DataFrame, largest: float | None = None) -> DataFrame:
        """Return the popularity of each item; see the class."""
        score = F.col(C.SCORE).cast("double")
        if largest is None:
            (largest,) = single_row(scores.agg(F.max(F.abs(score))))
        return scores.groupBy(C.ITEM_INDEX).agg(exact_sum(score, largest or 1.0).alias(C.SCORE))
