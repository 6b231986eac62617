"""The k best items of each visitor by the inner product of their factors, exactly, without scoring them all.

An inner product is at most the product of the norms. So the items are taken in the order of falling norm, a block at
a time, and a visitor leaves as soon as its norm times the largest remaining norm cannot reach its k-th score. Within a
block the scores are one matrix product, cut into chunks: only chunks whose maximum reaches the k-th score are looked at
again.

Example usage:
>>> visitors = np.array([[1.0, 0.0], [0.0, 2.0]], dtype=np.float32)
>>> items = np.array([[3.0, 1.0], [2.0, 5.0], [3.0, 4.0]], dtype=np.float32)
>>> excluded = np.array([2]), np.array([0, 0, 1])  # the second visitor may not see the item at position 2
>>> positions, scores = top_k(visitors, items, 2, excluded)
>>> positions.tolist(), scores.tolist()
([[0, 2], [1, 0]], [[3.0, 3.0], [10.0, 2.0]])
"""

import numpy as np
from numpy.typing import NDArray

NONE = -1  # the position where a visitor has fewer than k items
_CHUNK = 128
_VISITORS = 256  # are worked on together
_WIDTH = 4096  # items at least are scored at once
_SCORES = 2**21  # that are computed at once: 8 MB, so that they are still in the cache when they are looked at
_TINY = float(np.finfo(np.float32).tiny)  # what rounding may add to a denormal product

Positions = NDArray[np.int32]
Factors = NDArray[np.float32]
Lists = tuple[NDArray[np.int64], NDArray[np.int64]]  # all values, and the n + 1 offsets of the n lists


def top_k(visitors: Factors, items: Factors, k: int, excluded: Lists) -> tuple[Positions, Factors]:
    """Return the k best items of each visitor.

    Args:
        visitors: factors, shape (visitors, rank), finite.
        items: factors, shape (items, rank), finite.
        k: how many items to return, >= 1.
        excluded: the positions of the items that a visitor must not get, as (values, offsets): those of visitor v are
            ``values[offsets[v]:offsets[v + 1]]``.

    Returns:
        positions, shape (visitors, k), best first, equal scores by position, `NONE` where no item is left; and their
        scores, NaN where there is none.
    """
    norms = np.sqrt(np.einsum("ij,ij->i", items, items, dtype=np.float64))
    order = np.argsort(-norms, kind="stable")
    falling = np.ascontiguousarray(items[order])
    place = np.empty(len(items), dtype=np.int64)
    place[order] = np.arange(len(items))
    values, offsets = excluded
    barred = place[values]
    positions = np.full((len(visitors), k), NONE, dtype=np.int32)
    scores = np.full((len(visitors), k), -np.inf, dtype=np.float32)
    for start in range(0, len(visitors), _VISITORS):
        own = slice(start, start + _VISITORS)
        bounds = offsets[start : start + _VISITORS + 1]
        rows = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        search = _Search(visitors[own], falling, norms[order], order, positions[own], scores[own])
        search.run(rows, barred[bounds[0] : bounds[-1]])
        _score_again(visitors[own], items, positions[own], scores[own])
    return positions, scores


def _score_again(visitors: Factors, items: Factors, positions: Positions, scores: Factors) -> None:
    """Score the found items in double precision, in place: their scores depend on no matrix product's shape."""
    if not len(items):
        scores[:] = np.nan
        return
    chosen = items[positions].astype(np.float64)
    exact = np.einsum("vkr,vr->vk", chosen, visitors.astype(np.float64)).astype(np.float32)
    exact[positions == NONE] = np.nan
    best_first = np.lexsort((positions, -exact), axis=1)  # NaN comes last
    positions[:] = np.take_along_axis(positions, best_first, axis=1)
    scores[:] = np.take_along_axis(exact, best_first, axis=1)


