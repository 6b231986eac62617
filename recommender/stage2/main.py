"""Stage 2, train: fit the model and the baseline, and judge both by what the held-out visitors did.

Example usage:
>>> scores = spark.createDataFrame([(0, 0, 1.0, 3), (0, 1, 1.0, 4), (1, 0, 2.0, 5)], schemas.TABLES["scores"])
>>> history = spark.createDataFrame([(2, 0, "view", 1.0, 5)], schemas.TABLES["history"])
>>> holdout = spark.createDataFrame([(2, 1, 1.0, 6)], schemas.TABLES["holdout"])
>>> items = spark.createDataFrame([(0, 0, 2, 3.0, 5, 5), (1, 1, 1, 1.0, 6, 5)],
...                               schemas.TABLES["items"].replace("itemid id", "itemid long"))
>>> result = Stage2({"als": {"rank": 2}, "evaluator": {"cutoffs": [2]}}).execute(scores, history, holdout, items)
>>> result["metrics"].where("metric = 'hit_rate'").select("model", "k", "value").orderBy("model").show()
+-------+---+-----+
|  model|  k|value|
+-------+---+-----+
|    als|  2|  1.0|
|popular|  2|  1.0|
+-------+---+-----+
<BLANKLINE>
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pyspark.ml.recommendation import ALSModel
from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender import schemas  # noqa: F401 - for the example
from recommender.counting import StepRows
from recommender.stage import Stage
from recommender.stage2.segments import visitor_segments
from recommender.stage2.steps import AlsFitter, PopularityModel, RankingEvaluator
from recommender.steps import FoldIn, ItemRules, TopKRecommender
from recommender.tables import as_stored


class Stage2(Stage):
    """Train: fit ALS and popularity on the scores, and evaluate both on the held-out visitors.

    It consists of the following steps:
    - als: the matrix model
    - popularity: the baseline
    - fold_in, item_rules, recommend: the evaluated visitors' lists, made by the steps and settings of stage 3; when an
      item was last seen is counted in the training part
    - evaluator: the metrics of both models, also by how much is known of a visitor (``recommender.stage2.segments``)

    Init parameters:
        config: step -> parameters; a step that is not named gets its defaults.
    Execution args:
        scores, history, holdout, items: the tables of stage 1.
    Execution returns:
        Dictionary with model, the ALSModel, and the DataFrames popularity, metrics, segment_metrics and bootstrap
        (``recommender.schemas``). They share cached intermediate results, which `release` frees; `execute_persist` does
        so itself.
    Raises:
        ConfigError: the config is wrong; all mistakes are listed.
    Persist strategy:
        The model as MLlib saves it, the tables as Parquet, a folder each, below the given path.
    """

    NAME = "train"
    INPUTS: ClassVar[Mapping[str, tuple[str, str]]] = {
        name: ("stage1", name) for name in ("scores", "history", "holdout", "items")
    }
    STEPS: ClassVar[Mapping[str, type]] = {
        "als": AlsFitter,
        "popularity": PopularityModel,
        "fold_in": FoldIn,
        "item_rules": ItemRules,
        "recommend": TopKRecommender,
        "evaluator": RankingEvaluator,
    }

    FIXED: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "als": {"user_col": C.VISITOR_INDEX, "item_col": C.ITEM_INDEX, "rating_col": C.SCORE},
    }

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.evaluated = 0
        self._versions: dict[str, str | None] = {}

    def sources(self) -> list[str]:
        """Return the files with the lists of items."""
        files: list[str] = self.steps["item_rules"].files
        return files

    def versions(self, started: bool) -> dict[str, str | None]:
        """Return the tables with the lists of items, and their versions."""
        self._versions = self.steps["item_rules"].versions(started)
        return self._versions

    def execute(self, scores: DataFrame, history: DataFrame, holdout: DataFrame, items: DataFrame) -> dict[str, Any]:
        """Return the model and the tables; see the class."""
        self.announce("fitting ALS")
        model: ALSModel = self.steps["als"].execute(scores)
        # MLlib reads its input past the SQL engine, so the scores are counted on their way to the baseline.
        popularity = self.steps["popularity"].execute(self.counter("scores", scores))
        trained_items = items.withColumn(C.LAST_TIMESTAMP, F.col(C.LAST_TRAINED))
        allowed = self.steps["item_rules"].execute(trained_items, self._versions)
        visitors = holdout.select(C.VISITOR_INDEX).distinct()
        lists = self._lists(model.itemFactors, popularity, history, visitors, allowed)
        evaluation = self.steps["evaluator"].execute(
            lists,
            holdout,
            [C.ALS, C.POPULAR],
            popularity=popularity,
            segments=visitor_segments(visitors, history, scores),
        )
        return {
            "model": model,
            "popularity": as_stored("popularity", popularity),
            **{name: as_stored(name, rows) for name, rows in evaluation._asdict().items()},
        }

    def release(self) -> None:
        """Free the cached intermediate results."""
        self.steps["evaluator"].release()

    def persist(self, path: str, data: Mapping[str, Any], part: str = "") -> None:
        """Write the model and every table to a new folder below `path`."""
        self.announce("saving the model")
        data["model"].save(f"{path}/model")
        super().persist(path, {name: rows for name, rows in data.items() if name != "model"}, part)

    def report(self, rows: Mapping[str, int]) -> list[StepRows]:
        """Return the rows in and out of each step, given what was counted while the data was persisted."""
        als: AlsFitter = self.steps["als"]
        kind = f"implicit, alpha {als.alpha:g}" if als.implicit_prefs else "explicit"
        return [
            StepRows("als", rows["scores"], None, f"rank {als.rank}, regParam {als.reg_param:g}, {kind}"),
            StepRows("popularity", rows["scores"], rows["popularity"]),
            StepRows("evaluator", self.evaluated, rows["metrics"], "held-out visitors, their lists by als and popular"),
        ]

    def _lists(
        self,
        item_factors: DataFrame,
        popularity: DataFrame,
        history: DataFrame,
        visitors: DataFrame,
        allowed: DataFrame | None,
    ) -> DataFrame:
        """Make the lists of the evaluated visitors as stage 3 would."""
        als: AlsFitter = self.steps["als"]
        evaluator: RankingEvaluator = self.steps["evaluator"]
        self.evaluated = number = visitors.count()
        folded = self.steps["fold_in"].execute(
            history,
            item_factors,
            implicit_prefs=als.implicit_prefs,
            alpha=als.alpha,
            reg_param=als.reg_param,
            nonnegative=als.nonnegative,
            visitor_count=number,
        )
        folded = folded.select(F.col(C.ID).alias(C.VISITOR_INDEX), F.lit(C.FOLD_IN).alias(C.SOURCE), C.FEATURES)
        nothing = F.lit(None).cast("string").alias(C.SOURCE), F.lit(None).cast("array<float>").alias(C.FEATURES)
        candidates = {
            C.ALS: visitors.join(folded, C.VISITOR_INDEX, "left"),
            C.POPULAR: visitors.select(C.VISITOR_INDEX, *nothing),
        }
        rules = replace(self.steps["recommend"], k=max(evaluator.cutoffs))
        lists: list[DataFrame] = [
            replace(rules, fill_with_popular=rules.fill_with_popular or name == C.POPULAR)
            .execute(rows, item_factors, popularity, history, visitor_count=number, allowed=allowed)
            .withColumn(C.MODEL, F.lit(name))
            for name, rows in candidates.items()
        ]
        return lists[0].unionByName(lists[1])
