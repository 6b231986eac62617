from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from recommender.errors import ConfigError
from recommender.steps import TopKRecommender

Place = tuple[int, float, str]  # item_index, score, source
Visitor = tuple[int, str | None, list[float] | None]

VISITORS = "visitor_index int, source string, features array<float>"
FACTORS = "id int, features array<float>"
POPULARITY = "item_index int, score double"
HISTORY = "visitor_index int, item_index int, event string"
RESULT = [("visitor_index", "int"), ("rank", "int"), ("item_index", "int"), ("score", "float"), ("source", "string")]


class Shop(NamedTuple):
    visitors: Sequence[Visitor]
    item_factors: Sequence[tuple[int, list[float]]]
    popularity: Sequence[tuple[int, float]]
    history: Sequence[tuple[int, int, str]]


ANN, BOB, EVE, ZOE = 7, 8, 9, 10
# Items 3 and 4 have no factors, items 2 and 5 no popularity; 1 and 2 have equal factors, 3 and 4 equal popularity.
SMALL = Shop(
    visitors=[(ANN, "als", [1.0, 0.0]), (BOB, "fold_in", [1.0, 0.0]), (EVE, None, None), (ZOE, "als", [-1.0, 0.0])],
    item_factors=[(0, [3.0, 0.0]), (1, [2.0, 7.0]), (2, [2.0, 7.0]), (5, [1.0, 0.0])],
    popularity=[(0, 10.0), (1, 40.0), (4, 30.0), (3, 30.0)],
    history=[
        (BOB, 0, "transaction"),
        (BOB, 1, "addtocart"),
        (BOB, 2, "view"),
        (EVE, 1, "transaction"),
        (EVE, 3, "view"),
        (EVE, 77, "transaction"),
        (99, 0, "transaction"),
    ],
)
ANNS_LIST: list[Place] = [(0, 3, "als"), (1, 2, "als"), (2, 2, "als")]
ZOES_LIST: list[Place] = [(5, -1, "als"), (1, -2, "als"), (2, -2, "als")]


def execute(spark: SparkSession, shop: Shop, **init: Any) -> DataFrame:
    return TopKRecommender(**init).execute(
        spark.createDataFrame(shop.visitors, VISITORS),
        spark.createDataFrame(shop.item_factors, FACTORS),
        spark.createDataFrame(shop.popularity, POPULARITY),
        spark.createDataFrame(shop.history, HISTORY),
        visitor_count=len(shop.visitors),
    )


def lists(spark: SparkSession, shop: Shop, **init: Any) -> dict[int, list[Place]]:
    """Each visitor's list, after a check that its ranks are 1, 2, 3 and so on."""
    found: dict[int, list[Place]] = {}
    rows = execute(spark, shop, **init).collect()
    for visitor, rank, *place in sorted(rows, key=lambda row: (row["visitor_index"], row["rank"])):
        found.setdefault(visitor, []).append((place[0], place[1], place[2]))
        assert rank == len(found[visitor])
    return found


BOUGHT = ["addtocart", "transaction"]
EVERY_KIND = ["view", *BOUGHT]


def by_hand(shop: Shop, *, k: int, exclude_events: Sequence[str], fill_with_popular: bool) -> dict[int, list[Place]]:
    """The lists by sorting every allowed item of every visitor."""
    popular = sorted(shop.popularity, key=lambda row: (-row[1], row[0]))
    found: dict[int, list[Place]] = {}
    for visitor, source, features in shop.visitors:
        barred = {item for who, item, event in shop.history if who == visitor and event in exclude_events}
        scored = [(-np.dot(features, y), item) for item, y in shop.item_factors] if features else []
        best = sorted((score, item) for score, item in scored if item not in barred)[:k]
        places: list[Place] = [(item, -score, str(source)) for score, item in best]
        taken = barred | {item for _, item in best}
        if fill_with_popular:
            fillers = [(item, score, "popular") for item, score in popular if item not in taken]
            places += fillers[: k - len(places)]
        if places:
            found[visitor] = places
    return found


def random_shop() -> Shop:
    """Small whole numbers: exact scores with many ties. Long histories leave some lists too short."""
    random = np.random.default_rng(11)

    def few_numbers() -> list[float]:
        return [float(number) for number in random.integers(-2, 3, 3)]

    ids = random.permutation(40)[:15].tolist()
    visitors: list[Visitor] = []
    for n, visitor in enumerate(ids):
        features = few_numbers()
        visitors.append((visitor, None, None) if n % 4 == 0 else (visitor, ("als", "fold_in")[n % 2], features))
    item_factors = [(item, few_numbers()) for item in random.permutation(14).tolist() if item % 5]
    popularity = [(item, float(random.integers(1, 5))) for item in random.permutation(60).tolist() if item != 7]
    kinds = np.array(["view", "addtocart", "transaction"])
    history = [
        (visitor, item, str(random.choice(kinds)))
        for visitor in ids
        for item in random.choice(16, size=random.integers(0, 17), replace=False).tolist()
    ]
    return Shop(visitors, item_factors, popularity, history)


@pytest.fixture(scope="module")
def usual(spark: SparkSession) -> dict[int, list[Place]]:
    return lists(spark, SMALL, k=3, exclude_events=BOUGHT)


def test_the_best_items_come_first_and_equal_scores_by_item_index(usual: dict[int, list[Place]]) -> None:
    assert usual[ANN] == ANNS_LIST


