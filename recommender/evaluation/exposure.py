"""Metrics of what all lists show together: who gets what everybody gets, and what nobody gets.

They are made of one number per item: c_i, how often item i is among the first k places of the lists of a model. Let n
be the number of lists, N that of the items of the catalogue (those with a training score), and p_i the share of item i
in the summed training scores:

    coverage  the number of items of the catalogue with c_i > 0, divided by N
    novelty   Σ c_i (-log2 p_i)  divided by  Σ c_i, in bits: how surprising a shown item is to one who knows the shop.
              An item without a positive training score counts as the rarest that has one
    gini      Σ_j (2j - N - 1) c_(j)  divided by  (N - 1) Σ_j c_(j), where c_(1) ≤ … ≤ c_(N) are the items of the
              catalogue, never shown ones too: 0 if all are shown equally often, 1 if one has all places
    overlap   Σ c_i (c_i - 1)  divided by  n (n - 1) k: of the first k places, the share that the lists of two
              visitors have in common, the mean over all pairs of them; a missing place has nothing in common
    short_lists  the share of the n lists that have fewer than k places

Sources: Castells, Hurley and Vargas, Novelty and diversity in recommender systems (Recommender Systems Handbook, 2015),
for novelty (mean self-information) and the Gini index; Vargas and Castells, Rank and relevance in novelty and diversity
metrics (2011); Herlocker et al., Evaluating collaborative filtering recommender systems (2004), for coverage.

What would be divided by 0 is null: novelty where no item has a positive score, the Gini index of a catalogue of one
item or that is never shown, the overlap of fewer than two lists. The sums are of integers and of decimals, so that they
do not depend on how the lists are spread. There are no intervals: a replicate of the bootstrap would need a count of
every item, and a list that is drawn twice would overlap with itself.

Example usage:
>>> lists = spark.createDataFrame([(0, 7, 1, 100), (0, 8, 1, 100)], _LISTS)
>>> popularity = spark.createDataFrame([(100, 3.0), (101, 1.0)], "item_index int, score double")
>>> found = exposures(lists, popularity, ["als"], [1], ["coverage", "gini", "overlap"])
>>> found.select("model", "metric", "value", "visitors").orderBy("metric").collect()
[Row(model='als', metric='coverage', value=0.5, visitors=2), Row(model='als', metric='gini', value=1.0, visitors=2),
 Row(model='als', metric='overlap', value=1.0, visitors=2)]
"""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window, functions as F

import recommender.constants as C

OF_EXPOSURE = ("coverage", "novelty", "gini", "overlap", "short_lists")

_LISTS = f"{C.MODEL} int, {C.VISITOR_INDEX} int, {C.RANK} int, {C.ITEM_INDEX} int"
_SCORE = "decimal(38,12)"  # of all items together
_INFORMATION = "decimal(16,12)"  # of an item, in bits: 1074 at most
_COUNT = "decimal(20,0)"
_SHORT_COUNT = "decimal(10,0)"  # of visitors: so a product with the above keeps its 12 places


def exposures(
    lists: DataFrame, popularity: DataFrame, models: Sequence[str], cutoffs: Sequence[int], metrics: Sequence[str]
) -> DataFrame:
    """Return the metrics of each model that has any list, at each cut-off.

    Args:
        lists: model int, the place among the models, visitor_index int, rank int from 1, item_index int.
        popularity: item_index int, score double: the catalogue.
        models: their names.
        cutoffs: numbers of places that are looked at.
        metrics: some of `OF_EXPOSURE`.

    Returns:
        model string, metric string, k int, value double, visitors long: how many have a list.
    """
    rank = F.col(C.RANK)
    shown = [F.count_if(rank <= k).alias(f"_within_{k}") for k in cutoffs]
    shown += [F.count_if(rank == k).alias(f"_at_{k}") for k in cutoffs]
    by_item = lists.groupBy(C.MODEL, C.ITEM_INDEX).agg(F.count_if(rank == 1).alias("_lists"), *shown)
    totals = _totals(_by_count(by_item, popularity, cutoffs))
    name = F.element_at(F.array(*map(F.lit, models)), F.col(C.MODEL) + 1).alias(C.MODEL)
    values = [F.struct(F.lit(metric).alias(C.METRIC), _value(metric).alias("value")) for metric in metrics]
    each = totals.select(name, "k", F.col("_lists").alias("visitors"), F.explode(F.array(*values)).alias("_metric"))
    return each.select(C.MODEL, "_metric.metric", "k", "_metric.value", "visitors")


