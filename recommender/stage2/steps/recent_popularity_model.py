"""Rank items by recent popularity: a baseline that is often hard to beat where the future is predicted.

Example usage:
>>> day = 86_400_000
>>> scores = spark.createDataFrame([(0, 3, 8.0, 0), (1, 3, 1.0, 14 * day), (1, 4, 6.0, 14 * day)],
...                                "visitor_index int, item_index int, score float, last_timestamp long")
>>> RecentPopularityModel(half_life_days=14).execute(scores).orderBy("item_index").collect()
[Row(item_index=3, score=5.0), Row(item_index=4, score=6.0)]
"""

from pyspark.sql import Column, DataFrame, functions as F

import recommender.constants as C
from recommender.settings.step import Annotated, Field, step
from recommender.spark.aggregates import exact_sum, single_row
from recommender.tables.persistent import Persistent

_MS_PER_DAY = 86_400_000


@step
class RecentPopularityModel(Persistent):
    """Sum the scores of each item over all visitors, each halved for every half-life since the pair's last event.

    With T the newest time in the scores, t_ui that of the pair's last event and h the half-life, the popularity is

        Σ_u r_ui 2^(-(T - t_ui) / h)

    T comes from the data and never from the clock, so that the same scores give the same result on any day. The terms
    are added as decimals, exactly, so that the result does not depend on the order in which a cluster adds. What is
    less than 1e-28 of the largest score, as after 93 half-lives, counts as 0.

    Init parameters:
        half_life_days: days (of 24 hours) after which a score counts half, > 0.
    Execution args:
        scores: visitor_index int, item_index int, score float, last_timestamp long (ms since epoch, UTC): the training
            part only. A row with a null adds nothing.
    Execution returns:
        item_index int, score double, one row per item; row order undefined.
    Raises:
        ConfigError: the half-life is not positive.
    Persist strategy: Parquet; stage 2 stores it as the table recent_popularity.
    """

    half_life_days: Annotated[float, Field(gt=0)] = 14.0

    def execute(self, scores: DataFrame, largest: float | None = None, newest: int | None = None) -> DataFrame:
        """Return the recent popularity of each item; see the class."""
        score = F.col(C.SCORE).cast("double")
        if largest is None or newest is None:
            newest, largest = single_row(scores.agg(F.max(C.LAST_TIMESTAMP), F.max(F.abs(score))))
        recent = exact_sum(score * self._left(newest or 0), largest or 1.0)
        return scores.groupBy(C.ITEM_INDEX).agg(F.coalesce(recent, F.lit(0.0)).alias(C.SCORE))

    def _left(self, newest: int) -> Column:
        """Return the rest of a score, 0 to 1."""
        age = (F.lit(newest) - F.col(C.LAST_TIMESTAMP)) / _MS_PER_DAY
        return F.pow(F.lit(0.5), age / self.half_life_days)
