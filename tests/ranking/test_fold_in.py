import importlib
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from recommender.ranking import Solver, fold_in, gram

# The package exports the function under the module's name.
fold_in_module = importlib.import_module("recommender.ranking.fold_in")

Floats = NDArray[np.float64]


class Case(NamedTuple):
    items: NDArray[np.float32]
    feedback: list[dict[int, float]]  # of each visitor: position -> score
    alpha: float
    reg_param: float


@st.composite
def cases(draw: st.DrawFn) -> Case:
    count, rank = draw(st.integers(1, 12)), draw(st.integers(1, 6))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    items = random.normal(size=(count, rank)).astype(np.float32)
    score = st.sampled_from([-3.0, -0.5, 0.0, 0.25, 1.0, 10.0])
    feedback = draw(st.lists(st.dictionaries(st.integers(0, count - 1), score), max_size=8))
    return Case(items, feedback, draw(st.sampled_from([0.0, 0.5, 40.0])), draw(st.sampled_from([0.01, 0.1, 2.0])))


def solve(case: Case, *, implicit: bool) -> NDArray[np.float32]:
    positions = np.array([item for own in case.feedback for item in own], dtype=np.int64)
    scores = np.array([score for own in case.feedback for score in own.values()], dtype=np.float64)
    offsets = np.cumsum([0, *map(len, case.feedback)], dtype=np.int64)
    return fold_in((positions, offsets), scores, case.items, Solver(implicit, case.alpha, case.reg_param))


def implicit_by_hand(case: Case, feedback: dict[int, float]) -> Floats:
    """The paper's equation 4 with dense matrices over all items: confidence C, preference p."""
    y = case.items.astype(np.float64)
    scores = np.array([feedback.get(item, 0.0) for item in range(len(y))])
    confidence, preference = np.diag(1 + case.alpha * np.abs(scores)), (scores > 0).astype(float)
    if not preference.any():
        return np.zeros(y.shape[1])
    ridge = case.reg_param * preference.sum() * np.eye(y.shape[1])
    solution: Floats = np.linalg.inv(y.T @ confidence @ y + ridge) @ y.T @ confidence @ preference
    return solution


def explicit_by_hand(case: Case, feedback: dict[int, float]) -> Floats:
    """Ridge regression as ordinary least squares with one more row per factor."""
    rank = case.items.shape[1]
    y = case.items[list(feedback)].astype(np.float64)
    ridge = np.sqrt(case.reg_param * len(feedback)) * np.eye(rank)
    target = np.concatenate([list(feedback.values()), np.zeros(rank)])
    solution: Floats = np.linalg.lstsq(np.vstack([y, ridge]), target, rcond=None)[0]
    return solution


@given(cases())
@settings(max_examples=150, deadline=None)
def test_implicit_factors_equal_a_dense_solution_for_each_visitor(case: Case) -> None:
    found = solve(case, implicit=True)
    assert found.shape == (len(case.feedback), case.items.shape[1])
    for factors, feedback in zip(found, case.feedback, strict=True):
        np.testing.assert_allclose(factors, implicit_by_hand(case, feedback), rtol=1e-5, atol=1e-6)


