"""The factors of visitors from their history and the items' factors: one half step of ALS, as MLlib solves it.

With feedback r of a visitor on its items i, their factors y, regParam λ and the number n of items with r > 0, the
implicit solution (Hu, Koren and Volinsky 2008, equation 4, with MLlib's regularisation by count) is

    c_i = alpha |r_i|        x = (YᵀY + Σ c_i y_i y_iᵀ + λ n I)⁻¹ Σ_{r_i > 0} (1 + c_i) y_i

and the explicit one x = (Σ y_i y_iᵀ + λ n I)⁻¹ Σ r_i y_i, with n the number of items.

Example usage:
>>> items = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
>>> history = np.array([0]), np.array([0, 1, 1])  # the first visitor has one item, the second none
>>> fold_in(history, np.array([2.0]), items, implicit_prefs=True, alpha=1.0, reg_param=0.5).round(4).tolist()
[[0.857..., 0.0], [0.0, 0.0]]
"""

import numpy as np
from numpy.typing import NDArray

from recommender.ranking.top_k import Factors, Lists

_BATCH = 256


def fold_in(
    history: Lists,
    scores: NDArray[np.float64],
    items: Factors,
    *,
    implicit_prefs: bool,
    alpha: float,
    reg_param: float,
) -> Factors:
    """Return the factors of visitors that were not in training, or whose history has changed.

    Args:
        history: the positions of each visitor's items in `items`, as (values, offsets).
        scores: the feedback r that belongs to each of the values.
        items: factors, shape (items, rank).
        implicit_prefs, alpha, reg_param: as the items' factors were fitted with.

    Returns:
        Factors, shape (visitors, rank), zeros for a visitor without positive feedback (implicit) or items (explicit).
    """
    values, offsets = history
    rank = items.shape[1]
    count = len(offsets) - 1
    factors = np.zeros((count, rank), dtype=np.float32)
    exact = items.astype(np.float64)
    gram = exact.T @ exact if implicit_prefs else np.zeros((rank, rank))
    for start in range(0, count, _BATCH):
        stop = min(start + _BATCH, count)
        left = np.zeros((stop - start, rank, rank))
        right = np.zeros((stop - start, rank, 1))
        for row, visitor in enumerate(range(start, stop)):
            own = slice(offsets[visitor], offsets[visitor + 1])
            y, r = exact[values[own]], scores[own]
            if implicit_prefs:
                confidence, positive = alpha * np.abs(r), r > 0
                left[row] = gram + (y.T * confidence) @ y
                right[row, :, 0] = y.T @ np.where(positive, 1 + confidence, 0.0)
                counted = int(positive.sum())
            else:
                left[row], right[row, :, 0], counted = y.T @ y, y.T @ r, len(r)
            # A visitor without feedback has the solution 0, whatever the left side.
            left[row] += (reg_param * counted if counted else 1.0) * np.eye(rank)
        factors[start:stop] = np.linalg.solve(left, right)[:, :, 0]
    return factors
