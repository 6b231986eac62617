"""Filters by attributes of items: exact over the whole catalogue, whatever is published."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from support.literal_snapshot import Shop

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from recommender.errors import ArtifactError
from recommender.serving import answers
from recommender.serving.answers import Request
from recommender.serving.filters import Filters
from recommender.serving.problems import RequestError
from recommender.serving.version import Version
from recommender.snapshot.checks import read_manifest

CATEGORIES = ["shoes", "hats", None, "boots"]
PRICES = ["10", "49.5", "50", None, "200"]
STOCK = ["true", "false", "true"]
ATTRIBUTES = {"category": CATEGORIES, "price": PRICES, "in_stock": STOCK}


KINDS: dict[str, dict[str, Any]] = {"plain": {}, "blended": {"blend": 0.5}, "neighbours": {"neighbours": True}}


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, Version]:
    folder, shop = tmp_path_factory.mktemp("snapshot"), Shop(attributes=ATTRIBUTES, **request.param)
    shop.write(folder)
    return shop, Version.open(folder, read_manifest(folder), number=1)


def meets(item: int, text: str) -> bool:
    """Return whether an item meets a filter, by plain Python."""
    category, price, stock = CATEGORIES[item % 4], PRICES[item % 5], STOCK[item % 3]
    for condition in text.split(","):
        if condition.startswith("category:"):
            is_met = category in condition.removeprefix("category:").split("|")
        elif condition.startswith("in_stock:"):
            is_met = stock == condition.removeprefix("in_stock:")
        elif price is None:
            is_met = False
        else:
            is_met = bool(eval(condition.replace("price:", "price=="), {"price": float(price)}))  # noqa: S307
        if not is_met:
            return False
    return True


FILTERS = st.lists(
    st.sampled_from(
        ["category:shoes", "category:shoes|boots", "in_stock:true", "price<50", "price<=50", "price>10", "price:49.5"]
    ),
    min_size=1,
    max_size=3,
    unique=True,
).map(",".join)


@given(FILTERS, st.integers(0, 39), st.integers(1, 12), st.integers(0, 4))
@settings(max_examples=120, deadline=None)
def test_a_filtered_list_is_the_best_of_all_items_that_meet_it(
    both: tuple[Shop, Version], text: str, row: int, k: int, offset: int
) -> None:
    shop, version = both
    others, own = [item for item in range(30) if not meets(item, text)], slice(offset, offset + k)
    expected = [str(shop.itemids[item]) for item, _ in shop.expected(shop.histories[row], 60, others)][own]
    request = Request(k, str(shop.visitorids[row]), offset=offset, filter=text)
    for answer in (answers.recommended_or_computed(version, request), answers.computed(version, request)):
        assert [item["itemid"] for item in answer["items"]] == expected
    popular = answers.popular(version, Request(k, offset=offset, filter=text))
    expected = [str(shop.itemids[item]) for item, _ in shop.expected([], 60, others)][own]
    assert [item["itemid"] for item in popular["items"]] == expected


BOOSTS = st.lists(
    st.tuples(st.sampled_from(["category:shoes", "price<50", "in_stock:true"]), st.sampled_from([0.1, 0.5, 1.5, 3])),
    min_size=1,
    max_size=3,
    unique_by=lambda boost: boost[0],
)
LIMITS = st.dictionaries(st.sampled_from(["category", "price", "in_stock"]), st.integers(1, 3), min_size=1)


def chosen(
    shop: Shop, history: Any, boosts: list[tuple[str, float]], limits: dict[str, int], others: list[int]
) -> list[int]:
    """Return all items that a list may have, best first, by plain Python."""
    scores, ranked = shop.score(history), []
    for item, source in shop.expected(history, 60, others):
        score = float(scores[item]) if source == shop.source and scores is not None else shop.popularity[item]
        for condition, factor in boosts:
            if meets(item, condition):
                score = score * factor if score > 0 else score / factor
        ranked.append((source == "popular", -score, item))
    return within(limits, [item for _, _, item in sorted(ranked)])


def within(limits: dict[str, int], ranked: list[int]) -> list[int]:
    """Return the items, best first, that limits leave."""
    taken: list[int] = []
    for item in ranked:
        values = {name: ATTRIBUTES[name][item % len(ATTRIBUTES[name])] for name in limits}
        same = {
            name: sum(ATTRIBUTES[name][other % len(ATTRIBUTES[name])] == value for other in taken)
            for name, value in values.items()
        }
        if all(value is None or same[name] < limits[name] for name, value in values.items()):
            taken.append(item)
    return taken


@given(BOOSTS | st.just([]), LIMITS | st.just({}), FILTERS | st.none(), st.integers(0, 39), st.integers(1, 9))
@settings(max_examples=150, deadline=None)
def test_a_list_that_is_boosted_and_diverse_is_the_best_of_all_items(
    both: tuple[Shop, Version],
    boosts: list[tuple[str, float]],
    limits: dict[str, int],
    text: str | None,
    row: int,
    k: int,
) -> None:
    shop, version = both
    others = [item for item in range(30) if text is not None and not meets(item, text)]
    asked = {
        "filter": text,
        "boost": ",".join(f"{condition}*{factor}" for condition, factor in boosts) or None,
        "max_per": ",".join(f"{name}:{most}" for name, most in limits.items()) or None,
    }
    request = Request(k, str(shop.visitorids[row]), offset=1, **asked)
    expected = [str(shop.itemids[item]) for item in chosen(shop, shop.histories[row], boosts, limits, others)]
    for answer in (answers.recommended_or_computed(version, request), answers.computed(version, request)):
        assert [item["itemid"] for item in answer["items"]] == expected[1 : k + 1]
    popular = answers.popular(version, Request(k, **asked))
    expected = [str(shop.itemids[item]) for item in chosen(shop, [], boosts, limits, others)]
    assert [item["itemid"] for item in popular["items"]] == expected[:k]


@pytest.mark.parametrize("asked", [{"max_per": "category:1"}, {"boost": "category:shoes*1.01"}])
def test_a_published_list_answers_boosts_and_limits_where_it_suffices(
    both: tuple[Shop, Version], asked: dict[str, str]
) -> None:
    shop, version = both
    requests = [Request(k, str(visitorid), **asked) for visitorid in shop.visitorids for k in (1, 5)]
    assert {answers.recommended_or_computed(version, each)["source"] for each in requests} >= {"published", shop.source}


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"boost": "category:shoes"}, "'category:shoes' is not a boost such as category:shoes*2"),
        ({"boost": "category:shoes*0"}, "its factor is 0.01 to 100"),
        ({"boost": "category:shoes*nan"}, "its factor is 0.01 to 100"),
        ({"boost": "colour:red*2"}, "items have no attribute 'colour'; they have category, in_stock, price"),
        ({"boost": ",".join(["price<5*2"] * 5)}, "at most 4 boosts can be asked for, got 5"),
        ({"max_per": "category"}, "'category' is not a limit such as brand:2"),
        ({"max_per": "category:0"}, "'category:0' is not a limit such as brand:2"),
        ({"max_per": "colour:2"}, "items have no attribute 'colour'; they have category, in_stock, price"),
    ],
)
def test_what_is_not_a_boost_or_a_limit_is_refused(
    both: tuple[Shop, Version], asked: dict[str, str], sentence: str
) -> None:
    with pytest.raises(RequestError) as refused:
        answers.computed(both[1], Request(3, **asked))
    assert (refused.value.status, refused.value.id) == (422, "FILTER_INVALID")
    assert sentence in refused.value.sentence


def test_a_published_list_answers_a_filter_as_long_as_enough_is_left(both: tuple[Shop, Version]) -> None:
    shop, version = both
    sources = set()
    for visitorid in shop.visitorids:
        for k in (1, 5):
            request = Request(k, str(visitorid), filter="in_stock:true")
            sources.add(answers.recommended_or_computed(version, request)["source"])
    assert sources >= {"published", shop.source}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "'' is not a condition such as category:shoes or price<50"),
        ("category", "'category' is not a condition such as category:shoes or price<50"),
        ("category:shoes,", "'' is not a condition"),
        ("colour:red", "items have no attribute 'colour'; they have category, in_stock, price"),
        ("category<5", "category is not a number: < cannot be asked of it"),
        ("price<cheap", "price must be compared with a number, got 'cheap'"),
        ("in_stock:yes", "in_stock must be compared with true or false, got 'yes'"),
    ],
)
def test_what_is_not_a_filter_is_refused(both: tuple[Shop, Version], text: str, sentence: str) -> None:
    with pytest.raises(RequestError) as refused:
        answers.computed(both[1], Request(3, filter=text))
    assert (refused.value.status, refused.value.id) == (422, "FILTER_INVALID")
    assert sentence in refused.value.sentence


def test_a_version_without_attributes_has_no_filters(tmp_path: Path) -> None:
    Shop().write(tmp_path)
    version = Version.open(tmp_path, read_manifest(tmp_path))
    with pytest.raises(RequestError, match="items have no attribute 'price'; they have none in this version"):
        version.filters.choice("price<5")


def test_attributes_of_another_number_of_items_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table: Any = pa.table({"price": [1.0, 2.0]})
    monkeypatch.setattr("support.literal_snapshot.attributes_table", lambda _: table)
    Shop(attributes=ATTRIBUTES).write(tmp_path)
    with pytest.raises(ArtifactError, match="the tables of the items have different lengths"):
        Version.open(tmp_path, read_manifest(tmp_path))


def test_attributes_with_few_values_can_be_chosen_from() -> None:
    attributes = {
        "price": pa.array([1.0, 2.0, 3.0] * 17),
        "brand": pa.array(["y", None, "x"] * 16 + ["x"] * 3),
        "in_stock": pa.array([True, False, True] * 17),
        "title": pa.array([f"item {n}" for n in range(51)]),
    }
    assert Filters(attributes, np.array([0])).choices == {"brand": ["x", "y"], "in_stock": ["true", "false"]}


def test_no_value_meets_no_condition() -> None:
    attributes = {"price": pa.array([1.0, None, 3.0]), "brand": pa.array(["x", None, ""])}
    filters = Filters(attributes, np.array([2, 1]))

    def met(text: str) -> list[bool]:
        of_items, _ = filters.choice(text).of_items(np.arange(3))
        in_order, _ = filters.choice(text).of(slice(0, 3))
        assert of_items is not None
        assert in_order is not None
        assert in_order.tolist() == of_items[[2, 1, 0]].tolist()
        return of_items.tolist()

    assert met("price>=0") == [True, False, True]
    assert met("brand:x|y") == [True, False, False]
    assert met("brand:z") == [False, False, False]
    assert met("price:3|1") == [True, False, True]
    assert met(" price > 1 , price < 4 ") == [False, False, True]


@given(BOOSTS | st.just([]), LIMITS | st.just({}), FILTERS | st.none(), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_items_like_several_are_the_best_of_all_items_too(
    both: tuple[Shop, Version], boosts: list[tuple[str, float]], limits: dict[str, int], text: str | None, k: int
) -> None:
    shop, version = both
    cart = [int(item) for item in np.flatnonzero(shop.known)[:3]]
    alike, scores = shop.likeness[cart].mean(axis=0), {}
    usable = shop.known & shop.allowed & ((alike > 0) | (not shop.neighbours))
    for item in range(30):
        is_met = text is None or meets(item, text)
        if is_met and usable[item] and item not in cart:
            factor = np.prod([factor for condition, factor in boosts if meets(item, condition)])
            scores[item] = alike[item] * factor if alike[item] > 0 else alike[item] / factor
    asked = {
        "filter": text,
        "boost": ",".join(f"{condition}*{factor}" for condition, factor in boosts) or None,
        "max_per": ",".join(f"{name}:{most}" for name, most in limits.items()) or None,
    }
    found = answers.similar_to_several(version, Request(k, **asked), [str(shop.itemids[item]) for item in cart])
    expected = [str(shop.itemids[item]) for item in within(limits, sorted(scores, key=lambda item: -scores[item]))]
    assert [item["itemid"] for item in found["items"]] == expected[:k]
