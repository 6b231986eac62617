"""Recommend what goes with the items that a visitor has: a baseline of neighbours, without factors.

Example usage:
>>> scores = spark.createDataFrame([(0, 5, 1.0, 1), (0, 6, 1.0, 2), (1, 5, 1.0, 3), (1, 6, 2.0, 4), (1, 7, 1.0, 5)],
...                                "visitor_index int, item_index int, score float, last_timestamp long")
>>> step = ItemToItem(neighbours=1, shrink=0)
>>> neighbours = step.execute(scores)
>>> neighbours.orderBy("item_index").show()
+----------+---------------+------------------+
|item_index|neighbour_index|        similarity|
+----------+---------------+------------------+
|         5|              6|               1.0|
|         6|              5|               1.0|
|         7|              5|0.7071067811865475|
+----------+---------------+------------------+
<BLANKLINE>
>>> history = spark.createDataFrame([(9, 5, "view", 1.0, 6)], "visitor_index int, item_index int, event string, "
...                                 "score float, last_timestamp long")
>>> popular = spark.createDataFrame([(9, 1, 5, 8.0, "popular"), (9, 2, 7, 1.0, "popular")], "visitor_index int, "
...                                 "rank int, item_index int, score float, source string")
>>> step.recommend(history, neighbours, k=2, excluded=history.limit(0), popular_lists=popular).orderBy("rank").show()
+-------------+----+----------+-----+------------+
|visitor_index|rank|item_index|score|      source|
+-------------+----+----------+-----+------------+
|            9|   1|         6|  1.0|item_to_item|
|            9|   2|         5|  8.0|     popular|
+-------------+----+----------+-----+------------+
<BLANKLINE>
"""

from pyspark.sql import Column, DataFrame, Window, functions as F

import recommender.constants as C
from recommender.settings.step import Annotated, Field, step

_PAIR = (C.VISITOR_INDEX, C.ITEM_INDEX)
_SIMILARITY = "decimal(16,15)"  # holds 0 to 1, in 64 bits: a sum of them is exact
_VISITORS, _NEIGHBOURS_VISITORS, _COMMON = "_visitors", "_neighbours_visitors", "_common"
_PLACE, _IS_FILLED = "_place", "_is_filled"
_PLACE_COLUMNS = (C.VISITOR_INDEX, C.RANK, C.ITEM_INDEX, C.SCORE, C.SOURCE)


