"""The lists of some visitors, by whichever model and always by the rules that serving uses.

Example usage:
>>> visitors = spark.createDataFrame([(7,)], "visitor_index int")
>>> history = spark.createDataFrame([(7, 0, "view", 1.0, 5)], schemas.TABLES["history"])
>>> popularity = spark.createDataFrame([(0, 1.0), (1, 2.0)], "item_index int, score double")
>>> maker = ListMaker(RuledSteps.build({}), k=1, visitors=visitors, number=1, history=history, allowed=None,
...                   popularity=popularity)
>>> maker.popular.select("visitor_index", "rank", "item_index").show()
+-------------+----+----------+
|visitor_index|rank|item_index|
+-------------+----+----------+
|            7|   1|         1|
+-------------+----+----------+
<BLANKLINE>
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.ruled_stage import RuledSteps
from recommender.steps import TopKRecommender
from recommender.tables import schemas  # noqa: F401 - for the example


def _as_it_is(rows: DataFrame) -> DataFrame:
    return rows


@dataclass(frozen=True)
class ListMaker:
    """The visitors that get lists, and the rules; a model adds what it knows of them.

    Init parameters:
        steps: those of stage 3.
        k: length of the lists.
        visitors: visitor_index int, one row per visitor that gets a list, and for factors of trained visitors also
            trained boolean. number: about how many there are.
        history: visitor_index int, item_index int, event string, score float: what is known of them.
        allowed: item_index int, one row per item that may be recommended; None: every item may.
        popularity: item_index int, score double: what fills lists that are too short, if anything may.
        recent: the same, of recent popularity: what is blended in; None: nothing is.
        cache: keeps what is needed more than once.
    """

    steps: RuledSteps
    k: int
    visitors: DataFrame
    number: int
    history: DataFrame
    allowed: DataFrame | None
    popularity: DataFrame
    recent: DataFrame | None = None
    cache: Callable[[DataFrame], DataFrame] = _as_it_is

    @property
    def rules(self) -> TopKRecommender:
        """The rules of all lists, and their length."""
        return replace(self.steps.recommend, k=self.k)

    @cached_property
    def popular(self) -> DataFrame:
        """The lists of the items that are popular in the whole log."""
        return self.cache(self.by_popularity(self.popularity))

    def by_popularity(self, popularity: DataFrame) -> DataFrame:
        """Return the lists of the most popular items; these are the model, whether or not they may fill others."""
        nothing = F.lit(None).cast("string").alias(C.SOURCE), F.lit(None).cast("array<float>").alias(C.FEATURES)
        visitors = self.visitors.select(C.VISITOR_INDEX, *nothing)
        return self._ranked(replace(self.rules, fill_with_popular=True), visitors, None, popularity)

    def by_factors(self, visitors: DataFrame, item_factors: DataFrame) -> DataFrame:
        """Return the lists of the items with the largest inner products; see `TopKRecommender`."""
        return self._ranked(self.rules, visitors, item_factors, self.popularity)

    def _ranked(
        self, rules: TopKRecommender, visitors: DataFrame, item_factors: DataFrame | None, popularity: DataFrame
    ) -> DataFrame:
        return rules.execute(
            visitors, item_factors, popularity, self.history, visitor_count=self.number, allowed=self.allowed
        )
