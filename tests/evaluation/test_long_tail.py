"""The long tail against numpy."""

import numpy as np
import pytest

from recommender.evaluation.long_tail import long_tail, share


@pytest.mark.parametrize(("seed", "items"), [(1, 40), (2, 999), (3, 5000)])
def test_the_most_frequent_items_have_what_numpy_sums_up(seed: int, items: int) -> None:
    counts = np.random.default_rng(seed).zipf(1.5, size=items * 3 // 4) % 1000
    ordered = np.sort(counts)[::-1]
    each, number = np.unique(counts, return_counts=True)
    rows = list(zip(each.tolist(), number.tolist(), strict=True))
    curve = long_tail(rows[::-1], items)
    assert curve == long_tail(rows, items)
    assert [total for _, total in curve] == [int(ordered[:place].sum()) for place, _ in curve]
    assert curve[-1] == [items, int(counts.sum())]
    tenth = -(-items // 10)
    assert share(curve, 100) == pytest.approx(ordered[:tenth].sum() / counts.sum())


def test_of_no_items_or_no_events_there_is_no_share() -> None:
    assert long_tail([], 0) == []
    assert share([], 10) is None
    assert share(long_tail([(0, 5)], 5), 10) is None
    assert share([[1, 5], [3, 9]], 500) is None  # a point that is not recorded
