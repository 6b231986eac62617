"""Recommend what goes with the items that a visitor has: a baseline of neighbours, without factors.

Example usage:
>>> scores = spark.createDataFrame([(0, 5, 1.0), (0, 6, 1.0), (1, 5, 1.0), (1, 6, 2.0), (1, 7, 1.0)],
...                                "visitor_index int, item_index int, score float")
>>> step = ItemToItem(neighbours=1, alpha=1, beta=0)
>>> neighbours = step.execute(scores)
>>> neighbours.select("item_index", "neighbour_index", F.round("similarity", 4).alias("similarity")).orderBy(
...     "item_index").show()
+----------+---------------+----------+
|item_index|neighbour_index|similarity|
+----------+---------------+----------+
|         5|              6|    0.4167|
|         6|              5|    0.4167|
|         7|              5|    0.3333|
+----------+---------------+----------+
<BLANKLINE>
>>> history = spark.createDataFrame([(9, 5, "view", 1.0)], "visitor_index int, item_index int, event string, "
...                                 "score float")
>>> popular = spark.createDataFrame([(9, 1, 5, 8.0, "popular"), (9, 2, 7, 1.0, "popular")], "visitor_index int, "
...                                 "rank int, item_index int, score float, source string")
>>> lists = step.recommend(history, neighbours, k=2, excluded=history.limit(0), popular_lists=popular)
>>> lists.withColumn("score", F.round("score", 4)).orderBy("rank").show()
+-------------+----+----------+------+------------+
|visitor_index|rank|item_index| score|      source|
+-------------+----+----------+------+------------+
|            9|   1|         6|0.4167|item_to_item|
|            9|   2|         5|   8.0|     popular|
+-------------+----+----------+------+------------+
<BLANKLINE>
"""

from pyspark.sql import Column, DataFrame, Window, functions as F

import recommender.constants as C
from recommender.settings.step import Annotated, Field, step

_PAIR = (C.VISITOR_INDEX, C.ITEM_INDEX)
_WEIGHT_UNIT, _SIMILARITY_UNIT = 2.0**36, 2.0**40  # what is summed up is whole numbers of it: the order does not matter
_BASKET, _WEIGHT = "_basket", "_weight"
_VISITORS, _NEIGHBOURS_VISITORS = "_visitors", "_neighbours_visitors"
_PLACE, _IS_FILLED = "_place", "_is_filled"
_PLACE_COLUMNS = (C.VISITOR_INDEX, C.RANK, C.ITEM_INDEX, C.SCORE, C.SOURCE)


