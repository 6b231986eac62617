from typing import NamedTuple

import numpy as np
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from recommender.ranking import NONE, fill_up

NOTHING = np.array([], dtype=np.int64)


class Case(NamedTuple):
    listed: list[list[int]]
    k: int
    popular: list[int]
    popularity: list[float]
    excluded: list[list[int]]


class Filled(NamedTuple):
    positions: NDArray[np.int32]
    scores: NDArray[np.float32]
    filled: NDArray[np.bool_]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    count, k = draw(st.integers(0, 20)), draw(st.integers(1, 8))
    items = list(range(count))
    popular = draw(st.permutations(items))[: draw(st.integers(0, count))]
    popularity = sorted(draw(st.lists(st.integers(0, 9), min_size=len(popular), max_size=len(popular))), reverse=True)
    some = st.lists(st.sampled_from(items), unique=True) if items else st.just([])
    excluded = draw(st.lists(some, max_size=6))
    listed = [[item for item in draw(some) if item not in barred][:k] for barred in excluded]
    return Case(listed, k, popular, [float(value) for value in popularity], excluded)


def fill(case: Case) -> Filled:
    """Fill lists whose items have the scores 100.5, 101.5 and so on."""
    positions = np.full((len(case.listed), case.k), NONE, dtype=np.int32)
    scores = np.full(positions.shape, np.nan, dtype=np.float32)
    for visitor, row in enumerate(case.listed):
        positions[visitor, : len(row)] = row
        scores[visitor, : len(row)] = [item + 100.5 for item in row]
    values = np.array([item for barred in case.excluded for item in barred], dtype=np.int64)
    offsets = np.cumsum([0, *map(len, case.excluded)], dtype=np.int64)
    popular = np.array(case.popular, dtype=np.int64), np.array(case.popularity, dtype=np.float64)
    return Filled(positions, scores, fill_up(positions, scores, popular, (values, offsets)))


def by_hand(case: Case, visitor: int) -> list[tuple[int, float, bool]]:
    """One visitor's (item, score, filled), taking the popular items one by one."""
    row = [(item, item + 100.5, False) for item in case.listed[visitor]]
    for item, popularity in zip(case.popular, case.popularity, strict=True):
        if len(row) < case.k and item not in case.listed[visitor] and item not in case.excluded[visitor]:
            row.append((item, popularity, True))
    return row


@given(cases())
@settings(max_examples=200, deadline=None)
def test_lists_are_filled_as_by_hand(case: Case) -> None:
    positions, scores, filled = fill(case)
    for visitor in range(len(case.listed)):
        expected = by_hand(case, visitor)
        taken = slice(len(expected))
        found = zip(positions[visitor, taken], scores[visitor, taken], filled[visitor, taken], strict=True)
        assert list(found) == expected
        free = slice(len(expected), None)
        assert (positions[visitor, free] == NONE).all()
        assert np.isnan(scores[visitor, free]).all()
        assert not filled[visitor, free].any()


def test_a_full_list_is_left_alone() -> None:
    positions, scores, filled = fill(Case([[4, 2]], 2, [9, 8], [5.0, 4.0], [[]]))
    assert positions.tolist() == [[4, 2]]
    assert scores.tolist() == [[104.5, 102.5]]
    assert filled.tolist() == [[False, False]]


def test_an_item_that_is_listed_is_not_filled_in_again() -> None:
    assert fill(Case([[9]], 3, [9, 8, 7], [5.0, 4.0, 3.0], [[]])).positions.tolist() == [[9, 8, 7]]


def test_excluded_items_at_the_head_do_not_shorten_the_list() -> None:
    case = Case([[]], 2, [1, 2, 3, 4, 5], [5.0, 4.0, 3.0, 2.0, 1.0], [[3, 2, 1]])
    assert fill(case).positions.tolist() == [[4, 5]]


def test_places_stay_free_where_no_popular_item_is_left() -> None:
    positions, scores, filled = fill(Case([[6]], 3, [6, 7, 8], [3.0, 2.0, 1.0], [[7]]))
    assert positions.tolist() == [[6, 8, NONE]]
    assert filled.tolist() == [[False, True, False]]
    np.testing.assert_array_equal(scores, np.array([[106.5, 1.0, np.nan]], dtype=np.float32))


def test_without_popular_items_nothing_is_filled() -> None:
    positions, _, filled = fill(Case([[], [3]], 2, [], [], [[], []]))
    assert positions.tolist() == [[NONE, NONE], [3, NONE]]
    assert not filled.any()


def test_no_visitors_have_nothing_to_fill() -> None:
    positions = np.empty((0, 3), dtype=np.int32)
    scores = np.empty((0, 3), dtype=np.float32)
    popular = np.array([1]), np.array([2.0])
    assert fill_up(positions, scores, popular, (NOTHING, np.array([0]))).shape == (0, 3)
