"""Count rows while they pass, without a pass of their own.

Example usage:
>>> counter = RowCounter()
>>> rows = counter("loaded", spark.range(3), even=F.col("id") % 2 == 0)
>>> rows.write.format("noop").mode("append").save()
>>> counter.rows()
{'loaded': 3, 'loaded.even': 2}
"""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Observation, functions as F


class RowCounter:
    """Count the rows of DataFrames in the action that computes them first.

    Count only what is written as it is, or what is cached by an action that needs all of it: Spark leaves out the part
    of a plan whose other side turns out to be empty, and then nothing is counted.
    """

    def __init__(self) -> None:
        self._observations: dict[str, Observation] = {}

    def __call__(self, name: str, rows: DataFrame, **conditions: Column) -> DataFrame:
        """Return `rows`, to be counted as `name`, and as ``name.condition`` where a condition holds."""
        counts = [F.count_if(condition).alias(key) for key, condition in conditions.items()]
        self._observations[name] = Observation(name)
        return rows.observe(self._observations[name], F.count(F.lit(1)).alias("rows"), *counts)

    def rows(self) -> dict[str, int]:
        """Return name -> number of rows, in the order of counting; waits for what was not computed yet."""
        found = {}
        for name, observation in self._observations.items():
            counts = {key: int(count) for key, count in observation.get.items()}
            found[name] = counts.pop("rows")
            found |= {f"{name}.{key}": count for key, count in counts.items()}
        return found


@dataclass(frozen=True)
class StepRows:
    """The rows in and out of a step, for the report; None where there are none."""

    step: str
    rows_in: int | None
    rows_out: int | None
    note: str = ""
