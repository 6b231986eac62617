"""Count rows while they pass, without a pass of their own.

Example usage:
>>> counter = RowCounter()
>>> rows = counter("loaded", spark.range(3), even=F.col("id") % 2 == 0)
>>> rows.write.format("noop").mode("append").save()
>>> counter.rows()
{'loaded': 3, 'loaded.even': 2}
"""

from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame, Observation, functions as F


class RowCounter:
    """Count the rows of DataFrames in the action that computes them first.

    Count only what is written as it is, or what is cached by an action that needs all of it: Spark leaves out the part
    of a plan whose other side turns out to be empty, and then nothing is counted. Rows before a shuffle are counted
    again where an executor is lost and they are computed again: what must be exact is counted after it.
    """

    def __init__(self) -> None:
        self._observations: dict[str, Observation] = {}
        self._conditions: dict[str, list[str]] = {}

    def __call__(self, name: str, rows: DataFrame, **conditions: Column) -> DataFrame:
        """Return `rows`, to be counted as `name`, and as ``name.condition`` where a condition holds."""
        counts = [F.count_if(condition).alias(key) for key, condition in conditions.items()]
        self._observations[name] = Observation(name)
        self._conditions[name] = list(conditions)
        return rows.observe(self._observations[name], F.count(F.lit(1)).alias("rows"), *counts)

    def counted(self, name: str) -> dict[str, int]:
        """Return the counts of one name, ``rows`` and those of its conditions; waits for what was not computed yet."""
        counts = {key: int(count) for key, count in _found(self._observations[name]).items()}
        return counts or dict.fromkeys(("rows", *self._conditions[name]), 0)

    def rows(self) -> dict[str, int]:
        """Return name -> number of rows, in the order of counting; waits for what was not computed yet."""
        found = {}
        for name in self._observations:
            counts = self.counted(name)
            found[name] = counts.pop("rows")
            found |= {f"{name}.{key}": count for key, count in counts.items()}
        return found


def _found(observation: Observation) -> dict[str, Any]:
    """Return what was observed: nothing, if Spark has left the plan out because there were no rows."""
    try:
        return dict(observation.get)
    except Exception as error:
        if "assertion failed" not in str(error):
            raise
        return {}


@dataclass(frozen=True)
class StepRows:
    """The rows in and out of a step, for the report; None where there are none."""

    step: str
    rows_in: int | None
    rows_out: int | None
    note: str = ""
