"""The k best items of each visitor by the inner product of their factors, exactly, without scoring them all.

An inner product is at most the product of the norms. So the items are taken in the order of falling norm, a block at
a time, and a visitor leaves as soon as its norm times the largest remaining norm cannot reach its k-th score. Within a
block the scores are one float32 matrix product, cut into chunks: only chunks whose maximum can reach the k-th score are
looked at again, and what is found there is scored once more, in double precision. That score, rounded to float32, is
the one that counts, so that the result depends neither on the blocks nor on the machine's matrix product.

The best so far of a visitor are k numbers of 64 bits, its keys: the score above the index, put so that the larger key
is the better item. They can be carried from one block of items to the next, also to another process.

Example usage:
>>> visitors = np.array([[1.0, 0.0], [0.0, 2.0]], dtype=np.float32)
>>> items = arranged(np.arange(3), np.array([[3.0, 1.0], [2.0, 5.0], [3.0, 4.0]], dtype=np.float32))
>>> excluded = np.array([2]), np.array([0, 0, 1])  # the second visitor may not see the item with the index 2
>>> indexes, scores = top_k(visitors, items, 2, excluded)
>>> indexes.tolist(), scores.tolist()
([[0, 2], [1, 0]], [[3.0, 3.0], [10.0, 2.0]])
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

NONE = -1  # the index where a visitor has fewer than k items
EMPTY = np.iinfo(np.int64).min  # the key of such a place
_CHUNK = 128  # items of which the largest score is looked at first
_VISITORS = 512  # are worked on together
_WIDTH = 2048  # items at least are scored at once
_SCORES = 2**20  # are computed at once: 4 MB, so that they are still in the cache when they are looked at
_FIRST_CHUNKS = 4  # times k
_RESCORED = 512  # scores are computed again at once, while their factors are in the cache
ROUNDING = 2.0**-24  # of one float32 operation, relative
TINY = 2.0**-120  # more than rounding adds to a sum of denormal products
_LOWEST = float(np.finfo(np.float32).min)
_INDEX_BITS = 32
_LARGEST_INDEX = 2**31 - 1

Factors = NDArray[np.float32]
Indexes = NDArray[np.int32]
Keys = NDArray[np.int64]
Lists = tuple[NDArray[np.int64], NDArray[np.int64]]  # all values, and the n + 1 offsets of the n lists


@dataclass(frozen=True)
class Items:
    """Items in the order of falling norm.

    Attributes:
        indexes: int32, each once, >= 0. factors: float32, shape (items, rank), finite. norms: double.
        by_index: the places of the items in the order of the indexes.
    """

    indexes: Indexes
    factors: Factors
    norms: NDArray[np.float64]

    by_index: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_index", np.argsort(self.indexes, kind="stable"))


def norms_of(factors: Factors) -> NDArray[np.float64]:
    """Return the Euclidean norm of each row, in double precision."""
    norms: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", factors, factors, dtype=np.float64))
    return norms


def arranged(indexes: NDArray[np.integer], factors: Factors) -> Items:
    """Return items in the order of falling norm."""
    norms = norms_of(factors)
    order = np.argsort(-norms, kind="stable")
    return Items(indexes[order].astype(np.int32), np.ascontiguousarray(factors[order]), norms[order])


def top_k(visitors: Factors, items: Items, k: int, excluded: Lists) -> tuple[Indexes, Factors]:
    """Return the k best items of each visitor.

    Args:
        visitors: factors, shape (visitors, rank), finite.
        items: the items; a visitor's norm times an item's must fit into a float32.
        k: how many items to return, >= 1.
        excluded: the indexes of the items that a visitor must not get, as (values, offsets): those of visitor v are
            ``values[offsets[v]:offsets[v + 1]]``.

    Returns:
        indexes, shape (visitors, k), best first, equal scores by index, `NONE` where no item is left; and their scores,
        NaN if there is none.

    Raises:
        ValueError: the factors are not finite, or too large.
    """
    best = nothing_found(len(visitors), k)
    improve(best, visitors, items, excluded)
    return found(best)


def nothing_found(visitors: int, k: int) -> Keys:
    """Return the keys of visitors for whom no item was looked at, shape (visitors, k)."""
    return np.full((visitors, k), EMPTY, dtype=np.int64)


def found(best: Keys) -> tuple[Indexes, Factors]:
    """Return the indexes and scores that keys stand for, as `top_k` does."""
    bits = (best >> _INDEX_BITS).astype(np.int32)
    scores = np.where(bits < 0, bits ^ 0x7FFFFFFF, bits).astype(np.int32).view(np.float32).copy()
    indexes = (_LARGEST_INDEX - (best & 0xFFFFFFFF)).astype(np.int32)
    scores[best == EMPTY] = np.nan
    indexes[best == EMPTY] = NONE
    return indexes, scores


def can_improve(best: Keys, visitors: Factors, norm: float) -> NDArray[np.bool_]:
    """Return which visitors may find an item among their best whose norm is at most so large."""
    return reach_of(visitors) * norm + TINY >= thresholds_of(best)


def improve(best: Keys, visitors: Factors, items: Items, excluded: Lists) -> int:
    """Merge some items into the best so far, in place.

    Args:
        best: keys, shape (visitors, k), in falling order; a key may also stand for an item that is not known any more,
            where only what is better than it is wanted.
        visitors, items, excluded: see `top_k`.

    Returns:
        How many inner products were computed.
    """
    check_norms(visitors, items.norms)
    rows, places = places_of(items, excluded)
    computed = 0
    scratch = np.empty(_VISITORS * (max(_SCORES // _VISITORS, _WIDTH) + _CHUNK) + _SCORES, dtype=np.float32)
    starts = np.searchsorted(rows, np.arange(0, len(visitors) + _VISITORS, _VISITORS))
    for number, start in enumerate(range(0, len(visitors), _VISITORS)):
        own, barred = slice(start, start + _VISITORS), slice(*starts[number : number + 2])
        by_place = np.argsort(places[barred], kind="stable")
        its_rows, its_places = rows[barred][by_place] - start, places[barred][by_place]
        computed += _Search(visitors[own], items, best[own], its_rows, its_places, scratch).run()
    return computed


def check_norms(visitors: Factors, norms: NDArray[np.float64]) -> None:
    """Raise a ValueError if a score may be beyond the range of float32."""
    largest = max(norms_of(visitors).max(initial=0), 1.0) * max(norms.max(initial=0), 1.0)
    # A sum of rounded products may be larger than the product of the norms.
    if not largest <= -_LOWEST * (1 - 2 * ROUNDING * (visitors.shape[1] - 1)):
        sentence = "factors must be finite, and their products fit into a float32"
        raise ValueError(f"{sentence}, got norms whose product is {largest:.3g}")


def places_of(items: Items, excluded: Lists) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the row of the visitor and the place of the item of everything that is excluded."""
    values, offsets = excluded
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    if not len(items.indexes) or not len(values):
        return rows[:0], rows[:0]
    # Of the same type: else all indexes would be copied.
    by_index, values = items.by_index, values.astype(items.indexes.dtype)
    places = by_index[np.minimum(np.searchsorted(items.indexes, values, sorter=by_index), len(by_index) - 1)]
    known = items.indexes[places] == values
    return rows[known], places[known]


