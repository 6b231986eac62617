"""Stage 2, train: fit the models and the baselines, judge all by what the held-out visitors did, and give a verdict.

Example usage:
>>> scores = spark.createDataFrame([(0, 0, 1.0, 1), (0, 1, 1.0, 2), (1, 0, 2.0, 3)], schemas.TABLES["scores"])
>>> history = spark.createDataFrame([(2, 0, "view", 1.0, 5)], schemas.TABLES["history"])
>>> holdout = spark.createDataFrame([(2, 1, 1.0, 6)], schemas.TABLES["holdout"])
>>> items = spark.createDataFrame([(0, 0, 2, 3.0, 5, 5), (1, 1, 1, 1.0, 6, 5)],
...                               schemas.TABLES["items"].replace("itemid id", "itemid long"))
>>> stage = Stage2({"als": {"rank": 2}, "evaluator": {"cutoffs": [2]}, "gate": {"k": 2}})
>>> result = stage.execute(scores, history, holdout, items)
>>> result["metrics"].where("metric = 'hit_rate'").select("model", "k", "value").orderBy("model").show()
+--------------+---+-----+
|         model|  k|value|
+--------------+---+-----+
|           als|  2|  1.0|
|  item_to_item|  2|  1.0|
|       popular|  2|  1.0|
|recent_popular|  2|  1.0|
+--------------+---+-----+
<BLANKLINE>
>>> stage.release()
"""

import functools
from collections.abc import Mapping
from dataclasses import asdict
from operator import itemgetter
from typing import Any, ClassVar

from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.errors import ConfigError, Mistake
from recommender.models import Factors, ListMaker, Model, Neighbours, model_of
from recommender.ruled_stage import RuledStage, RuledSteps
from recommender.spark.aggregates import fetch
from recommender.spark.row_counts import StepRows
from recommender.stage import Previous
from recommender.stage2.segments import visitor_segments
from recommender.stage2.steps import (
    AlsFitter,
    Baselines,
    ItemToItem,
    ModelGate,
    PopularityModel,
    RankingEvaluator,
    RecentPopularityModel,
)
from recommender.stage2.steps.model_gate import Verdict
from recommender.store import Commit, Store
from recommender.tables import schemas  # noqa: F401 - for the example
from recommender.tables.parquet import as_stored, read_table
from recommender.terminal.summary import metrics_table


class Stage2Steps(RuledSteps):
    """The steps of stage 2."""

    als: AlsFitter
    popularity: PopularityModel
    recent_popularity: RecentPopularityModel
    item_to_item: ItemToItem
    baselines: Baselines
    evaluator: RankingEvaluator
    gate: ModelGate


