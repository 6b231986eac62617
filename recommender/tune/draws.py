"""The settings that a search tries first: around values that suit the log, then around the best of them.

The more pairs a visitor has, the smaller the best alpha. Published are 143 for Pinterest (26 pairs per visitor), 50 for
MSD (59) and 10 for MovieLens-20M (73), as 1 over the weight of an unobserved pair (Rendle et al., Revisiting the
performance of iALS on item recommendation benchmarks, 2022); ours are 27 for Gowalla (27) and 2 for MovieLens-1M (165).
A power of the pairs per visitor fits these five within a factor of four, and the first settings go up to a factor of
eight. regParam is drawn as a ratio to alpha, because alpha makes the other term of the sum larger; with a reg_exponent
below 1 it is multiplied by as much as makes a typical visitor held back alike.

Example usage:
>>> space = {"rank": Choices((32, 64)), "alpha": Range(0.1, 200), "reg_param": Range(0.001, 100)}
>>> draws = Draws(space, Density(pairs=270_000, visitors=10_000, mean_score=1.0), implicit=True, seed=0)
>>> round(draws.prior_alpha)
81
>>> [sorted(draws.draw(number)) for number in range(2)]
[['alpha', 'reg_param'], ['alpha', 'reg_param']]
>>> near = draws.draw(5, near={"alpha": 40.0, "reg_param": 2.0})
>>> 20 <= near["alpha"] <= 80
True
"""

import random
from dataclasses import dataclass
from math import sqrt

from recommender.tune.space import Choices, Range, Space
from recommender.tune.trial import Parameters

CLIMBED = ("max_iter", "rank")  # these are not drawn: larger values are tried one after the other

_ALPHA, _PAIRS, _POWER = 21.0, 55.0, 1.9  # alpha of a log with so many pairs per visitor, and how fast it falls
_LEAST_ALPHA, _MOST_ALPHA = 1.0, 100.0
_REG_PER_ALPHA = 1 / 16
_EXPLICIT_REG = 0.1
_SPREAD, _NEAR = 8.0, 2.0  # the largest factor, up and down, of the first settings and of those around the best
_LEAST = 1e-9


@dataclass(frozen=True)
class Density:
    """How much there is to learn from: pairs that are fitted, their visitors, and their mean score."""

    pairs: int
    visitors: int
    mean_score: float

    @property
    def pairs_per_visitor(self) -> float:
        """The mean."""
        return max(self.pairs / max(self.visitors, 1), 1.0)


class Draws:
    """Settings by number; the same seed gives the same.

    The numbers fill the space evenly: they are the points of an additive recurrence (Roberts, The unreasonable
    effectiveness of quasirandom sequences, 2018), shifted by the seed.

    Init parameters:
        space: what is searched.
        density: of the pairs that are fitted.
        implicit: whether the scores are implicit feedback.
        seed: of the shift.
    """

    def __init__(self, space: Space, density: Density, *, implicit: bool, seed: int) -> None:
        self._space = {name: searched for name, searched in space.items() if name not in CLIMBED}
        self._density = density
        self._implicit = implicit
        self._seed = seed

    @property
    def prior_alpha(self) -> float:
        """The alpha that suits the pairs per visitor, for scores of 1."""
        alpha = _ALPHA * (_PAIRS / self._density.pairs_per_visitor) ** _POWER
        return float(min(max(alpha, _LEAST_ALPHA), _MOST_ALPHA))

    def draw(self, number: int, near: Parameters | None = None) -> dict[str, float | None]:
        """Return a setting.

        Args:
            number: from 0.
            near: the setting that others are drawn around; None: around what suits the log. Choices are free.
        """
        places = self._places(number)
        found: dict[str, float | None] = {}
        for name, searched in self._space.items():
            if isinstance(searched, Choices):
                found[name] = searched.values[int(places[name] * len(searched.values))]
            elif name not in {"alpha", "reg_param"}:
                found[name] = _along(searched, places[name], None if near is None else near[name], near is None)
        # The centre of reg_param follows from those drawn before it.
        for name in ("alpha", "reg_param"):
            limits = self._space.get(name)
            if isinstance(limits, Range):
                factor = (_SPREAD if near is None else _NEAR) ** (2 * places[name] - 1)
                centre = self._alpha(near) if name == "alpha" else self._reg(found, near)
                found[name] = _rounded(min(max(centre, limits.low), limits.high) * factor, limits)
        return {name: found[name] for name in self._space}

    def _alpha(self, near: Parameters | None) -> float:
        own = self.prior_alpha / max(self._density.mean_score, _LEAST)
        return float(max(own if near is None else near["alpha"], _LEAST))

    def _reg(self, found: Parameters, near: Parameters | None) -> float:
        if not self._implicit:
            return float(max(_EXPLICIT_REG if near is None else near["reg_param"], _LEAST))
        alpha, exponent = found.get("alpha") or self._alpha(None), found.get("reg_exponent", 1.0)
        if near is None:
            ratio, other = self._density.mean_score * _REG_PER_ALPHA, 1.0
        else:
            ratio, other = near["reg_param"] / max(near.get("alpha") or alpha, _LEAST), near.get("reg_exponent", 1.0)
        # A typical visitor is held back alike by another exponent.
        return float(max(alpha * ratio * self._density.pairs_per_visitor ** (other - exponent), _LEAST))

    def _places(self, number: int) -> dict[str, float]:
        """Return a number of 0 to 1 for each name."""
        root = 2.0
        for _ in range(30):  # the only positive x with x ** (names + 1) == x + 1
            root = (1 + root) ** (1 / (len(self._space) + 1))
        shifts = (random.Random(f"{self._seed} {name}").random() for name in self._space)  # noqa: S311 - no secret
        return {
            name: (shift + number * root ** -(place + 1)) % 1
            for place, (name, shift) in enumerate(zip(self._space, shifts, strict=True))
        }


def _along(searched: Range, place: float, centre: float | None, is_first: bool) -> float | None:
    """Return a value of a range, or of the third of it around a centre; on a logarithmic scale unless low is 0."""
    if not is_first and centre is None:
        return None  # what is off stays off
    if searched.low > 0:
        spread = sqrt(searched.high / searched.low) ** (1 if is_first else 1 / 3)
        middle = sqrt(searched.low * searched.high) if centre is None else centre
        return _rounded(middle * spread ** (2 * place - 1), searched)
    width = searched.high / (1 if is_first else 3)
    middle = searched.high / 2 if centre is None else centre
    return _rounded(middle + width * (place - 0.5), searched)


def _rounded(value: float, searched: Range) -> float:
    """Return a value with four digits, inside the range."""
    return min(max(float(f"{value:.4g}"), searched.low), searched.high)
