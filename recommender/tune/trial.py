"""One trial of a search: the parameters that were tried, and what came of them.

Example usage:
>>> one = Trial(0, {"rank": 32, "alpha": 1.0}, COMPLETE, 0.05)
>>> other = Trial(1, {"rank": 64, "alpha": 9.5}, COMPLETE, 0.06)
>>> given_up = Trial(2, {"rank": 16, "alpha": 0.2}, PRUNED, 0.09)
>>> best([one, other, given_up]).number, [trial.number for trial in ranked([one, other, given_up])]
(1, [1, 0, 2])
>>> Trial.from_record(one.as_record()) == one
True
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, NamedTuple, Protocol

COMPLETE: Final = "complete"
PRUNED: Final = "pruned"  # given up after the first iterations
FAILED: Final = "failed"

_STATES = (COMPLETE, PRUNED, FAILED)  # in the order of a table

# Parameter -> value; None: off. `score_map.view` is the weight of one kind of event.
Parameters = Mapping[str, Any]
# Takes a number of iterations and the metric after so many, and returns whether the trial should be given up.
Report = Callable[[int, float], bool]


class Judged(NamedTuple):
    """What a metric says of a fit: its value, bounds of its 95 % confidence, and whether the fit was given up."""

    value: float
    low: float | None = None
    high: float | None = None
    pruned: bool = False


Objective = Callable[[Parameters, Report], Judged]


@dataclass(frozen=True)
class Trial:
    """A trial that has ended.

    Init parameters:
        number: from 0.
        parameters: those that were tried.
        state: complete, pruned or failed.
        value: the metric; of a pruned trial that of the last fit; None of a failed one.
        low, high: bounds of the metric's 95 % confidence, None if there are none.
        seconds: that it took.
        rungs: [iterations, metric] of each fit before the last.
        reason: why it has failed.
    """

    number: int
    parameters: Parameters
    state: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    seconds: float = 0.0
    rungs: tuple[tuple[int, float], ...] = ()
    reason: str = ""

    def as_record(self) -> dict[str, Any]:
        """Return the trial as plain JSON types."""
        return {**asdict(self), "parameters": dict(self.parameters), "rungs": [list(rung) for rung in self.rungs]}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Trial":
        """Return the trial of a record."""
        known = {field.name: record[field.name] for field in fields(cls)}
        return cls(**{**known, "rungs": tuple((iterations, value) for iterations, value in record["rungs"])})


class TrialLog(Protocol):
    """Where trials are kept as they end, so that a search that was killed goes on."""

    def finished(self) -> Mapping[int, Mapping[str, Any]]:
        """Return number -> record of the trials that have ended."""

    def finish(self, trial: int, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keep a record; return what counts: this, or what another run has kept under that number meanwhile."""


def ranked(trials: Iterable[Trial]) -> list[Trial]:
    """Return trials, the best first; those that were given up or failed come last."""
    return sorted(trials, key=lambda trial: (_STATES.index(trial.state), -(trial.value or 0.0), trial.number))


def best(trials: Iterable[Trial]) -> Trial | None:
    """Return the complete trial with the largest metric, the first of equals; None if no trial is complete."""
    first = next(iter(ranked(trials)), None)
    return first if first and first.state == COMPLETE else None
