"""What is searched: for each parameter its choices, or a range.

Example usage:
>>> space = {"rank": Choices((16, 32)), "alpha": Range(0.1, 10.0)}
>>> holds(space, {"rank": 32, "alpha": 1.0}), holds(space, {"rank": 8, "alpha": 1.0})
(True, False)
>>> range_mistake("alpha", {"low": 2, "high": 1})
'alpha must have low <= high, got low 2 and high 1'
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from recommender.tune.trial import Parameters

KIND = "score_map."  # what a parameter begins with that is the weight of a kind of event
WALK = "item_to_item."  # what a parameter of the neighbours begins with

_BOUNDS = {"low", "high"}


@dataclass(frozen=True)
class Choices:
    """One of some values."""

    values: tuple[float, ...]

    def __contains__(self, value: object) -> bool:
        return value in self.values


@dataclass(frozen=True)
class Range:
    """A number from low to high, on a logarithmic scale unless low is 0."""

    low: float
    high: float

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high


Space = Mapping[str, Choices | Range]


def holds(space: Space, parameters: Parameters) -> bool:
    """Return whether parameters are inside a space."""
    return all(parameters.get(name) in searched for name, searched in space.items())


def range_mistake(name: str, given: Mapping[str, float], above_zero: bool = False, most: float = inf) -> str:
    """Say what is wrong with a range, nothing if it is right."""
    if set(given) != _BOUNDS:
        return f"{name} must have low and high, got {', '.join(given) or 'neither'}"
    low, high = given["low"], given["high"]
    if low < 0 or (above_zero and low == 0):
        return f"{name}.low must be {'>' if above_zero else '>='} 0, got {low:g}"
    if high > most:
        return f"{name}.high must be <= {most:g}, got {high:g}"
    if low > high:
        return f"{name} must have low <= high, got low {low:g} and high {high:g}"
    return ""
