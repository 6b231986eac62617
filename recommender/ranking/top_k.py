"""The k best items of each visitor by the inner product of their factors, exactly.

The scores of a slice of visitors are one matrix product. To find the k best of a row without sorting it, the row is cut
into chunks: the k chunks with the largest maxima hold the k best items, so only those are looked at again.

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
_SLICE_BYTES = 64 * 2**20

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
    count = len(visitors)
    positions = np.full((count, k), NONE, dtype=np.int32)
    scores = np.full((count, k), np.nan, dtype=np.float32)
    if not len(items):
        return positions, scores
    values, offsets = excluded
    # Whole chunks, so that the maxima are those of a reshaped array; what is added is never chosen.
    width = -(-len(items) // _CHUNK) * _CHUNK
    size = max(_SLICE_BYTES // (4 * width), 1)
    product = np.empty((min(size, count), width), dtype=np.float32)
    for start in range(0, count, size):
        stop = min(start + size, count)
        rows = product[: stop - start]
        np.matmul(visitors[start:stop], items.T, out=rows[:, : len(items)])
        rows[:, len(items) :] = -np.inf
        lengths = np.diff(offsets[start : stop + 1])
        rows[np.repeat(np.arange(stop - start), lengths), values[offsets[start] : offsets[stop]]] = -np.inf
        found, best = _best(rows, min(k, len(items)))
        missing = np.isneginf(best)
        positions[start:stop, : found.shape[1]] = np.where(missing, NONE, found)
        scores[start:stop, : found.shape[1]] = np.where(missing, np.nan, best)
    return positions, scores


def _best(rows: Factors, k: int) -> tuple[NDArray[np.int64], Factors]:
    """Return the columns of the k largest values of each row and the values, equal values by column."""
    chunks = rows.reshape(len(rows), -1, _CHUNK)
    maxima = chunks.max(axis=2)
    if k < maxima.shape[1]:
        # Of chunks with equal maxima the first ones are taken: their items come first among equals, too.
        chosen = np.sort(np.argpartition(_order(maxima), k - 1, axis=1)[:, :k], axis=1)
        candidates = np.take_along_axis(chunks, chosen[:, :, None], axis=1).reshape(len(rows), -1)
        columns = (chosen[:, :, None] * _CHUNK + np.arange(_CHUNK)).reshape(len(rows), -1)
    else:
        candidates, columns = rows, np.broadcast_to(np.arange(rows.shape[1]), rows.shape)
    order = _order(candidates)
    if k < order.shape[1]:
        order_index = np.argpartition(order, k - 1, axis=1)[:, :k]
    else:
        order_index = np.broadcast_to(np.arange(order.shape[1]), order.shape)
    inner = np.argsort(np.take_along_axis(order, order_index, axis=1), axis=1)
    picked = np.take_along_axis(order_index, inner, axis=1)
    return np.take_along_axis(columns, picked, axis=1), np.take_along_axis(candidates, picked, axis=1)


def _order(values: Factors) -> NDArray[np.int64]:
    """Return distinct integers that sort as the values do, largest first, equal values by column."""
    bits = (np.ascontiguousarray(values) + np.float32(0.0)).view(np.int32)  # + 0.0: -0.0 equals 0.0
    # A float's bits sort as an integer once those of the negative ones are turned round.
    ascending = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int64)
    ordered: NDArray[np.int64] = (-ascending << 32) | np.arange(values.shape[1], dtype=np.int64)
    return ordered
