"""Why a visitor is recommended an item: what each item of its history adds to the score.

A visitor's factors are linear in its history, x = A⁻¹ Σ w_i y_i (see ``recommender.ranking.fold_in``), so its score of
an item with the factors y is the sum of the shares w_i yᵀ A⁻¹ y_i. Source: Hu, Koren and Volinsky, Collaborative
Filtering for Implicit Feedback Datasets (2008), section 5. A share says how the score comes about in the model, not
what the visitor thought; one can be negative.

Example usage:
>>> items = np.array([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6]], dtype=np.float32)
>>> solver = Solver(implicit_prefs=True, alpha=1.0, reg_param=0.5)
>>> shares = explain(2, np.array([0, 1]), np.array([2.0, 1.0]), items, solver)
>>> shares.round(2).tolist()
[0.31, 0.4]
>>> visitor = fold_in((np.array([0, 1]), np.array([0, 2])), np.array([2.0, 1.0]), items, solver)
>>> bool(np.isclose(shares.sum(), visitor[0] @ items[2]))
True
"""

import numpy as np
from numpy.typing import NDArray

from recommender.ranking.fold_in import Solver, fold_in, gram  # noqa: F401 - for the example
from recommender.ranking.top_k import Factors


def explain(
    item: int,
    history: NDArray[np.int64],
    scores: NDArray[np.float64],
    items: Factors,
    solver: Solver,
    gram_matrix: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return what each item of a visitor's history adds to its score of an item.

    Args:
        item: the position in `items` of the item that is explained.
        history: the positions of the visitor's items. scores: its feedback on them.
        items, solver, gram_matrix: see `fold_in`.

    Returns:
        A share per item of the history; their sum is the score, as fold-in gives it. All 0 for one without factors.

    Raises:
        ValueError: the factors may not be negative: then they are not linear in the history.
    """
    if solver.nonnegative:
        raise ValueError("a model with nonnegative factors cannot be explained: a score is not a sum over the history")
    rank = items.shape[1]
    if gram_matrix is None:
        gram_matrix = gram(items) if solver.implicit_prefs else np.zeros((rank, rank))
    y = items[history].astype(np.float64)
    left, weights = solver.system(y, scores, gram_matrix)
    towards = solver.solve(left[None], items[item].astype(np.float64)[None, :, None])[0, :, 0]
    shares: NDArray[np.float64] = weights * (y @ towards)
    return shares
