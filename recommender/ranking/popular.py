"""Fill lists that are too short with the most popular items that the visitor may still get.

Example usage:
>>> positions, scores = np.array([[4, -1, -1]], dtype=np.int32), np.array([[0.9, np.nan, np.nan]], dtype=np.float32)
>>> popular = np.array([7, 4, 2, 5]), np.array([30.0, 20.0, 10.0, 5.0])
>>> fill_up(positions, scores, popular, (np.array([7]), np.array([0, 1]))).tolist()
[[False, True, True]]
>>> positions.tolist(), np.round(scores.astype(float), 1).tolist()
([[4, 2, 5]], [[0.9, 10.0, 5.0]])
"""

import numpy as np
from numpy.typing import NDArray

from recommender.ranking.top_k import NONE, Factors, Lists, Positions


def fill_up(
    positions: Positions,
    scores: Factors,
    popular: tuple[NDArray[np.int64], NDArray[np.float64]],
    excluded: Lists,
) -> NDArray[np.bool_]:
    """Fill the free places of each list, in place.

    Args:
        positions, scores: shape (visitors, k), as `top_k` returns them; changed in place.
        popular: the positions of items from the most to the least popular, and their popularity.
        excluded: the positions that a visitor must not get, as in `top_k`.

    Returns:
        Shape (visitors, k): whether the place was filled here. A place stays free where no item is left.
    """
    items, popularity = popular
    values, offsets = excluded
    filled = np.zeros(positions.shape, dtype=np.bool_)
    k = positions.shape[1]
    for visitor in np.flatnonzero((positions == NONE).any(axis=1)):
        own = values[offsets[visitor] : offsets[visitor + 1]]
        listed = int((positions[visitor] != NONE).sum())
        # Of so many, at least the k that are wanted are neither excluded nor in the list already.
        head = items[: k + len(own)]
        taken = np.isin(head, own) | np.isin(head, positions[visitor, :listed])
        chosen = np.flatnonzero(~taken)[: k - listed]
        places = slice(listed, listed + len(chosen))
        positions[visitor, places] = head[chosen]
        scores[visitor, places] = popularity[chosen]
        filled[visitor, places] = True
    return filled
