"""Fill lists that are too short with the most popular items that the visitor may still get.

Example usage:
>>> indexes, scores = np.array([[4, -1, -1]], dtype=np.int32), np.array([[0.9, np.nan, np.nan]], dtype=np.float32)
>>> popular = np.array([7, 4, 2, 5]), np.array([30.0, 20.0, 10.0, 5.0])
>>> fill_up(indexes, scores, popular, (np.array([7]), np.array([0, 1]))).tolist()
[[False, True, True]]
>>> indexes.tolist(), np.round(scores.astype(float), 1).tolist()
([[4, 2, 5]], [[0.9, 10.0, 5.0]])
"""

import numpy as np
from numpy.typing import NDArray

from recommender.ranking.top_k import NONE, Factors, Indexes, Lists


def fill_up(
    indexes: Indexes,
    scores: Factors,
    popular: tuple[NDArray[np.int32], NDArray[np.float64]],
    excluded: Lists,
) -> NDArray[np.bool_]:
    """Fill the free places of each list, in place.

    Args:
        indexes, scores: shape (visitors, k), as `top_k` returns them; changed in place.
        popular: the indexes of items from the most to the least popular, and their popularity.
        excluded: the indexes that a visitor must not get, as in `top_k`.

    Returns:
        Shape (visitors, k): whether the place was filled here. A place stays free where no item is left.
    """
    items, popularity = popular
    values, offsets = excluded
    filled = np.zeros(indexes.shape, dtype=np.bool_)
    k = indexes.shape[1]
    for visitor in np.flatnonzero((indexes == NONE).any(axis=1)):
        own = values[offsets[visitor] : offsets[visitor + 1]]
        listed = int((indexes[visitor] != NONE).sum())
        # Of so many, at least the k that are wanted are neither excluded nor in the list already.
        head = items[: k + len(own)]
        taken = np.isin(head, own) | np.isin(head, indexes[visitor, :listed])
        chosen = np.flatnonzero(~taken)[: k - listed]
        places = slice(listed, listed + len(chosen))
        indexes[visitor, places] = head[chosen]
        scores[visitor, places] = popularity[chosen]
        filled[visitor, places] = True
    return filled
