"""Judge parameters of ALS by the lists that a fit with them makes for the visitors of the validation part.

Example usage:
>>> types = "visitor_index int, item_index int, score float, last_timestamp long"
>>> train = spark.createDataFrame([(0, 0, 1.0, 1), (0, 1, 1.0, 2), (1, 1, 1.0, 3)], types)
>>> history, holdout = (spark.createDataFrame([row], types) for row in ((2, 0, 1.0, 4), (2, 1, 1.0, 5)))
>>> rows = history.withColumn("event", F.lit("transaction"))
>>> items = spark.createDataFrame([("tea", 0), ("jam", 1)], "itemid string, item_index int")
>>> scoring = Scoring({"score_map": {"transaction": 1}}, {}, {}, newest=5)
>>> prepared = Prepared(Parts(train, history, holdout), rows, items, scoring, same_pairs=True)
>>> objective = TrialObjective(AlsFitter(), RuledSteps.build({}), AlsTuner(k=1), prepared, allowed=None)
>>> objective({"rank": 2, "max_iter": 1, "reg_param": 0.1, "alpha": 1.0}, lambda iterations, value: False).value
1.0
>>> prepared.release()
"""

from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.ruled_stage import RuledSteps
from recommender.spark.aggregates import single_row
from recommender.stage2.lists import ListMaker
from recommender.stage2.steps import AlsFitter, RankingEvaluator
from recommender.tune.prepared import Prepared, Scored
from recommender.tune.scoring import Scoring  # noqa: F401 - for the example
from recommender.tune.steps import AlsTuner
from recommender.tune.steps.validation_split import Parts  # noqa: F401 - for the example
from recommender.tune.trial import Judged, Parameters, Report

FITTED = ("rank", "max_iter", "reg_param", "alpha")  # parameters of the fit

_REPLICATES = 200  # of the bootstrap: bounds to compare trials by, not to publish


@dataclass(frozen=True)
class TrialObjective:
    """Fit, make lists by the steps and rules that serve, and judge them by the code that judges the final model.

    Init parameters:
        als: what is not searched of a fit.
        serving: the steps that serve.
        tuner: what is judged by, and in how many fits.
        prepared: what is fitted, and the validation part.
        allowed: item_index int, the items that may be recommended; null: all.
    """

    als: AlsFitter
    serving: RuledSteps
    tuner: AlsTuner
    prepared: Prepared
    allowed: DataFrame | None

    def __call__(self, parameters: Parameters, report: Report) -> Judged:
        """Return the metric of a fit with these parameters.

        Args:
            parameters: those that are searched.
            report: takes iterations and metric of a fit before the last, and returns whether to give up.

        Raises:
            DataQualityError: the parameters leave nothing to fit.
        """
        als = replace(self.als, **{name: parameters[name] for name in FITTED if name in parameters})
        *first, last = self.tuner.rungs(als.max_iter)
        with self.prepared.scored(parameters) as scored:
            for iterations in first:
                judged = self._judge(replace(als, max_iter=iterations), scored)
                if report(iterations, judged.value):
                    return judged._replace(pruned=True)
            return self._judge(replace(als, max_iter=last), scored)

    def _judge(self, als: AlsFitter, scored: Scored) -> Judged:
        model = als.execute(scored.train)
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
        lists = maker.by_factors(model.itemFactors, vars(als))
        return _judged(lists, self.prepared.holdout, scored.popularity, self.tuner)


def _judged(lists: DataFrame, holdout: DataFrame, popularity: DataFrame, tuner: AlsTuner) -> Judged:
    """Return one metric of the lists: the one place here that knows how lists are judged."""
    evaluator = RankingEvaluator(cutoffs=[tuner.k], metrics=[tuner.metric], replicates=_REPLICATES, seed=tuner.seed)
    try:
        named = lists.withColumn(C.MODEL, F.lit(C.ALS))
        metrics = evaluator.execute(named, holdout, [C.ALS], popularity=popularity).metrics
        return Judged(*single_row(metrics.select("value", "low", "high")))
    finally:
        evaluator.release()
