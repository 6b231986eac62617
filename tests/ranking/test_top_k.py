import importlib
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from recommender.ranking import NONE, arranged, found, improve, nothing_found, top_k as ranked

# The package exports the function under the module's name.
top_k_module = importlib.import_module("recommender.ranking.top_k")

Floats = NDArray[np.float32]
Lists = tuple[NDArray[np.int64], NDArray[np.int64]]
NOTHING = np.array([], dtype=np.int64)


class Problem(NamedTuple):
    visitors: Floats
    items: Floats
    k: int
    excluded: Lists


def top_k(visitors: Floats, items: Floats, k: int, excluded: Lists) -> tuple[NDArray[np.int32], Floats]:
    return ranked(visitors, arranged(np.arange(len(items)), items), k, excluded)


def as_lists(lists: list[NDArray[np.int64]]) -> Lists:
    return np.concatenate([NOTHING, *lists]), np.cumsum([0, *map(len, lists)], dtype=np.int64)


def column(*values: float) -> Floats:
    return np.array(values, dtype=np.float32)[:, None]


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Factors are small integers times powers of two: their float32 products are exact, and ties abound."""
    count = draw(st.integers(0, 300) | st.integers(257, 300))
    visitors, rank = draw(st.integers(0, 20)), draw(st.integers(1, 8))
    low, high = draw(st.sampled_from([(-2, 3), (-3, 0), (0, 2), (1, 2), (-9, 10)]))
    scale = draw(st.sampled_from([1.0, 2.0**-74, 2.0**40]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    factors = [(random.integers(low, high, (n, rank)) * scale).astype(np.float32) for n in (visitors, count)]
    shares = random.choice(draw(st.sampled_from([[0.0], [1.0], [0.0, 0.1, 0.5, 0.99, 1.0]])), visitors)
    excluded = [random.permutation(np.flatnonzero(random.random(count) < share)) for share in shares]
    k = draw(st.integers(1, 10) | st.sampled_from([1, 2, 130, 299, 300, 400]))
    return Problem(factors[0], factors[1], k, as_lists(excluded))


def by_full_sort(problem: Problem) -> tuple[list[list[int]], list[list[float]]]:
    """The items of each visitor's list and their scores, from a sort of the whole row."""
    values, offsets = problem.excluded
    product = (problem.visitors.astype(np.float64) @ problem.items.astype(np.float64).T).astype(np.float32)
    lists = []
    for visitor, row in enumerate(product):
        order = np.lexsort((np.arange(len(row)), -row))
        barred = set(values[offsets[visitor] : offsets[visitor + 1]].tolist())
        lists.append([int(item) for item in order if int(item) not in barred][: problem.k])
    return lists, [[float(product[visitor, item]) for item in row] for visitor, row in enumerate(lists)]


@given(problems())
@settings(max_examples=200, deadline=None)
def test_the_lists_are_those_of_a_full_sort(problem: Problem) -> None:
    positions, scores = top_k(*problem)
    expected, expected_scores = by_full_sort(problem)
    assert positions.shape == scores.shape == (len(problem.visitors), problem.k)
    assert [row[row != NONE].tolist() for row in positions] == expected
    assert [row[: len(wanted)].tolist() for row, wanted in zip(scores, expected, strict=True)] == expected_scores


@given(problems())
@settings(max_examples=100, deadline=None)
def test_the_free_places_come_last_and_only_they_have_no_score(problem: Problem) -> None:
    positions, scores = top_k(*problem)
    free = positions == NONE
    assert (free == np.isnan(scores)).all()
    assert (np.diff(free.astype(int), axis=1) >= 0).all()


@given(problems())
@settings(max_examples=100, deadline=None)
def test_an_excluded_item_is_never_recommended_and_no_item_twice(problem: Problem) -> None:
    positions, _ = top_k(*problem)
    values, offsets = problem.excluded
    for visitor, row in enumerate(positions):
        listed = row[row != NONE].tolist()
        assert len(listed) == len(set(listed))
        assert not set(listed) & set(values[offsets[visitor] : offsets[visitor + 1]].tolist())


