from typing import Any

import pytest

from recommender.errors import GateError
from recommender.gate import check_blessed, refusal
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
        '7 of stage2, and what is live stays; --override-gate "REASON" publishes it all the same'
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


def test_who_overrides_the_gate_is_recorded_with_what_was_overridden() -> None:
    found = check_blessed(commit({"blessed": False, "gate": {"reasons": REASONS}}), "a new market, see the ticket")
    assert found == {
        "gate_overridden": {
            "reason": "a new market, see the ticket",
            "id": "NOT_BLESSED",
            "sentence": "ndcg@10 0.031 < 0.034, that of popular; overlap@10 0.95 > limit 0.9",
        }
    }
