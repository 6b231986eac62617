"""The segments that the evaluated visitors are in: how much is known of them.

Example usage:
>>> visitors = spark.createDataFrame([(7,), (8,)], "visitor_index int")
>>> history = spark.createDataFrame([(7, 0), (7, 1), (7, 1)], "visitor_index int, item_index int")
>>> scores = spark.createDataFrame([(8, 0, 1.0)], "visitor_index int, item_index int, score float")
>>> visitor_segments(visitors, history, scores).orderBy("visitor_index").collect()
[Row(visitor_index=7, segments=['history 2-5', 'new']), Row(visitor_index=8, segments=['history 0', 'known'])]
"""

from functools import reduce
from typing import Final

from pyspark.sql import Column, DataFrame, functions as F

import recommender.constants as C

KNOWN: Final = "known"  # the model was fitted with events of the visitor
NEW: Final = "new"
# The least number of different items in a history -> the segment.
HISTORIES: Final = {0: "history 0", 1: "history 1", 2: "history 2-5", 6: "history 6-20", 21: "history 21+"}


def visitor_segments(visitors: DataFrame, history: DataFrame, scores: DataFrame) -> DataFrame:
    """Return the two segments of each visitor: the length of its history, and whether the model knows it.

    Args:
        visitors: visitor_index int, one row per evaluated visitor.
        history: visitor_index int, item_index int: what the lists are made from; more columns are ignored.
        scores: visitor_index int: the training part; more columns are ignored.

    Returns:
        visitor_index int, segments array<string>.
    """
    visitors = visitors.select(C.VISITOR_INDEX)
    lengths = history.groupBy(C.VISITOR_INDEX).agg(F.count_distinct(C.ITEM_INDEX).alias("_items"))
    trained = scores.select(C.VISITOR_INDEX).join(visitors, C.VISITOR_INDEX, "left_semi").distinct()
    known = trained.select(C.VISITOR_INDEX, F.lit(KNOWN).alias("_known"))
    both = visitors.join(lengths, C.VISITOR_INDEX, "left").join(known, C.VISITOR_INDEX, "left")
    segments = F.array(_of_length(F.coalesce("_items", F.lit(0))), F.coalesce("_known", F.lit(NEW)))
    return both.select(C.VISITOR_INDEX, segments.alias(C.SEGMENTS))


def _of_length(items: Column) -> Column:
    """Return the segment of a history with so many different items."""
    return reduce(
        lambda shorter, least: F.when(items >= least, HISTORIES[least]).otherwise(shorter),
        sorted(HISTORIES),
        F.lit(None).cast("string"),
    )
