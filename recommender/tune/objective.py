"""Judge parameters of a model by the lists that a fit with them makes for the visitors of the validation part.

Example usage:
>>> types = "visitor_index int, item_index int, score float, last_timestamp long"
>>> train = spark.createDataFrame([(0, 0, 1.0, 1), (0, 1, 1.0, 2), (1, 1, 1.0, 3)], types)
>>> history, holdout = (spark.createDataFrame([row], types) for row in ((2, 0, 1.0, 4), (2, 1, 1.0, 5)))
>>> rows = history.withColumn("event", F.lit("transaction"))
>>> items = spark.createDataFrame([("tea", 0), ("jam", 1)], "itemid string, item_index int")
>>> scoring = Scoring({"score_map": {"transaction": 1}}, {}, {}, newest=5)
>>> prepared = Prepared(Parts(train, history, holdout), rows, items, scoring, same_pairs=True)
>>> objective = TrialObjective(AlsFitter(), RuledSteps.build({}), ModelTuner(k=1), prepared, allowed=None)
>>> objective({"rank": 2, "max_iter": 1, "reg_param": 0.1, "alpha": 1.0}).value
1.0
>>> prepared.release()
"""

from dataclasses import dataclass, field, replace
from typing import Any

from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.models import Factors, ListMaker, Neighbours
from recommender.ruled_stage import RuledSteps
from recommender.spark.aggregates import fetch
from recommender.stage2.steps import AlsFitter, ItemToItem, RankingEvaluator
from recommender.tune.prepared import Prepared, Scored
from recommender.tune.scoring import Scoring  # noqa: F401 - for the example
from recommender.tune.space import WALK, Space
from recommender.tune.steps import ModelTuner
from recommender.tune.steps.validation_split import Parts  # noqa: F401 - for the example
from recommender.tune.trial import Judged, Parameters

FITTED = ("rank", "max_iter", "reg_param", "alpha", "reg_exponent")  # parameters of the fit

_REPLICATES = 500  # of the bootstrap: bounds to compare trials by, not to publish


@dataclass(frozen=True)
class TrialObjective:
    """Fit, make lists by the steps and rules that serve, and judge them by the code that judges the final model.

    Init parameters:
        als, item_to_item: what is not searched of a fit.
        serving: the steps that serve.
        tuner: what is judged by.
        prepared: what is fitted, and the validation part.
        allowed: item_index int, the items that may be recommended; null: all.
    """

    als: AlsFitter
    serving: RuledSteps
    tuner: ModelTuner
    prepared: Prepared
    allowed: DataFrame | None
    item_to_item: ItemToItem = field(default_factory=ItemToItem)

    def configured(self, space: Space) -> dict[str, Any]:
        """Return the configured parameters of the model, as far as they are searched."""
        als = {name: getattr(self.als, name) for name in FITTED if name in space}
        walk = {name: getattr(self.item_to_item, name.removeprefix(WALK)) for name in space if name.startswith(WALK)}
        return {**als, **walk}

    def __call__(self, parameters: Parameters, share: float = 1.0) -> Judged:
        """Return the metric of a fit with these parameters.

        Args:
            parameters: those that are searched.
            share: ratio (0 to 1) of the visitors that are fitted.

        Raises:
            DataQualityError: the parameters leave nothing to fit.
        """
        with self.prepared.scored(parameters, share) as scored:
            lists = self._lists(parameters, scored)
            return _judged(lists, self.prepared.holdout, scored.popularity, self.tuner)

    def _lists(self, parameters: Parameters, scored: Scored) -> DataFrame:
        maker = ListMaker(
            self.serving,
            k=self.tuner.k,
            visitors=self.prepared.visitors,
            number=self.prepared.visitor_count,
            history=scored.history,
            allowed=self.allowed,
            popularity=scored.popularity,
            recent=scored.recent,
        )
        if self.tuner.model == C.ITEM_TO_ITEM:
            walk = {name.removeprefix(WALK): value for name, value in parameters.items() if name.startswith(WALK)}
            return Neighbours(replace(self.item_to_item, **walk).execute(scored.train)).lists(maker)
        als = replace(self.als, **{name: parameters[name] for name in FITTED if name in parameters})
        return Factors(als.execute(scored.train).itemFactors, vars(als)).lists(maker)


def _judged(lists: DataFrame, holdout: DataFrame, popularity: DataFrame, tuner: ModelTuner) -> Judged:
    """Return one metric of the lists: the one place here that knows how lists are judged."""
    evaluator = RankingEvaluator(cutoffs=[tuner.k], metrics=[tuner.metric], replicates=_REPLICATES, seed=tuner.seed)
    try:
        named = lists.withColumn(C.MODEL, F.lit(C.ALS))
        found = evaluator.execute(named, holdout, [C.ALS], popularity=popularity)
        rows = fetch(metrics=found.metrics.select("value", "low", "high"), bootstrap=found.bootstrap.select(C.MEANS))
        means = rows["bootstrap"][0][C.MEANS] if rows["bootstrap"] else []
        value, low, high = rows["metrics"][0]
        return Judged(value, low, high, tuple(means))
    finally:
        evaluator.release()
