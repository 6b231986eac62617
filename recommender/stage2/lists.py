"""The lists that each model would serve to the visitors that models are judged by.

Example usage:
>>> visitors = spark.createDataFrame([(7,)], "visitor_index int")
>>> history = spark.createDataFrame([(7, 0, "view", 1.0, 5)], schemas.TABLES["history"])
>>> popularity = spark.createDataFrame([(0, 1.0), (1, 2.0)], "item_index int, score double")
>>> maker = ListMaker(RuledSteps.build({}), k=1, visitors=visitors, number=1, history=history, allowed=None,
...                   popularity=popularity)
>>> maker.by_popularity(popularity).select("visitor_index", "rank", "item_index").show()
+-------------+----+----------+
|visitor_index|rank|item_index|
+-------------+----+----------+
|            7|   1|         1|
+-------------+----+----------+
<BLANKLINE>
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.ruled_stage import RuledSteps
from recommender.stage2.steps import ItemToItem
from recommender.steps import TopKRecommender, solver_of
from recommender.tables import schemas  # noqa: F401 - for the example


@dataclass(frozen=True)
class ListMaker:
    """Make lists of all models for the same visitors, from the same history, by the rules that serving uses.

    Init parameters:
        steps: those of stage 3.
        k: length of the lists.
        visitors: visitor_index int, one row per visitor that gets a list. number: about how many there are.
        history: the table of stage 1.
        allowed: item_index int, one row per item that may be recommended; None: every item may.
        popularity: item_index int, score double: what fills lists that are too short, if anything may.
        recent: the same, of recent popularity: what is blended in; None: nothing is.
    """

    steps: RuledSteps
    k: int
    visitors: DataFrame
    number: int
    history: DataFrame
    allowed: DataFrame | None
    popularity: DataFrame
    recent: DataFrame | None = None

    def by_factors(self, item_factors: DataFrame, als: Mapping[str, Any]) -> DataFrame:
        """Return the lists by the factors of items, into which the visitors are folded.

        Args:
            item_factors: id int, features array<float>.
            als: the parameters that these were fitted with.
        """
        solver = solver_of(als)
        folded = self.steps.fold_in.execute(self.history, item_factors, **solver, visitor_count=self.number)
        folded = folded.select(F.col(C.ID).alias(C.VISITOR_INDEX), F.lit(C.FOLD_IN).alias(C.SOURCE), C.FEATURES)
        factors = self.visitors.join(folded, C.VISITOR_INDEX, "left")
        if self.recent is not None:
            factors, item_factors = self.steps.blend.execute(factors, item_factors, self.recent)
        return self._ranked(self._rules, factors, item_factors, self.popularity)

    def by_popularity(self, popularity: DataFrame) -> DataFrame:
        """Return the lists of the most popular items; these are the model, whether or not they may fill others."""
        nothing = F.lit(None).cast("string").alias(C.SOURCE), F.lit(None).cast("array<float>").alias(C.FEATURES)
        visitors = self.visitors.select(C.VISITOR_INDEX, *nothing)
        return self._ranked(replace(self._rules, fill_with_popular=True), visitors, None, popularity)

    def by_neighbours(self, item_to_item: ItemToItem, scores: DataFrame, popular_lists: DataFrame) -> DataFrame:
        """Return the lists by the neighbours of the items in a visitor's history.

        Args:
            item_to_item: finds the neighbours.
            scores: the training part.
            popular_lists: those of `by_popularity`, which fill lists that are too short, if anything may.
        """
        rules = self._rules
        history = self.history.join(self.visitors, C.VISITOR_INDEX, "left_semi")
        return item_to_item.recommend(
            history,
            item_to_item.execute(scores),
            k=self.k,
            excluded=rules.excluded(history),
            allowed=self.allowed,
            popular_lists=popular_lists if rules.fill_with_popular else None,
        )

    @property
    def _rules(self) -> TopKRecommender:
        return replace(self.steps.recommend, k=self.k)

    def _ranked(
        self, rules: TopKRecommender, visitors: DataFrame, item_factors: DataFrame | None, popularity: DataFrame
    ) -> DataFrame:
        return rules.execute(
            visitors, item_factors, popularity, self.history, visitor_count=self.number, allowed=self.allowed
        )
