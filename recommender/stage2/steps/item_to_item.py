"""Find the items that go with each item: a model of neighbours, without factors.

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
"""

from pyspark.sql import Column, DataFrame, Window, functions as F

import recommender.constants as C
from recommender.settings.step import Annotated, Field, step

_PAIR = (C.VISITOR_INDEX, C.ITEM_INDEX)
_WEIGHT_UNIT = 2.0**36  # what is summed up is whole numbers of it: the order does not matter
_BASKET, _WEIGHT = "_basket", "_weight"
_VISITORS, _NEIGHBOURS_VISITORS = "_visitors", "_neighbours_visitors"
_PLACE = "_place"


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
    Persist strategy: Parquet, the table neighbours, if the gate has chosen this model: at most `neighbours` rows per
        item of the training part. ``recommender.models`` makes lists of it.
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
