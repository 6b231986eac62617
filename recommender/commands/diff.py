"""Show in what two runs differ: configuration, inputs, rows, contents, metrics."""

import argparse
import json
from collections.abc import Mapping
from typing import Any

from recommender.commands.overview import one_run
from recommender.publishing.gate import judged_model
from recommender.store import Commit, Store, digest
from recommender.terminal.text import indented, table

_COMPARED = ("config", "version")
_MEASURED = ("rows.", "steps.", "metrics.", "inputs.")  # of these the difference is a number, too


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("one", metavar="RUN", help="id of a run, its beginning, a channel, or latest")
    parser.add_argument("other", metavar="RUN", help="another run")


def run(store: Store, options: argparse.Namespace) -> dict[str, Any]:
    """Return, by stage, what differs, as [of the one, of the other]."""
    one, other = one_run(store, options.one), one_run(store, options.other)
    stages = sorted({**one.commits, **other.commits})
    found = {stage: _stage(one.commits.get(stage), other.commits.get(stage)) for stage in stages}
    return {"runs": [one.id, other.id], "stages": {stage: differs for stage, differs in found.items() if differs}}


def text(result: dict[str, Any]) -> str:
    parts = []
    for stage, differs in result["stages"].items():
        lines = [("", *result["runs"], "difference")]
        lines += [(key, *(_cell(key, value) for value in pair), _change(key, *pair)) for key, pair in differs.items()]
        parts.append(f"{stage}\n{indented(table(lines))}")
    return "\n\n".join(parts) or f"no difference between {' and '.join(result['runs'])}"


def _stage(one: Commit | None, other: Commit | None) -> dict[str, list[Any]]:
    values = [_flat(commit) if commit else {"committed": "no"} for commit in (one, other)]
    keys = sorted({**values[0], **values[1]}) if one and other else ["committed"]
    pairs = {key: [each.get(key, "yes" if key == "committed" else None) for each in values] for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _flat(commit: Commit) -> dict[str, Any]:
    """Return everything that is compared of a commit, by a path of keys."""
    record = commit.record
    found = _leaves({key: record[key] for key in _COMPARED if key in record}, "")
    inputs = record.get("inputs") or {}
    if inputs:
        total = sum(facts[0] for facts in inputs.values())
        found |= {"inputs.files": len(inputs), "inputs.bytes": total, "inputs.sha256": digest(inputs)}
    for name, facts in record.get("contents", {}).items():
        found |= {f"rows.{name}": facts["rows"], f"checksum.{name}": facts["checksum"]}
    for each in record.get("steps", ()):
        found |= {f"steps.{each['step']}.rows_in": each["rows_in"], f"steps.{each['step']}.rows_out": each["rows_out"]}
    if record.get("gate"):
        found["model"] = judged_model(record)
    for row in record.get("metrics", ()):
        found[f"metrics.{row['metric']}@{row['k']}.{row['model']}"] = row["value"]
    return found


def _leaves(tree: Any, path: str) -> dict[str, Any]:
    if not isinstance(tree, Mapping):
        return {path: tree}
    return {
        key: value
        for name, item in tree.items()
        for key, value in _leaves(item, f"{path}.{name}" if path else str(name)).items()
    }


def _cell(key: str, value: Any) -> str:
    """Return a value; those of the configuration with all of their digits, as they differ."""
    if value is None:
        return "-"
    if key.startswith(_MEASURED) and isinstance(value, int | float):
        return f"{value:,}" if isinstance(value, int) else f"{value:.6f}"
    return value if isinstance(value, str) else json.dumps(value)


def _change(key: str, one: Any, other: Any) -> str:
    if not key.startswith(_MEASURED) or not isinstance(one, int | float) or not isinstance(other, int | float):
        return ""
    change = other - one
    return f"{change:+,}" if isinstance(change, int) else f"{change:+.6f}"
