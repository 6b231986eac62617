"""Show all that is known of one run."""

import argparse
import json
from typing import Any

from recommender.commands.overview import one_run
from recommender.store import Commit, Store
from recommender.terminal.summary import metrics_table, steps_table, trials_table
from recommender.terminal.text import indented, size, table

# What is shown of a commit's record: how it was made, what was found in the data, and what was judged.
_MADE = ("committed_at", "seconds", "events_per_second", "version", "fingerprint", "upstream", "inputs", "config")
_FOUND = (
    "reused",
    "steps",
    "warnings",
    "versions",
    "profile",
    "columns",
    "timings",
    "protocol",
    "leaks",
    "weights",
    "release_diff",
)
_JUDGED = ("metrics", "blessed", "gate", "gate_overridden", "metric", "best", "trials")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes."""
    parser.add_argument("run", metavar="RUN", help="id of the run; see the command runs")


def run(store: Store, options: argparse.Namespace) -> dict[str, Any]:
    """Return what is known of a run."""
    found = one_run(store, options.run)
    return {
        "run": found.id,
        "status": found.status,
        "channels": found.channels,
        "stages": {stage: _stage(commit) for stage, commit in sorted(found.commits.items())},
        "failures": found.failures,
        "unfinished": found.unfinished,
    }


def text(result: dict[str, Any]) -> str:
    """Return a paragraph per stage."""
    named = f", named by {', '.join(result['channels'])}" if result["channels"] else ""
    parts = [f"{result['run']}: {result['status']}{named}"]
    parts += [_paragraph(stage, facts) for stage, facts in result["stages"].items()]
    for failure in result["failures"]:
        what = f"{failure.get('id')} {failure.get('sentence', '')}"
        parts.append(f"{failure['stage']} failed at {failure['failed_at']}: {what}")
    parts += [
        f"{note['stage']} was begun at {note['started_at']}, and is not finished" for note in result["unfinished"]
    ]
    return "\n\n".join(parts)


def _stage(commit: Commit) -> dict[str, Any]:
    record = commit.record
    tables = {
        name: {**facts, "bytes": sum(file["bytes"] for file in commit.files(name).values())}
        for name, facts in record.get("contents", {}).items()
    }
    return {
        "commit": commit.number,
        "attempt": commit.attempt,
        **{key: record[key] for key in (*_MADE, *_FOUND, *_JUDGED) if key in record},
        "tables": tables,
    }


def _paragraph(stage: str, facts: dict[str, Any]) -> str:
    upstream = ", ".join(f"{name} commit {number}" for name, number in facts.get("upstream", {}).items())
    made = f", from {upstream}" if upstream else ""
    reused = f", the same as commit {facts['reused']}" if "reused" in facts else ""
    speed = f", {facts['events_per_second']:,.0f} events/s" if facts.get("events_per_second") else ""
    when = f"{facts['committed_at']}, {facts.get('seconds', 0):.1f} s{speed}"
    lines = [f"{stage}: commit {facts['commit']}{reused}, {when}{made}"]
    lines += [f"  code {facts['version']}"] if "version" in facts else []
    if facts.get("inputs"):
        read = sum(each[0] for each in facts["inputs"].values())
        lines.append(f"  read {len(facts['inputs']):,} files, {size(read)}")
    if facts.get("steps"):
        lines.append(indented(steps_table(facts["steps"])))
    rows = [
        (name, f"{each['rows']:,} rows", size(each["bytes"]), f"checksum {each['checksum']}")
        for name, each in facts["tables"].items()
    ]
    if rows:
        lines.append(indented(table(rows, right=[1, 2])))
    settings = [
        (f"{step}.{key}", json.dumps(value))
        for step, values in facts.get("config", {}).items()
        for key, value in values.items()
    ]
    if settings:
        lines.append(indented(table(settings)))
    lines += [f"  {line}" for line in _judged(facts)]
    if facts.get("metrics"):
        lines.append(indented(metrics_table(facts["metrics"])))
    if facts.get("trials"):
        lines.append(indented(trials_table(facts["metric"], facts["trials"])))
    return "\n".join(lines)


def _judged(facts: dict[str, Any]) -> list[str]:
    """Return how the models are judged, whether that is honest, and what the gate says."""
    lines = []
    if "protocol" in facts:
        lines.append(f"judged by: {facts['protocol']}; {facts['leaks']:,} leaks into scores and history")
    if facts.get("weights"):
        lines.append(f"weights of the pairs: {_weights(facts['weights'])}")
    if "blessed" in facts:
        reasons = "; ".join(reason["sentence"] for reason in facts["gate"]["reasons"])
        lines.append("blessed by the gate" if facts["blessed"] else f"not blessed: {reasons}")
        lines += [f"compared with {_compared(each)}" for each in facts["gate"]["compared"]]
    if "gate_overridden" in facts:
        over = facts["gate_overridden"]
        lines.append(f"published although it is not blessed ({over['sentence']}): {over['reason']}")
    return lines


def _weights(bins: list[dict[str, Any]]) -> str:
    """Return a histogram in one line, without its empty bins.

    >>> _weights([{"from": 1.0, "to": 2.0, "pairs": 0}, {"from": 2.0, "to": 4.0, "pairs": 1500}])
    '2 to 4: 1,500'
    """
    ends = ("or more" if each["to"] is None else f"to {each['to']:g}" for each in bins)
    told = (f"{each['from']:g} {end}: {each['pairs']:,}" for each, end in zip(bins, ends, strict=True) if each["pairs"])
    return ", ".join(told)


def _compared(facts: dict[str, Any]) -> str:
    """Return a comparison of the gate: values, and the 95 % interval of the difference."""
    interval = "" if facts["low"] is None else f", {facts['low']:+.4f} to {facts['high']:+.4f}"
    values = f"{facts['candidate']:.4f} against {facts['other']:.4f}"
    return f"{facts['model']}: {values}, difference {facts['difference']:+.4f}{interval}"
