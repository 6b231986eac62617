"""The bootstrap over visitors: how far a mean would move if other visitors of the same kind had come.

A replicate is the same evaluation with visitors drawn with replacement: how often a visitor is drawn is, for many
visitors, a Poisson number of mean 1, and independent of the others (Hanley and MacGibbon, Creating non-parametric
bootstrap samples using Poisson frequencies, 2006; Chamandy et al., Estimating uncertainty for massive data streams,
2012). So a visitor's weight needs nothing but the visitor: it is made of a hash of seed, visitor and replicate, and is
the same on any cluster and for all models, which makes their differences paired.

The hash is SplitMix64 (Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014), started at a mixed
visitor index. Each of its numbers gives four weights: 16 bits are compared with the Poisson distribution's cumulated
probabilities, rounded to multiples of 2^-16, so that the largest weight is 8.

Values are rounded to multiples of 2^-30. Sums of them in double precision are exact, whatever the order in which a
matrix product adds, and sums of the sums are integers: the result does not depend on how the visitors are spread.

Example usage:
>>> weights(np.array([7, 8]), replicates=3, seed=0).tolist()
[[1, ...], [1, ...]]
>>> sums = WeightedSums(replicates=3, cells=1)
>>> sums.add(np.array([[1, 2, 0, 0], [1, 0, 1, 0]], dtype=np.uint8), np.array([0]), in_units(np.array([[0.5]])))
>>> sums.means()[:, 0].tolist()
[0.25, 0.5, 0.0, nan]
"""

from math import exp, factorial

import numpy as np
from numpy.typing import NDArray

_UNITS = 2**30  # of a value: so many make 1
MOST_VISITORS = 2**20  # whose weighted values, in units, a double can sum exactly, if each weighs 8
_LANES = 4  # weights per number of the hash
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = np.array([0xBF58476D1CE4E5B9, 0x94D049BB133111EB], dtype=np.uint64)
_SHIFTS = np.array([30, 27, 31], dtype=np.uint64)
# A weight is the number of these that a number of 16 bits reaches.
_THRESHOLDS = np.array(
    [round(2**16 * sum(exp(-1) / factorial(j) for j in range(weight + 1))) for weight in range(8)], dtype=np.uint16
)
_BOUNDS = (0.025, 0.975)


def weights(visitors: NDArray[np.integer], replicates: int, seed: int) -> NDArray[np.uint8]:
    """Return how often each visitor is in each replicate, shape (visitors, 1 + replicates).

    The replicate with the number 0 has every visitor once: it gives the value itself.
    """
    keys = _mixed(np.array([seed], dtype=np.int64).view(np.uint64)) + visitors.astype(np.int64).view(np.uint64)
    steps = np.arange(1, -(-replicates // _LANES) + 1, dtype=np.uint64) * _STEP
    numbers = _mixed(_mixed(keys)[:, None] + steps)
    lanes = numbers.astype("<u8", copy=False).view("<u2")[:, :replicates]
    drawn = np.ones((len(visitors), 1 + replicates), dtype=np.uint8)
    drawn[:, 1:] = 0
    for threshold in _THRESHOLDS:
        drawn[:, 1:] += lanes >= threshold
    return drawn


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return each number of 64 bits mixed: the last step of SplitMix64, a permutation."""
    mixed: NDArray[np.uint64] = numbers ^ (numbers >> _SHIFTS[0])
    mixed *= _FACTORS[0]
    mixed ^= mixed >> _SHIFTS[1]
    mixed *= _FACTORS[1]
    mixed ^= mixed >> _SHIFTS[2]
    return mixed


def in_units(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return values from 0 to 1 as whole numbers of 2^-30."""
    rounded: NDArray[np.float64] = np.rint(values * _UNITS)
    return rounded


class WeightedSums:
    """The sums of some visitors' weights and weighted values in all replicates; they are integers, and can be added.

    Init parameters:
        replicates: how many there are besides the number 0.
        cells: how many values a visitor has.
        counts, sums: what was summed already, (1 + replicates) and (1 + replicates) × cells numbers.
    """

    def __init__(
        self,
        replicates: int,
        cells: int,
        counts: NDArray[np.int64] | None = None,
        sums: NDArray[np.int64] | None = None,
    ) -> None:
        self.counts = np.zeros(1 + replicates, dtype=np.int64) if counts is None else counts
        empty = np.zeros((1 + replicates, cells), dtype=np.int64)
        self.sums = empty if sums is None else sums.reshape(empty.shape)

    def add(self, drawn: NDArray[np.uint8], rows: NDArray[np.integer], values: NDArray[np.float64]) -> None:
        """Add visitors.

        Args:
            drawn: the `weights` of at most `MOST_VISITORS`.
            rows: the places among them of those whose values are not all 0.
            values: theirs, in units.
        """
        self.counts += drawn.sum(axis=0, dtype=np.int64)
        self.sums += (drawn[rows].T.astype(np.float64) @ values).astype(np.int64)

    def merge(self, other: "WeightedSums") -> None:
        """Add the sums of other visitors."""
        self.counts += other.counts
        self.sums += other.sums

    def means(self) -> NDArray[np.float64]:
        """Return the mean of each cell in each replicate, NaN in a replicate that nobody is in."""
        counts = np.where(self.counts > 0, self.counts, np.nan)[:, None]
        return np.asarray(self.sums / counts / _UNITS)


def bounds(means: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the bounds of the 95 % interval of each cell, shape (2, cells); None if there are no replicates.

    They are the 2.5th and the 97.5th percentile of the replicates' means (Efron and Tibshirani, An introduction to the
    bootstrap, 1993, chapter 13), interpolated linearly between the means next to them: of n sorted means, numbered from
    0, the one with the number p (n - 1). Replicates that nobody is in are left out.

    Args:
        means: shape (replicates, cells), without the replicate with the number 0.
    """
    drawn = means[~np.isnan(means).any(axis=1)]
    return np.quantile(drawn, _BOUNDS, axis=0) if len(drawn) else None