@given(cases())
@settings(max_examples=150, deadline=None)
def test_explicit_factors_equal_a_least_squares_solution_for_each_visitor(case: Case) -> None:
    found = solve(case, implicit=False)
    for factors, feedback in zip(found, case.feedback, strict=True):
        np.testing.assert_allclose(factors, explicit_by_hand(case, feedback), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("implicit", [True, False])
def test_a_visitor_without_a_history_gets_zeros(implicit: bool) -> None:
    case = Case(np.ones((2, 3), np.float32), [{}, {0: 1.0}, {}], 1.0, 0.1)
    found = solve(case, implicit=implicit)
    assert found[[0, 2]].tolist() == [[0, 0, 0]] * 2
    assert found[1].all()


def test_a_visitor_without_positive_implicit_feedback_gets_zeros() -> None:
    case = Case(np.ones((2, 3), np.float32), [{0: -1.0, 1: 0.0}], 1.0, 0.1)
    assert solve(case, implicit=True).tolist() == [[0, 0, 0]]


def test_a_negative_score_is_confidence_that_there_is_no_preference() -> None:
    # (2 + 3 + 0.5 * 1) x = 2 with one positive score of 1 and one negative of -2, alpha 1, both items alike.
    case = Case(np.ones((2, 1), np.float32), [{0: 1.0, 1: -2.0}], 1.0, 0.5)
    np.testing.assert_allclose(solve(case, implicit=True), [[2 / 5.5]], rtol=1e-6)


def test_a_zero_score_does_not_count_for_the_regularisation() -> None:
    case = Case(np.ones((2, 1), np.float32), [{0: 1.0, 1: 0.0}], 1.0, 0.5)
    np.testing.assert_allclose(solve(case, implicit=True), [[2 / 3.5]], rtol=1e-6)


def test_a_zero_rating_counts_for_the_regularisation_of_explicit_feedback() -> None:
    case = Case(np.ones((2, 1), np.float32), [{0: 1.0, 1: 0.0}], 1.0, 0.5)
    np.testing.assert_allclose(solve(case, implicit=False), [[1 / 3]], rtol=1e-6)


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("batch", [1, 3, 7, 8])
def test_batches_of_any_size_give_the_same_factors(monkeypatch: pytest.MonkeyPatch, implicit: bool, batch: int) -> None:
    random = np.random.default_rng(5)
    feedback = [{int(item): float(item + 1) for item in random.choice(9, size=n)} for n in (3, 0, 1, 9, 2, 0, 4)]
    case = Case(random.normal(size=(9, 4)).astype(np.float32), feedback, 2.0, 0.1)
    whole = solve(case, implicit=implicit)
    monkeypatch.setattr(fold_in_module, "_BATCH", batch)
    np.testing.assert_array_equal(solve(case, implicit=implicit), whole)
    assert whole[6].any()


def test_more_visitors_than_a_batch_holds_all_get_their_own_factors() -> None:
    feedback = [{visitor % 3: 1.0 + visitor} for visitor in range(600)]
    case = Case(np.eye(3, dtype=np.float32), feedback, 1.0, 0.1)
    expected = np.zeros((600, 3))
    for visitor in range(600):
        expected[visitor, visitor % 3] = (2 + visitor) / (2 + visitor + 0.1)
    np.testing.assert_allclose(solve(case, implicit=True), expected, rtol=1e-6)


def test_no_visitors_have_no_factors() -> None:
    assert solve(Case(np.ones((2, 3), np.float32), [], 1.0, 0.1), implicit=True).shape == (0, 3)


@pytest.mark.parametrize("implicit", [True, False])
def test_the_regularisation_grows_with_the_power_of_the_count_that_the_model_was_fitted_with(implicit: bool) -> None:
    # Four items alike: (4 + 2 * 4 + 0.5 * 4 ** 0.5) x = 4 * 3 implicit, (4 + 0.5 * 4 ** 0.5) x = 4 * 2 explicit.
    items, history = np.ones((4, 1), np.float32), (np.arange(4), np.array([0, 4]))
    solver = Solver(implicit, alpha=1.0, reg_param=0.5, reg_exponent=0.5)
    found = fold_in(history, np.full(4, 2.0), items, solver)
    np.testing.assert_allclose(found, [[12 / 13 if implicit else 8 / 5]], rtol=1e-6)


def test_the_item_factors_are_left_as_they_were() -> None:
    items = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)
    solve(Case(items, [{0: 1.0}], 1.0, 0.1), implicit=True)
    assert items.tolist() == [[1, 2], [3, 4]]


def test_a_system_with_many_solutions_gets_the_shortest() -> None:
    items = np.array([[1, 0], [0.5, 0.5]], dtype=np.float32)
    history = np.array([0]), np.array([0, 1])
    found = fold_in(history, np.array([3.0]), items, Solver(implicit_prefs=False, alpha=1.0, reg_param=0.0))
    np.testing.assert_allclose(found, [[3.0, 0.0]], atol=1e-6)


def test_a_nonnegative_solution_is_the_best_of_all_nonnegative_ones() -> None:
    random = np.random.default_rng(5)
    items = random.normal(size=(12, 2)).astype(np.float32)
    values, scores = np.arange(6), random.uniform(1, 5, 6)
    solver = Solver(implicit_prefs=True, alpha=2.0, reg_param=0.1, nonnegative=True)
    (found,) = fold_in((values, np.array([0, 6])), scores, items, solver)
    exact = items.astype(np.float64)
    own = exact[values]
    left = exact.T @ exact + (own.T * (2 * scores)) @ own + 0.6 * np.eye(2)
    right = own.T @ (1 + 2 * scores)
    grid = np.stack(np.meshgrid(*[np.linspace(0, 2, 401)] * 2), axis=-1).reshape(-1, 2)
    cost = 0.5 * np.einsum("gi,ij,gj->g", grid, left, grid) - grid @ right
    np.testing.assert_allclose(found, grid[cost.argmin()], atol=0.005)
    assert (found >= 0).all()


@given(cases())
@settings(max_examples=50, deadline=None)
def test_the_items_of_the_history_are_enough_where_the_gram_matrix_is_known(case: Case) -> None:
    solver = Solver(implicit_prefs=True, alpha=case.alpha, reg_param=case.reg_param)
    for own in case.feedback:
        few, scores, offsets = case.items[list(own)], np.array([*own.values()]), np.array([0, len(own)])
        (found,) = fold_in((np.arange(len(own)), offsets), scores, few, solver, gram(case.items))
        expected = implicit_by_hand(case, own)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * max(1.0, np.abs(expected).max(initial=0)))


def test_a_gram_matrix_of_many_items_is_that_of_all() -> None:
    items = np.random.default_rng(3).normal(size=(fold_in_module._GRAM_ROWS + 5, 2)).astype(np.float32)
    exact = items.astype(np.float64)
    np.testing.assert_allclose(gram(items), exact.T @ exact, rtol=1e-12)


def test_the_shortest_of_many_solutions_is_found_though_rounding_hides_that_there_are_many() -> None:
    random = np.random.default_rng(11)
    for _ in range(50):
        items = random.normal(size=(12, 8)).astype(np.float32)
        own, ratings = random.permutation(12)[:3], random.uniform(1, 5, 3)
        solver = Solver(implicit_prefs=False, alpha=1.0, reg_param=0.0)
        (found,) = fold_in((own, np.array([0, 3])), ratings, items, solver)
        expected = np.linalg.lstsq(items[own].astype(np.float64), ratings, rcond=None)[0]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
