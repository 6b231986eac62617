"""Weights that are drawn by a hash, sums that are exact, and the intervals that come of them."""

from math import exp, factorial, sqrt

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from recommender.evaluation.bootstrap import MOST_VISITORS, WeightedSums, bounds, in_units, weights

VISITORS = np.arange(20_000, dtype=np.int32)
WORD = 2**64 - 1


def mixed(number: int) -> int:
    """SplitMix64's last step, in Python's integers."""
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & WORD
    return number ^ (number >> 31)


def drawn(visitor: int, replicate: int, seed: int) -> int:
    """A weight by the definition; replicates are numbered from 1."""
    state = mixed((mixed(seed & WORD) + visitor) & WORD)
    lane, place = divmod(replicate - 1, 4)
    number = mixed((state + (lane + 1) * 0x9E3779B97F4A7C15) & WORD)
    uniform = (number >> (16 * place)) & 0xFFFF
    probabilities = [exp(-1) / factorial(j) for j in range(8)]
    return sum(uniform >= round(2**16 * sum(probabilities[: j + 1])) for j in range(8))


@pytest.fixture(scope="module")
def some() -> NDArray[np.float64]:
    """The weights of 20,000 visitors in 200 replicates."""
    return weights(VISITORS, 200, seed=3)[:, 1:].astype(np.float64)


@pytest.mark.parametrize("seed", [0, 7, -(2**63), 2**63 - 1])
def test_a_weight_is_what_the_hash_of_seed_visitor_and_replicate_says(seed: int) -> None:
    visitors = [0, 1, 77, 2**31 - 1]
    found = weights(np.array(visitors, dtype=np.int32), 9, seed)
    assert found.tolist() == [[1, *(drawn(v, replicate, seed) for replicate in range(1, 10))] for v in visitors]


def test_a_weight_depends_neither_on_the_other_visitors_nor_on_the_number_of_replicates() -> None:
    all_of_them = weights(VISITORS[:50], 101, seed=1)
    assert np.array_equal(weights(VISITORS[40:50][::-1], 6, seed=1), all_of_them[40:50][::-1, :7])
    assert not np.array_equal(weights(VISITORS[:50], 101, seed=2), all_of_them)
    assert weights(VISITORS[:3], 0, seed=1).tolist() == [[1], [1], [1]]


def test_weights_have_mean_and_variance_1_and_the_distribution_of_poisson(some: NDArray[np.float64]) -> None:
    number = some.size
    assert some.mean() == pytest.approx(1, abs=5 / sqrt(number))
    assert some.var() == pytest.approx(1, abs=5 * sqrt(3 / number))  # a squared deviation has a variance of 3
    for weight in range(6):
        probability = exp(-1) / factorial(weight)
        assert (some == weight).mean() == pytest.approx(probability, abs=5 * sqrt(probability / number) + 2**-16)
    assert some.max() == 8


def test_weights_of_replicates_and_of_visitors_are_not_correlated(some: NDArray[np.float64]) -> None:
    between_replicates = np.corrcoef(some, rowvar=False) - np.eye(200)
    assert np.abs(between_replicates).max() < 6 / sqrt(len(some))
    neighbours = ((some[1:] - 1) * (some[:-1] - 1)).mean()
    assert abs(neighbours) < 5 / sqrt(some.size)
    of_another_seed = weights(VISITORS, 200, seed=4)[:, 1:].astype(np.float64)
    assert abs(((some - 1) * (of_another_seed - 1)).mean()) < 5 / sqrt(some.size)


def test_the_sums_of_most_visitors_fit_into_a_double() -> None:
    assert MOST_VISITORS * 8 * in_units(np.array([1.0]))[0] <= 2**53


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 400))
def test_sums_are_the_same_in_whatever_order_and_parts_visitors_are_added(seed: int, number: int) -> None:
    random = np.random.default_rng(seed)
    visitors, values = random.permutation(number), in_units(random.random((number, 3)))
    together, apart = WeightedSums(8, 3), WeightedSums(8, 3)
    together.add(weights(visitors, 8, 0), np.arange(number), values)
    order = random.permutation(number)
    for part in np.array_split(order, random.integers(1, 5)):
        one = WeightedSums(8, 3)
        one.add(weights(visitors[part], 8, 0), np.arange(len(part)), values[part])
        apart.merge(one)
    assert np.array_equal(together.counts, apart.counts)
    assert np.array_equal(together.sums, apart.sums)
    assert together.means()[0] == pytest.approx(values.mean(axis=0) / 2**30, rel=1e-12)


def interval(values: NDArray[np.float64], replicates: int, seed: int = 0) -> tuple[float, float]:
    sums = WeightedSums(replicates, 1)
    rows = np.flatnonzero(values)
    sums.add(weights(np.arange(len(values)), replicates, seed), rows, in_units(values[rows, None]))
    found = bounds(sums.means()[1:])
    assert found is not None
    return float(found[0, 0]), float(found[1, 0])


def test_an_interval_is_that_of_a_bootstrap_by_drawing_and_of_the_normal_distribution() -> None:
    random = np.random.default_rng(1)
    values = random.beta(0.3, 3, 3000) * (random.random(3000) < 0.4)
    low, high = interval(values, 4000)
    resampled = [values[random.integers(0, 3000, 3000)].mean() for _ in range(4000)]
    deviation = values.std(ddof=1) / sqrt(3000)
    # The percentile of 4,000 replicates has a standard error of some 0.04 deviations; both sides have one.
    assert (low, high) == pytest.approx(tuple(np.quantile(resampled, [0.025, 0.975])), abs=0.25 * deviation)
    normal = values.mean() - 1.96 * deviation, values.mean() + 1.96 * deviation
    assert (low, high) == pytest.approx(normal, abs=0.25 * deviation)


def test_an_interval_covers_the_true_mean_in_about_95_of_100_cases() -> None:
    random = np.random.default_rng(2)
    covered = 0
    for seed in range(400):
        low, high = interval((random.random(150) < 0.3).astype(np.float64), 400, seed)
        covered += low <= 0.3 <= high
    assert 0.90 < covered / 400 < 0.98


def test_bounds_are_interpolated_between_the_means_next_to_them() -> None:
    means = np.arange(11.0)[::-1, None]  # the place of the percentile is 0.25, and 9.75
    assert np.asarray(bounds(means)).ravel().tolist() == pytest.approx([0.25, 9.75])


def test_a_replicate_that_nobody_is_in_has_no_mean_and_no_say() -> None:
    sums = WeightedSums(2, 1)
    sums.add(np.array([[1, 0, 3]], dtype=np.uint8), np.array([0]), in_units(np.array([[0.5]])))
    means = sums.means()
    assert means[:, 0].tolist() == pytest.approx([0.5, np.nan, 0.5], nan_ok=True)
    assert np.asarray(bounds(means[1:])).tolist() == [[0.5], [0.5]]
    assert bounds(means[1:2]) is None
    assert bounds(np.empty((0, 1))) is None