class _Search:
    """The search for one slice of visitors. `positions` and `scores` hold the best so far, best first."""

    def __init__(
        self,
        visitors: Factors,
        items: Factors,
        norms: NDArray[np.float64],
        order: NDArray[np.int64],
        positions: Positions,
        scores: Factors,
    ) -> None:
        self.visitors, self.items, self.order = visitors, items, order
        self.positions, self.scores = positions, scores
        lengths = np.sqrt(np.einsum("ij,ij->i", visitors, visitors, dtype=np.float64))
        # A sum of float32 products may exceed the product of the norms by its rounding.
        self.reach = lengths * (1 + 2.0**-22 * (visitors.shape[1] + 4))
        self.norms = norms

    def run(self, barred_rows: NDArray[np.int64], barred: NDArray[np.int64]) -> None:
        """Search all items; row `barred_rows[i]` must not get the item at `barred[i]` of the falling order."""
        by_item = np.argsort(barred, kind="stable")
        barred_rows, barred = barred_rows[by_item], barred[by_item]
        active = np.arange(len(self.visitors))
        start = 0
        while start < len(self.items) and len(active):
            width = max(_SCORES // len(active), _WIDTH)
            stop = min(start + width, len(self.items))
            inside = slice(*np.searchsorted(barred, [start, stop]))
            self._block(active, start, stop, barred_rows[inside], barred[inside] - start)
            if stop < len(self.items):
                best = self.reach[active] * self.norms[stop] + _TINY
                active = active[best >= self.scores[active, -1]]
            start = stop

    def _block(
        self,
        active: NDArray[np.int64],
        start: int,
        stop: int,
        barred_rows: NDArray[np.int64],
        barred: NDArray[np.int64],
    ) -> None:
        """Score the active visitors with the items of a block and keep what is among their best."""
        k = self.scores.shape[1]
        # Enough chunks that the k largest maxima say something, and each of them cheap to look at.
        chunks = max((stop - start) // _CHUNK, min(4 * k, (stop - start) // 2), 1)
        depth = -(-(stop - start) // chunks)
        product = np.empty((len(active), depth * chunks), dtype=np.float32)
        np.matmul(self.visitors[active], self.items[start:stop].T, out=product[:, : stop - start])
        product[:, stop - start :] = -np.inf
        row_of = np.full(len(self.visitors), -1)
        row_of[active] = np.arange(len(active))
        rows = row_of[barred_rows]
        product[rows[rows >= 0], barred[rows >= 0]] = -np.inf

        # Chunk c holds the columns c, c + chunks, c + 2 chunks, ...: so the maxima are taken over whole rows at once.
        pieces = product.reshape(len(active), depth, chunks)
        maxima = pieces.max(axis=1)
        least = self.scores[active, -1]
        if chunks > k:
            # At least k scores reach the k-th largest maximum, so a smaller one is not among the k best.
            least = np.maximum(least, np.partition(maxima, chunks - k, axis=1)[:, chunks - k])
        rows, chunk = np.nonzero((maxima >= least[:, None]) & (maxima > -np.inf))
        candidates = pieces[rows, :, chunk]
        which, layer = np.nonzero(candidates >= np.maximum(least[rows, None], np.finfo(np.float32).min))
        if len(which):
            columns = layer * chunks + chunk[which]
            self._merge(active, rows[which], self.order[start + columns], candidates[which, layer])

    def _merge(
        self, active: NDArray[np.int64], rows: NDArray[np.int64], positions: NDArray[np.int64], found: Factors
    ) -> None:
        """Merge candidates, given by row of `active`, into the best so far."""
        touched = np.unique(rows)
        k = self.scores.shape[1]
        old = active[touched]
        all_rows = np.concatenate([np.repeat(np.arange(len(touched)), k), np.searchsorted(touched, rows)])
        all_positions = np.concatenate([self.positions[old].ravel().astype(np.int64), positions])
        all_scores = np.concatenate([self.scores[old].ravel(), found])
        best_first = np.lexsort((all_positions, -all_scores, all_rows))
        sizes = np.bincount(all_rows, minlength=len(touched))
        firsts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        kept = best_first[firsts[:, None] + np.arange(k)]
        self.positions[old] = all_positions[kept]
        self.scores[old] = all_scores[kept]
