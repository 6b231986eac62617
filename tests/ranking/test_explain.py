import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from recommender.ranking import Solver, explain, fold_in, gram


@given(st.integers(0, 2**32), st.booleans(), st.sampled_from([0.0, 1.0, 40.0]), st.sampled_from([0.0, 0.3]))
@settings(max_examples=60, deadline=None)
def test_the_shares_sum_to_the_score_of_the_folded_in_visitor(
    seed: int, implicit: bool, alpha: float, reg_param: float
) -> None:
    random = np.random.default_rng(seed)
    items = random.normal(size=(random.integers(2, 30), random.integers(1, 8))).astype(np.float32)
    history = random.permutation(len(items))[: random.integers(1, len(items))]
    scores = random.choice([-2.0, 0.5, 1.0, 7.0], len(history))
    solver = Solver(implicit, alpha, reg_param)
    (visitor,) = fold_in((history, np.array([0, len(history)])), scores, items, solver)
    item = int(random.integers(len(items)))
    shares = explain(item, history, scores, items, solver)
    assert shares.shape == history.shape
    assert shares.sum() == pytest.approx(float(visitor.astype(np.float64) @ items[item]), rel=1e-4, abs=1e-4)


def test_a_share_is_what_the_paper_says() -> None:
    """Section 5: s_ij = y_iᵀ W y_j with W = (YᵀCY + λnI)⁻¹, times the confidence in j."""
    items = np.array([[1.0, 0.2], [0.1, 1.0], [0.7, 0.7]], dtype=np.float32)
    y = items.astype(np.float64)
    confidence = np.diag([1 + 2 * 3.0, 1 + 2 * 1.0, 1.0])
    inverse = np.linalg.inv(y.T @ confidence @ y + 0.1 * 2 * np.eye(2))
    expected = [y[2] @ inverse @ y[0] * 7, y[2] @ inverse @ y[1] * 3]
    solver = Solver(implicit_prefs=True, alpha=2.0, reg_param=0.1)
    for known in (None, gram(items)):
        shares = explain(2, np.array([0, 1]), np.array([3.0, 1.0]), items, solver, known)
        np.testing.assert_allclose(shares, expected, rtol=1e-9)


def test_an_item_with_negative_feedback_adds_nothing_to_the_right_side() -> None:
    items = np.eye(2, dtype=np.float32)
    solver = Solver(implicit_prefs=True, alpha=1.0, reg_param=0.1)
    shares = explain(0, np.array([0, 1]), np.array([1.0, -1.0]), items, solver)
    assert shares[1] == 0
    assert shares[0] > 0


def test_nonnegative_models_are_refused() -> None:
    solver = Solver(implicit_prefs=True, alpha=1.0, reg_param=0.1, nonnegative=True)
    with pytest.raises(ValueError, match="a model with nonnegative factors cannot be explained"):
        explain(0, np.array([0]), np.array([1.0]), np.eye(2, dtype=np.float32), solver)
