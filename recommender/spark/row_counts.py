"""Count rows while they pass, without a pass of their own.

Example usage:
>>> counter = RowCounter()
>>> rows = counter("loaded", spark.range(3), even=F.col("id") % 2 == 0)
>>> rows.write.format("noop").mode("append").save()
>>> counter.rows()
{'loaded': 3, 'loaded.even': 2}

A step that somebody puts between two others gets its line in the report, and the lines around it stay right:

>>> counter = RowCounter(lambda rows: rows.cache())
>>> events = spark.range(10)
>>> counter.came_out("data_loader", events, number=10)
>>> half = counter.through("half", SimpleNamespace(execute=lambda rows: rows.where("id % 2 = 0")), events)
>>> half.count()
5
>>> found = counter.rows()
>>> for line in counter.with_own([StepRows("data_loader", None, 10), StepRows("last", counter.number(half, found), 1)]):
...     print(line.step, line.rows_in, line.rows_out)
data_loader None 10
half 10 5
last 5 1
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace  # noqa: F401 - for the example
from typing import Any

from pyspark.sql import Column, DataFrame, Observation, functions as F


@dataclass(frozen=True)
class StepRows:
    """The rows in and out of a step, for the report; None if there are none, or where nobody has counted them."""

    step: str
    rows_in: int | None
    rows_out: int | None
    note: str = ""


@dataclass(frozen=True)
class _Own:
    """A step that was put between others: what it came after ("": it took a table of another stage), and its frames."""

    step: str
    after: str | None
    taken: DataFrame
    given: DataFrame


@dataclass
class RowCounter:
    """Count the rows of DataFrames in the action that computes them first.

    Count only what is written as it is, or what is cached by an action that needs all of it: Spark leaves out the part
    of a plan whose other side turns out to be empty, and then nothing is counted. Rows before a shuffle are counted
    again where an executor is lost and they are computed again: what must be exact is counted after it.

    The number travels with the frame: `number` is that of the very frame that was counted, so that a frame which
    somebody has put in its place never gets its number.
    """

    cache: Callable[[DataFrame], DataFrame] = lambda rows: rows  # keeps a frame until it is released
    _observations: dict[str, Observation] = field(default_factory=dict)
    _conditions: dict[str, list[str]] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict)  # of a frame, by its identity -> what its rows are counted as
    _known: dict[int, int] = field(default_factory=dict)  # the same -> number of rows
    _steps: dict[int, str] = field(default_factory=dict)  # the same -> step that it came out of
    _frames: list[DataFrame] = field(default_factory=list)  # they live as long as their identities are looked for
    _own: list[_Own] = field(default_factory=list)

    def __call__(self, name: str, rows: DataFrame, **conditions: Column) -> DataFrame:
        """Return `rows`, to be counted as `name`, and as ``name.condition`` where a condition holds."""
        counts = [F.count_if(condition).alias(key) for key, condition in conditions.items()]
        self._observations[name] = Observation(name)
        self._conditions[name] = list(conditions)
        observed = rows.observe(self._observations[name], F.count(F.lit(1)).alias("rows"), *counts)
        for frame in (rows, observed):
            self._frames.append(frame)
            self._names[id(frame)] = name
        if id(rows) in self._steps:
            self._steps[id(observed)] = self._steps[id(rows)]
        return observed

    def came_out(self, step: str, rows: DataFrame, number: int | None = None) -> None:
        """Note which step a frame came out of, and how many rows it has, if that is known."""
        self._frames.append(rows)
        self._steps[id(rows)] = step
        if number is not None:
            self._known.setdefault(id(rows), number)

    def going_in(self, name: str, rows: DataFrame) -> DataFrame:
        """Return `rows`, to be counted as `name` unless their number is known, or counted already."""
        return rows if id(rows) in self._known or id(rows) in self._names else self(name, rows)

    def through(self, name: str, step: Any, rows: DataFrame) -> DataFrame:
        """Return what a step makes of rows, and count what goes in and what comes out, for a line of the report."""
        place = f"{name}#{len(self._own) + 1}"
        given = self.cache(self(f"{place}.out", step.execute(self.going_in(f"{place}.in", rows))))
        self._own.append(_Own(name, self._steps.get(id(rows)), rows, given))
        self.came_out(name, given)
        return given

    def begin(self) -> None:
        """Begin the next part of the work: the steps of `through` are those of one part, and counted in each."""
        self._own.clear()

    def number(self, rows: DataFrame, found: Mapping[str, int]) -> int | None:
        """Return the number of rows of a frame, given the counts; None if nobody has counted this one."""
        return self._known.get(id(rows), found.get(self._names.get(id(rows), "")))

    def number_now(self, rows: DataFrame) -> int:
        """Return the number of rows of a frame that is wanted at once: they are counted if it is not known."""
        known = self._known.get(id(rows))
        return rows.count() if known is None else known

    def with_own(self, lines: Sequence[StepRows], found: Mapping[str, int] | None = None) -> list[StepRows]:
        """Return the lines of a report with those of `through`, each below the step that it came after.

        Args:
            found: what was counted; null: it is waited for.
        """
        found = self.rows() if found is None else found
        listed = list(lines)
        at_the_top = 0
        for own in self._own:
            line = StepRows(own.step, self.number(own.taken, found), self.number(own.given, found))
            above = [place for place, other in enumerate(listed) if other.step == own.after]
            place = above[-1] + 1 if above else at_the_top if own.after == "" else len(listed)
            at_the_top += own.after == ""
            listed.insert(place, line)
        return listed

    def counted(self, name: str) -> dict[str, int]:
        """Return the counts of one name, ``rows`` and those of its conditions; waits until they are computed."""
        counts = {key: int(count) for key, count in _found(self._observations[name]).items()}
        return counts or dict.fromkeys(("rows", *self._conditions[name]), 0)

    def rows(self) -> dict[str, int]:
        """Return name -> number of rows, in the order of counting; waits until they are computed."""
        found = {}
        for name in self._observations:
            counts = self.counted(name)
            found[name] = counts.pop("rows")
            found |= {f"{name}.{key}": count for key, count in counts.items()}
        return found


def _found(observation: Observation) -> dict[str, Any]:
    """Return the observed numbers; empty if Spark has left the plan out because there were no rows."""
    try:
        return dict(observation.get)
    except Exception as error:
        if "assertion failed" not in str(error):
            raise
        return {}
