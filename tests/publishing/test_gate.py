from typing import Any

import pytest

from recommender.errors import GateError
from recommender.publishing.gate import check_blessed, check_kept, refusal
from recommender.store import Commit

REASONS = [
    {"id": "NOT_BLESSED", "sentence": "ndcg@10 0.031 < 0.034, that of popular"},
    {"id": "NOT_BLESSED", "sentence": "overlap@10 0.95 > limit 0.9"},
]


def commit(record: dict[str, Any]) -> Commit:
    return Commit("stage2", 7, record)


def test_what_is_blessed_is_made_visible() -> None:
    assert refusal({"blessed": True, "gate": {"reasons": []}}) is None
    assert check_blessed(commit({"blessed": True}), None) == {}
    assert check_blessed(commit({"blessed": True}), "a reason that nobody needs") == {}


def test_what_is_not_blessed_is_refused_with_every_reason_and_what_to_do() -> None:
    with pytest.raises(GateError) as error:
        check_blessed(commit({"blessed": False, "gate": {"reasons": REASONS}}), None)
    assert error.value.exit_code == 14
    assert str(error.value) == (
        "NOT_BLESSED ndcg@10 0.031 < 0.034, that of popular; overlap@10 0.95 > limit 0.9; the model is kept as commit "
        '7 of stage2, and the live version stays; --override-gate "REASON" publishes it anyway'
    )


def test_the_first_reason_gives_the_error_its_id() -> None:
    reasons = [{"id": "EVAL_EMPTY", "sentence": "no visitor has a holdout"}]
    with pytest.raises(GateError, match=r"^EVAL_EMPTY no visitor has a holdout; the model is kept"):
        check_blessed(commit({"blessed": False, "gate": {"reasons": reasons}}), None)


@pytest.mark.parametrize("record", [{}, {"blessed": None}, {"blessed": False}, {"blessed": False, "gate": {}}])
def test_what_was_never_judged_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(GateError, match=r"^NOT_BLESSED no gate has judged this model: run stage2 again; "):
        check_blessed(commit(record), None)


def test_lists_that_were_not_made_as_those_that_were_judged_are_refused_too() -> None:
    judged = commit({"blessed": True, "config": {"blend": {"weight": 0, "power": 0.5}, "recommend": {"k": 20}}})
    same = Commit("stage3", 4, {"config": {"blend": {"weight": 0, "power": 0.5}, "recommend": {"k": 10}}})
    other = Commit("stage3", 5, {"config": {"blend": {"weight": 9, "power": 0.5}, "shards": {"visitors_per_shard": 1}}})
    assert check_blessed(judged, None, [same]) == {}
    told = (
        r"^NOT_BLESSED these lists are not made as those that were judged: blend.weight is 9, judged was 0; the model"
    )
    with pytest.raises(GateError, match=told):
        check_blessed(judged, None, [same, other])
    assert check_blessed(judged, "a test", [other])["gate_overridden"]["reason"] == "a test"


def lists(visitors: int, items: int, **limits: float | None) -> dict[str, Any]:
    """Return a record of lists of 100 live visitors and 100 live items, of which some are lost."""
    diff = {"visitors": {"live": 100, "lost": visitors}, "items": {"live": 100, "lost": items}}
    shares = {"min_visitors_kept": 0.5, "min_items_kept": 0.3, **limits}
    return {"release_diff": diff, "config": {"release_diff": shares}}


def test_lists_that_lack_too_much_of_what_is_live_are_refused() -> None:
    assert check_kept(lists(50, 70), None, overridden={}) == {}
    with pytest.raises(GateError) as error:
        check_kept(lists(51, 71), None, overridden={})
    assert str(error.value) == (
        "LISTS_LOST 49% of the 100 visitors with a live list have a new one, limit 50%; see "
        "release_diff.min_visitors_kept; 29% of the 100 items in live lists are in a new one, limit 30%; see "
        'release_diff.min_items_kept; the live version stays; --override-gate "REASON" publishes it anyway'
    )
    assert check_kept(lists(100, 100, min_visitors_kept=None, min_items_kept=None), None, overridden={}) == {}
    assert check_kept({"config": {}}, None, overridden={}) == {}  # nothing is live


def test_lists_that_could_not_be_compared_are_refused() -> None:
    why = "not compared with the live version: its ids have other types"
    with pytest.raises(GateError, match=rf"^NOT_COMPARED {why}; the live version stays; --override-gate"):
        check_kept({}, None, not_compared=why, overridden={})
    found = check_kept({}, "a new kind of ids", not_compared=why, overridden={})
    assert found["gate_overridden"] == {"reason": "a new kind of ids", "id": "NOT_COMPARED", "sentence": why}


def test_all_that_one_reason_overrides_is_recorded() -> None:
    before = {"gate_overridden": {"reason": "a test", "id": "NOT_BLESSED", "sentence": "ndcg@10 0.1 < 0.2"}}
    found = check_kept(lists(60, 0), "a test", overridden=before)["gate_overridden"]
    assert found["id"] == "NOT_BLESSED"
    assert found["sentence"].startswith("ndcg@10 0.1 < 0.2; 40% of the 100 visitors")
    assert check_kept(lists(0, 0), "a test", overridden=before) == before


def test_who_overrides_the_gate_is_recorded_with_what_was_overridden() -> None:
    found = check_blessed(commit({"blessed": False, "gate": {"reasons": REASONS}}), "a new market, see the ticket")
    assert found == {
        "gate_overridden": {
            "reason": "a new market, see the ticket",
            "id": "NOT_BLESSED",
            "sentence": "ndcg@10 0.031 < 0.034, that of popular; overlap@10 0.95 > limit 0.9",
        }
    }
