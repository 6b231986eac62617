"""Lists by neighbours follow the rules of all lists, and the service computes the same ones."""

from collections import defaultdict
from collections.abc import Sequence
from math import fsum
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from recommender.models import ListMaker, Neighbours
from recommender.ranking import Nearest
from recommender.ruled_stage import RuledSteps
from recommender.serving.neighbours import ByNeighbours
from recommender.serving.scorer import Feedback
from recommender.snapshot import catalogue
from recommender.stage3.steps import SimilarItems
from recommender.tables import schemas

Event = tuple[int, int, str, float, int]
Place = tuple[int, float, str]  # item, score, source

ANN, BOB, EVE = 20, 21, 22
CLOSE = [(1, 2, 0.5), (1, 3, 0.25), (2, 1, 0.5), (2, 3, 0.25), (2, 4, 0.125), (6, 7, 1.0)]
EVENTS: list[Event] = [
    (ANN, 1, "view", 1.0, 5),
    (ANN, 2, "view", 1.0, 6),
    (ANN, 2, "transaction", 10.0, 7),
    (BOB, 6, "view", 1.0, 5),
    (EVE, 99, "transaction", 10.0, 5),  # has no neighbours
]
POPULAR = [(3, 9.0), (8, 8.0), (7, 7.0), (2, 6.0)]


def lists(
    spark: SparkSession,
    events: Sequence[Event] = EVENTS,
    close: Any = CLOSE,
    *,
    k: int = 3,
    allowed: Sequence[int] | None = None,
    barred: Any = ("addtocart", "transaction"),
    fill: bool = False,
    visitors: Sequence[int] = (ANN, BOB, EVE),
) -> dict[int, list[Place]]:
    """Each visitor's list, after a check that its ranks are 1, 2, 3 and so on."""
    exclude = barred if isinstance(barred, str) else list(barred)
    maker = ListMaker(
        RuledSteps.build({"recommend": {"exclude_events": exclude, "fill_with_popular": fill}}),
        k=k,
        visitors=spark.createDataFrame([(each,) for each in visitors], "visitor_index int"),
        number=len(visitors),
        history=spark.createDataFrame(events, schemas.TABLES["history"]),
        allowed=None if allowed is None else spark.createDataFrame([(each,) for each in allowed], "item_index int"),
        popularity=spark.createDataFrame(POPULAR, schemas.TABLES["popularity"]),
    )
    rows = Neighbours(spark.createDataFrame(close, schemas.TABLES["neighbours"])).lists(maker).collect()
    found: dict[int, list[Place]] = defaultdict(list)
    for visitor, rank, *place in sorted(rows, key=lambda row: (row["visitor_index"], row["rank"])):
        found[visitor].append((place[0], place[1], place[2]))
        assert rank == len(found[visitor])
    return dict(found)


def test_an_item_scores_the_sum_of_its_similarities_to_what_the_visitor_has(spark: SparkSession) -> None:
    found = lists(spark)
    assert found[ANN] == [(1, 0.5, "item_to_item"), (3, 0.5, "item_to_item"), (4, 0.125, "item_to_item")]
    assert found[BOB] == [(7, 1.0, "item_to_item")]
    assert EVE not in found  # nothing is known, and nothing fills its list


def test_the_rules_are_applied_before_the_list_is_cut(spark: SparkSession) -> None:
    assert lists(spark, k=1, allowed=[3, 4])[ANN] == [(3, 0.5, "item_to_item")]
    assert {item for item, *_ in lists(spark, barred="seen")[ANN]} == {3, 4}
    assert 2 in {item for item, *_ in lists(spark, barred=[])[ANN]}


def test_a_list_that_is_too_short_is_filled_with_popular_items_and_none_twice(spark: SparkSession) -> None:
    found = lists(spark, fill=True)
    assert found[BOB] == [(7, 1.0, "item_to_item"), (3, 9.0, "popular"), (8, 8.0, "popular")]
    assert found[EVE] == [(3, 9.0, "popular"), (8, 8.0, "popular"), (7, 7.0, "popular")]
    assert lists(spark, fill=True, visitors=[EVE]) == {EVE: found[EVE]}  # who is not asked for gets none


def test_an_item_with_no_positive_score_in_all_has_no_say(spark: SparkSession) -> None:
    events = [(ANN, 1, "view", 1.0, 5), (ANN, 1, "return", -1.0, 6), (ANN, 6, "view", 1.0, 5)]
    assert lists(spark, events) == {ANN: [(7, 1.0, "item_to_item")]}


