"""The metrics of one visitor, without Spark."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from support.by_hand import per_visitor

from recommender.evaluation import PER_VISITOR
from recommender.evaluation.accuracy import Held, Hits, Judged, judge

MODELS = 2
CUTOFFS = [1, 3, 4]


class Case(NamedTuple):
    relevant: Mapping[int, Mapping[int, float]]  # visitor -> item -> score
    lists: Mapping[tuple[int, int], Sequence[int]]  # (model, visitor) -> items


@st.composite
def cases(draw: st.DrawFn) -> Case:
    items = st.integers(0, 6)
    scores = st.sampled_from([0.0, 0.5, 1.0, 3.0, 10.0])
    visitors = draw(st.lists(st.integers(-3, 9), min_size=1, max_size=4, unique=True))
    relevant = {visitor: draw(st.dictionaries(items, scores, min_size=1, max_size=5)) for visitor in visitors}
    keys = [(model, visitor) for model in range(MODELS) for visitor in visitors]
    return Case(relevant, {key: draw(st.lists(items, max_size=6, unique=True)) for key in keys})


def judged(case: Case, graded: bool, order: np.random.Generator | None = None) -> Judged:
    def columns(rows: Sequence[tuple[float, ...]], width: int) -> list[np.ndarray]:
        table = np.array(rows, dtype=np.float64).reshape(-1, width)
        table = table if order is None else order.permutation(table)
        return [*(table[:, place].astype(np.int32) for place in range(width - 1)), table[:, -1]]

    held = [
        (visitor, item, score if graded else 1.0)
        for visitor, scores in case.relevant.items()
        for item, score in scores.items()
    ]
    hits = [
        (visitor, model, rank, item, case.relevant[visitor][item] if graded else 1.0)
        for (model, visitor), items in case.lists.items()
        for rank, item in enumerate(items, start=1)
        if item in case.relevant[visitor]
    ]
    return judge(Held(*columns(held, 3)), Hits(*columns(hits, 5)), MODELS, CUTOFFS)


@settings(deadline=None)
@given(cases(), st.booleans())
def test_every_metric_of_every_visitor_has_the_value_of_its_definition(case: Case, graded: bool) -> None:
    found = judged(case, graded)
    assert found.visitors.tolist() == sorted(case.relevant)
    values = np.zeros((len(found.visitors), MODELS, len(PER_VISITOR), len(CUTOFFS)))
    values[found.with_hits] = found.values.reshape(-1, *values.shape[1:])
    for row, visitor in enumerate(found.visitors.tolist()):
        for model in range(MODELS):
            for place, k in enumerate(CUTOFFS):
                expected = per_visitor(case.lists[model, visitor], case.relevant[visitor], k, graded)
                each = dict(zip(PER_VISITOR, values[row, model, :, place], strict=True))
                assert each == pytest.approx(expected, rel=1e-12, abs=1e-15)


@settings(deadline=None)
@given(cases(), st.booleans(), st.integers(0, 99))
def test_a_metric_lies_between_0_and_1_and_the_order_of_the_rows_does_not_matter(
    case: Case, graded: bool, seed: int
) -> None:
    found, shuffled = judged(case, graded), judged(case, graded, np.random.default_rng(seed))
    assert ((found.values >= 0) & (found.values <= 1 + 1e-12)).all()
    for one, other in zip(found, shuffled, strict=True):
        assert np.array_equal(one, other)


def test_a_pair_that_is_held_out_twice_is_relevant_once_with_the_greater_score() -> None:
    held = Held(np.array([5, 5, 5]), np.array([1, 1, 2]), np.array([1.0, 4.0, 2.0]))
    hits = Hits(*(np.array(column) for column in ([5, 5], [0, 0], [1, 1], [1, 1], [1.0, 4.0])))
    found = judge(held, hits, 1, [1], ["recall", "ndcg", "precision"])
    assert found.values.tolist() == [[0.5, 1.0, 1.0]]


def test_an_item_that_a_list_has_twice_counts_at_its_first_place() -> None:
    held = Held(np.array([5]), np.array([1]), np.array([1.0]))
    hits = Hits(*(np.array(column) for column in ([5, 5], [0, 0], [3, 2], [1, 1], [1.0, 1.0])))
    found = judge(held, hits, 1, [3], ["recall", "mrr", "precision"])
    assert found.values.tolist() == [[1.0, 0.5, pytest.approx(1 / 3)]]


def test_a_visitor_whose_relevant_items_gain_nothing_has_an_ndcg_of_0() -> None:
    held = Held(np.array([5]), np.array([1]), np.array([0.0]))
    hits = Hits(*(np.array([number]) for number in (5, 0, 1, 1)), np.array([0.0]))
    assert judge(held, hits, 1, [1], ["ndcg", "recall"]).values.tolist() == [[0.0, 1.0]]


def test_graded_relevance_has_the_value_of_the_paper() -> None:
    # Gains 3, 2, 3, 0, 1, 2 in the order of the list; the best order is 3, 3, 2, 2, 1, 0.
    gains = [3.0, 2.0, 3.0, 0.0, 1.0, 2.0]
    places = np.arange(6)
    held = Held(np.zeros(6, dtype=int), places, np.array(gains))
    hits = Hits(np.zeros(6, dtype=int), np.zeros(6, dtype=int), places + 1, places, np.array(gains))
    dcg = 3 + 2 / np.log2(3) + 3 / 2 + 0 + 1 / np.log2(6) + 2 / np.log2(7)
    ideal = 3 + 3 / np.log2(3) + 2 / 2 + 2 / np.log2(5) + 1 / np.log2(6)
    assert judge(held, hits, 1, [6], ["ndcg"]).values[0, 0] == pytest.approx(dcg / ideal, rel=1e-12)


def test_without_hits_there_are_no_values_but_visitors() -> None:
    nothing = np.array([], dtype=np.int32)
    found = judge(
        Held(np.array([5, 3]), np.array([1, 1]), np.array([1.0, 1.0])), Hits(*[nothing] * 4, np.array([])), 2, [1]
    )
    assert (found.visitors.tolist(), found.with_hits.tolist(), found.values.shape) == ([3, 5], [], (0, 12))