def test_negative_scores_are_recommended_too(usual: dict[int, list[Place]]) -> None:
    assert usual[ZOE] == ZOES_LIST


def test_items_put_into_the_cart_or_bought_are_left_out_and_viewed_ones_are_not(usual: dict[int, list[Place]]) -> None:
    assert [item for item, _, _ in usual[BOB]] == [2, 5, 3]


def test_a_list_that_is_too_short_is_filled_with_popular_items_and_they_are_marked(
    usual: dict[int, list[Place]],
) -> None:
    assert usual[BOB] == [(2, 2, "fold_in"), (5, 1, "fold_in"), (3, 30, "popular")]


def test_a_visitor_without_factors_gets_popular_items_but_none_that_is_excluded(usual: dict[int, list[Place]]) -> None:
    assert usual[EVE] == [(3, 30, "popular"), (4, 30, "popular"), (0, 10, "popular")]


def test_only_given_visitors_have_lists(usual: dict[int, list[Place]]) -> None:
    assert usual.keys() == {ANN, BOB, EVE, ZOE}


def test_the_kinds_of_events_that_exclude_can_be_chosen(spark: SparkSession) -> None:
    assert lists(spark, SMALL, k=3, exclude_events=["view"]) == {
        ANN: ANNS_LIST,
        BOB: [(0, 3, "fold_in"), (1, 2, "fold_in"), (5, 1, "fold_in")],
        EVE: [(1, 40, "popular"), (4, 30, "popular"), (0, 10, "popular")],
        ZOE: ZOES_LIST,
    }


def test_by_default_an_item_with_an_event_of_any_kind_is_left_out(spark: SparkSession) -> None:
    unheard = SMALL._replace(history=[*SMALL.history, (ZOE, 5, "of a kind that nothing weighs")])
    assert lists(spark, unheard, k=3) == {
        ANN: ANNS_LIST,
        BOB: [(5, 1, "fold_in"), (3, 30, "popular"), (4, 30, "popular")],
        EVE: [(4, 30, "popular"), (0, 10, "popular")],
        ZOE: [*ZOES_LIST[1:], (0, -3, "als")],
    }


def test_nothing_is_excluded_by_an_empty_list_of_events(spark: SparkSession) -> None:
    assert lists(spark, SMALL, k=3, exclude_events=[]) == {
        ANN: ANNS_LIST,
        BOB: [(0, 3, "fold_in"), (1, 2, "fold_in"), (2, 2, "fold_in")],
        EVE: [(1, 40, "popular"), (3, 30, "popular"), (4, 30, "popular")],
        ZOE: ZOES_LIST,
    }


def test_lists_stay_short_where_they_are_not_to_be_filled(spark: SparkSession) -> None:
    assert lists(spark, SMALL, k=3, exclude_events=BOUGHT, fill_with_popular=False) == {
        ANN: ANNS_LIST,
        BOB: [(2, 2, "fold_in"), (5, 1, "fold_in")],
        ZOE: ZOES_LIST,
    }


def test_the_lists_of_a_random_shop_are_those_made_by_hand(spark: SparkSession) -> None:
    settings: dict[str, Any] = {"k": 4, "exclude_events": ["view", "transaction"], "fill_with_popular": False}
    expected = by_hand(random_shop(), **settings)
    assert {source for places in expected.values() for _, _, source in places} == {"als", "fold_in"}
    assert lists(spark, random_shop(), **settings) == expected


def test_small_blocks_and_shuffled_rows_give_the_same_lists(spark: SparkSession) -> None:
    shop = random_shop()
    shuffled = Shop(shop.visitors[::-1], shop.item_factors[::-1], shop.popularity[::-1], shop.history[::-1])
    expected = by_hand(shop, k=100, exclude_events=EVERY_KIND, fill_with_popular=True)
    assert {source for places in expected.values() for _, _, source in places} == {"als", "fold_in", "popular"}
    assert lists(spark, shuffled, k=100, visitors_per_block=1) == expected


def test_the_result_has_exactly_the_columns_of_its_contract(spark: SparkSession) -> None:
    assert execute(spark, SMALL).dtypes == RESULT


@pytest.mark.parametrize("empty", [{"visitors": []}, {"item_factors": [], "popularity": []}])
def test_without_visitors_or_items_there_are_no_lists(spark: SparkSession, empty: dict[str, Any]) -> None:
    assert lists(spark, SMALL._replace(**empty)) == {}


def test_without_any_item_factors_everybody_gets_popular_items(spark: SparkSession) -> None:
    found = lists(spark, SMALL._replace(visitors=[(EVE, None, None)], item_factors=[]), k=1)
    assert found == {EVE: [(4, 30, "popular")]}


@pytest.mark.parametrize("k", [0, 1001])
def test_a_length_out_of_range_is_an_error(k: int) -> None:
    with pytest.raises(ConfigError, match=f"^CFG_RANGE k must be 1..1000, got {k}$"):
        TopKRecommender(k=k)


def test_a_block_size_out_of_range_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"^CFG_RANGE visitors_per_block must be 1\.\.10000000, got 0$"):
        TopKRecommender(visitors_per_block=0)


def test_excluding_one_event_without_a_list_is_an_error() -> None:
    given: Any = "view"
    sentence = "^CFG_TYPE exclude_events must be seen or a list, each a string, got 'view'$"
    with pytest.raises(ConfigError, match=sentence):
        TopKRecommender(exclude_events=given)
