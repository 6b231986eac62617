"""Blend recent popularity into the scores of the model, as one more column of the factors.

Example usage:
>>> visitors = spark.createDataFrame([(7, [2.0, 0.0]), (8, None)], "visitor_index int, features array<float>")
>>> item_factors = spark.createDataFrame([(0, [1.0, 0.0]), (1, [0.0, 1.0])], "id int, features array<float>")
>>> popularity = spark.createDataFrame([(0, 1.0), (1, 4.0)], "item_index int, score double")
>>> visitors, item_factors = PopularityBlend(weight=0.25).execute(visitors, item_factors, popularity)
>>> visitors.orderBy("visitor_index").collect()
[Row(visitor_index=7, features=[2.0, 0.0, 0.5]), Row(visitor_index=8, features=None)]
>>> item_factors.orderBy("id").collect()
[Row(id=0, features=[1.0, 0.0, 0.25]), Row(id=1, features=[0.0, 1.0, 0.5])]
"""

from pyspark.sql import Column, DataFrame, functions as F

import recommender.constants as C
from recommender.settings.step import Annotated, Field, step
from recommender.spark.aggregates import exact_sum, single_row

_POPULARITY = "_popularity"


@step
class PopularityBlend:
    """Add the popularity of an item, times a weight, to its score for a visitor.

    With x the factors of the visitor, y_i those of the item, p_i its popularity, P the largest one, and Y the root mean
    square of the norms |y| of all items, the score becomes

        x·y_i + weight Y² q_i,    q_i = (max(p_i, 0) / P)^power

    Y² is the score of a typical item for a visitor with the same factors: at a weight of 1 the most popular item gains
    as much as that. It is the same for every visitor, so that the less is known of a visitor, and the smaller all of
    its scores are, the more of its list is what is popular.

    With c = sqrt(weight) Y the score is the inner product of (x, c) and (y_i, c q_i): one more column, so that the k
    best are still found exactly. c is on both sides because the bound that spares inner products is the product of the
    norms. Only what is ranked is blended: visitors are folded in with the model's own factors, and items are similar by
    them.

    Init parameters:
        weight: of the popularity, >= 0; 0: the factors stay as they are.
        power: of the popularity, above 0 to 1; 1: in proportion to it, less: items that are not at the top gain more.
    Execution args:
        visitors: features array<float>, null for a visitor without factors, and any other columns.
        item_factors: id int, features array<float>, of all items of the model.
        popularity: item_index int, score double, one row per item; an item without one has none.
    Execution returns:
        (visitors, item_factors), same columns, the features longer by one; null stays null. As they were where the
        weight is 0 or nothing is popular. Row order undefined.
    Raises:
        ConfigError: a parameter is out of range.
    Persist strategy: none; the factors are used at once and never stored.
    """

    weight: Annotated[float, Field(ge=0)] = 0.0
    power: Annotated[float, Field(gt=0, le=1)] = 0.5

    def execute(
        self, visitors: DataFrame, item_factors: DataFrame, popularity: DataFrame
    ) -> tuple[DataFrame, DataFrame]:
        if not self.weight:
            return visitors, item_factors
        (most,) = single_row(popularity.agg(F.max(C.SCORE)))
        if not most or most < 0:
            return visitors, item_factors
        share = F.pow(F.greatest(F.coalesce(_POPULARITY, F.lit(0.0)), F.lit(0.0)) / most, F.lit(self.power))
        named = popularity.select(F.col(C.ITEM_INDEX).alias(C.ID), F.col(C.SCORE).alias(_POPULARITY))
        size = self.weight**0.5 * _typical_norm(item_factors)
        joined = item_factors.join(named, C.ID, "left")
        items = joined.withColumn(C.FEATURES, _longer_by(share * size)).drop(_POPULARITY)
        return visitors.withColumn(C.FEATURES, _longer_by(F.lit(size))), items


def _typical_norm(factors: DataFrame) -> float:
    squares = factors.select(_square().alias("_square"))
    count, largest = single_row(squares.agg(F.count("_square"), F.max("_square")))
    if not largest:
        return 0.0
    (total,) = single_row(squares.agg(exact_sum(F.col("_square"), largest)))
    return float((total / count) ** 0.5)


def _square() -> Column:
    """Return the square of the norm of the factors, added in their order."""
    return F.aggregate(C.FEATURES, F.lit(0.0), lambda total, factor: total + factor.cast("double") * factor)


def _longer_by(value: Column) -> Column:
    """Return the factors with one more; null where they are null."""
    return F.concat(C.FEATURES, F.array(value.cast("float")))
