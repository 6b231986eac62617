"""Count rows while they pass, without a pass of their own.

Example usage:
>>> counter = RowCounter()
>>> counter("loaded", spark.range(3)).write.format("noop").mode("append").save()
>>> counter.rows()
{'loaded': 3}
"""

from dataclasses import dataclass

from pyspark.sql import DataFrame, Observation, functions as F


class RowCounter:
    """Count the rows of DataFrames in the action that computes them first.

    A name may be counted once. `rows` blocks until every counted DataFrame has been computed.
    """

    def __init__(self) -> None:
        self._observations: dict[str, Observation] = {}

    def __call__(self, name: str, rows: DataFrame) -> DataFrame:
        """Return `rows`, to be counted as `name` when they are computed."""
        self._observations[name] = Observation(name)
        return rows.observe(self._observations[name], F.count(F.lit(1)).alias("rows"))

    def rows(self) -> dict[str, int]:
        """Return name -> number of rows, in the order of counting."""
        return {name: int(observation.get["rows"]) for name, observation in self._observations.items()}


@dataclass(frozen=True)
class StepRows:
    """The rows in and out of a step, for the report; None where there are none."""

    step: str
    rows_in: int | None
    rows_out: int | None
    note: str = ""
