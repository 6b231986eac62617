"""The summary of a run for people: plain text for the terminal, made from the commit records.

Example usage:
>>> print(metrics_table([{"model": "als", "metric": "ndcg", "k": 10, "value": 0.05, "low": 0.04, "high": 0.06,
...                       "visitors": 9}]))
9 held-out visitors    ndcg@10    95 % interval of ndcg@10
als                     0.0500               0.0400–0.0600
"""

from collections.abc import Mapping, Sequence
from typing import Any

from recommender.constants import ALS
from recommender.evaluation import METRICS, PER_VISITOR
from recommender.terminal.text import indented, table, title, visible

_CUSTOMARY_CUTOFF = 10
_SHOWN_IDS = 5
_REMARKS = {
    "coverage": "coverage: of all items",
    "novelty": "novelty: bits",
    "gini": "gini: 0 is even",
    "overlap": "overlap: of two lists",
    "short_lists": "short_lists: of all lists",
}


def stage_summary(stage: str, name: str, record: Mapping[str, Any], path: str) -> str:
    """Return what a stage did: rows in and out of each step, time, and where the result is."""
    speed = f", {record['events_per_second']:,.0f} events/s" if record.get("events_per_second") else ""
    lines = [f"{title(stage, name)}: {record['seconds']:.1f} s{speed}", indented(steps_table(record["steps"]))]
    lines += [f"  warning: {visible(warning)}" for warning in record.get("warnings", ())]
    return "\n".join([*lines, f"  -> {path}"])


def steps_table(steps: Sequence[Mapping[str, Any]]) -> str:
    """Return a line per step: rows in and out, and what it says of them."""
    rows = [(step["step"], _number(step["rows_in"]), _number(step["rows_out"]), step["note"]) for step in steps]
    return table([("step", "rows in", "rows out", ""), *rows], right=(1, 2))


def metrics_table(metrics: Sequence[Mapping[str, Any]], chosen: str = ALS) -> str:
    """Return a line per model: the first metric at all cut-offs, with its interval, then the others at one of them.

    Args:
        metrics: of all models. chosen: the model of the first line.
    """
    if not metrics:
        return "no visitor has a holdout: the models were not judged"
    cells = {(row["metric"], row["model"], row["k"]): row for row in metrics}
    cutoffs = sorted({row["k"] for row in metrics})
    nearest = min(cutoffs, key=lambda k: abs(k - _CUSTOMARY_CUTOFF))
    models = list(dict.fromkeys(sorted((row["model"] for row in metrics), key=lambda model: (model != chosen, model))))
    first, *others = sorted({row["metric"] for row in metrics}, key=METRICS.index)
    visitors = max(row["visitors"] for row in metrics if row["metric"] == first)
    judged = "held-out visitors" if first in PER_VISITOR else "visitors with a list"
    has_interval = any(cells[first, model, nearest]["low"] is not None for model in models)
    head = (f"{visitors:,} {judged}", *(f"{first}@{k}" for k in cutoffs))
    lines = [head if not has_interval else (*head, f"95 % interval of {first}@{nearest}")]
    for model in models:
        interval = (_interval(cells[first, model, nearest]),) if has_interval else ()
        lines.append((model, *(_value(cells.get((first, model, k))) for k in cutoffs), *interval))
    parts = [table(lines, right=range(1, len(lines[0])))]
    if others:
        lines = [(f"first {nearest} places", *others)]
        lines += [(model, *(_value(cells.get((metric, model, nearest))) for metric in others)) for model in models]
        parts.append(table(lines, right=range(1, len(lines[0]))))
    remarks = [remark for metric, remark in _REMARKS.items() if metric in {first, *others}]
    return "\n\n".join(parts) + (f"\n({'; '.join(remarks)})" if remarks else "")


def trials_table(metric: str, trials: Sequence[Mapping[str, Any]]) -> str:
    """Return a line per trial of a search, in the given order: the metric with its interval, time, and parameters.

    Short trials are only counted: their metrics cannot be compared with those of complete ones.

    >>> judged = {"state": "complete", "value": 0.05, "low": 0.04, "high": 0.06, "seconds": 9.5, "reason": ""}
    >>> short = {**judged, "number": 1, "state": "short"}
    >>> print(trials_table("ndcg@10", [{"number": 0, **judged, "parameters": {"rank": 32, "alpha": 1.25}}, short]))
    trial    ndcg@10    95 % interval      s     rank    alpha
        0     0.0500    0.0400–0.0600    9.5       32     1.25    as configured
    and 1 short trials, of few iterations or a part of the visitors; all are in the table trials
    """
    names = list(trials[0]["parameters"])
    lines = [("trial", metric, "95 % interval", "s", *names, "")]
    shown = [trial for trial in trials if trial["state"] != "short"]
    for trial in shown:
        note = "as configured" if trial["number"] == 0 else ""
        failed = [trial["state"], trial["reason"]] if trial["state"] != "complete" else []
        cells = (_significant(trial["parameters"].get(name)) for name in names)
        interval = "" if trial["low"] is None else f"{max(trial['low'], 0):.4f}–{min(trial['high'], 1):.4f}"
        value = "" if trial["value"] is None else f"{trial['value']:.4f}"
        notes = ", ".join(filter(None, [note, *failed]))
        lines.append((str(trial["number"]), value, interval, f"{trial['seconds']:.1f}", *cells, notes))
    text = table(lines, right=range(len(lines[0]) - 1))
    left = len(trials) - len(shown)
    more = f"and {left:,} short trials, of few iterations or a part of the visitors; all are in the table trials"
    return f"{text}\n{more}" if left else text


