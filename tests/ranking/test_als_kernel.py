from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from recommender.ranking import Solver, als_kernel, gram, random_factors, solve_rows

Floats = NDArray[np.float64]

SCORES = [-3.0, -0.5, 0.0, 0.25, 1.0, 10.0]
IMPLICIT = Solver(implicit_prefs=True, alpha=2.0, reg_param=0.1)
EXPLICIT = Solver(implicit_prefs=False, alpha=1.0, reg_param=0.1)


class Pairs(NamedTuple):
    """A matrix of scores with few entries, by row."""

    positions: NDArray[np.int64]
    offsets: NDArray[np.int64]
    scores: NDArray[np.float32]

    @classmethod
    def of(cls, scored: NDArray[np.bool_], scores: Floats) -> "Pairs":
        rows, columns = np.nonzero(scored)
        offsets = np.searchsorted(rows, np.arange(len(scored) + 1))
        return cls(columns, offsets, scores[rows, columns].astype(np.float32))


def random_matrix(rows: int, columns: int, seed: int = 3) -> tuple[NDArray[np.bool_], Floats]:
    """Which pairs have a score, and the scores: the rows have from no pair to a pair with every column."""
    random = np.random.default_rng(seed)
    scored = random.random((rows, columns)) < np.linspace(0, 1, rows)[:, None]
    return scored, np.where(scored, random.choice(SCORES, (rows, columns)), 0.0)


def solved(
    scored: NDArray[np.bool_], scores: Floats, fixed: NDArray[np.float32], solver: Solver, cg_steps: int | None = None
) -> NDArray[np.float32]:
    positions, offsets, values = Pairs.of(scored, scores)
    return solve_rows((positions, offsets), values, fixed, gram(fixed), solver, cg_steps)


def objective(scored: NDArray[np.bool_], scores: Floats, x: Floats, y: Floats, solver: Solver) -> float:
    """The sum of the docstring of AlsFitter over dense matrices, in double precision."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    wanted = (scores > 0).astype(float) if solver.implicit_prefs else scores
    weights = 1 + solver.alpha * np.abs(scores) if solver.implicit_prefs else scored.astype(float)
    counted = scores > 0 if solver.implicit_prefs else scored
    total = (weights * (wanted - x @ y.T) ** 2).sum()
    for axis, factors in ((1, x), (0, y)):
        counts = counted.sum(axis=axis).astype(float)
        powers = np.where(counts > 0, counts**solver.reg_exponent, 0.0)
        total += solver.reg_param * (powers * (factors**2).sum(axis=1)).sum()
    return float(total)


def by_hand(scored: NDArray[np.bool_], scores: Floats, fixed: Floats, solver: Solver) -> Floats:
    """The normal equations of each row, dense, in double precision."""
    y, rank = fixed.astype(np.float64), fixed.shape[1]
    result = np.zeros((len(scored), rank))
    for row, (own, r) in enumerate(zip(scored, scores, strict=True)):
        count = (r > 0).sum() if solver.implicit_prefs else own.sum()
        if not count:
            continue
        weights = 1 + solver.alpha * np.abs(r) if solver.implicit_prefs else own.astype(float)
        target = weights * (r > 0) if solver.implicit_prefs else r
        ridge = solver.reg_param * float(count) ** solver.reg_exponent
        result[row] = np.linalg.solve((y.T * weights) @ y + ridge * np.eye(rank), y.T @ target)
    return result


@given(st.integers(0, 2**32), st.integers(1, 9), st.booleans(), st.sampled_from([0.0, 0.5, 1.0]))
@settings(max_examples=60, deadline=None)
def test_exact_factors_equal_a_dense_solution_of_the_normal_equations(
    seed: int, rank: int, implicit: bool, exponent: float
) -> None:
    scored, scores = random_matrix(25, 16, seed)
    fixed = np.random.default_rng(seed).normal(size=(16, rank)).astype(np.float32)
    solver = Solver(implicit, alpha=2.0, reg_param=0.1, reg_exponent=exponent)
    expected = by_hand(scored, scores, fixed, solver)
    found = solved(scored, scores, fixed, solver)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("solver", [IMPLICIT, EXPLICIT])
def test_conjugate_gradients_come_closer_with_every_step(solver: Solver) -> None:
    scored, scores = random_matrix(80, 60)
    fixed = np.random.default_rng(4).normal(size=(60, 12)).astype(np.float32)
    expected = by_hand(scored, scores, fixed, solver)
    distances = [np.linalg.norm(solved(scored, scores, fixed, solver, steps) - expected) for steps in (1, 2, 4, 8, 16)]
    assert all(later < before for before, later in pairwise(distances))
    assert distances[-1] < 1e-3 * np.linalg.norm(expected)


@pytest.mark.parametrize("cg_steps", [None, 5])
@pytest.mark.parametrize("exponent", [1.0, 0.5])
@pytest.mark.parametrize("implicit", [True, False])
def test_the_objective_falls_with_every_half_step(implicit: bool, exponent: float, cg_steps: int | None) -> None:
    scored, scores = random_matrix(60, 45)
    solver = Solver(implicit, alpha=2.0, reg_param=0.1, reg_exponent=exponent)
    x = random_factors(np.arange(60), 8, seed=1)
    values = []
    for _ in range(4):
        y = solved(scored.T, scores.T, x, solver, cg_steps)
        values.append(objective(scored, scores, x, y, solver))
        x = solved(scored, scores, y, solver, cg_steps)
        values.append(objective(scored, scores, x, y, solver))
    assert all(later < before for before, later in pairwise(values))


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_ratings_of_low_rank_are_recovered(noise: float) -> None:
    """As Spark's ALSSuite: a third of the entries of a matrix of rank 2, with noise, and the others are predicted."""
    random = np.random.default_rng(7)
    whole = random.uniform(0, 1, (60, 2)) @ random.uniform(0, 1, (2, 50)) * 4
    scored = random.random(whole.shape) < 0.4
    scores = np.where(scored, whole + noise * random.normal(size=whole.shape), 0.0)
    solver = Solver(implicit_prefs=False, alpha=1.0, reg_param=0.001)
    x = random_factors(np.arange(60), 2, seed=0)
    for _ in range(30):
        y = solved(scored.T, scores.T, x, solver)
        x = solved(scored, scores, y, solver)
    error = np.sqrt(((x @ y.T - whole)[~scored] ** 2).mean())
    assert error < 0.02 + noise


