"""The best items of a choice, against sorting all of them."""

import importlib

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from recommender.ranking import arranged, best_of, multiplied

chosen_module = importlib.import_module("recommender.ranking.chosen")


@given(st.integers(0, 10**6), st.integers(0, 60), st.integers(1, 12), st.sampled_from([0.1, 0.5, 1.0, 3.0, None]))
@settings(max_examples=300, deadline=None)
def test_a_choice_is_the_best_of_all_items(seed: int, number: int, k: int, factor: float | None) -> None:
    random = np.random.default_rng(seed)
    # Whole numbers: many scores are equal.
    factors = random.integers(-3, 4, (number, 3)).astype(np.float32)
    items, visitor = arranged(random.permutation(number), factors), random.integers(-2, 3, 3).astype(np.float32)
    excluded, met = random.permutation(number + 3)[:4], random.random(number) < random.random()
    boosts = None if factor is None else random.choice(np.array([1, factor, 2], np.float32), number)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chosen_module, "_FIRST", 4)
        found = best_of(
            visitor, items, k, excluded, lambda own: (met[own], None if boosts is None else boosts[own]), 10.0
        )
    scores = items.factors @ visitor
    scores = scores if boosts is None else multiplied(scores, boosts)
    may = np.flatnonzero(met & ~np.isin(items.indexes, excluded))
    order = may[np.lexsort((items.indexes[may], -scores[may]))][:k]
    assert found[0].tolist() == items.indexes[order].tolist()
    assert found[1].tolist() == scores[order].tolist()


def test_a_search_ends_where_nothing_can_be_better() -> None:
    items = arranged(np.arange(10**5), np.geomspace(100, 1, 10**5).astype(np.float32)[:, None])
    looked: list[int] = []

    def choose(own: slice) -> tuple[None, np.ndarray]:
        looked.append(own.stop)
        return None, np.where(items.indexes[own] % 2, np.float32(1.5), np.float32(1))

    best = best_of(np.array([2.0], np.float32), items, 3, np.array([1]), choose, 1.5)
    assert best[0].tolist() == [3, 5, 7]
    assert looked[-1] < 30_000