@step
class ItemToItem:
    """Find the neighbours of each item by random walks over visitors, and score items by them: RP3beta.

    A walk goes from an item to one of its visitors, and from there to one of the visitor's items. With U_i the visitors
    that have a positive score of item i, and n_u the number of items of visitor u, the similarity of item j to i is

        s_ij = |U_i|^-alpha |U_j|^-beta Σ n_u^-alpha,    summed over the visitors u that have both

    and the score of an item for a visitor is the sum of s_ij over the items i that the visitor has and whose nearest
    neighbours j is among. At alpha 1 and beta 0 it is the probability of the walk. A smaller alpha makes steps from
    popular items and through visitors of many items less improbable; beta takes from what popular items gain by being
    met often. Sources: Cooper, Lee, Radinsky and Siegel, Random Walks in Recommender Systems (2014); Paudel,
    Christoffel, Newell and Bernstein, Updatable, Accurate, Diverse, and Scalable Recommendations for Interactive
    Applications (2017); for how well it does Ferrari Dacrema, Cremonesi and Jannach, Are We Really Making Much
    Progress? (2019).

    A visitor of n items makes n² / 2 pairs of items. So the items of a visitor that has very many are divided among
    several baskets, by a hash, and each basket counts as a visitor of its own: every item keeps a part of its pairs,
    and there are about `items_together` / 2 pairs per score at most. An item that many visitors have costs little: its
    pairs are counted where they are made.

    Init parameters:
        neighbours: how many neighbours an item has at most, 1 to 1000.
        alpha: exponent of a step's probability, 0 to 2; 0: visitors of many items count as much as others.
        beta: exponent of the popularity that is taken out, 0 to 2; 0: none is.
        items_together: about how many items of a visitor meet each other, 2 to 10,000.
    Execution args:
        scores: visitor_index int, item_index int, score float, one row per pair: the training part only. Pairs without
            a positive score are ignored.
    Execution returns:
        item_index int, neighbour_index int, similarity double (above 0): the most similar items of each, equal ones by
        neighbour_index, never the item itself; row order undefined.
    Raises:
        ConfigError: a parameter is out of range.
    Persist strategy: none; stage 2 makes lists of it, judges them, and stores the judgement.
    """

    neighbours: Annotated[int, Field(ge=1, le=1000)] = 100
    alpha: Annotated[float, Field(ge=0, le=2)] = 0.7
    beta: Annotated[float, Field(ge=0, le=2)] = 0.1
    items_together: Annotated[int, Field(ge=2, le=10_000)] = 500

    def execute(self, scores: DataFrame) -> DataFrame:
        """Return the neighbours of each item; see the class."""
        pairs = scores.where(F.col(C.SCORE) > 0).select(*_PAIR)
        own = self._in_baskets(pairs)
        others = own.select(C.VISITOR_INDEX, _BASKET, F.col(C.ITEM_INDEX).alias(C.NEIGHBOUR_INDEX))
        once = F.col(C.ITEM_INDEX) < F.col(C.NEIGHBOUR_INDEX)
        met = own.join(others, [C.VISITOR_INDEX, _BASKET], "inner").where(once)
        common = met.groupBy(C.ITEM_INDEX, C.NEIGHBOUR_INDEX).agg(F.sum(_WEIGHT).alias(_WEIGHT))
        sizes = pairs.groupBy(C.ITEM_INDEX).agg(F.count(F.lit(1)).cast("double").alias(_VISITORS))
        sizes_of_others = sizes.withColumnsRenamed({C.ITEM_INDEX: C.NEIGHBOUR_INDEX, _VISITORS: _NEIGHBOURS_VISITORS})
        sized = common.join(sizes, C.ITEM_INDEX, "inner").join(sizes_of_others, C.NEIGHBOUR_INDEX, "inner")
        item, neighbour = F.col(C.ITEM_INDEX), F.col(C.NEIGHBOUR_INDEX)
        there = self._similarity(_VISITORS, _NEIGHBOURS_VISITORS)
        back = self._similarity(_NEIGHBOURS_VISITORS, _VISITORS)
        turned = F.struct(neighbour.alias(C.ITEM_INDEX), item.alias(C.NEIGHBOUR_INDEX), back)
        both_ways = sized.select(F.inline(F.array(F.struct(item, neighbour, there), turned)))
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
            history: visitor_index int, item_index int, score float: any number of rows per pair. An item whose scores
                sum up to more than 0 has a say.
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
        score = F.sum(F.col(C.SCORE).cast("double")).alias(C.SCORE)
        own = history.groupBy(*_PAIR).agg(score).where(F.col(C.SCORE) > 0).select(*_PAIR)
        units = F.rint(F.col(C.SIMILARITY) * F.lit(_SIMILARITY_UNIT))
        total = (F.sum(units) / F.lit(_SIMILARITY_UNIT)).cast("float").alias(C.SCORE)
        found = own.join(neighbours, C.ITEM_INDEX, "inner").groupBy(C.VISITOR_INDEX, C.NEIGHBOUR_INDEX).agg(total)
        scored = found.withColumnRenamed(C.NEIGHBOUR_INDEX, C.ITEM_INDEX).withColumn(C.SOURCE, F.lit(C.ITEM_TO_ITEM))
        left = scored.join(excluded.select(*_PAIR), list(_PAIR), "left_anti")
        lists = _ranked(left, k, F.desc(C.SCORE), F.col(C.ITEM_INDEX))
        return lists if popular_lists is None else _filled(lists, popular_lists, k)

    def _in_baskets(self, pairs: DataFrame) -> DataFrame:
        """Return the pairs with the basket that each is in, and the weight of a visitor with as many items."""
        items, of_visitor = F.count(F.lit(1)), Window.partitionBy(C.VISITOR_INDEX)
        baskets = F.ceil(items.over(of_visitor) / F.lit(self.items_together))
        divided = pairs.withColumn(_BASKET, F.pmod(F.xxhash64(*_PAIR), baskets))
        in_basket = items.over(Window.partitionBy(C.VISITOR_INDEX, _BASKET)).cast("double")
        weight = F.rint(F.pow(in_basket, F.lit(-self.alpha)) * F.lit(_WEIGHT_UNIT))
        return divided.withColumn(_WEIGHT, weight)

    def _similarity(self, own: str, others: str) -> Column:
        """Return the similarity of an item, given the columns with the numbers of visitors of both."""
        popularity = F.pow(F.col(own), F.lit(-self.alpha)) * F.pow(F.col(others), F.lit(-self.beta))
        return (F.col(_WEIGHT) / F.lit(_WEIGHT_UNIT) * popularity).alias(C.SIMILARITY)


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
