"""Look for what a model must predict in what it has seen.

Example usage:
>>> scores = spark.createDataFrame([(0, 5, 1.0, 10)], schemas.TABLES["scores"])
>>> history = spark.createDataFrame([(0, 5, "view", 1.0, 10)], schemas.TABLES["history"])
>>> holdout = spark.createDataFrame([(0, 6, 1.0, 20)], schemas.TABLES["holdout"])
>>> LeakCheck().execute(scores, history, holdout, cut=15)
0
>>> LeakCheck().execute(scores, history, holdout.withColumn("item_index", F.lit(5)))
Traceback (most recent call last):
recommender.errors.DataQualityError: LEAK 1 held-out pairs are in scores, 1 in history: the models would be judged ...
"""

from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.errors import DataQualityError
from recommender.settings.step import step
from recommender.spark.aggregates import single_row
from recommender.tables import schemas  # noqa: F401 - for the example

_PAIR = [C.VISITOR_INDEX, C.ITEM_INDEX]


@step
class LeakCheck:
    """Refuse tables in which a model would see what it is judged by.

    No pair of a visitor and an item of the holdout may be in the training scores or in the history. After a cut by
    time, no training event may be at or after the cut: neither one of the scores nor one in the history of a visitor
    that is known to the model, because it has scores, or a history from before the cut. The history of other visitors
    is not training: it lies after the cut.

    Init parameters: none.
    Execution args:
        scores, history, holdout: the tables of stage 1.
        cut: time, in ms, from which on nothing may be trained with; null: the log was not cut by time.
    Execution returns:
        The number of leaks, which is 0.
    Raises:
        DataQualityError: LEAK, with the numbers.
    Persist strategy: none of its own; the number is in the commit's record.
    """

    def execute(self, scores: DataFrame, history: DataFrame, holdout: DataFrame, cut: float | None = None) -> int:
        held = holdout.select(*_PAIR, F.lit(True).alias("_held"))
        trained, is_held, is_known = F.col("_trained"), F.col("_held").isNotNull(), F.col("_known")
        parts = [
            rows.select(*_PAIR, C.LAST_TIMESTAMP, F.lit(rows is scores).alias("_trained")) for rows in (scores, history)
        ]
        is_late = F.lit(False) if cut is None else F.coalesce(F.col(C.LAST_TIMESTAMP) >= F.lit(cut), F.lit(False))
        seen = parts[0].unionByName(parts[1]).join(held, _PAIR, "left")
        # Who is known matters after a cut only: without one, all rows are one group.
        of_visitor = seen.groupBy(*([] if cut is None else [C.VISITOR_INDEX])).agg(
            F.count_if(trained & is_held).alias("scores"),
            F.count_if(~trained & is_held).alias("history"),
            F.count_if(trained & is_late).alias("late_scores"),
            F.count_if(~trained & is_late).alias("late_history"),
            F.max(trained | ~is_late).alias("_known"),
        )
        late = F.col("late_scores") + F.when(is_known, F.col("late_history")).otherwise(0)
        found = single_row(of_visitor.agg(F.sum("scores"), F.sum("history"), F.sum(late)))
        in_scores, in_history, after_cut = (number or 0 for number in found)
        if in_scores or in_history or after_cut:
            raise DataQualityError("LEAK", _sentence(in_scores, in_history, after_cut, cut))
        return 0


def _sentence(in_scores: int, in_history: int, after_cut: int, cut: float | None) -> str:
    found = f"{in_scores:,} held-out pairs are in scores, {in_history:,} in history"
    if cut is not None:
        found += f", and {after_cut:,} pairs are trained with events at or after the cut {cut:.15g}"
    consequence = "the models would be judged by what they were shown, so nothing is committed"
    return f"{found}: {consequence}; this is a fault of the program, please report it with the configuration"