def test_preferences_of_two_groups_are_recovered() -> None:
    random = np.random.default_rng(2)
    group_of_rows, group_of_columns = np.arange(40) % 2, np.arange(30) % 2
    wanted = group_of_rows[:, None] == group_of_columns
    scored = wanted & (random.random(wanted.shape) < 0.5)
    scores = scored * 1.0
    solver = Solver(implicit_prefs=True, alpha=40.0, reg_param=0.01)
    x = random_factors(np.arange(40), 2, seed=0)
    for _ in range(10):
        y = solved(scored.T, scores.T, x, solver, cg_steps=5)
        x = solved(scored, scores, y, solver, cg_steps=5)
    predicted = x @ y.T
    assert predicted[wanted].min() > predicted[~wanted].max()


@pytest.mark.parametrize("cg_steps", [None, 3])
def test_a_row_has_the_same_factors_whatever_rows_it_is_solved_with(cg_steps: int | None) -> None:
    scored, scores = random_matrix(70, 50)
    fixed = np.random.default_rng(4).normal(size=(50, 6)).astype(np.float32)
    whole = solved(scored, scores, fixed, IMPLICIT, cg_steps)
    for own in (slice(0, 70, 3), slice(69, 70), slice(10, 40)):
        found = solved(scored[own], scores[own], fixed, IMPLICIT, cg_steps)
        np.testing.assert_allclose(found, whole[own], rtol=0, atol=1e-7)


@pytest.mark.parametrize("cells", [1, 7, 40])
@pytest.mark.parametrize("solver", [IMPLICIT, EXPLICIT])
def test_rows_longer_than_a_batch_are_solved_in_pieces(
    monkeypatch: pytest.MonkeyPatch, solver: Solver, cells: int
) -> None:
    scored, scores = random_matrix(30, 50)
    fixed = np.random.default_rng(4).normal(size=(50, 6)).astype(np.float32)
    monkeypatch.setattr(als_kernel, "_CELLS", cells)
    expected = by_hand(scored, scores, fixed, solver)
    np.testing.assert_allclose(solved(scored, scores, fixed, solver), expected, rtol=1e-4, atol=1e-5)


def test_rows_of_many_batches_are_all_solved() -> None:
    rows = 3 * als_kernel._CELLS
    positions, offsets = np.arange(rows) % 3, np.arange(rows + 1)
    scores, fixed = np.ones(rows, np.float32), np.eye(3, dtype=np.float32)
    found = solve_rows((positions, offsets), scores, fixed, gram(fixed), IMPLICIT)
    expected = np.zeros((rows, 3))
    expected[np.arange(rows), positions] = 3 / 3.1
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("cg_steps", [None, 3])
def test_without_regularisation_equations_with_many_solutions_give_nan(cg_steps: int | None) -> None:
    fixed = np.array([[1, 0], [0.5, 0.5]], dtype=np.float32)
    solver = Solver(implicit_prefs=False, alpha=1.0, reg_param=0.0)
    pairs = np.array([0, 0, 1]), np.array([0, 1, 3])
    found = solve_rows(pairs, np.array([1.0, 1.0, 2.0]), fixed, gram(fixed), solver, cg_steps)
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1], [1, 3], rtol=1e-5)


def test_the_fixed_factors_are_left_as_they_were() -> None:
    fixed = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)
    for solver in (IMPLICIT, EXPLICIT):
        solve_rows((np.array([0]), np.array([0, 1])), np.ones(1), fixed, gram(fixed), solver)
    assert fixed.tolist() == [[1, 2], [3, 4]]


# The random start


def test_random_factors_follow_from_seed_id_and_column_alone() -> None:
    ids = np.array([0, 1, 7, 2**31 - 1], np.int32)
    whole = random_factors(ids, 4, seed=5)
    for place, own in enumerate(ids):
        np.testing.assert_array_equal(random_factors(np.array([own]), 4, seed=5)[0], whole[place])
    shorter = random_factors(ids, 3, seed=5)
    np.testing.assert_allclose(shorter[:, 0] / shorter[:, 1], whole[:, 0] / whole[:, 1], rtol=1e-5)
    assert not np.isclose(random_factors(ids, 4, seed=6), whole).any()
    assert not np.isclose(random_factors(ids, 4, seed=-(2**63)), whole).any()


def test_random_factors_are_directions_without_a_preferred_one() -> None:
    factors = random_factors(np.arange(50_000), 5, seed=0).astype(np.float64)
    np.testing.assert_allclose(np.linalg.norm(factors, axis=1), 1, rtol=1e-6)
    assert np.abs(factors.mean(axis=0)).max() < 0.01
    np.testing.assert_allclose(factors.T @ factors / len(factors), np.eye(5) / 5, atol=0.005)
    assert abs((factors[1:] * factors[:-1]).sum(axis=1).mean()) < 0.01
