"""Lists that are chosen by more than scores: popular items by a choice, and at most so many items of a brand.

A limit works on any search for the best items, `Best`, and is exact over the whole catalogue: what a full brand leaves
open is searched again without that brand.

Example usage:
>>> filters = Filters({"brand": pa.array(["x", "x", "x", "y", None])}, ranked=np.arange(5))
>>> popular = np.arange(5, dtype=np.int32), np.array([5.0, 4.0, 3.0, 2.0, 1.0])
>>> most_popular(popular, 3, np.array([0]), filters.choice(boosts="brand:y*2"))[0].tolist()
[1, 3, 2]
>>> def best(k, excluded, choice):
...     items, scores = most_popular(popular, k, excluded, choice)
...     return Ranked(items, scores, np.ones(len(items), np.bool_))
>>> diverse(best, filters.limits("brand:1"))(3, np.array([], np.int64), filters.choice()).item.tolist()
[0, 3, 4]
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa  # noqa: F401 - for the example
from numpy.typing import NDArray

from recommender.serving.filters import Choice, Filters, Limit, Places  # noqa: F401 - for the example
from recommender.snapshot.catalogue import Popular

_FIRST = 1024  # popular items that are looked at; then twice as many, and so on


@dataclass(frozen=True)
class Ranked:
    """A list, best first: indexes, scores, and whether a place was filled with a popular item."""

    item: NDArray[np.int32]
    score: NDArray[np.float32]
    popular: NDArray[np.bool_]


Best = Callable[[int, NDArray[np.int64], Choice], Ranked]  # k, excluded items (rising), what is chosen


class Quota:
    """How many more items of each value a list may have.

    Init parameters:
        limits: how many of each value of an attribute; an item without a value is not limited.
    """

    def __init__(self, limits: Sequence[Limit]) -> None:
        self._limits = limits
        self._counts: list[Counter[int]] = [Counter() for _ in limits]

    def take(self, place: int) -> bool:
        """Return whether the list may have one more item, and count it."""
        codes = [int(limit.codes[place]) for limit in self._limits]
        each = list(zip(self._limits, self._counts, codes, strict=True))
        if any(code and counts[code] >= limit.most for limit, counts, code in each):
            return False
        for _, counts, code in each:
            counts[code] += 1
        return True

    def is_open(self, places: Places) -> NDArray[np.bool_]:
        """Return which items the list may still have."""
        closed = []
        for limit, counts in zip(self._limits, self._counts, strict=True):
            full = [code for code, number in counts.items() if code and number >= limit.most]
            closed.append(np.isin(limit.codes[places], full))
        may: NDArray[np.bool_] = ~np.logical_or.reduce(closed)
        return may


def diverse(best: Best, limits: Sequence[Limit]) -> Best:
    """Return a search whose lists keep to the limits: from the best on, an item is taken unless its value is full."""

    def search(k: int, excluded: NDArray[np.int64], choice: Choice) -> Ranked:
        quota, parts, size, missing = Quota(limits), list[Ranked](), 2 * k, k
        while True:
            ranked = best(size, excluded, choice.narrowed(quota.is_open) if parts else choice)
            places = choice.place_of[ranked.item].tolist()
            taken = [row for row, place in enumerate(places) if missing and quota.take(place)][:missing]
            parts.append(Ranked(ranked.item[taken], ranked.score[taken], ranked.popular[taken]))
            missing -= len(taken)
            if not missing or len(ranked.item) < size:
                return _joined(parts)
            excluded, size = np.union1d(excluded, ranked.item), 2 * size

    return search


def most_popular(
    popular: Popular, k: int, excluded: NDArray[np.integer], choice: Choice | None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the k most popular items that may be listed, and their popularity, boosted.

    Args:
        popular: items, the most popular ones first. k: how many. excluded: must not be listed.
        choice: what is chosen; None: everything.
    """
    items, scores = np.array([], np.int32), np.array([], np.float32)
    start, width = 0, max(_FIRST, k)
    is_boosted = choice is not None and bool(choice.boosts)
    largest = 1.0 if choice is None else choice.largest
    while start < len(popular[0]):
        # What comes now is not among the k best: it is less popular, unless it is boosted.
        if len(items) == k and not (is_boosted and popular[1][start] * largest >= scores[-1]):
            break
        head, popularity = popular[0][start : start + width], popular[1][start : start + width]
        may = ~np.isin(head, excluded)
        met, factors = (None, None) if choice is None else choice.of_items(head)
        may &= True if met is None else met
        own = popularity[may].astype(np.float32)
        items = np.concatenate([items, head[may]])
        scores = np.concatenate([scores, own if factors is None else own * factors[may]])
        order = np.lexsort((items, -scores)) if is_boosted else np.arange(len(items))
        items, scores = items[order[:k]], scores[order[:k]]
        start, width = start + width, 2 * width
    return items, scores


def _joined(parts: Sequence[Ranked]) -> Ranked:
    items, scores, popular = ([getattr(part, name) for part in parts] for name in ("item", "score", "popular"))
    return Ranked(np.concatenate(items), np.concatenate(scores), np.concatenate(popular))
