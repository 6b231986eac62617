"""Fetch what an aggregate without keys gives.

Example usage:
>>> single_row(spark.range(3).selectExpr("count(id)", "max(id)"))
(3, 2)
"""

from typing import Any

from pyspark.sql import DataFrame


def single_row(aggregate: DataFrame) -> tuple[Any, ...]:
    """Return the one row of an aggregate without keys, its values in order."""
    return tuple(aggregate.first() or ())
