"""Answers are those of plain sorting over all items, with the same rules, for numbers and strings as ids."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from support.literal_snapshot import EVENTS, WEIGHTS, Shop

from recommender.serving import answers
from recommender.serving.answers import Request
from recommender.serving.problems import RequestError
from recommender.serving.version import Version
from recommender.snapshot.checks import checked_files, read_manifest
from recommender.snapshot.layout import BOUGHT_TOGETHER, POPULAR_WINDOWS


def opened(folder: Path, **options: Any) -> tuple[Shop, Version]:
    shop = Shop(**options)
    shop.write(folder)
    manifest = read_manifest(folder)
    list(checked_files(folder, manifest))
    return shop, Version.open(folder, manifest, number=7)


KINDS: dict[str, dict[str, Any]] = {
    "long": {},
    "string, blended": {"strings": True, "blend": 0.5},
    "neighbours": {"neighbours": True},
}


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, Version]:
    return opened(tmp_path_factory.mktemp("snapshot"), **request.param)


def pairs(answer: dict[str, Any]) -> list[tuple[str, str]]:
    assert [item["rank"] for item in answer["items"]] == list(range(1, len(answer["items"]) + 1))
    return [(item["itemid"], item["source"]) for item in answer["items"]]


def named(shop: Shop, expected: list[tuple[int, str]]) -> list[tuple[str, str]]:
    return [(str(shop.itemids[item]), source) for item, source in expected]


def test_every_visitor_gets_what_is_published_for_it(both: tuple[Shop, Version]) -> None:
    shop, version = both
    for row, visitorid in enumerate(shop.visitorids):
        answer = answers.published(version, Request(3, str(visitorid)))
        assert answer is not None
        assert pairs(answer) == [
            (str(shop.itemids[item]), shop.sources[source]) for item, _, source in shop.lists[row][:3]
        ]
        assert [item["score"] for item in answer["items"]] == pytest.approx([s for _, s, _ in shop.lists[row][:3]])
        assert (answer["source"], answer["known"]) == ("published", True)
        assert answer["version"] == {"run": "monday", "number": 7, "created_at": "2026-11-25T01:00:00.000+00:00"}


def test_a_longer_list_is_computed_from_the_stored_history(both: tuple[Shop, Version]) -> None:
    shop, version = both
    for row, visitorid in enumerate(shop.visitorids):
        assert answers.published(version, Request(12, str(visitorid))) is None
        answer = answers.computed(version, Request(12, str(visitorid)))
        assert pairs(answer) == named(shop, shop.expected(shop.histories[row], 12))
        assert answer["source"] == ("popular" if shop.score(shop.histories[row]) is None else shop.source)
        assert answer["known"]


@given(
    st.lists(st.tuples(st.integers(0, 29), st.integers(0, 2)), max_size=8),
    st.lists(st.integers(0, 29), max_size=4),
    st.integers(1, 40),
)
@settings(max_examples=80, deadline=None)
def test_a_list_for_events_is_the_best_of_all_items(
    both: tuple[Shop, Version], events: list[tuple[int, int]], exclude: list[int], k: int
) -> None:
    shop, version = both
    told = [(str(shop.itemids[item]), EVENTS[event]) for item, event in events]
    answer = answers.computed(version, Request(k, None, told, [str(shop.itemids[item]) for item in exclude]))
    history = [(item, event, WEIGHTS[EVENTS[event]], 0) for item, event in events]
    assert pairs(answer) == named(shop, shop.expected(history, k, exclude))
    scores = shop.score(history)
    for item in answer["items"]:
        index = [str(each) for each in shop.itemids].index(item["itemid"])
        if item["source"] == shop.source:
            assert scores is not None
            assert item["score"] == pytest.approx(float(scores[index]), rel=1e-4, abs=1e-5)
        else:
            assert item["score"] == shop.popularity[index]


def test_what_is_not_known_is_counted(both: tuple[Shop, Version]) -> None:
    shop, version = both
    some = str(shop.itemids[0])
    answer = answers.computed(version, Request(3, None, [("nothing", "view"), (some, "wish"), (some, None)], ["none"]))
    assert (answer["unknown_items"], answer["unknown_events"], answer["known"]) == (1, 1, False)


def test_a_kind_without_a_weight_says_nothing_and_may_leave_an_item_out(tmp_path: Path) -> None:
    solver = {"implicit_prefs": False, "alpha": 1.0, "reg_param": 0.1, "nonnegative": False}
    shop, version = opened(tmp_path, solver=solver, exclude_events=["return"])
    some, other = str(shop.itemids[0]), str(shop.itemids[1])
    alone = answers.computed(version, Request(3, None, [(some, "view")]))
    assert alone["source"] == "fold_in"
    # An explicit model would take a rating of 0 for a bad one.
    assert answers.computed(version, Request(3, None, [(some, "view"), (other, "wish")]))["items"] == alone["items"]
    first = alone["items"][0]["itemid"]
    without = answers.computed(version, Request(3, None, [(some, "view"), (first, "return")]))
    assert first not in [item["itemid"] for item in without["items"]]


@pytest.mark.parametrize("kind", ["view", "wish", None])
def test_any_event_keeps_its_item_out_where_seen_items_are_left_out(tmp_path: Path, kind: str | None) -> None:
    shop, version = opened(tmp_path, exclude_events="seen")
    some = str(shop.itemids[0])
    first = answers.computed(version, Request(3, None, [(some, "view")]))["items"][0]["itemid"]
    without = answers.computed(version, Request(1000, None, [(some, "view"), (first, kind)]))["items"]
    assert not {some, first} & {item["itemid"] for item in without}
    with_seen = answers.computed(version, Request(1000, None, [(some, "view"), (first, kind)], include_seen=True))
    assert first in {item["itemid"] for item in with_seen["items"]}


def test_an_event_without_a_kind_is_a_view_or_what_weighs_least(tmp_path: Path) -> None:
    _, version = opened(tmp_path / "1")
    assert version.default_event == "view"
    _, version = opened(tmp_path / "2", score_map={"order": 10.0, "click": 1.0, "login": 0.0})
    assert version.default_event == "click"


def test_an_unknown_visitor_gets_what_is_popular(both: tuple[Shop, Version]) -> None:
    shop, version = both
    answer = answers.popular(version, Request(4, "nobody"))
    assert pairs(answer) == named(shop, shop.expected([], 4))
    assert (answer["source"], answer["known"], answer["visitorid"]) == ("popular", False, "nobody")
    assert answers.published(version, Request(4, "nobody")) is None


def test_short_lists_stay_short_where_nothing_is_to_fill_them(tmp_path: Path) -> None:
    shop, version = opened(tmp_path, fill_with_popular=False)
    item = int(np.flatnonzero(shop.known)[0])
    answer = answers.computed(version, Request(1000, None, [(str(shop.itemids[item]), "view")]))
    assert {source for _, source in pairs(answer)} == {"fold_in"}
    assert len(answers.popular(version, Request(3))["items"]) == 3


def test_the_shares_and_the_popularity_sum_to_the_score(both: tuple[Shop, Version]) -> None:
    shop, version = both
    for row, visitorid in enumerate(shop.visitorids[:15]):
        scores = shop.score(shop.histories[row])
        for item in np.flatnonzero(shop.known & shop.allowed)[:6]:
            answer = answers.explanation(version, str(visitorid), str(shop.itemids[item]))
            shares = [share["share"] for share in answer["shares"]]
            assert sum(shares) + answer["popularity"] == pytest.approx(answer["score"])
            assert shares == sorted(shares, reverse=True)
            assert answer["score"] == pytest.approx(0.0 if scores is None else float(scores[item]), rel=1e-3, abs=1e-4)
            kinds = {share["itemid"]: set(share["events"]) for share in answer["shares"]}
            for did, event, _, _ in shop.histories[row]:
                if shop.known[did]:
                    assert EVENTS[event] in kinds[str(shop.itemids[did])]


def test_what_cannot_be_explained_is_refused(both: tuple[Shop, Version], tmp_path: Path) -> None:
    shop, version = both
    visitorid, item = str(shop.visitorids[0]), str(shop.itemids[int(np.flatnonzero(~shop.known)[0])])
    with pytest.raises(RequestError, match=r"ITEM_NOT_EXPLAINED the model does not know item .*: nothing") as told:
        answers.explanation(version, visitorid, item)
    assert told.value.status == 409
    with pytest.raises(RequestError, match="ITEM_UNKNOWN item zzz is not in this version"):
        answers.explanation(version, visitorid, "zzz")
    with pytest.raises(RequestError, match="VISITOR_UNKNOWN visitor zzz is not in this version"):
        answers.explanation(version, "zzz", item)
    solver = {"implicit_prefs": True, "alpha": 1.0, "reg_param": 0.1, "nonnegative": True}
    shop, version = opened(tmp_path, solver=solver, golden=[])
    with pytest.raises(RequestError, match="MODEL_NOT_EXPLAINED a model with nonnegative factors cannot be explained"):
        answers.explanation(version, str(shop.visitorids[0]), str(shop.itemids[0]))


def test_the_history_is_told_newest_first(both: tuple[Shop, Version]) -> None:
    shop, version = both
    row = max(range(len(shop.visitorids)), key=lambda each: len(shop.histories[each]))
    answer = answers.history(version, str(shop.visitorids[row]), 2)
    assert [(each["itemid"], each["event"], each["timestamp"]) for each in answer["events"]] == [
        (str(shop.itemids[item]), EVENTS[event], at) for item, event, _, at in shop.histories[row][:2]
    ]
    with pytest.raises(RequestError, match="VISITOR_UNKNOWN"):
        answers.history(version, "nobody", 2)


def test_similar_items_are_told_with_what_people_see(both: tuple[Shop, Version]) -> None:
    shop, version = both
    answer = answers.similar(version, str(shop.itemids[3]), 2)
    alike = shop.likeness[3]
    best = sorted((item for item in range(30) if item != 3), key=lambda item: -alike[item])[:2]
    assert [item["itemid"] for item in answer["items"]] == [str(shop.itemids[item]) for item in best]
    assert [item["similarity"] for item in answer["items"]] == pytest.approx([float(alike[item]) for item in best])
    assert all(item["title"] is None or item["title"] for item in answer["items"])
    with pytest.raises(RequestError, match=r"ITEM_UNKNOWN item i{64}\.\.\. is not in this version"):
        answers.similar(version, "i" * 200, 2)


def test_items_are_told_that_are_bought_with_one(both: tuple[Shop, Version]) -> None:
    shop, version = both
    first, second = (str(itemid) for itemid in shop.itemids[:2])
    (found,) = answers.bought_together(version, first, 5)["items"]
    assert (found["itemid"], found["visitors"], found["rank"]) == (second, 3, 1)
    assert answers.bought_together(version, second, 5)["items"] == []
    version.hide([second])
    assert answers.bought_together(version, first, 5)["items"] == []
    version.hide([])
    with pytest.raises(RequestError, match="ITEM_UNKNOWN"):
        answers.bought_together(version, "none", 5)


def test_popular_items_are_those_of_a_window_if_one_is_asked_for(both: tuple[Shop, Version]) -> None:
    shop, version = both
    may = [item for item in range(30) if shop.allowed[item] and shop.recent[item] > 0]
    best = sorted(may, key=lambda item: (-shop.recent[item], item))[:6]
    for window, factor in (("7d", 1), ("30d", 2)):
        answer = answers.popular(version, Request(6, window=window))
        assert [item["itemid"] for item in answer["items"]] == [str(shop.itemids[item]) for item in best]
        assert [item["score"] for item in answer["items"]] == [factor * int(shop.recent[item]) for item in best]
    with pytest.raises(
        RequestError, match=r"WINDOW_UNKNOWN window must be one of this version's \(7d, 30d\), got '1d'"
    ):
        answers.popular(version, Request(6, window="1d"))


def test_a_snapshot_of_an_older_program_has_no_windows_and_knows_of_no_purchases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = Shop.tables
    later = {BOUGHT_TOGETHER, POPULAR_WINDOWS}
    monkeypatch.setattr(
        Shop, "tables", lambda shop: {path: table for path, table in tables(shop).items() if path not in later}
    )
    shop, version = opened(tmp_path)
    assert answers.bought_together(version, str(shop.itemids[0]), 5)["items"] == []
    with pytest.raises(RequestError, match=r"this version's \(none\), got '7d'"):
        answers.popular(version, Request(6, window="7d"))


def test_any_visitor_is_one_of_them(both: tuple[Shop, Version], tmp_path: Path) -> None:
    shop, version = both
    found = {answers.any_visitor(version)["visitorid"] for _ in range(200)}
    assert len(found) > 10
    assert found <= {str(each) for each in shop.visitorids}
    _, empty = opened(tmp_path, visitors=0, parts=1)
    with pytest.raises(RequestError, match="VISITOR_UNKNOWN this version has no visitors"):
        answers.any_visitor(empty)
    assert answers.popular(empty, Request(3, "anybody"))["source"] == "popular"


def test_events_of_a_session_are_added_to_the_stored_history(both: tuple[Shop, Version]) -> None:
    shop, version = both
    liked, bought = (int(item) for item in np.flatnonzero(shop.known)[:2])
    told = [(str(shop.itemids[liked]), "view"), (str(shop.itemids[bought]), "transaction")]
    session = [(liked, 0, 1.0, 0), (bought, 2, 10.0, 0)]
    for row, visitorid in enumerate(shop.visitorids):
        answer = answers.computed(version, Request(8, str(visitorid), told))
        assert pairs(answer) == named(shop, shop.expected([*shop.histories[row], *session], 8))
        assert (answer["source"], answer["known"]) == (shop.source, True)


def test_seen_items_are_listed_once_they_are_asked_for(both: tuple[Shop, Version]) -> None:
    shop, version = both
    for row, visitorid in enumerate(shop.visitorids):
        history = [(item, 0, weight, at) for item, _, weight, at in shop.histories[row]]  # nothing keeps an item out
        answer = answers.computed(version, Request(12, str(visitorid), include_seen=True))
        assert pairs(answer) == named(shop, shop.expected(history, 12))


def test_a_published_list_leaves_out_what_is_not_wanted_and_begins_later(both: tuple[Shop, Version]) -> None:
    shop, version = both
    for row, visitorid in enumerate(shop.visitorids):
        listed = [(item, shop.sources[source]) for item, _, source in shop.lists[row]]
        first = str(shop.itemids[listed[0][0]])
        answer = answers.published(version, Request(3, str(visitorid), exclude=[first, "none"]))
        assert answer is not None
        assert pairs(answer) == named(shop, listed[1:4])
        assert answers.published(version, Request(5, str(visitorid), exclude=[first])) is None  # too few are left
        later = answers.published(version, Request(2, str(visitorid), offset=3))
        assert later is not None
        assert [item["rank"] for item in later["items"]] == [4, 5]
        assert [item["itemid"] for item in later["items"]] == [str(shop.itemids[item]) for item, _ in listed[3:5]]


def test_pages_of_a_computed_list_follow_each_other(both: tuple[Shop, Version]) -> None:
    shop, version = both
    visitorid = str(shop.visitorids[0])
    whole = answers.computed(version, Request(12, visitorid))["items"]
    pages = [answers.computed(version, Request(4, visitorid, offset=offset))["items"] for offset in (0, 4, 8)]
    assert [item for page in pages for item in page] == whole


def test_a_batch_has_the_lists_that_each_visitor_gets(both: tuple[Shop, Version]) -> None:
    shop, version = both
    visitorids = [str(shop.visitorids[0]), "nobody", str(shop.visitorids[3])]
    for k in (3, 9):
        requests = [Request(k, visitorid) for visitorid in visitorids]
        answer = answers.batch(version, requests)
        alone = [answers.recommended(version, each) or answers.computed(version, each) for each in requests]
        assert answer == {"version": version.shown, "lists": alone}
        assert [each["visitorid"] for each in answer["lists"]] == visitorids


def test_hidden_items_are_in_no_list(tmp_path: Path) -> None:
    shop, version = opened(tmp_path)
    gone = sorted({shop.lists[0][0][0], shop.lists[1][1][0]})
    version.hide([*(str(shop.itemids[item]) for item in gone), "none"])
    for row, visitorid in enumerate(shop.visitorids):
        answer = answers.computed(version, Request(9, str(visitorid)))
        assert pairs(answer) == named(shop, shop.expected(shop.histories[row], 9, gone))
        kept = [shop.itemids[item] for item, _, _ in shop.lists[row] if item not in gone]
        published = answers.published(version, Request(len(kept), str(visitorid)))
        assert published is not None
        assert [item["itemid"] for item in published["items"]] == [str(itemid) for itemid in kept]
    assert pairs(answers.popular(version, Request(9))) == named(shop, shop.expected([], 9, gone))
    for itemid in shop.itemids:
        listed = [item["itemid"] for item in answers.similar(version, str(itemid), 5)["items"]]
        assert not {str(shop.itemids[item]) for item in gone} & set(listed)
    version.hide([])
    assert answers.published(version, Request(5, str(shop.visitorids[0]))) is not None


def test_items_are_compared_with_several_by_the_mean_similarity(both: tuple[Shop, Version]) -> None:
    shop, version = both
    cart = [int(item) for item in np.flatnonzero(shop.known)[:3]]
    unwanted = int(np.flatnonzero(shop.known)[5])
    mean = shop.likeness[cart].mean(axis=0)
    usable = shop.known & shop.allowed & ((mean > 0) | (not shop.neighbours))
    may = [item for item in range(30) if usable[item] and item not in (*cart, unwanted)]
    best = sorted(may, key=lambda item: -mean[item])[:4]
    itemids = [*(str(shop.itemids[item]) for item in cart), "none"]
    answer = answers.similar_to_several(version, Request(4, exclude=[str(shop.itemids[unwanted])]), itemids)
    assert [item["itemid"] for item in answer["items"]] == [str(shop.itemids[item]) for item in best]
    assert [item["similarity"] for item in answer["items"]] == pytest.approx(
        [float(mean[item]) for item in best], rel=1e-5
    )
    assert answer["unknown_items"] == 1
    everything = answers.similar_to_several(version, Request(1000), itemids)["items"]
    assert len(everything) == len(may) + bool(usable[unwanted])
    unknown = str(shop.itemids[int(np.flatnonzero(~shop.known)[0])])
    assert answers.similar_to_several(version, Request(4), [unknown])["items"] == []


def test_given_items_are_put_into_the_order_of_the_scores(both: tuple[Shop, Version]) -> None:
    shop, version = both
    row = next(row for row, history in enumerate(shop.histories) if shop.score(history) is not None)
    scores = shop.score(shop.histories[row])
    assert scores is not None
    given = [item for item in range(12) if shop.allowed[item]]
    known = sorted((item for item in given if shop.known[item]), key=lambda item: -scores[item])
    rest = [item for item in given if not shop.known[item]]
    request = Request(len(given), str(shop.visitorids[row]))
    answer = answers.scored(version, request, [*(str(shop.itemids[item]) for item in given), "none"])
    assert [item["itemid"] for item in answer["items"]] == [str(shop.itemids[item]) for item in [*known, *rest]]
    assert [item["rank"] for item in answer["items"]] == list(range(1, len(given) + 1))
    expected = [*(pytest.approx(float(scores[item]), rel=1e-4, abs=1e-6) for item in known), *([None] * len(rest))]
    assert [item["score"] for item in answer["items"]] == expected
    assert (answer["source"], answer["known"], answer["unknown_items"]) == (shop.source, True, 1)


def test_given_items_are_put_into_the_order_of_the_popularity_for_somebody_unknown(both: tuple[Shop, Version]) -> None:
    shop, version = both
    answer = answers.scored(version, Request(30), [str(itemid) for itemid in shop.itemids])
    order = sorted(range(30), key=lambda item: (-shop.popularity[item], item))
    assert [item["itemid"] for item in answer["items"]] == [str(shop.itemids[item]) for item in order]
    assert [item["score"] for item in answer["items"]] == [shop.popularity[item] for item in order]
    assert (answer["source"], answer["known"]) == ("popular", False)
