"""Judge the lists of several models by what the visitors did afterwards.

Example usage:
>>> lists = spark.createDataFrame([("als", 7, 1, 100)], "model string, visitor_index int, rank int, item_index int")
>>> holdout = spark.createDataFrame([(7, 100)], "visitor_index int, item_index int")
>>> metrics = RankingEvaluator(cutoffs=[1]).execute(lists, holdout, models=["als"])
>>> metrics.select("model", "metric", "k", "value").where("metric = 'ndcg'").show()
+-----+------+---+-----+
|model|metric|  k|value|
+-----+------+---+-----+
|  als|  ndcg|  1|  1.0|
+-----+------+---+-----+
<BLANKLINE>
"""

from collections.abc import Sequence

from pyspark.sql import DataFrame

from recommender.base import Annotated, Field, field, step
from recommender.evaluation import ranking_metrics
from recommender.persistent import Persistent


@step
class RankingEvaluator(Persistent):
    """Compute NDCG, recall, precision, MAP, MRR and hit rate, with binary relevance.

    The definitions are in ``recommender.evaluation.metrics``. Of each model the first places of the lists that it would
    serve are judged, made by the same steps and rules.

    Init parameters:
        cutoffs: numbers of places that are looked at, 1 to 1000 each.
    Execution args:
        lists: model string, visitor_index int, rank int from 1, item_index int, for every visitor of `holdout`.
        holdout: visitor_index int, item_index int, one row per pair that should be predicted.
        models: the names in `lists` to report on.
    Execution returns:
        model, metric, k int, value double (ratio 0 to 1), low, high double (95 % confidence), visitors long.
    Raises:
        ConfigError: a cut-off is out of range.
    Persist strategy: Parquet; stage 2 stores it as the table metrics.
    """

    cutoffs: Annotated[list[Annotated[int, Field(ge=1, le=1000)]], Field(min_length=1)] = field(
        default_factory=lambda: [1, 5, 10, 20]
    )

    def execute(self, lists: DataFrame, holdout: DataFrame, models: Sequence[str]) -> DataFrame:
        """Return the metrics; see the class."""
        return ranking_metrics(lists, holdout, models, sorted(set(self.cutoffs)))