def test_similar_items_are_the_nearest_neighbours_that_may_be_shown(spark: SparkSession) -> None:
    model = Neighbours(spark.createDataFrame(CLOSE, schemas.TABLES["neighbours"]))
    allowed = spark.createDataFrame([(1,), (3,), (4,)], "item_index int")
    rows, _ = model.similar(SimilarItems(k=1), allowed)
    assert sorted(map(tuple, rows.collect())) == [(1, 1, 3, 0.25), (2, 1, 1, 0.5)]


def random_log(seed: int = 8) -> tuple[list[Event], list[tuple[int, int, float]], list[int]]:
    random = np.random.default_rng(seed)
    events = [
        (100 + visitor, item, str(random.choice(["view", "transaction"])), float(random.choice([1, 5, 0, -1])), 1)
        for visitor in range(60)
        for item in random.choice(25, size=random.integers(1, 13), replace=False).tolist()
    ]
    close = [
        (item, other, float(random.choice([0.5, 1 / 3, random.random()])))
        for item in range(25)
        for other in random.choice(25, size=9, replace=False).tolist()
        if other != item
    ]
    return events, close, [*range(0, 25, 2), 1, 3, 5]


def by_hand(
    events: Sequence[Event], close: Sequence[tuple[int, int, float]], allowed: Sequence[int], k: int
) -> dict[int, list[int]]:
    """The items of the lists, by sorting every allowed one; what was bought is excluded."""
    found = {}
    for visitor in {v for v, *_ in events}:
        own = [event for event in events if event[0] == visitor]
        has = {i for i in {i for _, i, *_ in own} if fsum(s for _, item, _, s, _ in own if item == i) > 0}
        scores: dict[int, list[float]] = defaultdict(list)
        for item, other, similarity in close:
            if item in has:
                scores[other].append(similarity)
        barred = {item for _, item, event, *_ in own if event == "transaction"}
        ranked = sorted((-np.float32(fsum(s)), i) for i, s in scores.items() if i in set(allowed) - barred)
        if ranked:
            found[visitor] = [item for _, item in ranked[:k]]
    return found


def by_service(
    events: Sequence[Event], close: Sequence[tuple[int, int, float]], allowed: Sequence[int], k: int
) -> dict[int, list[Place]]:
    rows = sorted(close, key=lambda row: (row[0], -row[2], row[1]))
    items, others, similarities = (np.array(column) for column in zip(*rows, strict=True))
    offsets = np.searchsorted(items, np.arange(101))
    model = catalogue.Neighbours(Nearest(offsets, others.astype(np.int32), similarities))
    scorer = ByNeighbours(model, np.isin(np.arange(100), allowed))
    found = {}
    for visitor in {v for v, *_ in events}:
        sums: dict[int, float] = defaultdict(float)
        for _, item, _, score, _ in (event for event in events if event[0] == visitor):
            sums[item] += score
        barred = np.array(sorted({i for v, i, kind, *_ in events if v == visitor and kind == "transaction"}), np.int64)
        has = np.array(sorted(sums), np.int64)
        taste = scorer.taste(Feedback(has, np.array([sums[item] for item in has.tolist()]), barred))
        best, scores = ([], []) if taste is None else map(list, scorer.best(taste, k, barred, None))
        if best:
            found[visitor] = [(int(i), float(s), "item_to_item") for i, s in zip(best, scores, strict=True)]
    return found


def test_the_service_computes_the_same_lists_to_the_last_bit(spark: SparkSession) -> None:
    log = random_log()
    visitors = sorted({v for v, *_ in log[0]})
    found = lists(spark, log[0], log[1], k=6, allowed=log[2], barred=["transaction"], visitors=visitors)
    assert {v: [item for item, *_ in places] for v, places in found.items()} == by_hand(*log, 6)
    assert found == by_service(*log, 6)


def test_a_list_does_not_depend_on_the_order_of_the_similarities() -> None:
    random = np.random.default_rng(3)
    similarities = random.random(50)
    near = Nearest(np.arange(51), np.zeros(50, np.int32), similarities)
    orders = [np.arange(50), np.arange(50)[::-1], random.permutation(50)]
    assert len({near.scored(order)[1].tobytes() for order in orders}) == 1
    assert near.shares(0, orders[2]).sum() == pytest.approx(similarities.sum())
    assert near.scored(np.array([], np.int64))[0].tolist() == []
