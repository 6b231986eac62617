"""All metrics at all cut-offs for all models, in one pass over the lists.

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

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import NamedTuple

import pyarrow as pa
from pyspark.sql import Column, DataFrame, functions as F

import recommender.constants as C
from recommender.evaluation.accuracy import PER_VISITOR
from recommender.evaluation.exposure import OF_EXPOSURE
from recommender.evaluation.packing import HELD, SCORED, packed, packed_lists, packed_segments
from recommender.evaluation.passes import RESULT, SUMS, judged, merged
from recommender.evaluation.task import Task

METRICS = (*PER_VISITOR, *OF_EXPOSURE)
_MEASURED = (C.METRIC, "k", "value", "low", "high", "visitors")


class Evaluation(NamedTuple):
    """The result of an evaluation.

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

    Returns:
        segment string, null for all visitors; model, metric string; k int; value double; low and high double, the
        bounds of the mean's 95 % confidence interval, null for fewer than two visitors and for metrics of exposure;
        visitors long; means array<double>, of the replicates, null for metrics of exposure. Without a holdout there are
        no per-visitor metrics, and a model without lists has none of exposure.
    """
    known = [metric for metric in dict.fromkeys(metrics) if popularity is not None or metric in PER_VISITOR]
    if not known:
        raise ValueError(f"{', '.join(metrics) or 'no metric'} without the popularity of the items: nothing to compute")
    task = Task(tuple(models), tuple(sorted(set(cutoffs))), tuple(known), replicates, seed)
    parts = [packed_lists(_places(lists, task), task)]
    if task.of_visitors:
        gain = _gain(F.col(C.SCORE)) if is_graded else F.lit(1.0)
        parts.append(packed(holdout.select(C.VISITOR_INDEX, C.ITEM_INDEX, gain.alias("gain")), HELD))
        parts += [packed_segments(segments)] if segments is not None else []
    if popularity is not None and task.of_exposure:
        parts.append(packed(popularity.select(C.ITEM_INDEX, F.col(C.SCORE).cast("double").alias(C.SCORE)), SCORED))

    def to_judge(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from judged(batches, task)

    def to_merge(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from merged(batches, task)

    cells = reduce(DataFrame.unionByName, parts).repartition("bucket").sortWithinPartitions("bucket")
    return cells.mapInArrow(to_judge, SUMS).repartition(C.SEGMENT, C.MODEL).mapInArrow(to_merge, RESULT)


def _places(lists: DataFrame, task: Task) -> DataFrame:
    """Return the places that are looked at, as visitor, item, rank and number of the model."""
    near = lists.where((F.col(C.RANK) <= max(task.cutoffs)) & F.col(C.MODEL).isin(*task.models))
    model = F.coalesce(*(F.when(F.col(C.MODEL) == name, number) for number, name in enumerate(task.models)))
    return near.select(C.VISITOR_INDEX, C.ITEM_INDEX, C.RANK, model.alias(C.MODEL))


def _gain(score: Column) -> Column:
    """Return a score as a gain: 0 where it is null, not positive or not finite."""
    score = score.cast("double")
    return F.when((score > 0) & (score < float("inf")), score).otherwise(0.0)


def evaluation(cells: DataFrame) -> Evaluation:
    """Return what `ranking_metrics` has found as tables."""
    of_all = F.col(C.SEGMENT).isNull()
    return Evaluation(
        cells.where(of_all).select(C.MODEL, *_MEASURED),
        cells.where(~of_all).select(C.MODEL, C.SEGMENT, *_MEASURED),
        cells.where(of_all & (F.size(C.MEANS) > 0)).select(C.MODEL, C.METRIC, "k", C.MEANS),
    )