@step
class ItemToItem:
    """Find the neighbours of each item by the visitors that both have, and score items by them.

    With U_i the visitors that have a positive score of item i, the similarity of two items is the cosine of these sets,

        s_ij = |U_i ∩ U_j| / (sqrt(|U_i| |U_j|) + shrink)

    and the score of an item for a visitor is the sum of s_ij over the items i that the visitor has and whose nearest
    neighbours j is among. Source: Sarwar, Karypis, Konstan and Riedl, Item-based Collaborative Filtering Recommendation
    Algorithms (2001); Deshpande and Karypis, Item-based Top-N Recommendation Algorithms (2004); for shrink Ferrari
    Dacrema, Cremonesi and Jannach, Are We Really Making Much Progress? (2019).

    A visitor of n items makes n² pairs of items. So of each visitor only the latest are looked at: that bounds the
    work, whatever robots do, and U_i is counted so too. An item that many visitors have is no burden: its pairs are
    counted where they are made.

    Init parameters:
        neighbours: how many neighbours an item has at most, 1 to 1000.
        max_items_per_visitor: how many of a visitor's items count, the latest by its last event with them, equal
            times by item_index; 1 to 10,000. The same in `execute` and `recommend`.
        shrink: what is added to the cosine's denominator, >= 0, in visitors: two items that few visitors have are alike
            by chance, and are less alike then. 0: the plain cosine.
    Execution args:
        scores: visitor_index int, item_index int, score float, last_timestamp long, one row per pair: the training
            part only. Pairs without a positive score are ignored.
    Execution returns:
        item_index int, neighbour_index int, similarity double (ratio 0 to 1, not 0): the most similar items of each,
        equal ones by neighbour_index, never the item itself; row order undefined.
    Raises:
        ConfigError: a parameter is out of range.
    Persist strategy: none; stage 2 makes lists of it, judges them, and stores the judgement.
    """

    neighbours: Annotated[int, Field(ge=1, le=1000)] = 100
    max_items_per_visitor: Annotated[int, Field(ge=1, le=10_000)] = 200
    shrink: Annotated[float, Field(ge=0)] = 10.0

    def execute(self, scores: DataFrame) -> DataFrame:
        """Return the neighbours of each item; see the class."""
        own = self._latest(scores.where(F.col(C.SCORE) > 0)).select(*_PAIR)
        others = own.select(C.VISITOR_INDEX, F.col(C.ITEM_INDEX).alias(C.NEIGHBOUR_INDEX))
        once = F.col(C.ITEM_INDEX) < F.col(C.NEIGHBOUR_INDEX)
        met = own.join(others, C.VISITOR_INDEX, "inner").where(once)
        common = met.groupBy(C.ITEM_INDEX, C.NEIGHBOUR_INDEX).agg(F.count(F.lit(1)).alias(_COMMON))
        sizes = own.groupBy(C.ITEM_INDEX).agg(F.count(F.lit(1)).alias(_VISITORS))
        sizes_of_others = sizes.withColumnsRenamed({C.ITEM_INDEX: C.NEIGHBOUR_INDEX, _VISITORS: _NEIGHBOURS_VISITORS})
        sized = common.join(sizes, C.ITEM_INDEX, "inner").join(sizes_of_others, C.NEIGHBOUR_INDEX, "inner")
        cosine = F.sqrt(F.col(_VISITORS).cast("double") * F.col(_NEIGHBOURS_VISITORS))
        similarity = (F.col(_COMMON) / (cosine + F.lit(self.shrink))).alias(C.SIMILARITY)
        item, neighbour = F.col(C.ITEM_INDEX), F.col(C.NEIGHBOUR_INDEX)
        turned = F.struct(neighbour.alias(C.ITEM_INDEX), item.alias(C.NEIGHBOUR_INDEX), similarity)
        both_ways = sized.select(F.inline(F.array(F.struct(item, neighbour, similarity), turned)))
        nearest = Window.partitionBy(C.ITEM_INDEX).orderBy(F.desc(C.SIMILARITY), C.NEIGHBOUR_INDEX)
        placed = both_ways.withColumn(_PLACE, F.row_number().over(nearest))
        return placed.where(F.col(_PLACE) <= self.neighbours).drop(_PLACE)

    def recommend(
        self,
        history: DataFrame,
        neighbours: DataFrame,
        *,
        k: int,
        excluded: DataFrame,
        allowed: DataFrame | None = None,
        popular_lists: DataFrame | None = None,
    ) -> DataFrame:
        """Return the lists of the visitors, by the rules by which all lists are made, see `TopKRecommender`.

        Args:
            history: visitor_index int, item_index int, event string, score float, last_timestamp long: any number of
                rows per pair. An item whose scores sum up to more than 0 has a say.
            neighbours: as `execute` returns them.
            k: length of a list.
            excluded: visitor_index int, item_index int: what a visitor's list leaves out; any number of rows per pair.
            allowed: item_index int, one row per item that may be recommended; null: every item may.
            popular_lists: visitor_index int, rank int, item_index int, score float, source string: a list of popular
                items by the same rules for each visitor, of k places where there are so many; what fills a list that
                is too short. null: nothing does.

        Returns:
            visitor_index int, rank int from 1, item_index int, score float (the sum of the similarities; of a popular
            item its popularity), source string (item_to_item or popular). At most k rows per visitor, best first, equal
            scores by item_index, then the popular ones in their order; row order undefined.
        """
        if allowed is not None:
            may = allowed.select(F.col(C.ITEM_INDEX).alias(C.NEIGHBOUR_INDEX))
            neighbours = neighbours.join(may, C.NEIGHBOUR_INDEX, "left_semi")
        score, last = F.sum(F.col(C.SCORE).cast("double")), F.max(C.LAST_TIMESTAMP)
        pairs = history.groupBy(*_PAIR).agg(score.alias(C.SCORE), last.alias(C.LAST_TIMESTAMP))
        own = self._latest(pairs.where(F.col(C.SCORE) > 0)).select(*_PAIR)
        total = F.sum(F.col(C.SIMILARITY).cast(_SIMILARITY)).cast("float").alias(C.SCORE)
        found = own.join(neighbours, C.ITEM_INDEX, "inner").groupBy(C.VISITOR_INDEX, C.NEIGHBOUR_INDEX).agg(total)
        scored = found.withColumnRenamed(C.NEIGHBOUR_INDEX, C.ITEM_INDEX).withColumn(C.SOURCE, F.lit(C.ITEM_TO_ITEM))
        left = scored.join(excluded.select(*_PAIR), list(_PAIR), "left_anti")
        lists = _ranked(left, k, F.desc(C.SCORE), F.col(C.ITEM_INDEX))
        return lists if popular_lists is None else _filled(lists, popular_lists, k)

    def _latest(self, pairs: DataFrame) -> DataFrame:
        """Return the pairs of each visitor that count."""
        latest = Window.partitionBy(C.VISITOR_INDEX).orderBy(F.desc(C.LAST_TIMESTAMP), C.ITEM_INDEX)
        placed = pairs.withColumn(_PLACE, F.row_number().over(latest))
        return placed.where(F.col(_PLACE) <= self.max_items_per_visitor)


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