def _by_count(by_item: DataFrame, popularity: DataFrame, cutoffs: Sequence[int]) -> DataFrame:
    """Return, per model, cut-off and number c of times that an item is shown, what the items with it have together."""
    score = F.col(C.SCORE)
    positive = F.when(score > 0, score)
    catalogue = popularity.agg(
        F.count(F.lit(1)).alias("_catalogue"),
        F.sum(positive.cast(_SCORE)).cast("double").alias("_total"),
        F.min(positive).alias("_least"),
    )
    known = popularity.select(C.ITEM_INDEX, C.SCORE)
    items = by_item.join(known, C.ITEM_INDEX, "left").crossJoin(F.broadcast(catalogue))
    share = F.coalesce(positive, F.col("_least")) / F.when(F.col("_total") > 0, F.col("_total"))
    places = [
        F.struct(F.lit(k).alias("k"), F.col(f"_within_{k}").alias("_count"), F.col(f"_at_{k}").alias("_at"))
        for k in cutoffs
    ]
    each = items.select(
        C.MODEL,
        "_lists",
        "_catalogue",
        score.isNotNull().alias("_is_known"),
        (-F.log2(share)).cast(_INFORMATION).alias("_information"),
        F.explode(F.array(*places)).alias("_place"),
    )
    return (
        each.where("_place._count > 0")
        .groupBy(C.MODEL, "_place.k", "_place._count")
        .agg(
            F.count(F.lit(1)).alias("_items"),
            F.count_if("_is_known").alias("_known"),
            F.sum("_information").alias("_information"),
            F.sum("_lists").alias("_lists"),
            F.sum("_place._at").alias("_full"),
            F.max("_catalogue").alias("_catalogue"),
        )
    )


def _totals(by_count: DataFrame) -> DataFrame:
    """Return the sums that the metrics are made of, a row per model and cut-off."""
    # How many items of the catalogue are shown at least as often: the row's own are the last of them.
    at_least = F.sum("_known").over(Window.partitionBy(C.MODEL, "k").orderBy(F.desc("_count")))
    count, items, known = F.col("_count"), F.col("_items"), F.col("_known")
    # The mean of 2j - N - 1 over these items.
    balance = F.col("_catalogue") - 2 * F.col("_at_least") + known
    return (
        by_count.withColumn("_at_least", at_least)
        .groupBy(C.MODEL, "k")
        .agg(
            F.sum("_lists").alias("_lists"),
            F.sum("_full").alias("_full"),
            F.max("_catalogue").alias("_catalogue"),
            F.sum(known).alias("_covered"),
            F.sum(count * items).alias("_places"),
            F.sum(count * known).alias("_known_places"),
            F.sum(F.col("_information") * count.cast(_SHORT_COUNT)).cast("double").alias("_information"),
            F.sum((count * known).cast(_COUNT) * balance.cast(_COUNT)).cast("double").alias("_imbalance"),
            F.sum((count * (count - 1)).cast(_COUNT) * items.cast(_COUNT)).cast("double").alias("_shared"),
        )
    )


def _value(metric: str) -> Column:
    """Return a metric of exposure, null where it would be divided by 0."""
    lists, catalogue = F.col("_lists").cast("double"), F.col("_catalogue").cast("double")
    above, below = {
        "coverage": (F.col("_covered"), catalogue),
        "novelty": (F.col("_information"), F.col("_places")),
        "gini": (F.col("_imbalance"), (catalogue - 1) * F.col("_known_places")),
        "overlap": (F.col("_shared"), lists * (lists - 1) * F.col("k")),
        "short_lists": (lists - F.col("_full"), lists),
    }[metric]
    return above / F.when(below > 0, below)
