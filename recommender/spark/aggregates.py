"""Aggregate exactly, and fetch the few rows that aggregates give, several of them by one query.

Example usage:
>>> single_row(spark.range(3).selectExpr("count(id)", "max(id)"))
(3, 2)
>>> single_row(spark.range(3).agg(exact_sum(F.col("id") / 2, largest=1.0)))
(1.5,)
>>> found = fetch(all=spark.range(3).agg(F.count("id")), even=spark.range(3).where("id % 2 = 0").orderBy("id"))
>>> [tuple(row) for row in found["all"]], sorted(row.id for row in found["even"])
([(3,)], [0, 2])
"""

from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame, Row, functions as F

_SHARE = "decimal(38,28)"  # of the largest value; a sum has room for ten billion of them


def fetch(**frames: DataFrame) -> dict[str, list[Row]]:
    """Return the rows of several small frames, in any order, by one query: what they share is computed once."""
    parts = [rows.select(F.struct("*").alias(name)) for name, rows in frames.items()]
    together = reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), parts)
    found: dict[str, list[Row]] = {name: [] for name in frames}
    for row in together.collect():
        for name, value in row.asDict().items():
            if value is not None:
                found[name].append(value)
    return found


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
