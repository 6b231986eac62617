"""All metrics at all cut-offs for all models; the lists are computed once.

The metrics of one visitor's list are defined in ``accuracy``: a value is the mean over all visitors with a holdout, and
one who got no list counts as 0. Their intervals are in ``bootstrap``. Those of what all lists show are in ``exposure``.

Example usage:
>>> lists = spark.createDataFrame([("als", 7, 1, 100), ("als", 7, 2, 101)],
...                               "model string, visitor_index int, rank int, item_index int")
>>> holdout = spark.createDataFrame([(7, 101), (8, 100)], "visitor_index int, item_index int")
>>> metrics = ranking_metrics(lists, holdout, ["als"], [1, 2], metrics=["mrr"])
>>> metrics.select("metric", "k", "value", "visitors").orderBy("k").show()
+------+---+-----+--------+
|metric|  k|value|visitors|
+------+---+-----+--------+
|   mrr|  1|  0.0|       2|
|   mrr|  2| 0.25|       2|
+------+---+-----+--------+
<BLANKLINE>
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple

from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.evaluation.accuracy import PER_VISITOR
from recommender.evaluation.by_visitor import CELLS, Task, means
from recommender.evaluation.exposure import OF_EXPOSURE, exposures

METRICS = (*PER_VISITOR, *OF_EXPOSURE)
_MEASURED = (C.METRIC, "k", "value", "low", "high", "visitors")


class Evaluation(NamedTuple):
    """What an evaluation has found.

    Attributes:
        metrics: model, metric, k int, value, low, high double, visitors long: of all visitors.
        segment_metrics: the same for each segment, with the column segment; per-visitor metrics only.
        bootstrap: model, metric, k int, means array<double>: the means of the replicates, of per-visitor metrics.
    """

    metrics: DataFrame
    segment_metrics: DataFrame
    bootstrap: DataFrame


def ranking_metrics(
    lists: DataFrame,
    holdout: DataFrame,
    models: Sequence[str],
    cutoffs: Sequence[int],
    *,
    popularity: DataFrame | None = None,
    segments: DataFrame | None = None,
    metrics: Sequence[str] = METRICS,
    is_graded: bool = False,
    replicates: int = 0,
    seed: int = 0,
    cache: Callable[[DataFrame], DataFrame] = lambda rows: rows,
) -> DataFrame:
    """Return every metric at every cut-off for every model.

    Args:
        lists: model string, visitor_index int, rank int from 1, item_index int, an item once per list; more columns are
            ignored.
        holdout: visitor_index int, item_index int, with graded relevance score; more columns are ignored.
        models: the models to report on, also those that have no list at all.
        cutoffs: numbers of places that are looked at.
        popularity: item_index int, score double, one row per item of the catalogue; None: no metrics of exposure.
        segments: visitor_index int, segments array<string>; None: there are none.
        metrics: some of `METRICS`.
        is_graded: whether the gain of an item, in NDCG, is its score in the holdout.
        replicates: of the bootstrap; 0: no intervals.
        seed: of the bootstrap.
        cache: caches rows that are read twice, and returns them.

    Returns:
        segment string, null for all visitors; model, metric string; k int; value double; low and high double, the
        bounds of the mean's 95 % confidence interval, null for fewer than two visitors and for metrics of exposure;
        visitors long; means array<double>, of the replicates, null for metrics of exposure. Without a holdout there are
        no per-visitor metrics, and a model without lists has none of exposure.
    """
    cutoffs = sorted(set(cutoffs))
    of_visitors = [metric for metric in dict.fromkeys(metrics) if metric in PER_VISITOR]
    of_exposure = [metric for metric in dict.fromkeys(metrics) if metric in OF_EXPOSURE]
    shown = _shown(lists, models, cutoffs)
    parts = []
    if popularity is not None and of_exposure:
        shown = cache(shown) if of_visitors else shown
        parts.append(_without_intervals(exposures(shown, popularity, models, cutoffs, of_exposure)))
    if of_visitors:
        task = Task(tuple(models), tuple(cutoffs), tuple(of_visitors), replicates, seed)
        parts.append(means(shown, holdout, segments, task, F.col(C.SCORE) if is_graded else None))
    if not parts:
        raise ValueError(f"{', '.join(metrics) or 'no metric'} without the popularity of the items: nothing to compute")
    return reduce(DataFrame.unionByName, parts)


def _shown(lists: DataFrame, models: Sequence[str], cutoffs: Sequence[int]) -> DataFrame:
    """Return the places that are looked at, with the place of the model among the models in its stead."""
    near = lists.where((F.col(C.RANK) <= max(cutoffs)) & F.col(C.MODEL).isin(*models))
    model = F.array_position(F.array(*map(F.lit, models)), F.col(C.MODEL)).cast("int") - 1
    return near.select(model.alias(C.MODEL), C.VISITOR_INDEX, C.RANK, C.ITEM_INDEX)


def _without_intervals(found: DataFrame) -> DataFrame:
    """Return values as rows with all columns of the result."""
    names = found.columns
    fields = (field.split(" ") for field in CELLS.split(", "))
    return found.select(*(name if name in names else F.lit(None).cast(type_).alias(name) for name, type_ in fields))


def evaluation(cells: DataFrame) -> Evaluation:
    """Return what `ranking_metrics` has found as tables."""
    of_all = F.col(C.SEGMENT).isNull()
    return Evaluation(
        cells.where(of_all).select(C.MODEL, *_MEASURED),
        cells.where(~of_all).select(C.MODEL, C.SEGMENT, *_MEASURED),
        cells.where(of_all & (F.size(C.MEANS) > 0)).select(C.MODEL, C.METRIC, "k", C.MEANS),
    )
