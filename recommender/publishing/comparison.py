"""Compare a published version with the one before: the lists, as stage 4 compared them, and the models' metrics."""

from collections.abc import Mapping
from typing import Any

from recommender.publishing.gate import judged_model
from recommender.store import Commit, Store

_JUDGE = "stage2"


def release(store: Store, candidate: Commit, live: Commit | None) -> dict[str, Any]:
    """Return the difference of two versions, from what their records say.

    Returns:
        candidate, live: the runs; lists: what stage 4 has found when it compared the two, None if it compared others;
        metrics: by name, [of the candidate, of the live one], each {value, low, high} or None; models: whose they are,
        None without a record of how it was judged.
    """
    judged = [_judged(store, each) for each in (candidate, live)]
    return {
        "candidate": candidate.run_id,
        "live": None if live is None else live.run_id,
        "lists": None if live is None else compared(candidate.record, live.attempt),
        "metrics": _metrics(*judged),
        "models": [judged_model(record) if record else None for record in judged],
    }


def release_of(store: Store, commit: Commit) -> dict[str, Any] | None:
    """Return the difference to the version that was live when stage 4 made this one; None if it was not compared."""
    attempt = commit.record.get("release_diff", {}).get("against", {}).get("attempt")
    if attempt is None:
        return None
    live = next((each for each in store.commits(commit.stage) if each.attempt == attempt), None)
    return None if live is None else release(store, commit, live)


def compared(record: Mapping[str, Any], attempt: str) -> dict[str, Any] | None:
    """Return what a record says of the difference to an attempt, None if it was compared with another."""
    found = record.get("release_diff")
    return dict(found) if found and found["against"]["attempt"] == attempt else None


def _judged(store: Store, commit: Commit | None) -> Mapping[str, Any]:
    """Return how the model of a version was judged; empty if no record of it is kept."""
    number = commit.record.get("upstream", {}).get(_JUDGE) if commit else None
    judged = store.commit_number(_JUDGE, number) if number else None
    return judged.record if judged else {}


def _metrics(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, list[Any]]:
    ours, theirs = _measured(one), _measured(other)
    return {name: [ours.get(name), theirs.get(name)] for name in {**ours, **theirs}}


def _measured(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return metric@k -> value with its interval, of the model that was chosen."""
    return {
        f"{row['metric']}@{row['k']}": {key: row[key] for key in ("value", "low", "high")}
        for row in record.get("metrics", ())
        if row["model"] == judged_model(record)
    }
