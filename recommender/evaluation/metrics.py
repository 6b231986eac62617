"""Ranking metrics as Spark aggregations: all metrics at all cut-offs for all models in one pass over the lists.

For one visitor let R be the set of relevant items (the holdout), k the cut-off, h_i = 1 if the item at rank i is in R
and 0 otherwise, and H_i = h_1 + … + h_i. With binary relevance (Järvelin and Kekäläinen 2002 for NDCG; Manning,
Raghavan and Schütze, Introduction to Information Retrieval, chapter 8, for the others):

    ndcg       Σ_{i≤k} h_i / log2(i + 1)  divided by  Σ_{i≤min(k,|R|)} 1 / log2(i + 1)
    recall     H_k / |R|
    precision  H_k / k, also for a list shorter than k
    map        Σ_{i≤k} h_i H_i / i  divided by  min(k, |R|)
    mrr        1 / the least i ≤ k with h_i = 1, else 0
    hit_rate   1 if H_k > 0, else 0

A metric's value is the mean over all visitors with a holdout; one who got no list counts as 0.

Example usage:
>>> lists = spark.createDataFrame([("als", 7, 1, 100), ("als", 7, 2, 101)],
...                               "model string, visitor_index int, rank int, item_index int")
>>> holdout = spark.createDataFrame([(7, 101), (8, 100)], "visitor_index int, item_index int")
>>> metrics = ranking_metrics(lists, holdout, ["als"], [1, 2])
>>> metrics.where("metric = 'mrr'").select("k", "value", "visitors").orderBy("k").show()
+---+-----+--------+
|  k|value|visitors|
+---+-----+--------+
|  1|  0.0|       2|
|  2| 0.25|       2|
+---+-----+--------+
<BLANKLINE>
"""

from collections.abc import Sequence
from itertools import accumulate
from math import log2

from pyspark.sql import Column, DataFrame, Window, functions as F

import recommender.constants as C

METRICS = ("ndcg", "recall", "precision", "map", "mrr", "hit_rate")
_UNIT_INTERVAL = "decimal(16,15)"  # holds 0 to 1, in 64 bits
_Z_95 = 1.959964  # the normal distribution's 97.5 % quantile


def ranking_metrics(lists: DataFrame, holdout: DataFrame, models: Sequence[str], cutoffs: Sequence[int]) -> DataFrame:
    """Return every metric at every cut-off for every model.

    Args:
        lists: model string, visitor_index int, rank int from 1, item_index int; more columns are ignored.
        holdout: visitor_index int, item_index int, one row per pair; more columns are ignored.
        models: the models to report on, also those that have no list at all.
        cutoffs: numbers of places that are looked at.

    Returns:
        model, metric, k int, value double, low and high double (bounds of the mean's 95 % confidence interval by the
        normal approximation over visitors; null for fewer than two visitors), visitors long. No row without holdout.
    """
    relevant = holdout.groupBy(C.VISITOR_INDEX).agg(F.count_distinct(C.ITEM_INDEX).cast("int").alias("_relevant"))
    names = F.explode(F.array(*map(F.lit, models))).alias(C.MODEL)
    judged = relevant.select("*", names).join(_hits(lists, holdout, cutoffs), [C.MODEL, C.VISITOR_INDEX], "left")
    per_visitor = judged.select(C.MODEL, *(_metric(name, k).alias(f"{name}@{k}") for name in METRICS for k in cutoffs))
    return _means(per_visitor, cutoffs)


def _hits(lists: DataFrame, holdout: DataFrame, cutoffs: Sequence[int]) -> DataFrame:
    """Return what the metrics need of each model's list for each visitor that has a hit."""
    pair = [C.VISITOR_INDEX, C.ITEM_INDEX]
    hits = lists.where(F.col(C.RANK) <= max(cutoffs)).join(holdout.select(*pair).distinct(), pair, "left_semi")
    so_far = F.row_number().over(Window.partitionBy(C.MODEL, C.VISITOR_INDEX).orderBy(C.RANK))
    rank = F.col(C.RANK)
    sums = []
    for k in cutoffs:
        sums += [
            F.count_if(rank <= k).alias(f"_hits@{k}"),
            F.sum(F.when(rank <= k, 1 / F.log2(rank + 1))).alias(f"_dcg@{k}"),
            F.sum(F.when(rank <= k, F.col("_so_far") / rank)).alias(f"_precisions@{k}"),
            F.max(F.when(rank <= k, 1 / rank)).alias(f"_reciprocal@{k}"),
        ]
    return hits.withColumn("_so_far", so_far).groupBy(C.MODEL, C.VISITOR_INDEX).agg(*sums)


def _metric(name: str, k: int) -> Column:
    """Return one metric of one visitor."""
    hits, relevant = F.col(f"_hits@{k}"), F.col("_relevant")
    reachable = F.least(relevant, F.lit(k))
    ideals = list(accumulate(1 / log2(rank + 1) for rank in range(1, k + 1)))
    value = {
        "ndcg": F.col(f"_dcg@{k}") / F.element_at(F.array(*map(F.lit, ideals)), reachable),
        "recall": hits / relevant,
        "precision": hits / F.lit(k),
        "map": F.col(f"_precisions@{k}") / reachable,
        "mrr": F.col(f"_reciprocal@{k}"),
        "hit_rate": (hits > 0).cast("double"),
    }[name]
    return F.coalesce(value, F.lit(0.0))


def _means(per_visitor: DataFrame, cutoffs: Sequence[int]) -> DataFrame:
    """Return the mean of each metric over the visitors, with its confidence interval.

    Sums of decimals are exact, so that the result does not depend on the order in which a cluster adds.
    """
    keys = [(name, k) for name in METRICS for k in cutoffs]
    sums = [F.count(F.lit(1)).alias(C.VISITOR)]
    for name, k in keys:
        value = F.col(f"`{name}@{k}`")
        for power, sum_of in ((value, "sum"), (value * value, "squares")):
            sums.append(F.sum(power.cast(_UNIT_INTERVAL)).cast("double").alias(f"{sum_of}_{name}_{k}"))
    cells = []
    number = F.col(C.VISITOR)
    for name, k in keys:
        mean = F.col(f"sum_{name}_{k}") / number
        spread = F.greatest(F.col(f"squares_{name}_{k}") - number * mean * mean, F.lit(0.0))
        margin = _Z_95 * F.sqrt(F.when(number > 1, spread / (number - 1)) / number)
        bounds = ((mean - margin).alias("low"), (mean + margin).alias("high"))
        cells.append(F.struct(F.lit(name).alias(C.METRIC), F.lit(k).alias("k"), mean.alias("value"), *bounds))
    rows = per_visitor.groupBy(C.MODEL).agg(*sums).select(C.MODEL, C.VISITOR, F.explode(F.array(*cells)).alias("_cell"))
    return rows.select(C.MODEL, "_cell.*", F.col(C.VISITOR).alias("visitors"))