def release_text(release: Mapping[str, Any]) -> str:
    """Return what changes from the live version to a candidate; see ``recommender.publishing.comparison.release``.

    >>> print(release_text({"candidate": "tuesday", "live": None, "lists": None, "metrics": {}}))
    tuesday is the first version of the channel: there is nothing to compare it with
    """
    if release["live"] is None:
        return f"{release['candidate']} is the first version of the channel: there is nothing to compare it with"
    if release["live"] == release["candidate"]:
        return f"both are {release['candidate']}: nothing would change"
    runs = (release["candidate"], release["live"])
    parts = [f"from {runs[1]} to {runs[0]}"]
    lists = release["lists"]
    if lists is None:
        parts.append("  their lists were not compared: something else was live when stage 4 made the candidate's")
    else:
        parts += [indented(_lists_table(lists, runs)), *filter(None, [_items_text(lists), _visitors_text(lists)])]
    if release["metrics"]:
        names = _customary(release["metrics"])
        rows: list[tuple[str, ...]] = [("", *runs)]
        models = release.get("models") or ()  # older programs do not say them
        rows += [("model", *(str(model or "-") for model in models))] if len(set(models)) > 1 else []
        rows += [(name, *(_measured(each) for each in release["metrics"][name])) for name in names]
        parts.append(indented(table(rows, right=(1, 2))))
    return "\n".join(parts)


def _customary(metrics: Mapping[str, Any]) -> list[str]:
    """Return the metrics at the cut-off that is nearest to the customary one.

    >>> _customary({"ndcg@5": [], "ndcg@20": [], "recall@5": []})
    ['ndcg@5', 'recall@5']
    """
    cutoffs = {name: int(name.rpartition("@")[2]) for name in metrics}
    nearest = min(cutoffs.values(), key=lambda k: abs(k - _CUSTOMARY_CUTOFF))
    return [name for name, k in cutoffs.items() if k == nearest]


def _lists_table(lists: Mapping[str, Any], runs: tuple[str, str]) -> str:
    """Return the counts of both versions."""
    k, visitors, items = lists["k"], lists["visitors"], lists["items"]
    return table(
        [
            (f"first {k} places", *runs, "gained", "lost"),
            ("visitors", *(_number(visitors[key]) for key in ("candidate", "live", "gained", "lost"))),
            ("items", *(_number(items[key]) for key in ("candidate", "live", "gained", "lost"))),
            ("coverage", *(f"{lists['coverage'][key]:.4f}" for key in ("candidate", "live")), "", ""),
            (f"overlap@{k}", "" if lists["overlap"] is None else f"{lists['overlap']:.4f}", "", "", ""),
            ("same lists", "" if lists["unchanged"] is None else f"{lists['unchanged']:.1%}", "", "", ""),
        ],
        right=(1, 2, 3, 4),
    )


def _items_text(lists: Mapping[str, Any]) -> str:
    """Return the items that most lists have gained and lost."""
    named = {
        what: ", ".join(f"{each['itemid']} ({each['lists']:+,})" for each in lists["items"][f"most_{what}"])
        for what in ("gained", "lost")
    }
    return "\n".join(f"  most {what} by lists: {visible(text)}" for what, text in named.items() if text)


def _visitors_text(lists: Mapping[str, Any]) -> str:
    """Return the visitors whose lists have changed most."""
    return "\n".join(
        visible(
            f"  visitor {each['visitorid']}: overlap {each['overlap']:.2f}, "
            f"gained {_ids(each['gained'])}, lost {_ids(each['lost'])}"
        )
        for each in lists["most_changed"]
    )


def _ids(ids: Sequence[Any]) -> str:
    shown = ", ".join(map(str, ids[:_SHOWN_IDS]))
    return (f"{shown}, ..." if len(ids) > _SHOWN_IDS else shown) or "nothing"


def _measured(row: Mapping[str, Any] | None) -> str:
    """Return a value with its 95 % interval."""
    if row is None or row["value"] is None:
        return "-"
    interval = "" if row["low"] is None else f" ({max(row['low'], 0):.4f}–{row['high']:.4f})"
    return f"{row['value']:.4f}{interval}"


def _value(row: Mapping[str, Any] | None) -> str:
    return "-" if row is None or row["value"] is None else f"{row['value']:.4f}"


def _interval(row: Mapping[str, Any]) -> str:
    return "-" if row["low"] is None else f"{max(row['low'], 0):.4f}–{row['high']:.4f}"


def _significant(value: float | None) -> str:
    return "off" if value is None else f"{value:.4g}"


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
