"""The records of a whole run, small and literal, as the four stages leave them."""

from collections.abc import Mapping
from typing import Any

from recommender.store import Commit, Store
from support.literal_store import result

MODELS = {"als": 0.026, "popular": 0.01, "live": 0.024}
PROFILE: Mapping[str, Any] = {
    "rows": 1234,
    "quarantined": {"BAD_TIME": 17, "NULL_ID": 29},
    "duplicates": 3,
    "capped": {"events": 5, "visitors": [], "pairs": []},
    "newest": "2026-05-03T09:00:00.000Z",
    "events": 1180,
    "visitors": 211,
    "items": 97,
    "pairs": 1003,
    "events_by_kind": {"view": 1100, "addtocart": 61, "transaction": 19},
    "events_by_day": {"2026-05-01": 400, "2026-05-03": 780},
    "events_per_visitor": {"mean": 5.6, "p50": 4, "p90": 12, "p99": 31, "max": 47},
    "events_per_item": {"mean": 12.2, "p50": 8, "p90": 22, "p99": 83, "max": 101},
    "long_tail": [[1, 101], [5, 402], [10, 611], [20, 873], [49, 1103], [97, 1180]],
    "heaviest_visitors": [{"id": "7", "events": 47}],
    "heaviest_items": [{"id": "5", "events": 101}],
    "base": {"runs": [["2026-05-02", 1150], ["2026-05-03", 1180]]},
    "new": {"visitors": 13, "items": 2},
}
EXAMPLE = {"visitorid": 7, "source": "als", "history": [["view", 5]], "recommended": [[6, 0.731], [8, 0.402]]}


def measured(model: str, metric: str, k: int, value: float) -> dict[str, Any]:
    return {
        "model": model,
        "metric": metric,
        "k": k,
        "value": value,
        "low": value - 0.001,
        "high": value + 0.002,
        "visitors": 90,
    }


METRICS = [
    measured(model, metric, k, value * factor)
    for model, value in MODELS.items()
    for metric, factor in (("ndcg", 1.5), ("precision", 1.0))
    for k in (5, 10)
] + [{**measured("als", "coverage", 10, 0.21), "low": None, "high": None}]
COMPARED = [
    {"model": "popular", "candidate": 0.039, "other": 0.015, "difference": 0.024, "low": 0.019, "high": 0.031}
    | {"needed": 0.015, "passed": True},
    {"model": "live", "candidate": 0.039, "other": 0.036, "difference": 0.003, "low": -0.002, "high": 0.007}
    | {"needed": 0.036, "passed": True},
]
GATE = {"metric": "ndcg@10", "visitors": 90, "compared": COMPARED, "reasons": [], "live": {"run": "old", "attempt": ""}}


def stage(store: Store, name: str, run: str, **record: Any) -> Commit:
    common = {
        "version": "0.1.0+abc",
        "seconds": 12.5,
        "events_per_second": 94.4,
        "warnings": [],
        "jobs": 23,
        "memory": 3 * 2**29,
    }
    step = {"step": f"step of {name}", "rows_in": 1180, "rows_out": 1001, "note": "a note"}
    shared = {"steps": [step], "timings": {f"work of {name}": 7.25}, "changed": {}, "inputs": {}}
    return result(store, name, run, **{**common, **shared, **record})


def two_stages(store: Store, run: str, **judged: Any) -> dict[str, int]:
    """Commit stages 1 and 2; return their numbers."""
    one = stage(store, "stage1", run, profile=PROFILE, protocol="time_cut", leaks=0)
    bins = [{"from": 1.0, "to": 2.0, "pairs": 801}, {"from": 2.0, "to": None, "pairs": 202}]
    facts = {"blessed": True, "gate": GATE, "metrics": METRICS, "weights": bins, **judged}
    changed = {"changed": {"als": {"rank": 16}}, "upstream": {"stage1": one.number}}
    two = stage(store, "stage2", run, **{**changed, **facts})
    return {"stage1": one.number, "stage2": two.number}


def whole_run(store: Store, run: str, exposed: Mapping[str, Any] | None = None, **judged: Any) -> Commit:
    """Commit all stages; return the commit of the last."""
    upstream = two_stages(store, run, **judged)
    three = stage(store, "stage3", run, upstream=upstream)
    tail = [[1, 700], [5, 1600], [10, 1900], [20, 2110], [49, 2110], [97, 2110]]
    shown = {"examples": [EXAMPLE], "titles": [{"itemid": 6, "title": "Running shoe"}], "long_tail": tail}
    record = {**shown, **(exposed or {})}
    return stage(store, "stage4", run, upstream={**upstream, "stage3": three.number}, **record)
