"""Lists by the neighbours of the items that a visitor has.

Example usage:
>>> visitors = spark.createDataFrame([(9,)], "visitor_index int")
>>> history = spark.createDataFrame([(9, 5, "view", 1.0, 5)], schemas.TABLES["history"])
>>> popularity = spark.createDataFrame([(5, 8.0), (7, 1.0)], "item_index int, score double")
>>> near = spark.createDataFrame([(5, 6, 0.5)], schemas.TABLES["neighbours"])
>>> maker = ListMaker(RuledSteps.build({}), k=2, visitors=visitors, number=1, history=history, allowed=None,
...                   popularity=popularity)
>>> Neighbours(near).lists(maker).orderBy("rank").show()
+-------------+----+----------+-----+------------+
|visitor_index|rank|item_index|score|      source|
+-------------+----+----------+-----+------------+
|            9|   1|         6|  0.5|item_to_item|
|            9|   2|         7|  1.0|     popular|
+-------------+----+----------+-----+------------+
<BLANKLINE>
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from pyspark.sql import Column, DataFrame, Window, functions as F

import recommender.constants as C
from recommender.models.list_maker import ListMaker
from recommender.ranking import SIMILARITY_UNIT
from recommender.ruled_stage import RuledSteps  # noqa: F401 - for the example
from recommender.tables import schemas  # noqa: F401 - for the example

_PAIR = (C.VISITOR_INDEX, C.ITEM_INDEX)
_PLACE, _IS_FILLED = "_place", "_is_filled"
_PLACE_COLUMNS = (C.VISITOR_INDEX, C.RANK, C.ITEM_INDEX, C.SCORE, C.SOURCE)


@dataclass(frozen=True)
class Neighbours:
    """The neighbour model: a visitor's score of an item is the sum of its similarities to what the visitor has.

    The service computes the same sums, see ``recommender.ranking.neighbours``: whole numbers are added, so that the
    result does not depend on the order.

    Init parameters:
        neighbours: item_index int, neighbour_index int, similarity double, see `ItemToItem`.
    """

    neighbours: DataFrame

    SOURCES: ClassVar = (C.ITEM_TO_ITEM, C.POPULAR)
    LIKENESS: ClassVar = "by the similarity of item_to_item"
    IS_BLENDED: ClassVar = False

    def lists(self, maker: ListMaker) -> DataFrame:
        """Return the lists by the rules by which all lists are made, see `TopKRecommender`.

        An item whose scores in a history sum up to more than 0 has a say.

        Returns:
            visitor_index int, rank int from 1, item_index int, score float (the sum of the similarities; of a popular
            item its popularity), source string (item_to_item or popular). At most k rows per visitor, best first, equal
            scores by item_index, then the popular ones in their order; row order undefined.
        """
        neighbours, rules = self.neighbours, maker.rules
        if maker.allowed is not None:
            may = maker.allowed.select(F.col(C.ITEM_INDEX).alias(C.NEIGHBOUR_INDEX))
            neighbours = neighbours.join(may, C.NEIGHBOUR_INDEX, "left_semi")
        history = maker.history.join(maker.visitors, C.VISITOR_INDEX, "left_semi")
        score = F.sum(F.col(C.SCORE).cast("double")).alias(C.SCORE)
        own = history.groupBy(*_PAIR).agg(score).where(F.col(C.SCORE) > 0).select(*_PAIR)
        units = F.rint(F.col(C.SIMILARITY) * F.lit(SIMILARITY_UNIT))
        total = (F.sum(units) / F.lit(SIMILARITY_UNIT)).cast("float").alias(C.SCORE)
        found = own.join(neighbours, C.ITEM_INDEX, "inner").groupBy(C.VISITOR_INDEX, C.NEIGHBOUR_INDEX).agg(total)
        scored = found.withColumnRenamed(C.NEIGHBOUR_INDEX, C.ITEM_INDEX).withColumn(C.SOURCE, F.lit(C.ITEM_TO_ITEM))
        left = scored.join(rules.excluded(history).select(*_PAIR), list(_PAIR), "left_anti")
        lists = _ranked(left, maker.k, F.desc(C.SCORE), F.col(C.ITEM_INDEX))
        return _filled(lists, maker.popular, maker.k) if rules.fill_with_popular else lists

    def similar(self, step: Any, allowed: DataFrame | None) -> tuple[DataFrame, int | None]:
        """Return the nearest neighbours of each item, as the step similar_items does, and None: nothing is counted."""
        pairs = self.neighbours.select(
            C.ITEM_INDEX,
            F.col(C.NEIGHBOUR_INDEX).alias(C.SIMILAR_ITEM_INDEX),
            F.col(C.SIMILARITY).cast("float").alias(C.SIMILARITY),
        )
        if allowed is not None:
            may = allowed.select(F.col(C.ITEM_INDEX).alias(C.SIMILAR_ITEM_INDEX))
            pairs = pairs.join(may, C.SIMILAR_ITEM_INDEX, "left_semi")
        nearest = Window.partitionBy(C.ITEM_INDEX).orderBy(F.desc(C.SIMILARITY), C.SIMILAR_ITEM_INDEX)
        placed = pairs.withColumn(C.RANK, F.row_number().over(nearest)).where(F.col(C.RANK) <= step.k)
        return placed.select(C.ITEM_INDEX, C.RANK, C.SIMILAR_ITEM_INDEX, C.SIMILARITY), None


def _filled(lists: DataFrame, popular_lists: DataFrame, k: int) -> DataFrame:
    """Return the lists with the popular items that they lack behind their own, no item twice."""
    own = lists.select(*_PLACE_COLUMNS, F.lit(False).alias(_IS_FILLED))
    popular = popular_lists.select(*_PLACE_COLUMNS, F.lit(True).alias(_IS_FILLED))
    place = F.struct(_IS_FILLED, C.RANK, C.SCORE, C.SOURCE)
    once = own.unionByName(popular).groupBy(*_PAIR).agg(F.min(place).alias(_PLACE)).select(*_PAIR, f"{_PLACE}.*")
    return _ranked(once, k, F.col(_IS_FILLED), F.col(C.RANK))


def _ranked(rows: DataFrame, k: int, *order: Column) -> DataFrame:
    """Return the first k places of each visitor's list."""
    place = F.row_number().over(Window.partitionBy(C.VISITOR_INDEX).orderBy(*order))
    return rows.withColumn(C.RANK, place).where(F.col(C.RANK) <= k).select(*_PLACE_COLUMNS)
