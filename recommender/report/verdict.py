"""The outcome of a run, in one sentence.

Example usage:
>>> rows = [{"model": model, "metric": "precision", "k": 10, "value": value}
...         for model, value in (("als", 0.026), ("popular", 0.01), ("live", 0.024))]
>>> finds(rows, "ndcg", 10, [{"model": "live", "low": -0.001, "high": 0.004}])
'finds 2.6 times as many held-out items as the popular list; live before: 2.4 times, not proven better'
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import recommender.constants as C
from recommender.report.facts import NAMES, ORDER, Facts

_HITS: Final = "precision"  # hits, divided by what is the same for all models


@dataclass(frozen=True)
class Verdict:
    """A sentence, and whether it is good news: good, bad or open."""

    mood: str
    sentence: str


def verdict(facts: Facts) -> Verdict:
    """Return what came of a run."""
    found = finds(facts.metrics, *facts.looked_at, facts.gate.get("compared") or (), facts.model)
    if facts.failures:
        note = max(facts.failures, key=lambda each: str(each.get("failed_at")))
        stage = str(note.get("stage"))
        what = f"{note.get('id', 'unknown')} {note.get('sentence', '')}".strip()
        return Verdict("bad", _sentence(f"Failed in {NAMES.get(stage, stage)} ({stage})", what))
    if "stage4" in facts.commits:
        return _of_version(facts, found)
    if facts.record("stage2").get("blessed") is False:
        reasons = "; ".join(reason["sentence"] for reason in facts.gate.get("reasons", ()))
        has_lost = any(not each.get("passed", True) for each in facts.gate.get("compared") or ())
        return Verdict("bad", _sentence("Refused by the gate", (has_lost and found) or reasons or "see its reasons"))
    last = max((stage for stage in facts.commits if stage in ORDER), default=None)
    if last is None:
        return Verdict("open", "Nothing is committed yet.")
    return Verdict("open", _sentence(f"Not published: {last} ({NAMES[last]}) is the last stage so far", found))


def _of_version(facts: Facts, found: str) -> Verdict:
    overridden = facts.record("stage4").get("gate_overridden")
    if not facts.published:
        return Verdict("open", _sentence("Committed, and not published", found))
    if overridden:
        where = f"Published to {_listed(facts.channels) or facts.published[0].channel}"
        return Verdict("bad", _sentence(f"{where} although the gate refused it ({overridden['reason']})", found))
    if facts.channels:
        return Verdict("good", _sentence(f"Published to {_listed(facts.channels)}", found))
    return Verdict("open", _sentence(f"Published to {facts.published[0].channel}, and replaced since", found))


def finds(
    metrics: Sequence[Mapping[str, Any]],
    metric: str,
    k: int,
    compared: Sequence[Mapping[str, Any]] = (),
    model: str = C.ALS,
) -> str:
    """Return how much better than the popular items a model is, and whether that is more than the live one was.

    Args:
        metrics: rows of all models.
        metric, k: what the gate compares.
        compared: the comparisons of the gate.
        model: the one that the gate has chosen.

    Returns:
        A clause; empty if the popular items were not measured, or nothing was found in them.
    """
    values = {row["model"]: row["value"] for row in metrics if (row["metric"], row["k"]) == (_HITS, k)}
    counts_hits = bool(values.get(model) and values.get(C.POPULAR))
    if not counts_hits:
        values = {row["model"]: row["value"] for row in metrics if (row["metric"], row["k"]) == (metric, k)}
    if values.get(model) is None or not values.get(C.POPULAR):
        return ""
    ours = values[model] / values[C.POPULAR]
    what = f"finds {ours:.1f} times as many held-out items as the popular list"
    if not counts_hits:
        what = f"{metric}@{k} is {ours:.1f} times that of the popular list"
    if values.get(C.LIVE) is None:
        return what
    proof = next((_proof(each) for each in compared if each["model"] == C.LIVE), "")
    return f"{what}; live before: {values[C.LIVE] / values[C.POPULAR]:.1f} times{proof}"


def _proof(comparison: Mapping[str, Any]) -> str:
    low, high = comparison["low"], comparison["high"]
    if low is None or high is None:
        return ""
    if low > 0:
        return ", proven better"
    return ", proven worse" if high < 0 else ", not proven better"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names)


def _sentence(what: str, more: str) -> str:
    return f"{what}: {more}." if more else f"{what}."
