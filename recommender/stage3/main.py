"""Stage 3, predict: the best items for every visitor of the log.

Example usage:
>>> tables = {
...     "visitor_factors": spark.createDataFrame([(0, [1.0, 0.0])], "id int, features array<float>"),
...     "item_factors": spark.createDataFrame([(0, [1.0, 0.0]), (1, [0.5, 0.5])], "id int, features array<float>"),
...     "popularity": spark.createDataFrame([(0, 9.0), (1, 4.0)], "item_index int, score double"),
...     "recent_popularity": spark.createDataFrame([(0, 2.0), (1, 4.0)], "item_index int, score double"),
...     "interactions": spark.createDataFrame([(0, 0, "transaction", 1.0, 5), (1, 1, "view", 1.0, 6)],
...                                           "visitor_index int, item_index int, event string, score float, "
...                                           "last_timestamp long"),
...     "visitors": spark.createDataFrame([("ann", 0, 1, True), ("bob", 1, 1, False), ("eve", 2, 0, False)],
...                                       "visitorid string, visitor_index int, events long, trained boolean"),
...     "items": spark.createDataFrame([("tea", 0), ("jam", 1)], "itemid string, item_index int"),
... }
>>> als = {"implicit_prefs": True, "alpha": 1.0, "reg_param": 0.1, "nonnegative": False}
>>> result = Stage3({"recommend": {"k": 1}}).execute(**tables, als=als)
>>> result["recommendations"].orderBy("visitorid").select("visitorid", "rank", "itemid", "source").show()
+---------+----+------+-------+
|visitorid|rank|itemid| source|
+---------+----+------+-------+
|      ann|   1|   jam|    als|
|      bob|   1|   tea|fold_in|
+---------+----+------+-------+
<BLANKLINE>
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from pyspark.sql import Column, DataFrame, functions as F

import recommender.constants as C
from recommender.models import Factors, ListMaker, Model, Neighbours, model_of
from recommender.ruled_stage import RuledStage, RuledSteps
from recommender.spark.row_counts import StepRows
from recommender.stage3.steps import BoughtTogether, SimilarItems, VisitorShards
from recommender.tables.parquet import as_stored


class Stage3Steps(RuledSteps):
    """The steps of stage 3."""

    shards: VisitorShards
    similar_items: SimilarItems
    bought_together: BoughtTogether


class Stage3(RuledStage):
    """Predict: rank all items for every visitor, and keep the best.

    It consists of the following steps:
    - shards: the visitors in parts, each stored when it is done
    - fold_in: factors of the visitors that have events outside the training scores, from all their events; if the gate
      has chosen item_to_item, all lists are made by the neighbours of the items in all events instead
    - item_rules: which items may be recommended; hidden ones may not
    - blend: recent popularity, if it is to have a say, as one more column of the factors
    - recommend: the best items by the model's or the folded-in factors, popular items if there are none; its rules are
      those of all lists
    - similar_items: the items that are most alike, made with the first part of the visitors
    - bought_together: the items that were bought together most often, of all visitors, made with that part too

    Init parameters:
        config: step -> parameters; a step that is not named gets its defaults.
    Execution args:
        visitor_factors, item_factors: those of the model of stage 2.
        popularity, recent_popularity: the tables of stage 2.
        interactions, visitors, items: the tables of stage 1.
        neighbours: the table of stage 2; null: it has none, and the model is served.
        als: the parameters that the model was fitted with.
        profile: of the log; null: unknown.
        shard: (number from 0, of how many): which part of the visitors; all by default.
    Execution returns:
        Dictionary with the DataFrames recommendations, for every visitor of the log at most k rows, and, with the first
        shard, similar_items and bought_together (``recommender.tables.schemas``).
    Raises:
        ConfigError: the config is wrong; all mistakes are listed.
    Persist strategy: Parquet, a folder per table, below the given path.
    """

    NAME = "predict"
    INPUTS: ClassVar[Mapping[str, tuple[str, str]]] = {
        "visitor_factors": ("stage2", "model/userFactors"),
        "item_factors": ("stage2", "model/itemFactors"),
        "popularity": ("stage2", "popularity"),
        "recent_popularity": ("stage2", "recent_popularity"),
        "neighbours": ("stage2", "neighbours"),
        "interactions": ("stage1", "interactions"),
        "visitors": ("stage1", "visitors"),
        "items": ("stage1", "items"),
    }
    SETTINGS: ClassVar[Mapping[str, tuple[str, str]]] = {"als": ("stage2", "als")}
    LEAVES_HIDDEN_OUT: ClassVar[bool] = True
    RECORDS: ClassVar[Mapping[str, tuple[str, str]]] = {"profile": ("stage1", "profile")}
    steps: Stage3Steps

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.visitors = 0
        self.items: int | None = None

    def execute(
        self,
        visitor_factors: DataFrame,
        item_factors: DataFrame,
        popularity: DataFrame,
        recent_popularity: DataFrame,
        interactions: DataFrame,
        visitors: DataFrame,
        items: DataFrame,
        als: Mapping[str, Any],
        neighbours: DataFrame | None = None,
        profile: Mapping[str, Any] | None = None,
        shard: tuple[int, int] = (0, 1),
    ) -> dict[str, DataFrame]:
        """Return the recommendations; see the class."""
        self.heed(profile)
        visitors = _of_this_log(visitors)
        number = -(-self._count(visitors) // shard[1])
        of_all = interactions
        visitors, interactions = (self.steps.shards.execute(rows, *shard) for rows in (visitors, interactions))
        of_lists: list[str] = []
        allowed = self.steps.item_rules.execute(items, self.item_versions, of_lists, self.context.hidden)
        self.note(of_lists)
        model = model_of(item_factors, neighbours, als, visitor_factors)
        maker = ListMaker(
            self.steps,
            k=self.steps.recommend.k,
            visitors=visitors,
            number=number,
            history=interactions,
            allowed=allowed,
            popularity=popularity,
            recent=recent_popularity,
        )
        ranked, ids = model.lists(maker), items.select(C.ITEM, C.ITEM_INDEX)
        lists = ranked.join(ids, C.ITEM_INDEX, "inner").join(
            visitors.select(C.VISITOR, C.VISITOR_INDEX), C.VISITOR_INDEX, "inner"
        )
        tables = {"recommendations": as_stored("recommendations", lists)}
        if shard[0] == 0:
            tables["similar_items"] = as_stored("similar_items", self._similar(model, ids, allowed))
            together = self.steps.bought_together.execute(of_all, allowed)
            tables["bought_together"] = as_stored("bought_together", _with_ids(together, ids, "together"))
        return tables

    def shards(self, inputs: Mapping[str, Any]) -> int:
        """Return into how many parts the visitors are cut, so that a run that was killed goes on where it was."""
        return self.steps.shards.number_of(self._count(_of_this_log(inputs["visitors"])))

    def lines(self, rows: Mapping[str, int]) -> list[StepRows]:
        """Return the rows in and out of each step, given the counts of `persist`."""
        model: type[Model] = Neighbours if rows.get(f"recommendations.{C.ITEM_TO_ITEM}") else Factors
        by_source = ", ".join(f"{source} {rows[f'recommendations.{source}']:,}" for source in model.SOURCES)
        weight = self.steps.blend.weight if model.IS_BLENDED else 0
        blended = f"; blended with recent popularity, weight {weight:g}" if weight else ""
        hidden = f", {len(self.context.hidden):,} hidden ones" if self.context.hidden else ""
        note = f"{by_source}; {self.left_out()}{hidden}{blended}"
        return [
            StepRows("recommend", self.visitors, rows["recommendations"], note),
            StepRows("similar_items", self.items, rows["similar_items"], model.LIKENESS),
            StepRows("bought_together", None, rows["bought_together"], "by the visitors that bought both"),
        ]

    def details(self) -> dict[str, Any]:
        """Return the warnings."""
        return {"warnings": self.warnings} if self.warnings else {}

    def conditions(self, table: str) -> dict[str, Column]:
        """Count the places of the lists by source."""
        return {source: F.col(C.SOURCE) == source for source in C.SOURCES} if table == "recommendations" else {}

    def _similar(self, model: Model, ids: DataFrame, allowed: DataFrame | None) -> DataFrame:
        similar, self.items = model.similar(self.steps.similar_items, allowed)
        return _with_ids(similar, ids, "similar")

    def _count(self, visitors: DataFrame) -> int:
        if not self.visitors:
            self.visitors = visitors.count()
        return self.visitors


def _with_ids(pairs: DataFrame, ids: DataFrame, other: str) -> DataFrame:
    """Return pairs of items with their ids; the columns of the other item begin with `other`."""
    index = f"{other}_{C.ITEM_INDEX}"
    others = ids.select(F.col(C.ITEM).alias(f"{other}_{C.ITEM}"), F.col(C.ITEM_INDEX).alias(index))
    return pairs.join(ids, C.ITEM_INDEX, "inner").join(others, index, "inner")


def _of_this_log(visitors: DataFrame) -> DataFrame:
    """Return the visitors that are in the log; the others are numbered, but nothing is known of them any more."""
    return visitors.where(F.col(C.EVENTS) > 0)
