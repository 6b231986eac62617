"""The factors of visitors from their history and the items' factors: one half step of ALS, as MLlib solves it.

With feedback r of a visitor on its items i, their factors y, regParam λ and the number n of items with r > 0, the
implicit solution (Hu, Koren and Volinsky 2008, equation 4, with MLlib's regularisation by count) is

    c_i = alpha |r_i|        x = (YᵀY + Σ c_i y_i y_iᵀ + λ n I)⁻¹ Σ_{r_i > 0} (1 + c_i) y_i

and the explicit one x = (Σ y_i y_iᵀ + λ n I)⁻¹ Σ r_i y_i, with n the number of items. A model that was fitted with
another exponent than 1 has λ nᵖ in place of λ n. YᵀY is shared by all visitors:
who folds in one at a time computes it once.

Example usage:
>>> items = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
>>> history = np.array([0]), np.array([0, 1, 1])  # the first visitor has one item, the second none
>>> solver = Solver(implicit_prefs=True, alpha=1.0, reg_param=0.5)
>>> fold_in(history, np.array([2.0]), items, solver).round(4).tolist()
[[0.857..., 0.0], [0.0, 0.0]]
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.ranking.top_k import Factors, Lists

_BATCH = 256
_GRAM_ROWS = 2**16
_SWEEPS = 10_000
_PRECISION = 1e-9
_SINGULAR = 1e-12  # an eigenvalue so small, of the largest, is rounding


def gram(items: Factors) -> NDArray[np.float64]:
    """Return YᵀY, shape (rank, rank), in double precision."""
    total = np.zeros((items.shape[1], items.shape[1]))
    for start in range(0, len(items), _GRAM_ROWS):
        piece = items[start : start + _GRAM_ROWS].astype(np.float64)
        total += piece.T @ piece
    return total


@dataclass(frozen=True)
class Solver:
    """How the items' factors were fitted, and so how a visitor's are found.

    Init parameters:
        implicit_prefs: whether scores are confidence in a preference (implicit) or ratings (explicit).
        alpha: confidence per unit of score; only implicit.
        reg_param: regularisation.
        nonnegative: whether factors may not be negative.
        reg_exponent: power of the number of items that regularisation grows with; 1 is MLlib's.
    """

    implicit_prefs: bool
    alpha: float
    reg_param: float
    nonnegative: bool = False
    reg_exponent: float = 1.0

    def ridge(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the regularisation of visitors with so many items (implicit: with a score above 0).

        A visitor without any has the solution 0, whatever the left side; it gets 1.
        """
        counts = np.asarray(counts)
        power = np.power(np.maximum(counts, 1).astype(np.float64), self.reg_exponent)
        return np.where(counts > 0, self.reg_param * power, 1.0)

    def system(
        self, items: NDArray[np.float64], scores: NDArray[np.float64], gram: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return a visitor's matrix, shape (rank, rank), and what each of its items adds to the right side, per factor.

        Args:
            items: the factors of its items, shape (n, rank). scores: its feedback on them.
            gram: YᵀY of all items; only implicit.
        """
        if self.implicit_prefs:
            confidence, positive = self.alpha * np.abs(scores), scores > 0
            left = gram + (items.T * confidence) @ items
            weights, counted = np.where(positive, 1 + confidence, 0.0), int(positive.sum())
        else:
            left, weights, counted = items.T @ items, scores, len(scores)
        return left + self.ridge(np.array(counted)) * np.eye(items.shape[1]), weights

    def solve(self, left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
        """Solve systems, (visitors, rank, rank) and (visitors, rank, 1), whose factors may be negative.

        A system that has many solutions (reg_param 0, few items) gets the shortest.
        """
        if self.reg_param > 0:
            solution = np.linalg.solve(left, right)
        else:
            solution = np.linalg.pinv(left, rcond=_SINGULAR, hermitian=True) @ right
        return solution.astype(np.float64, copy=False)


def fold_in(
    history: Lists,
    scores: NDArray[np.float64],
    items: Factors,
    solver: Solver,
    gram_matrix: NDArray[np.float64] | None = None,
) -> Factors:
    """Return the factors of visitors that were not in training, or whose history has changed.

    Args:
        history: the positions of each visitor's items in `items`, as (values, offsets).
        scores: the feedback r that belongs to each of the values.
        items: factors, shape (items, rank).
        solver: as the items' factors were fitted.
        gram_matrix: `gram` of all items of the model; None: those of `items`.

    Returns:
        Factors, shape (visitors, rank), zeros for a visitor without positive feedback (implicit) or items (explicit).
    """
    values, offsets = history
    rank = items.shape[1]
    count = len(offsets) - 1
    factors = np.zeros((count, rank), dtype=np.float32)
    if gram_matrix is None:
        gram_matrix = gram(items) if solver.implicit_prefs else np.zeros((rank, rank))
    for start in range(0, count, _BATCH):
        stop = min(start + _BATCH, count)
        left = np.zeros((stop - start, rank, rank))
        right = np.zeros((stop - start, rank, 1))
        for row, visitor in enumerate(range(start, stop)):
            own = slice(offsets[visitor], offsets[visitor + 1])
            y = items[values[own]].astype(np.float64)
            left[row], weights = solver.system(y, scores[own], gram_matrix)
            right[row, :, 0] = y.T @ weights
        solved = _nonnegative(left, right[:, :, 0]) if solver.nonnegative else solver.solve(left, right)[:, :, 0]
        factors[start:stop] = solved
    return factors


def _nonnegative(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Minimise xᵀAx/2 - bᵀx over x >= 0 for a batch, a coordinate of all of them at a time."""
    x = np.zeros_like(right)
    diagonal = np.maximum(np.einsum("vii->vi", left), np.finfo(np.float64).tiny)
    for _ in range(_SWEEPS):
        before = x.copy()
        for j in range(x.shape[1]):
            gradient = np.einsum("vi,vi->v", left[:, j], x) - right[:, j]
            x[:, j] = np.maximum(x[:, j] - gradient / diagonal[:, j], 0)
        if np.abs(x - before).max(initial=0) <= _PRECISION * np.abs(x).max(initial=0):
            break
    return x