class Stage2(RuledStage):
    """Train: fit ALS and the baselines on the scores, judge them by the held-out visitors, and bless the model or not.

    It consists of the following steps:
    - als: the matrix model
    - popularity, recent_popularity, item_to_item: the baselines; baselines says which of them are judged; item_to_item
      may be published instead of ALS, see gate
    - fold_in, item_rules, blend, recommend: the evaluated visitors' lists, made by the steps and settings of stage 3;
      when an item was last seen is counted in the training part
    - evaluator: the metrics of all models, also by how much is known of a visitor (``recommender.stage2.segments``)
    - gate: which model is published, and whether it may be, compared with the baselines and with the live model

    Init parameters:
        config: step -> parameters; a step that is not named gets its defaults.
    Execution args:
        scores, history, holdout, items: the tables of stage 1.
        profile: of the log; null: unknown.
        previous: the commit that the live model is of; None if there is none to compare with.
        not_compared: why there is none, although a model is live.
    Execution returns:
        Dictionary with model, the ALSModel, and the DataFrames popularity, recent_popularity, metrics, segment_metrics
        and bootstrap (``recommender.tables.schemas``), and neighbours, if the gate may choose them. They share cached
        intermediate results, which `release` frees; `execute_persist` does so itself. The verdict is in the attribute
        `verdict`, once the tables are persisted.
    Raises:
        ConfigError: the config is wrong; all mistakes are listed. DataQualityError: see AlsFitter.
    Persist strategy:
        The model as MLlib saves it, the tables as Parquet, a folder each, below the given path; neighbours only if the
        gate has chosen them, so that who finds them serves them.
    """

    NAME = "train"
    GOES_ON_FROM = "live"
    REMEDY = "restore the file of the live model, roll the channel back, or set stage2.gate.min_gain_over_live to null"
    INPUTS: ClassVar[Mapping[str, tuple[str, str]]] = {
        name: ("stage1", name) for name in ("scores", "history", "holdout", "items")
    }
    RECORDS: ClassVar[Mapping[str, tuple[str, str]]] = {"profile": ("stage1", "profile")}
    steps: Stage2Steps

    FIXED: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "als": {"user_col": C.VISITOR_INDEX, "item_col": C.ITEM_INDEX, "rating_col": C.SCORE},
    }

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.evaluated = 0
        self.models: list[str] = []
        self.verdict: Verdict | None = None
        self._live: Mapping[str, Any] | None = None
        self._not_compared = ""
        self._weights: list[dict[str, Any]] = []
        self._metrics: list[dict[str, Any]] = []
        gate = self.steps.gate
        evaluator = self.steps.evaluator
        baselines = self.steps.baselines
        missing = gate.missing_from(evaluator.cutoffs, evaluator.metrics, evaluator.replicates, baselines.models)
        if missing:
            raise ConfigError(Mistake("CFG_VALUE", "gate", missing))

    def continues(self) -> list[str] | None:
        """Return the tables of the live model, if it is compared with; no table where its record is enough."""
        if self.steps.gate.min_gain_over_live is None:
            return None if self.steps.gate.max_drop is None else []  # how many pairs there were is in the record
        return ["model/itemFactors", "neighbours"]

    def execute(
        self,
        scores: DataFrame,
        history: DataFrame,
        holdout: DataFrame,
        items: DataFrame,
        profile: Mapping[str, Any] | None = None,
        previous: Previous | None = None,
        not_compared: str = "",
    ) -> dict[str, Any]:
        """Return the model and the tables; see the class."""
        self.heed(profile)
        self._not_compared = not_compared
        self._live = previous.record if previous else None
        als = self.steps.als
        visitors = holdout.select(C.VISITOR_INDEX).distinct()
        largest = F.max(F.abs(F.col(C.SCORE).cast("double"))).alias("largest")
        facts = fetch(
            als=als.facts(scores),
            extent=scores.agg(largest, F.max(C.LAST_TIMESTAMP).alias("newest")),
            visitors=visitors.agg(F.count(F.lit(1))),
        )
        ((self.evaluated,),), (of_fit,), (extent,) = facts["visitors"], facts["als"], facts["extent"]
        self.announce("fitting ALS")
        model = als.execute(scores, of_fit)
        self._weights = als.histogram(of_fit["weights"])
        # MLlib reads its input past the SQL engine, so the scores are counted on their way to the baseline.
        counted = self.counter("scores", scores)
        popularity = self.cache(self.steps.popularity.execute(counted, extent["largest"]))
        recent = self.cache(self.steps.recent_popularity.execute(scores, *extent))
        trained_items = items.withColumn(C.LAST_TIMESTAMP, F.col(C.LAST_TRAINED))
        maker = ListMaker(
            self.steps,
            k=max(self.steps.evaluator.cutoffs),
            visitors=visitors,
            number=self.evaluated,
            history=history,
            allowed=self.steps.item_rules.execute(trained_items, self.item_versions),
            popularity=popularity,
            recent=recent,
            cache=self.cache,
        )
        neighbours = self.steps.item_to_item.execute(scores)
        if self.steps.gate.chooses:  # they are stored then, too
            neighbours = self.cache(neighbours)
        candidates: dict[str, Model] = {
            C.ALS: Factors(model.itemFactors, vars(als)),
            C.ITEM_TO_ITEM: Neighbours(neighbours),
        }
        evaluation = self.steps.evaluator.execute(
            self._lists(maker, recent, candidates, previous),
            holdout,
            self.models,
            popularity=popularity,
            segments=visitor_segments(visitors, history, scores),
        )
        return {
            "model": model,
            "popularity": as_stored("popularity", popularity),
            "recent_popularity": as_stored("recent_popularity", recent),
            **{name: as_stored(name, rows) for name, rows in evaluation._asdict().items()},
            **({"neighbours": as_stored("neighbours", neighbours)} if self.steps.gate.chooses else {}),
        }

    def release(self) -> None:
        """Free the cached intermediate results."""
        self.steps.evaluator.release()
        super().release()

    def persist(self, path: str, data: Mapping[str, Any], part: str = "") -> None:
        """Write the model and every table to a new folder below `path`, and judge by the written tables."""
        self.announce("saving the model")
        data["model"].save(f"{path}/model")
        super().persist(path, {name: rows for name, rows in data.items() if name not in {"model", "neighbours"}}, part)
        metrics, bootstrap = (read_table(f"{path}/{name}", data[name].schema) for name in ("metrics", "bootstrap"))
        pairs, live_pairs = self.counter.counted("scores")["rows"], (self._live or {}).get("fitted_pairs")
        found = fetch(metrics=metrics, bootstrap=self.steps.gate.compared(bootstrap))
        self._metrics = sorted((row.asDict() for row in found["metrics"]), key=itemgetter(C.MODEL, C.METRIC, "k"))
        judged, why = (found["metrics"], found["bootstrap"]), self._not_compared
        self.verdict = self.steps.gate.judge(*judged, pairs=pairs, live_pairs=live_pairs, not_compared=why)
        if self.verdict.model == C.ITEM_TO_ITEM:
            super().persist(path, {"neighbours": data["neighbours"]}, part)
            if self.steps.blend.weight:
                self.note(["stage3.blend.weight has no effect: the lists of item_to_item are not blended"])

    def written(self, path: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the tables as they were written; neighbours only if they were."""
        is_written = self.verdict is not None and self.verdict.model == C.ITEM_TO_ITEM
        return super().written(path, {name: rows for name, rows in data.items() if name != "neighbours" or is_written})

    def details(self) -> dict[str, Any]:
        """Return the verdict, with every reason, and how much the scores weigh."""
        if self.verdict is None:
            raise ValueError("there is a verdict only when the tables are persisted")
        live = None if self._live is None else {"run": self._live["run"], "attempt": self._live["attempt"]}
        return {
            **({"warnings": self.warnings} if self.warnings else {}),
            "blessed": self.verdict.blessed,
            "gate": {**asdict(self.verdict), "live": live},
            "fitted_pairs": self.counter.counted("scores")["rows"],
            "weights": self._weights,
            "metrics": self._metrics,
        }

    def closing(self, store: Store, commit: Commit) -> list[str]:  # noqa: ARG002
        """Return the metrics of all models."""
        return [metrics_table(commit.record["metrics"], commit.record["gate"].get("model", C.ALS))]

    def lines(self, rows: Mapping[str, int]) -> list[StepRows]:
        """Return the rows in and out of each step, given the counts of `persist`."""
        als = self.steps.als
        kind = f"implicit, alpha {als.alpha:g}" if als.implicit_prefs else "explicit"
        kind += "" if als.solver == "mllib" else f", solver {als.solver}"
        lists = f"held-out visitors, their lists by {', '.join(self.models)}"
        near = rows.get("neighbours")
        return [
            StepRows("als", rows["scores"], None, f"rank {als.rank}, regParam {als.reg_param:g}, {kind}"),
            StepRows("popularity", rows["scores"], rows["popularity"]),
            *([] if near is None else [StepRows("item_to_item", rows["scores"], near, "neighbours of items")]),
            StepRows("evaluator", self.evaluated, rows["metrics"], lists),
            StepRows("gate", None, None, "" if self.verdict is None else self.verdict.sentence),
        ]

    def _lists(
        self,
        maker: ListMaker,
        recent: DataFrame,
        candidates: Mapping[str, Model],
        previous: Previous | None,
    ) -> DataFrame:
        """Return the lists of all models, for the same visitors and by the same rules."""
        self.announce("judging the models")
        lists: dict[str, DataFrame] = {
            C.ALS: candidates[C.ALS].lists(maker),
            **self.steps.baselines.execute(
                {
                    C.POPULAR: lambda: maker.popular,
                    C.RECENT: lambda: maker.by_popularity(recent),
                    C.ITEM_TO_ITEM: lambda: candidates[C.ITEM_TO_ITEM].lists(maker),
                }
            ),
        }
        if previous is not None and previous.tables:
            tables, als = previous.tables, previous.record["config"]["als"]
            lists[C.LIVE] = model_of(tables["model/itemFactors"], tables.get("neighbours"), als).lists(maker)
        self.models = list(lists)
        named = [rows.withColumn(C.MODEL, F.lit(model)) for model, rows in lists.items()]
        return functools.reduce(DataFrame.unionByName, named)
