"""Aggregate exactly, and fetch what an aggregate without keys gives.

Example usage:
>>> single_row(spark.range(3).selectExpr("count(id)", "max(id)"))
(3, 2)
>>> single_row(spark.range(3).agg(exact_sum(F.col("id") / 2, largest=1.0)))
(1.5,)
"""

from typing import Any

from pyspark.sql import Column, DataFrame, functions as F

_SHARE = "decimal(38,28)"  # of the largest value; a sum has room for ten billion of them


def single_row(aggregate: DataFrame) -> tuple[Any, ...]:
    """Return the one row of an aggregate without keys, its values in order."""
    return tuple(aggregate.first() or ())


def exact_sum(value: Column, largest: float) -> Column:
    """Return the sum of a column of doubles, the same bits in whatever order a cluster adds.

    The values are added as decimals. What is less than 1e-28 of the largest counts as 0.

    Args:
        value: double; null adds nothing.
        largest: no value is larger in size; not 0.
    """
    return F.sum((value / F.lit(largest)).cast(_SHARE)).cast("double") * F.lit(largest)
