"""Sections about how a result was made: cost, settings that differ from the defaults, and where all of it is kept."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from recommender.report.charts import bar, scale
from recommender.report.facts import NAMES, ORDER, Facts
from recommender.report.html import Child, Markup, element, joined, moment, number, table
from recommender.terminal.text import size


def cost(facts: Facts) -> Markup | None:
    """Return what each stage has cost."""
    records = {stage: facts.record(stage) for stage in ORDER if facts.record(stage).get("seconds") is not None}
    if not records:
        return None
    end = scale([each.record(stage).get("seconds") for each in facts.on_page for stage in ORDER])
    lines: list[Sequence[Child]] = [
        (
            f"{stage} {NAMES[stage]}",
            bar(record["seconds"], end),
            number(record["seconds"], "{:,.1f}"),
            number(record.get("events_per_second"), "{:,.0f}"),
            number(sum(each["rows"] for each in (record.get("contents") or {}).values())),
            size(sum(each["bytes"] for each in facts.commits[stage].files().values())),
            number(record.get("jobs")),
            size(record["memory"]) if "memory" in record else "–",
            "" if record["run"] == facts.run else f"made by {record['run']}",
        )
        for stage, record in records.items()
    ]
    total = sum(record["seconds"] for record in records.values() if record["run"] == facts.run)
    lines.append(("This run", "", number(total, "{:,.1f}"), "", "", "", "", "", ""))
    head: Sequence[Child] = ("Stage", "", "seconds", "events/s", "rows written", "files", "Spark jobs", "memory", "")
    if not any(line[-1] for line in lines):  # all stages are this run's own
        head, lines = head[:-1], [line[:-1] for line in lines]
    steps = [_steps(stage, record) for stage, record in records.items()]
    parts = [_timings(stage, record) for stage, record in records.items() if record.get("timings")]
    return joined(
        [
            table(head, lines, class_="pictured first"),
            element("details", element("summary", "Steps and parts of each stage"), steps, parts),
        ]
    )


def settings(facts: Facts) -> Markup | None:
    """Return the settings that differ from the defaults."""
    found = {stage: facts.record(stage)["changed"] for stage in ORDER if "changed" in facts.record(stage)}
    if not found:
        return None
    lines = [(name, element("code", value)) for name, value in settings_text(found)]
    if not lines:
        return element("p", "All settings have their defaults.", class_="note")
    return table(("Setting", "value"), lines, left=2)


def settings_text(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[tuple[str, str]]:
    """Return settings and their values as JSON, from stage -> step -> parameter -> value.

    >>> list(settings_text({"stage2": {"als": {"rank": 16}}}))
    [('stage2.als.rank', '16')]
    """
    for stage, steps in found.items():
        for step, values in steps.items():
            for name, value in values.items():
                yield f"{stage}.{step}.{name}", json.dumps(value, ensure_ascii=False)


def origin(facts: Facts) -> Markup | None:
    """Return which run, commit and version made what, and when; and where it was published."""
    if not facts.commits:
        return None
    lines = [
        (
            f"{stage} {NAMES.get(stage, '')}".strip(),
            str(commit.record["run"]),
            str(commit.number),
            moment(commit.record.get("committed_at", "")),
            str(commit.record.get("version", "")),
            element("code", commit.attempt[:12]),
        )
        for stage, commit in facts.commits.items()
    ]
    parts: list[Child] = [table(("Stage", "run", "commit", "committed at (UTC)", "code", "attempt"), lines, left=6)]
    moves = [
        (
            each.channel,
            each.record["action"],
            moment(each.record["at"]),
            by(each.record),
            ", ".join(_places(each.record)),
        )
        for each in facts.published
    ]
    if moves:
        parts.append(table(("Channel", "action", "at (UTC)", "by", "delivered to"), moves, left=5))
    read = facts.record("stage1").get("inputs") or {}
    if read:
        total = sum(each[0] for each in read.values())
        parts.append(
            element(
                "p",
                "Read ",
                number(len(read)),
                " file, " if len(read) == 1 else " files, ",
                f"{size(total)}.",
                class_="note",
            )
        )
    return joined(parts)


def by(record: Mapping[str, Any]) -> str:
    """Return who has moved a channel, as far as its record says.

    >>> by({"by": {"user": "ada", "host": "night-1"}}), by({})
    ('ada@night-1', '')
    """
    who = record.get("by") or {}
    return "@".join(str(who[key]) for key in ("user", "host") if who.get(key))


def _places(record: Mapping[str, Any]) -> str:
    return ", ".join(sorted(record.get("delivered") or {}))


def _steps(stage: str, record: Mapping[str, Any]) -> Markup | None:
    steps = record.get("steps") or ()
    if not steps:
        return None
    rows = [
        (each["step"], number(each["rows_in"]), number(each["rows_out"]), element("span", each["note"], class_="told"))
        for each in steps
    ]
    return table((f"{stage}: step", "rows in", "rows out", ""), rows, class_="steps")


def _timings(stage: str, record: Mapping[str, Any]) -> Markup:
    end = scale(list(record["timings"].values()))
    rows = [(part, bar(took, end), number(took, "{:,.1f}")) for part, took in record["timings"].items()]
    return table((f"{stage}: part", "", "seconds"), rows, class_="pictured first")
