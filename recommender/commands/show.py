"""Show a run on one screen; --all shows everything that is known of it.

RUN is an id or its unique beginning, a channel such as live, or latest.
"""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from recommender.commands.overview import one_run
from recommender.commands.paragraphs import judged_text, paragraph, stage_facts
from recommender.errors import ConfigError, Mistake
from recommender.publishing.gate import judged_model
from recommender.report import facts_of, settings_text, verdict
from recommender.store import Store
from recommender.terminal.text import indented, size, table, visible

_MOST_WARNINGS = 3
_BESIDE = ("recall", "precision", "coverage")  # what is shown beside the first metric


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="id of a run, its beginning, a channel, or latest")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--all", action="store_true", help="show everything that is known")
    what.add_argument("--stage", metavar="N", help="show everything that is known of one stage, for example 2")
    what.add_argument("--changed", action="store_true", help="show the settings that differ from the defaults")


def run(store: Store, options: argparse.Namespace) -> dict[str, Any]:
    """Return what is known of a run, or of one stage; raise a ConfigError if the run does not exist, or lacks it."""
    found = one_run(store, options.run)
    facts = facts_of(store, found.id, found.commits, found.failures)
    if options.changed:
        recorded = {stage: dict(c.record["changed"]) for stage, c in facts.commits.items() if "changed" in c.record}
        return {"run": found.id, "changed": recorded}
    stages = {stage: stage_facts(commit) for stage, commit in sorted(found.commits.items())}
    if options.stage is not None:
        stages = _only(found.id, stages, options.stage)
    return {
        "run": found.id,
        "status": found.status,
        "channels": found.channels,
        "verdict": verdict(facts).sentence,
        "stages": stages,
        "failures": found.failures,
        "unfinished": found.unfinished,
        "shown": "all" if options.all else "stage" if options.stage is not None else "screen",
    }


def text(result: dict[str, Any]) -> str:
    if "changed" in result:
        return _changed(result["changed"])
    if result["shown"] == "stage":
        return "\n\n".join(paragraph(stage, facts) for stage, facts in result["stages"].items())
    named = f", named by {', '.join(result['channels'])}" if result["channels"] else ""
    head = f"{result['run']}: {result['status']}{named}"
    if result["shown"] == "screen":
        return "\n".join(filter(None, [head, visible(result["verdict"]), *_screen(result)]))
    parts = [head, *(paragraph(stage, facts) for stage, facts in result["stages"].items()), *_attempts(result)]
    return "\n\n".join(parts)


def _only(run_id: str, stages: Mapping[str, Any], asked: str) -> dict[str, Any]:
    """Return one stage, asked for by its number or its name."""
    name = f"stage{asked}" if asked.isdecimal() else asked
    if name not in stages:
        known = ", ".join(stages) or "none"
        raise ConfigError(Mistake("STAGE_UNKNOWN", "--stage", f"run {run_id} has no commit of {name}; it has {known}"))
    return {name: stages[name]}


def _changed(stages: Mapping[str, Any]) -> str:
    if not stages:
        return "the records of this run do not say which settings differ from the defaults; see --all"
    lines = list(settings_text(stages))
    return table(lines) if lines else "all settings have their defaults"


def _screen(result: Mapping[str, Any]) -> list[str]:
    stages = result["stages"]
    warnings = [f"warning: {each}" for facts in stages.values() for each in facts.get("warnings") or ()]
    more = len(warnings) - _MOST_WARNINGS
    warnings = [*warnings[:_MOST_WARNINGS], *([f"and {more} more warnings"] if more > 0 else [])]
    judging: Mapping[str, Any] = next((facts for facts in stages.values() if facts.get("metrics")), {})
    judged = [line for facts in stages.values() for line in judged_text(facts) if not line.startswith("weights")]
    parts = [
        "\n".join(map(visible, warnings)),
        _stages(stages),
        _metrics(judging.get("metrics") or (), judged_model(judging)),
        indented("\n".join(map(visible, judged))),
        "\n".join(_attempts(result)),
        f"more: show {result['run']} --all, --stage N or --changed; report {result['run']}",
    ]
    return [f"\n{part}" for part in parts if part]


def _stages(stages: Mapping[str, Any]) -> str:
    lines = [("stage", "commit", "committed at (UTC)", "seconds", "events/s", "rows", "size")]
    for stage, facts in stages.items():
        tables = facts["tables"].values()
        speed = facts.get("events_per_second")
        lines.append(
            (
                stage,
                str(facts["commit"]),
                str(facts["committed_at"])[:19],
                f"{facts.get('seconds', 0):,.1f}",
                f"{speed:,.0f}" if speed else "",
                f"{sum(each['rows'] for each in tables):,}",
                size(sum(each["bytes"] for each in tables)),
            )
        )
    return table(lines, right=[1, 3, 4, 5, 6]) if stages else ""


def _metrics(rows: Sequence[Mapping[str, Any]], chosen: str) -> str:
    """Return a line per model, the chosen one first, at the cut-off that is nearest to 10."""
    if not rows:
        return ""
    k = min({row["k"] for row in rows}, key=lambda each: abs(each - 10))
    cells = {(row["model"], row["metric"]): row for row in rows if row["k"] == k}
    present = {metric for _, metric in cells}
    first = "ndcg" if "ndcg" in present else min(present)
    beside = [name for name in _BESIDE if name in present and name != first]
    models = sorted({model for model, _ in cells}, key=lambda model: (model != chosen, model))
    lines = [("model", f"{first}@{k}", "95 % interval", *beside)]
    for model in models:
        row = cells.get((model, first))
        lines.append((model, _value(row), _interval(row), *(_value(cells.get((model, name))) for name in beside)))
    return table(lines, right=range(1, len(lines[0])))


def _value(row: Mapping[str, Any] | None) -> str:
    return "-" if row is None or row["value"] is None else f"{row['value']:.4f}"


def _interval(row: Mapping[str, Any] | None) -> str:
    return "-" if row is None or row["low"] is None else f"{max(row['low'], 0):.4f}–{row['high']:.4f}"


def _attempts(result: Mapping[str, Any]) -> list[str]:
    """Return the attempts that failed, and those that are not finished."""
    failed = [
        f"{each['stage']} failed at {each['failed_at']}: {each.get('id')} {each.get('sentence', '')}"
        for each in result["failures"]
    ]
    begun = [f"{each['stage']} was begun at {each['started_at']}, and is not finished" for each in result["unfinished"]]
    return [visible(line) for line in [*failed, *begun]]
