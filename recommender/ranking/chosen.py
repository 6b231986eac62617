"""The k best items of one visitor, exactly, if some items may not be listed and the scores of some are multiplied.

The search is that of `top_k`: items in the order of falling norm, until none that is left can reach the k-th score. An
item with the factor f reaches at most f times the product of the norms, so that items that are not boosted drop out of
the search before those that are. Scores are computed in the same double precision, and multiplied as float32.

Example usage:
>>> items = arranged(np.arange(3), np.array([[3.0, 1.0], [2.0, 5.0], [3.0, 4.0]], dtype=np.float32))
>>> visitor = np.array([1.0, 0.0], dtype=np.float32)
>>> first = np.array([0])
>>> best = best_of(visitor, items, 2, first, lambda own: (None, np.where(items.indexes[own] == 1, np.float32(2), 1)), 2)
>>> best[0].tolist(), best[1].tolist()
([1, 2], [4.0, 3.0])
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from recommender.ranking.top_k import (
    EMPTY,
    ROUNDING,
    TINY,
    Factors,
    Indexes,
    Items,
    arranged,  # noqa: F401 - for the example
    check_norms,
    found,
    keys_of,
    nothing_found,
    places_of,
    reach_of,
    thresholds_of,
)

_FIRST = 8192  # items; each further block is twice as long
_RESCORED = 4096  # scores are computed again at once
_GATHERED = 0.25  # a larger share of a block is scored with the rest of it

Choose = Callable[[slice], tuple[NDArray[np.bool_] | None, Factors | None]]


def best_of(
    visitor: Factors,
    items: Items,
    k: int,
    excluded: NDArray[np.int64],
    choose: Choose | None = None,
    largest: float = 1.0,
) -> tuple[Indexes, Factors]:
    """Return the k best items and their scores, fewer if there are not so many; equal scores by index.

    Args:
        visitor: factors, shape (rank,).
        items: see `top_k`.
        k: how many, >= 1.
        excluded: indexes that must not be listed.
        choose: for some of the items, in their order: which may be listed (None: all), and the factor of each, above 0
            (None: 1). A positive score is multiplied by it, a negative one divided. None: all items, as they are.
        largest: no factor, and no factor's inverse, is larger.
    """
    vector = visitor[None]
    check_norms(vector, items.norms[:1])
    search = _Search(visitor, items, nothing_found(1, k), max(largest, 1.0))
    barred = np.sort(places_of(items, (excluded, np.array([0, len(excluded)])))[1])
    start, width = 0, _FIRST
    while start < len(items.norms) and search.can_improve(start):
        own = slice(start, min(start + width, len(items.norms)))
        met, factors = choose(own) if choose else (None, None)
        may = search.may_improve(own, factors)
        if met is not None:
            may &= met
        may[barred[slice(*np.searchsorted(barred, [own.start, own.stop]))] - start] = False
        rows = np.flatnonzero(may)
        if len(rows):
            search.improve(own, rows, None if factors is None else factors[rows])
        start, width = own.stop, 2 * width
    indexes, scores = found(search.best)
    number = int((search.best != EMPTY).sum())
    return indexes[0, :number], scores[0, :number]


def multiplied(scores: Factors, factors: Factors) -> Factors:
    """Return scores times factors, negative ones divided by them, so that a factor above 1 is always better."""
    better: Factors = np.where(scores > 0, scores * factors, scores / factors)
    return better


class _Search:
    """The best so far of one visitor."""

    def __init__(self, visitor: Factors, items: Items, best: NDArray[np.int64], largest: float) -> None:
        self.visitor, self.items, self.best, self.largest = visitor, items, best, largest
        self.exact = visitor.astype(np.float64)
        self.reach = float(reach_of(visitor[None])[0])
        self.least = -np.inf

    def can_improve(self, start: int) -> bool:
        """Return whether an item from a place on can be among the best."""
        return self.reach * float(self.items.norms[start]) * self.largest + TINY >= self.least

    def may_improve(self, own: slice, factors: Factors | None) -> NDArray[np.bool_]:
        """Return which items can be among the best."""
        bound = self.items.norms[own] * (self.reach * (1 + 4 * ROUNDING))
        return (bound if factors is None else bound * factors) + TINY >= self.least

    def improve(self, own: slice, rows: NDArray[np.int64], factors: Factors | None) -> None:
        """Merge some items of a block into the best; `factors`: of these items."""
        k, places = self.best.shape[1], own.start + rows
        if len(rows) > _GATHERED * (rows[-1] - rows[0] + 1):
            scores = (self.items.factors[places[0] : places[-1] + 1] @ self.visitor)[rows - rows[0]]
        else:
            scores = self.items.factors[places] @ self.visitor
        if factors is not None:
            scores = multiplied(scores, factors)
        # By how much such a score may be wrong; the products as in `top_k`, and one more operation.
        reach = self.reach * float(self.items.norms[places[0]])
        error = self.largest * reach * ROUNDING * (len(self.visitor) + 12) + TINY
        least = self.least - error
        if np.isneginf(least) and len(scores) > k:
            least = float(np.partition(scores, len(scores) - k)[len(scores) - k]) - 2 * error
        near = np.flatnonzero(scores >= least)
        for start in range(0, len(near), _RESCORED):
            part = near[start : start + _RESCORED]
            self._merge(places[part], None if factors is None else factors[part])

    def _merge(self, places: NDArray[np.int64], factors: Factors | None) -> None:
        products = self.items.factors[places].astype(np.float64)
        products *= self.exact
        scores = products.sum(axis=1).astype(np.float32)
        keys = keys_of(scores if factors is None else multiplied(scores, factors), self.items.indexes[places])
        k = self.best.shape[1]
        self.best[0] = np.sort(np.concatenate([self.best[0], keys]))[: -k - 1 : -1]
        self.least = float(thresholds_of(self.best)[0])
