"""All that a commit's record says, for people: what the command show prints with --all.

Example usage:
>>> facts = {"commit": 3, "committed_at": "2026-05-03T04:00:00+00:00", "seconds": 9.5, "tables": {}}
>>> print(paragraph("stage3", facts))
stage3: commit 3, 2026-05-03T04:00:00+00:00, 9.5 s
"""

import json
from typing import Any

from recommender.publishing.gate import judged_model
from recommender.store import Commit
from recommender.terminal.summary import metrics_table, steps_table, trials_table
from recommender.terminal.text import indented, size, table

# What is shown of a commit's record: how it was made, what was found in the data, and what was judged.
_MADE = ("committed_at", "seconds", "events_per_second", "version", "fingerprint", "upstream", "inputs", "config")
_FOUND = (
    *("reused", "steps", "warnings", "versions", "profile", "columns", "timings"),
    *("protocol", "leaks", "weights", "release_diff", "examples", "titles", "changed"),
)
_JUDGED = ("metrics", "blessed", "gate", "gate_overridden", "metric", "best", "verdict", "notes", "trials")


def stage_facts(commit: Commit) -> dict[str, Any]:
    """Return what is shown of a commit, as plain JSON types."""
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


def paragraph(stage: str, facts: dict[str, Any]) -> str:
    """Return all facts of a stage."""
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
    lines += [f"  {line}" for line in judged_text(facts)]
    if facts.get("metrics"):
        lines.append(indented(metrics_table(facts["metrics"], judged_model(facts))))
    if facts.get("trials"):
        lines.append(indented(trials_table(facts["metric"], facts["trials"])))
        lines += [f"  {line}" for line in (facts.get("verdict"), *facts.get("notes", ())) if line]
    return "\n".join(lines)


def judged_text(facts: dict[str, Any]) -> list[str]:
    """Return how the models are judged, whether that is honest, and what the gate says."""
    lines = []
    if "protocol" in facts:
        lines.append(f"judged by: {facts['protocol']}; {facts['leaks']:,} leaks into scores and history")
    if facts.get("weights"):
        lines.append(f"weights of the pairs: {_weights(facts['weights'])}")
    if "blessed" in facts:
        reasons = "; ".join(reason["sentence"] for reason in facts["gate"]["reasons"])
        lines += [facts["gate"]["choice"]] if facts["gate"].get("choice") else []
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
