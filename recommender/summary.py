"""The summary of a run for people: plain text for the terminal, made from the commit records.

Example usage:
>>> print(metrics_table([{"model": "als", "metric": "ndcg", "k": 10, "value": 0.05, "low": 0.04, "high": 0.06,
...                       "visitors": 9}]))
9 held-out visitors              @10
ndcg                   als    0.0500
ndcg@10 with 95 % interval: als 0.0500 (0.0400–0.0600)
"""

from collections.abc import Mapping, Sequence
from typing import Any

from recommender.evaluation import METRICS, PER_VISITOR
from recommender.stage4.steps.run_report import Example
from recommender.text import indented, table, title

_CUSTOMARY_CUTOFF = 10
# What is no ratio of which more is better says so.
_LABELS = {"novelty": "novelty, bits", "gini": "gini, lower is better", "overlap": "overlap, lower is better"}


def stage_summary(stage: str, name: str, record: Mapping[str, Any], path: str) -> str:
    """Return what a stage did: rows in and out of each step, time, and where the result is."""
    speed = f", {record['events_per_second']:,.0f} events/s" if record.get("events_per_second") else ""
    lines = [f"{title(stage, name)}: {record['seconds']:.1f} s{speed}", indented(steps_table(record["steps"]))]
    lines += [f"  warning: {warning}" for warning in record.get("warnings", ())]
    return "\n".join([*lines, f"  -> {path}"])


def steps_table(steps: Sequence[Mapping[str, Any]]) -> str:
    """Return a line per step: rows in and out, and what it says of them."""
    rows = [(step["step"], _number(step["rows_in"]), _number(step["rows_out"]), step["note"]) for step in steps]
    return table([("step", "rows in", "rows out", ""), *rows], right=(1, 2))


def metrics_table(metrics: Sequence[Mapping[str, Any]]) -> str:
    """Return a line per metric and model, a column per cut-off, and the intervals of NDCG at the cut-off nearest 10."""
    if not metrics:
        return "no visitor has a holdout: the models were not judged"
    cells = {(row["metric"], row["model"], row["k"]): row for row in metrics}
    cutoffs = sorted({row["k"] for row in metrics})
    places = sorted({(row["metric"], row["model"]) for row in metrics}, key=_place)
    metric, model = places[0]
    visitors = cells[metric, model, cutoffs[0]]["visitors"]
    judged = "held-out visitors" if metric in PER_VISITOR else "visitors with a list"
    lines = [(f"{visitors:,} {judged}", "", *(f"@{k}" for k in cutoffs))]
    for metric, model in places:
        lines.append((_LABELS.get(metric, metric), model, *(_value(cells[metric, model, k]) for k in cutoffs)))
    return f"{table(lines, right=range(2, len(lines[0])))}{_intervals(cells, cutoffs, places)}"


def _intervals(
    cells: Mapping[tuple[str, str, int], Mapping[str, Any]], cutoffs: Sequence[int], places: Sequence[tuple[str, str]]
) -> str:
    """Return the line with the intervals of the first metric; nothing if it has none."""
    nearest = min(cutoffs, key=lambda k: abs(k - _CUSTOMARY_CUTOFF))
    first = places[0][0]
    shown = [(model, cells[metric, model, nearest]) for metric, model in places if metric == first]
    if all(row["low"] is None for _, row in shown):
        return ""
    intervals = ", ".join(f"{model} {_interval(row)}" for model, row in shown)
    return f"\n{first}@{nearest} with 95 % interval: {intervals}"


def trials_table(metric: str, trials: Sequence[Mapping[str, Any]]) -> str:
    """Return a line per trial of a search, in the given order: the metric with its interval, time, and parameters.

    >>> judged = {"state": "complete", "value": 0.05, "low": 0.04, "high": 0.06, "seconds": 9.5, "reason": ""}
    >>> print(trials_table("ndcg@10", [{"number": 0, **judged, "parameters": {"rank": 32, "alpha": 1.25}}]))
    trial    ndcg@10    95 % interval      s     rank    alpha
        0     0.0500    0.0400–0.0600    9.5       32     1.25    as configured
    """
    names = list(trials[0]["parameters"])
    lines = [("trial", metric, "95 % interval", "s", *names, "")]
    for trial in trials:
        note = "as configured" if trial["number"] == 0 else ""
        told = [trial["state"], trial["reason"]] if trial["state"] != "complete" else []
        cells = (_significant(trial["parameters"].get(name)) for name in names)
        interval = "" if trial["low"] is None else f"{max(trial['low'], 0):.4f}–{min(trial['high'], 1):.4f}"
        value = "" if trial["value"] is None else f"{trial['value']:.4f}"
        notes = ", ".join(filter(None, [note, *told]))
        lines.append((str(trial["number"]), value, interval, f"{trial['seconds']:.1f}", *cells, notes))
    return table(lines, right=range(len(lines[0]) - 1))


def example_text(example: Example) -> str:
    """Return one visitor's history and recommendations."""
    history = ", ".join(f"{event} {item}" for event, item in example.history)
    listed = ", ".join(f"{item} ({score:.3g})" for item, score in example.recommended)
    return f"visitor {example.visitorid} ({example.source})\n  did:         {history}\n  recommended: {listed}"


def _place(metric_and_model: tuple[str, str]) -> tuple[int, str]:
    return METRICS.index(metric_and_model[0]), metric_and_model[1]


def _value(row: Mapping[str, Any]) -> str:
    return "-" if row["value"] is None else f"{row['value']:.4f}"


def _interval(row: Mapping[str, Any]) -> str:
    value = _value(row)
    return value if row["low"] is None else f"{value} ({max(row['low'], 0):.4f}–{min(row['high'], 1):.4f})"


def _significant(value: float | None) -> str:
    return "off" if value is None else f"{value:.4g}"


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
