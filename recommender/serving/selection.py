"""Lists that are chosen by more than scores: what the shop boosts, and at most so many items of a brand.

Both work on any search for the best items, `Best`, so that they are exact over the whole catalogue: the items of each
boost are searched by themselves and merged, and what a full brand leaves open is searched again without that brand.

Example usage:
>>> attributes = {"brand": pa.array(["x", "x", "x", "y", None])}
>>> scores = np.array([5.0, 4.0, 3.0, 2.0, 1.0], np.float32)
>>> def best(k, excluded, wanted):
...     may = np.setdiff1d(np.flatnonzero(np.ones(5) if wanted is None else wanted.items), excluded)[:k]
...     return Ranked(may, scores[may], np.zeros(len(may), np.bool_))
>>> filters = Filters(attributes, ranked=np.arange(5))
>>> diverse(best, filters, filters.limits("brand:1"))(3, np.array([], np.int64), None).item.tolist()
[0, 3, 4]
>>> boosted(best, filters.boosts("brand:y*2"))(3, np.array([], np.int64), None).item.tolist()
[0, 1, 3]
"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa  # noqa: F401 - for the example
from numpy.typing import NDArray

from recommender.serving.engine import Ranked
from recommender.serving.filters import Boosts, Filters, Limit, Wanted

Best = Callable[[int, NDArray[np.int64], Wanted | None], Ranked]  # k, excluded items (rising), wanted items


class Quota:
    """How many more items of each value a list may have.

    Init parameters:
        limits: how many of each value of an attribute; an item without a value is not limited.
    """

    def __init__(self, limits: Sequence[Limit]) -> None:
        self._limits = limits
        self._counts: list[Counter[int]] = [Counter() for _ in limits]

    def take(self, item: int) -> bool:
        """Return whether the list may have one more item, and count it."""
        values = [int(limit.values[item]) for limit in self._limits]
        each = list(zip(self._limits, self._counts, values, strict=True))
        if any(value >= 0 and counts[value] >= limit.most for limit, counts, value in each):
            return False
        for _, counts, value in each:
            counts[value] += 1
        return True

    def open(self) -> NDArray[np.bool_]:
        """Return which items, by index, the list may still have."""
        may = np.ones(len(self._limits[0].values), np.bool_)
        for limit, counts in zip(self._limits, self._counts, strict=True):
            full = [value for value, number in counts.items() if value >= 0 and number >= limit.most]
            may &= ~np.isin(limit.values, full)
        return may


def diverse(best: Best, filters: Filters, limits: Sequence[Limit]) -> Best:
    """Return a search whose lists keep to the limits: from the best on, an item is taken unless its value is full."""

    def search(k: int, excluded: NDArray[np.int64], wanted: Wanted | None) -> Ranked:
        quota, parts, size, missing = Quota(limits), list[Ranked](), 2 * k, k
        while True:
            ranked = best(size, excluded, wanted)
            taken = [place for place, item in enumerate(ranked.item.tolist()) if missing and quota.take(item)][:missing]
            parts.append(Ranked(ranked.item[taken], ranked.score[taken], ranked.popular[taken]))
            missing -= len(taken)
            if not missing or len(ranked.item) < size:
                return _joined(parts)
            excluded = np.union1d(excluded, ranked.item)
            wanted, size = filters.narrowed(wanted, quota.open()), 2 * size

    return search


def boosted(best: Best, boosts: Boosts) -> Best:
    """Return a search by boosted scores; see `Boosts`. Popular items that fill a list stay behind all others."""

    def search(k: int, excluded: NDArray[np.int64], wanted: Wanted | None) -> Ranked:
        parts = []
        for members in boosts.members(wanted):
            ranked = best(k, excluded, members)
            parts.append(Ranked(ranked.item, boosts.scores(ranked.item, ranked.score), ranked.popular))
        every = _joined(parts)
        order = np.lexsort((every.item, -every.score, every.popular))[:k]
        return Ranked(every.item[order], every.score[order], every.popular[order])

    return search


def _joined(parts: Sequence[Ranked]) -> Ranked:
    items, scores, popular = ([getattr(part, name) for part in parts] for name in ("item", "score", "popular"))
    return Ranked(np.concatenate(items), np.concatenate(scores), np.concatenate(popular))