def reach_of(visitors: Factors) -> NDArray[np.float64]:
    """Return the norms, a little larger: rounded scores may exceed the product of the norms."""
    return norms_of(visitors) * (1 + ROUNDING * 4)


def thresholds_of(best: Keys) -> NDArray[np.float64]:
    """Return the score that an item must reach to be among the best; -inf where any item is."""
    _, scores = found(best[:, -1])
    return np.where(best[:, -1] == EMPTY, -np.inf, scores.astype(np.float64))


def keys_of(scores: Factors, indexes: Indexes) -> Keys:
    """Return numbers that are larger for a larger score, and for a smaller index where scores are equal."""
    bits = (scores + np.float32(0)).view(np.int32)  # -0 and 0 are equal
    ordered = np.where(bits < 0, bits ^ 0x7FFFFFFF, bits).astype(np.int64)
    keys: Keys = (ordered << _INDEX_BITS) | (_LARGEST_INDEX - indexes.astype(np.int64))
    return keys


def _halvings(width: int, chunks: int) -> int:
    """Return how often a width is halved to be left with chunks of a good size, and with so many of them at least."""
    number = 0
    while 2 << number <= min(_CHUNK, width // chunks):
        number += 1
    return number


def _maxima(product: Factors, halvings: int) -> Factors:
    """Return the larger of the halves of each row, and so on."""
    for _ in range(halvings):
        half = product.shape[1] // 2
        product = np.maximum(product[:, :half], product[:, half:])
    return product


class _Search:
    """The search for one slice of visitors; row `rows[i]` must not get the item at `places[i]`, in rising order."""

    def __init__(
        self,
        visitors: Factors,
        items: Items,
        best: Keys,
        rows: NDArray[np.int64],
        places: NDArray[np.int64],
        scratch: Factors,
    ) -> None:
        self.visitors, self.items, self.best = visitors, items, best
        self.rows, self.places = rows, places
        self.scratch = scratch
        self.exact = visitors.astype(np.float64)
        self.reach = reach_of(visitors)
        # By how much a float32 product, and a rounded threshold, may be wrong, per norm of the item: Higham 2002, 3.1.
        self.error = self.reach * ROUNDING * (visitors.shape[1] + 8)
        self.least = thresholds_of(best)

    def run(self) -> int:
        """Search all items; return how many inner products were computed."""
        norms, number = self.items.norms, len(self.items.norms)
        active = np.arange(len(self.visitors))
        start = computed = 0
        while start < number:
            active = active[self.reach[active] * norms[start] + TINY >= self.least[active]]
            if not len(active):
                break
            stop = min(start + max(_SCORES // len(active), _WIDTH), number)
            self._block(active, start, stop)
            computed += len(active) * (stop - start)
            start = stop
        return computed

    def _block(self, active: NDArray[np.int64], start: int, stop: int) -> None:
        """Score the active visitors with the items of a block and keep the best."""
        k, width = self.best.shape[1], stop - start
        is_first = bool(np.isneginf(self.least[active]).any())
        # At first enough chunks that the k largest maxima say something, and each of them cheap to look at.
        halvings = _halvings(width, _FIRST_CHUNKS * k if is_first else 1)
        chunks = -(-width >> halvings)
        product = self._product(active, start, stop, chunks << halvings)
        # Chunk c holds the columns c, c + chunks, c + 2 chunks, ...: so halves of whole rows are compared at once.
        pieces = product.reshape(len(active), 1 << halvings, chunks)
        maxima = _maxima(product, halvings)
        error = self.error[active] * self.items.norms[start] + TINY
        least = self.least[active] - error
        if is_first and chunks > k:
            # At least k scores reach the k-th largest maximum, so a smaller one is not among the k best.
            least = np.maximum(least, np.partition(maxima, chunks - k, axis=1)[:, chunks - k] - 2 * error)
        low = np.maximum(least, _LOWEST).astype(np.float32)
        rows, chunk = np.nonzero(maxima >= low[:, None])
        candidates = pieces[rows, :, chunk]
        which, layer = np.nonzero(candidates >= low[rows, None])
        if len(which):
            self._merge(active[rows[which]], start + layer * chunks + chunk[which])

    def _product(self, active: NDArray[np.int64], start: int, stop: int, columns: int) -> Factors:
        """Return the scores of a block, -inf for excluded items and in surplus columns."""
        product = self.scratch[: len(active) * columns].reshape(len(active), columns)
        visitors = self.visitors if len(active) == len(self.visitors) else self.visitors[active]
        np.matmul(visitors, self.items.factors[start:stop].T, out=product[:, : stop - start])
        product[:, stop - start :] = -np.inf
        inside = slice(*np.searchsorted(self.places, [start, stop]))
        row_of = np.full(len(self.visitors), -1)
        row_of[active] = np.arange(len(active))
        rows = row_of[self.rows[inside]]
        product[rows[rows >= 0], self.places[inside][rows >= 0] - start] = -np.inf
        return product

    def _merge(self, rows: NDArray[np.int64], places: NDArray[np.int64]) -> None:
        """Merge candidates, the row of the visitor (rising) and the place of the item, into the best so far."""
        keys = np.concatenate(
            [
                self._exact_keys(rows[start : start + _RESCORED], places[start : start + _RESCORED])
                for start in range(0, len(rows), _RESCORED)
            ]
        )
        better = keys > self.best[rows, -1]
        rows, keys = rows[better], keys[better]
        if not len(rows):
            return
        touched, firsts, counts = np.unique(rows, return_index=True, return_counts=True)
        k = self.best.shape[1]
        merged = np.full((len(touched), k + counts.max()), EMPTY, dtype=np.int64)
        merged[:, :k] = self.best[touched]
        merged[np.repeat(np.arange(len(touched)), counts), np.arange(len(rows)) - np.repeat(firsts, counts) + k] = keys
        merged.sort(axis=1)
        self.best[touched] = merged[:, : -k - 1 : -1]
        self.least[touched] = thresholds_of(self.best[touched])

    def _exact_keys(self, rows: NDArray[np.int64], places: NDArray[np.int64]) -> Keys:
        """Score in double precision; the sum of a row does not depend on how many rows there are."""
        products = self.items.factors.take(places, axis=0).astype(np.float64)
        products *= self.exact.take(rows, axis=0)
        return keys_of(products.sum(axis=1).astype(np.float32), self.items.indexes[places])
