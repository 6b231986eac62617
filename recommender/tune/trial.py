"""One trial of a search: the parameters that were tried, how they were judged, and what one gains over another.

Example usage:
>>> means = (0.04, 0.05, 0.06)
>>> one = Trial(0, {"rank": 32, "alpha": 1.0}, COMPLETE, 0.05, means=means)
>>> other = Trial(1, {"rank": 64, "alpha": 9.5}, COMPLETE, 0.06, means=tuple(mean + 0.01 for mean in means))
>>> short = Trial(2, {"rank": 16, "alpha": 0.2}, SHORT, 0.09, share=0.25)
>>> best([one, other, short]).number, [trial.number for trial in ranked([one, short, other])]
(1, [1, 0, 2])
>>> print(gain(other, one), gain(other, one).is_proven)
+0.0100 (95 % interval +0.0100 to +0.0100) True
>>> Trial.from_record(one.as_record()) == one
True
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

COMPLETE: Final = "complete"
SHORT: Final = "short"  # fewer iterations, or a part of the visitors
FAILED: Final = "failed"

_STATES = (COMPLETE, SHORT, FAILED)  # in the order of a table
_INTERVAL = (0.025, 0.975)

# Parameter -> value; None: off. `score_map.view` is the weight of one kind of event.
Parameters = Mapping[str, Any]


class Judged(NamedTuple):
    """The metric of a fit, the bounds of its 95 % confidence, and its values in the replicates of the bootstrap."""

    value: float
    low: float | None = None
    high: float | None = None
    means: tuple[float | None, ...] = ()  # None: a replicate that nobody is in


# Takes the parameters and the share of the visitors that are fitted.
Objective = Callable[[Parameters, float], Judged]


@dataclass(frozen=True)
class Trial:
    """A trial that has ended.

    Init parameters:
        number: from 0.
        parameters: those that were tried.
        state: complete, short or failed.
        value: the metric; None of a failed trial.
        low, high: bounds of the metric's 95 % confidence, None if there are none.
        seconds: that it took.
        share: ratio (0 to 1) of the visitors that were fitted.
        means: the metric in the replicates of the bootstrap, the same visitors for all trials; of a complete trial.
        reason: why it has failed.
    """

    number: int
    parameters: Parameters
    state: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    seconds: float = 0.0
    share: float = 1.0
    means: tuple[float | None, ...] = ()
    reason: str = ""

    def as_record(self) -> dict[str, Any]:
        """Return the trial as plain JSON types."""
        return {**asdict(self), "parameters": dict(self.parameters), "means": list(self.means)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Trial":
        """Return the trial of a record."""
        known = {field.name: record[field.name] for field in fields(cls)}
        return cls(**{**known, "means": tuple(record["means"])})


class TrialLog(Protocol):
    """Where trials are kept as they end, so that a search that was killed goes on."""

    def finished(self) -> Mapping[int, Mapping[str, Any]]:
        """Return number -> record of the trials that have ended."""

    def finish(self, trial: int, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keep a record; return what counts: this, or what another run has kept under that number meanwhile."""


class Gain(NamedTuple):
    """How much larger the metric of one trial is than that of another, with the bounds of its paired 95 % interval."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def is_proven(self) -> bool:
        """Whether the interval lies above 0."""
        return self.low is not None and self.low > 0

    def __str__(self) -> str:
        interval = f"95 % interval {self.low:+.4f} to {self.high:+.4f}" if self.low is not None else "no interval"
        return f"{self.value:+.4f} ({interval})"


def gain(trial: Trial, other: Trial) -> Gain | None:
    """Return what a trial gains over another, judged by the same visitors; None if one of them has failed.

    In each replicate of the bootstrap both are judged by the same draw of visitors, so that what makes a visitor easy
    for both cancels (Efron and Tibshirani 1993, chapter 8).
    """
    if trial.value is None or other.value is None:
        return None
    interval: tuple[float, ...] = ()
    if trial.means and len(trial.means) == len(other.means):
        differences = np.array(trial.means, dtype=np.float64) - np.array(other.means, dtype=np.float64)
        drawn = differences[~np.isnan(differences)]
        interval = tuple(map(float, np.quantile(drawn, _INTERVAL))) if len(drawn) else ()
    return Gain(trial.value - other.value, *interval)


def ranked(trials: Iterable[Trial]) -> list[Trial]:
    """Return trials, the best first; those that were short or failed come last."""
    return sorted(trials, key=lambda trial: (_STATES.index(trial.state), -(trial.value or 0.0), trial.number))


def best(trials: Iterable[Trial]) -> Trial | None:
    """Return the complete trial with the largest metric, the first of equals; None if no trial is complete."""
    first = next(iter(ranked(trials)), None)
    return first if first and first.state == COMPLETE else None
