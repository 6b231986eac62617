"""Publish only blessed models: the verdict in a commit's record decides, or a person's reason.

Example usage:
>>> refusal({"blessed": True})
>>> refusal({"blessed": False, "gate": {"reasons": [{"id": "NOT_BLESSED", "sentence": "ndcg@10 0.031 < 0.034"}]}})
('NOT_BLESSED', 'ndcg@10 0.031 < 0.034')
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from recommender.errors import ConfigError, GateError, Mistake
from recommender.store import Commit

# Parameters that change a list's length or how work is split, but not which items are in it.
_SIZES: Final = ("k", "visitors_per_block", "items_per_block")


def override_reason(given: str | None) -> str | None:
    """Return why the gate is overridden, None if nobody does it; raise a ConfigError if the reason is empty."""
    if given is not None and not given.strip():
        sentence = "--override-gate needs a reason: it stays in the record for those who ask later"
        raise ConfigError(Mistake("CFG_ARGUMENT", "--override-gate", sentence))
    return given


def refusal(record: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the id and the sentence of why a commit may not be made visible; None if it may."""
    if record.get("blessed"):
        return None
    reasons = record.get("gate", {}).get("reasons", ())
    if not reasons:
        return "NOT_BLESSED", "no gate has judged this model: run stage2 again"
    return reasons[0]["id"], "; ".join(reason["sentence"] for reason in reasons)


def judged_model(record: Mapping[str, Any]) -> str:
    """Return the model that a record of stage 2 is about: the one that the gate has chosen.

    >>> judged_model({"gate": {"model": "item_to_item"}}), judged_model({"gate": {}}), judged_model({})
    ('item_to_item', 'als', 'als')
    """
    return str((record.get("gate") or {}).get("model", "als"))  # older records do not say it


def not_as_judged(judged: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    """Return which steps have made a result with other parameters than the evaluated ones; "" if none has.

    >>> judged = {"config": {"recommend": {"k": 20, "exclude_events": ["transaction"]}, "als": {"rank": 8}}}
    >>> not_as_judged(judged, {"config": {"recommend": {"k": 10, "exclude_events": []}}})
    "recommend.exclude_events is [], judged was ['transaction']"
    """
    steps, others = judged.get("config", {}), made.get("config", {})
    differing = [
        f"{step}.{name} is {value}, judged was {steps[step].get(name)}"
        for step, parameters in others.items()
        if step in steps
        for name, value in parameters.items()
        if name not in _SIZES and value != steps[step].get(name)
    ]
    return "; ".join(differing)


def lost(diff: Mapping[str, Any], limits: Mapping[str, Any]) -> str:
    """Return which share of the live visitors or items is missing in the new lists; "" if enough are there.

    >>> diff = {name: {"live": 200, "lost": 150} for name in ("visitors", "items")}
    >>> lost(diff, {"min_visitors_kept": 0.5, "min_items_kept": 0.25})
    '25% of the 200 visitors with a live list have a new one, limit 50%; see release_diff.min_visitors_kept'
    """
    sentences = {
        "visitors": "visitors with a live list have a new one",
        "items": "items in live lists are in a new one",
    }
    found = []
    for name, sentence in sentences.items():
        limit, live = limits.get(f"min_{name}_kept"), diff[name]["live"]
        kept = (live - diff[name]["lost"]) / live if live else 1.0
        if limit is not None and kept < limit:
            found.append(f"{kept:.0%} of the {live:,} {sentence}, limit {limit:.0%}; see release_diff.min_{name}_kept")
    return "; ".join(found)


def check_kept(
    record: Mapping[str, Any], override: str | None, *, not_compared: str = "", overridden: Mapping[str, Any]
) -> dict[str, Any]:
    """Refuse lists that lack too much of what the live ones have, or that could not be compared with them.

    Args:
        not_compared: why they could not be compared, although something is live.
        overridden: what `check_blessed` has returned.

    Returns:
        What the record says of that, together with `overridden`.

    Raises:
        GateError: LISTS_LOST or NOT_COMPARED, and nobody overrides that.
    """
    diff, limits = record.get("release_diff"), record.get("config", {}).get("release_diff", {})
    id_, sentence = (
        ("NOT_COMPARED", not_compared) if not_compared else ("LISTS_LOST", lost(diff, limits) if diff else "")
    )
    if not sentence:
        return dict(overridden)
    if override is None:
        raise GateError(id_, f'{sentence}; the live version stays; --override-gate "REASON" publishes it anyway')
    before = overridden.get("gate_overridden")
    sentences = "; ".join(filter(None, [before and before["sentence"], sentence]))
    return {"gate_overridden": {"reason": override, "id": before["id"] if before else id_, "sentence": sentences}}


def check_blessed(commit: Commit, override: str | None, made: Sequence[Commit] = ()) -> dict[str, Any]:
    """Refuse a model that is not blessed, and lists made with other settings, unless somebody has a reason.

    Returns:
        What the record of the stage that makes it visible says of that; empty where it is blessed.

    Raises:
        GateError: it is not blessed, and nobody overrides that.
    """
    differs = "; ".join(filter(None, (not_as_judged(commit.record, each.record) for each in made)))
    other = ("NOT_BLESSED", f"these lists are not made as those that were judged: {differs}") if differs else None
    found = refusal(commit.record) or other
    if found is None:
        return {}
    if override is None:
        kept = f"the model is kept as commit {commit.number} of {commit.stage}, and the live version stays"
        raise GateError(found[0], f'{found[1]}; {kept}; --override-gate "REASON" publishes it anyway')
    return {"gate_overridden": {"reason": override, "id": found[0], "sentence": found[1]}}
