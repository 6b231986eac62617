"""Judge the lists of several models by what the visitors did afterwards.

Example usage:
>>> lists = spark.createDataFrame([("als", 7, 1, 100)], "model string, visitor_index int, rank int, item_index int")
>>> holdout = spark.createDataFrame([(7, 100, 1.0)], "visitor_index int, item_index int, score float")
>>> popularity = spark.createDataFrame([(100, 3.0), (101, 1.0)], "item_index int, score double")
>>> evaluator = RankingEvaluator(cutoffs=[1], metrics=["ndcg", "coverage"])
>>> found = evaluator.execute(lists, holdout, ["als"], popularity=popularity)
>>> found.metrics.select("model", "metric", "k", "value").orderBy("metric").show()
+-----+--------+---+-----+
|model|  metric|  k|value|
+-----+--------+---+-----+
|  als|coverage|  1|  0.5|
|  als|    ndcg|  1|  1.0|
+-----+--------+---+-----+
<BLANKLINE>
>>> evaluator.release()
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal, get_args

from pydantic import BeforeValidator
from pyspark.sql import DataFrame

from recommender.evaluation import Evaluation, ExposureMetric, VisitorMetric, evaluation, ranking_metrics
from recommender.settings.step import Annotated, Field, field, step
from recommender.spark.cache import Cache
from recommender.tables.persistent import Persistent

_ERRORS_OF_RATINGS = {"rmse", "mse", "mae", "mape", "r2"}


def _of_lists(metric: object) -> object:
    """Refuse the errors of predicted ratings, with the reason."""
    if isinstance(metric, str) and metric.lower() in _ERRORS_OF_RATINGS:
        raise ValueError(
            f"metrics cannot have {metric}: it is not a metric of lists, and with implicit feedback a score is not a "
            "rating that could be missed by so much; use ndcg"
        )
    return metric


_Name = Literal[VisitorMetric, ExposureMetric]
MetricName = Annotated[_Name, BeforeValidator(_of_lists)]


@step
class RankingEvaluator(Persistent):
    """Judge lists: how well they predict, and what they show together; all metrics at all cut-offs for all models.

    The definitions, with their sources, are in ``recommender.evaluation.accuracy`` (ndcg, recall, precision, map, mrr,
    hit_rate: means over the visitors with a holdout) and ``recommender.evaluation.exposure`` (coverage, novelty, gini,
    overlap, short_lists: of all lists together). Of each model the first places of the lists that it would serve are
    judged, made by the same steps and rules.

    The bounds of a mean are the 2.5th and 97.5th percentile of its values in bootstrap replicates: the same evaluation,
    each visitor in it as often as a hash of seed, visitor and replicate says, the same for all models
    (``recommender.evaluation.bootstrap``). They say how far the mean would move with other visitors of the same kind;
    not, how well the model would do on other days, or fitted anew. Metrics of exposure have none.

    Init parameters:
        cutoffs: numbers of places that are looked at, 1 to 1000 each.
        metrics: the metrics that are reported.
        relevance: binary: a pair of the holdout is relevant, whatever its score; graded: in NDCG its gain is its score.
            The other metrics are binary always.
        replicates: of the bootstrap, 0 to 10,000; 0: no intervals. Percentiles so far out want some 1,000 (Efron and
            Tibshirani, An introduction to the bootstrap, 1993, chapter 13): with fewer the bounds are as much chance.
        seed: of the bootstrap.
    Execution args:
        lists: model string, visitor_index int, rank int from 1, item_index int, an item once per list, for every
            visitor of `holdout`.
        holdout: visitor_index int, item_index int, score float: one row per pair that should be predicted. A score that
            is null, not positive or not finite gains nothing.
        models: the names in `lists` to report on.
        popularity: item_index int, score double: the catalogue, one row per item with its summed training score.
        segments: visitor_index int, segments array<string>, one row per visitor, who may be in several; null: none.
    Execution returns:
        Evaluation of three DataFrames, row order undefined:
            - metrics: model, metric string, k int, value double (ratio 0 to 1; novelty: bits >= 0; null where it is not
              defined), low, high double (95 % confidence; null for fewer than two visitors, and for metrics of
              exposure), visitors long. Without a holdout there are no metrics but those of exposure, and of a model
              without any list these are missing.
            - segment_metrics: the same, with segment string, of the visitors in each segment; none of exposure.
            - bootstrap: model, metric string, k int, means array<double>: the values in the replicates, in the same
              order for all models; null in a replicate that nobody is in. None without replicates.
        They share cached intermediate results, which `release` frees.
    Raises:
        ConfigError: a parameter is out of range, or a metric is one of predicted ratings, as RMSE is.
    Persist strategy: Parquet, a folder per table, below the path; stage 2 stores them as the tables of these names.
    """

    cutoffs: Annotated[list[Annotated[int, Field(ge=1, le=1000)]], Field(min_length=1)] = field(
        default_factory=lambda: [1, 5, 10, 20]
    )
    metrics: Annotated[list[MetricName], Field(min_length=1)] = field(default_factory=lambda: [*get_args(_Name)])
    relevance: Literal["binary", "graded"] = "binary"
    replicates: Annotated[int, Field(ge=0, le=10_000)] = 1000
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] = 0

    @cached_property
    def _cache(self) -> Cache:
        return Cache()

    def execute(
        self,
        lists: DataFrame,
        holdout: DataFrame,
        models: Sequence[str],
        *,
        popularity: DataFrame,
        segments: DataFrame | None = None,
    ) -> Evaluation:
        """Return the metrics; see the class."""
        cells = ranking_metrics(
            lists,
            holdout,
            models,
            self.cutoffs,
            popularity=popularity,
            segments=segments,
            metrics=self.metrics,
            is_graded=self.relevance == "graded",
            replicates=self.replicates,
            seed=self.seed,
        )
        return evaluation(self._cache(cells))

    def persist(self, path: str, data: Any) -> None:
        """Write the tables to a new folder each."""
        for name, rows in data._asdict().items():
            super().persist(f"{path}/{name}", rows)

    def release(self) -> None:
        """Free the cached intermediate results."""
        self._cache.release()