@given(problems(), st.sampled_from([1, 3, 256]), st.sampled_from([1, 7, 64, 4096]))
@settings(max_examples=200, deadline=None)
def test_blocks_of_any_size_give_what_a_full_sort_gives(problem: Problem, visitors: int, width: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(top_k_module, "_VISITORS", visitors)
        patch.setattr(top_k_module, "_WIDTH", width)
        patch.setattr(top_k_module, "_SCORES", 1)
        positions, scores = top_k(*problem)
    expected_positions, expected_scores = by_full_sort(problem)
    assert [[p for p in row if p != NONE] for row in positions.tolist()] == expected_positions
    assert [row[~np.isnan(row)].tolist() for row in scores] == expected_scores


def scored(
    monkeypatch: pytest.MonkeyPatch, visitors: Floats, items: Floats, k: int
) -> list[tuple[list[int], int, int]]:
    """Return the (visitors, first item, last item + 1) of every block that is scored, ten items a block."""
    seen = []
    block = top_k_module._Search._block

    def watched(self: object, active: NDArray[np.int64], start: int, stop: int, *rest: NDArray[np.int64]) -> None:
        seen.append((active.tolist(), start, stop))
        block(self, active, start, stop, *rest)

    monkeypatch.setattr(top_k_module._Search, "_block", watched)
    monkeypatch.setattr(top_k_module, "_WIDTH", 10)
    monkeypatch.setattr(top_k_module, "_SCORES", 1)
    top_k(visitors, items, k, (NOTHING, np.zeros(len(visitors) + 1, np.int64)))
    return seen


def test_a_visitor_leaves_once_no_remaining_item_can_be_among_its_best(monkeypatch: pytest.MonkeyPatch) -> None:
    large, small = np.eye(2, dtype=np.float32) * 100, np.eye(2, dtype=np.float32)
    items = np.concatenate([np.repeat(large[:1], 10, axis=0), np.repeat(small, 10, axis=0)])
    # The first visitor finds its ten best in the first block; the second finds nothing but zeros there.
    assert scored(monkeypatch, np.eye(2, dtype=np.float32), items, 10) == [
        ([0, 1], 0, 10),
        ([1], 10, 20),
        ([1], 20, 30),
    ]


def test_a_visitor_stays_while_an_equal_score_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(scored(monkeypatch, column(1), column(*[7] * 30), 5)) == 3


@pytest.mark.parametrize("k", [1, 2, 5, 200])
def test_equal_scores_come_by_position_in_all_chunks(k: int) -> None:
    excluded = np.array([0, 2, 128]), np.array([0, 3])
    positions, _ = top_k(column(1), column(*[7] * 300), k, excluded)
    allowed = [item for item in range(300) if item not in {0, 2, 128}]
    assert positions.tolist() == [allowed[:k]]


def test_equal_scores_come_by_position_among_many_chunks() -> None:
    positions, _ = top_k(column(1), column(*[7] * 5000), 10, (NOTHING, np.array([0, 0])))
    assert positions.tolist() == [list(range(10))]


@given(st.lists(st.integers(0, 2), min_size=2, max_size=30), st.integers(1, 9))
@settings(max_examples=200, deadline=None)
def test_the_first_of_the_chunks_that_are_equally_good_are_chosen(best_of_chunk: list[int], k: int) -> None:
    scores = np.full((len(best_of_chunk), 128), -1, dtype=np.float32)
    scores[:, 5] = best_of_chunk
    positions, _ = top_k(column(1), scores.reshape(-1, 1), min(k, len(best_of_chunk)), (NOTHING, np.array([0, 0])))
    chunks = sorted(range(len(best_of_chunk)), key=lambda chunk: -best_of_chunk[chunk])
    assert positions.tolist() == [[128 * chunk + 5 for chunk in chunks[:k]]]


def test_equal_scores_come_by_position_though_a_later_chunk_has_the_best_item() -> None:
    scores = [5.0] * 128 + [7.0] + [5.0] * 200
    positions, _ = top_k(column(1), column(*scores), 2, (NOTHING, np.array([0, 0])))
    assert positions.tolist() == [[128, 0]]


def test_the_best_items_are_found_when_all_are_in_the_last_chunk() -> None:
    scores = [1.0] * 256 + [2.0, 5.0, 4.0]
    positions, _ = top_k(column(1), column(*scores), 2, (NOTHING, np.array([0, 0])))
    assert positions.tolist() == [[257, 258]]


def test_negative_scores_are_ranked_like_any_other() -> None:
    positions, scores = top_k(column(-1), column(3, 1, 2), 3, (NOTHING, np.array([0, 0])))
    assert positions.tolist() == [[1, 2, 0]]
    assert scores.tolist() == [[-1, -2, -3]]


def test_negative_zero_equals_zero() -> None:
    rows = np.full(128, -1, dtype=np.float32)
    rows[[3, 5, 7, 9]] = [-0.0, 0.0, -0.0, 0.0]
    positions, scores = top_k(column(1), column(*rows), 5, (NOTHING, np.array([0, 0])))
    assert positions.tolist() == [[3, 5, 7, 9, 0]]
    assert scores.tolist() == [[0, 0, 0, 0, -1]]


def test_negative_zero_equals_zero_among_the_maxima_of_chunks() -> None:
    rows = np.full(3 * 128, -1, dtype=np.float32)
    rows[[100, 200, 300]] = [-0.0, 0.0, 0.0]
    positions, _ = top_k(column(1), column(*rows), 2, (NOTHING, np.array([0, 0])))
    assert positions.tolist() == [[100, 200]]


def test_denormal_scores_are_told_apart() -> None:
    tiny = 2.0**-149
    positions, scores = top_k(column(1), column(tiny, 3 * tiny, -tiny, 0, 2 * tiny), 5, (NOTHING, np.array([0, 0])))
    assert positions.tolist() == [[1, 4, 0, 3, 2]]
    assert scores.tolist() == [[3 * tiny, 2 * tiny, tiny, 0, -tiny]]


def test_factors_whose_sum_may_be_rounded_beyond_a_float_are_refused() -> None:
    near = np.full((1, 8), np.sqrt(float(np.finfo(np.float32).max) / 8) * (1 - 2e-7), dtype=np.float32)
    assert (near.astype(np.float64) ** 2).sum() < np.finfo(np.float32).max
    with pytest.raises(ValueError, match="their products fit into a float32"):
        top_k(near, near, 1, (NOTHING, np.array([0, 0])))


def test_the_largest_and_smallest_floats_are_scores_too() -> None:
    largest = float(np.finfo(np.float32).max)
    positions, scores = top_k(column(1), column(-largest, largest, 0), 3, (NOTHING, np.array([0, 0])))
    assert positions.tolist() == [[1, 2, 0]]
    assert scores.tolist() == [[largest, 0, -largest]]


def test_one_item_is_a_list_of_one() -> None:
    positions, scores = top_k(column(2, 3), column(5), 3, (np.array([0]), np.array([0, 0, 1])))
    assert positions.tolist() == [[0, NONE, NONE], [NONE] * 3]
    np.testing.assert_array_equal(scores, np.array([[10, np.nan, np.nan], [np.nan] * 3], dtype=np.float32))


def test_a_visitor_who_may_see_nothing_gets_an_empty_list() -> None:
    excluded = np.arange(300), np.array([0, 300, 300])
    positions, scores = top_k(column(1, 1), column(*range(300)), 2, excluded)
    assert positions.tolist() == [[NONE, NONE], [299, 298]]
    assert np.isnan(scores[0]).all()


def test_an_item_that_is_excluded_twice_is_excluded() -> None:
    positions, _ = top_k(column(1), column(3, 2, 1), 2, (np.array([0, 0]), np.array([0, 2])))
    assert positions.tolist() == [[1, 2]]


def test_no_items_leave_every_place_free() -> None:
    positions, scores = top_k(np.ones((2, 3), np.float32), np.empty((0, 3), np.float32), 2, (NOTHING, np.zeros(3, int)))
    assert positions.tolist() == [[NONE, NONE]] * 2
    assert np.isnan(scores).all()


def test_no_visitors_have_no_lists() -> None:
    positions, scores = top_k(np.empty((0, 3), np.float32), np.ones((4, 3), np.float32), 2, (NOTHING, np.zeros(1, int)))
    assert positions.shape == scores.shape == (0, 2)


def test_the_factors_and_exclusions_are_left_as_they_were() -> None:
    visitors, items = column(1, -1), column(3, 1, 2)
    values, offsets = np.array([2, 0]), np.array([0, 1, 2])
    top_k(visitors, items, 2, (values, offsets))
    assert (visitors.tolist(), items.tolist()) == ([[1], [-1]], [[3], [1], [2]])
    assert (values.tolist(), offsets.tolist()) == ([2, 0], [0, 1, 2])


def exact_scores(visitors: Floats, items: Floats) -> Floats:
    """Return the scores in double precision, rounded once."""
    return (visitors[:, None].astype(np.float64) * items).sum(axis=2).astype(np.float32)


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 400), st.sampled_from([1, 3, 10, 100]))
@settings(max_examples=60, deadline=None)
def test_any_blocks_of_items_in_any_order_give_the_same_bits(seed: int, rank: int, count: int, k: int) -> None:
    random = np.random.default_rng(seed)
    visitors = random.normal(size=(7, rank)).astype(np.float32)
    items = (random.normal(size=(count, rank)) * random.lognormal(size=(count, 1))).astype(np.float32)
    items[random.integers(count, size=count // 3)] = items[0]  # equal scores
    indexes = random.permutation(10 * count)[:count]
    excluded = as_lists([random.choice(indexes, random.integers(count)) for _ in visitors])
    best = nothing_found(len(visitors), k)
    for part in np.array_split(random.permutation(count), random.integers(1, 6)):
        improve(best, visitors, arranged(indexes[part], items[part]), excluded)
    found_indexes, found_scores = found(best)
    scores = exact_scores(visitors, items)
    for visitor, row in enumerate(scores):
        barred = excluded[0][excluded[1][visitor] : excluded[1][visitor + 1]]
        order = [place for place in np.lexsort((indexes, -row)) if indexes[place] not in barred][:k]
        assert found_indexes[visitor, : len(order)].tolist() == indexes[order].tolist()
        assert found_scores[visitor, : len(order)].tolist() == row[order].tolist()
        assert (found_indexes[visitor, len(order) :] == NONE).all()


def test_what_is_known_already_must_be_beaten() -> None:
    best = nothing_found(1, 2)
    improve(best, column(1), arranged(np.array([5, 9]), column(3, 1)), (NOTHING, np.array([0, 0])))
    improve(best, column(1), arranged(np.array([4, 8, 2]), column(3, 1, 0.5)), (NOTHING, np.array([0, 0])))
    indexes, scores = found(best)
    assert (indexes.tolist(), scores.tolist()) == ([[4, 5]], [[3, 3]])


def test_the_number_of_inner_products_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top_k_module, "_WIDTH", 10)
    monkeypatch.setattr(top_k_module, "_SCORES", 1)
    items = arranged(np.arange(90), np.concatenate([column(*[7] * 10), column(*[1] * 80)]))
    nothing_excluded = NOTHING, np.zeros(4, np.int64)
    assert improve(nothing_found(3, 5), column(1, 2, 3), items, nothing_excluded) == 3 * 10
    assert improve(nothing_found(3, 11), column(1, 2, 3), items, nothing_excluded) == 3 * 90  # ties go on


@pytest.mark.parametrize("rank", [64, 1000])
@pytest.mark.parametrize("scale", [1e-15, 1.0, 1e15])
def test_near_ties_are_ordered_as_in_double_precision(rank: int, scale: float) -> None:
    random = np.random.default_rng(rank)
    visitors = (random.normal(size=(5, rank)) * scale).astype(np.float32)
    items = np.repeat(random.normal(size=(20, rank)), 30, axis=0).astype(np.float32)
    items *= (1 + 1e-7 * random.integers(-3, 4, size=items.shape)).astype(np.float32)  # the last bits differ
    indexes, scores = top_k(visitors, items, 45, (NOTHING, np.zeros(6, np.int64)))
    for visitor, row in enumerate(exact_scores(visitors, items)):
        order = np.lexsort((np.arange(len(items)), -row))[:45]
        assert indexes[visitor].tolist() == order.tolist()
        assert scores[visitor].tolist() == row[order].tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_factors_that_cannot_be_ranked_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="factors must be finite, and their products fit into a float32"):
        top_k(column(1e30), column(1, value), 1, (NOTHING, np.array([0, 0])))
