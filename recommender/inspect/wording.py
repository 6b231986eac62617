"""Say what was found: a configuration with comments, and one screen of text."""

import shlex
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import recommender.constants as C
from recommender.inspect.judging import WORDS
from recommender.inspect.plan import Plan
from recommender.inspect.roles import WEIGHT
from recommender.inspect.settings import Setting
from recommender.inspect.tables import MOST_FILES
from recommender.inspect.values import as_date, text_of
from recommender.text import indented, table, visible
from recommender.yaml_text import flow_text

_WIDTH = 110
_MOST_SHOWN = 6
_DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", " ": "blanks"}
_LIBRARIES = {"delta": "io.delta:delta-spark_2.13:VERSION", "iceberg": "org.apache.iceberg:iceberg-spark-runtime-..."}


def config_text(plan: Plan) -> str:
    """Return the configuration: only what differs from the defaults, and why."""
    lines = [
        "# Written by python -m recommender init: only what differs from the defaults, which conf/local.yaml lists.",
        f"# It was made from {_looked_at(plan)}.",
    ]
    before: Sequence[str] = ()
    for setting in plan.settings:
        *sections, key = setting.path.split(".")
        for depth, section in enumerate(sections):
            if list(before[: depth + 1]) != sections[: depth + 1]:
                lines += [""] * (depth == 0) + [f"{'  ' * depth}{section}:"]
                if (depth, section) == (0, "stage1") and plan.problem and plan.problem.id == "QUARANTINE_RATE":
                    lines += _allowance(plan)
        before = sections
        lines += _line("  " * len(sections), key, setting)
    return "\n".join(lines) + "\n"


def report_text(plan: Plan, written: str) -> str:
    """Return what people read on the terminal."""
    parts = [f"Looked at {_looked_at(plan)}: {_form(plan)}.", indented(table(_columns(plan)))]
    unused = [name for name in plan.table.columns if name not in {*plan.roles.columns.values(), plan.roles.clock}]
    if unused:
        more = f" and {len(unused) - _MOST_SHOWN} more" if len(unused) > _MOST_SHOWN else ""
        parts[-1] += f"\n  not used: {visible(', '.join(unused[:_MOST_SHOWN]))}{more}"
    notes = _notes(plan)
    if notes:
        parts.append(
            "\n".join(
                textwrap.fill(visible(note), _WIDTH, initial_indent="- ", subsequent_indent="  ") for note in notes
            )
        )
    packages = f"--packages {_LIBRARIES[plan.place.lake]} " if plan.place.lake else ""
    command = f"./spark-submit.sh {packages}--config {visible(shlex.quote(written))}"
    parts.append(f"Wrote {visible(written)}: read it, change what is wrong, and run\n\n  {command}")
    return "\n\n".join(parts)


def _looked_at(plan: Plan) -> str:
    files = len(plan.table.files)
    what = "all" if plan.table.whole and len(plan.place.files) <= MOST_FILES else "the first"
    where = (
        visible(plan.table.files[0].name) if files == 1 else f"{files:,} files of {visible(Path(plan.place.path).name)}"
    )
    return f"{what} {plan.rows:,} rows of {where}"


def _form(plan: Plan) -> str:
    form, cut = plan.table.form, plan.table.form.cutting
    if plan.place.lake:
        return f"a table of {plan.place.lake.capitalize()}"
    if form.file_format != "csv":
        array = f", an event per element of {visible(form.explode)}" if form.explode else ""
        return {"json": "JSON, one object per line"}.get(form.file_format, form.file_format.capitalize()) + array
    header = "with a header" if form.has_header else "without a header"
    cells = _DELIMITERS.get(cut.delimiter, visible(repr(cut.delimiter)))
    skipped = f", {cut.skipped} lines before it" if cut.skipped else ""
    return f"CSV {header}{skipped}, cells between {cells}, {form.encoding}"


def _columns(plan: Plan) -> list[list[str]]:
    """Return a line per column of ours: what it is in the log, how it was found, and what is in it."""
    lines = [["column", "is", "found", "holds"]]
    for role, name in plan.roles.columns.items():
        column = f"{name}, {plan.roles.clock}" if role == C.TIMESTAMP and plan.roles.clock else name
        lines.append([column[:40], role, plan.roles.how[role], _holds(plan, role, name)])
    return lines


def _holds(plan: Plan, role: str, name: str) -> str:
    if role in {C.VISITOR, C.ITEM}:
        ids = plan.ids[(C.VISITOR, C.ITEM).index(role)]
        return f"{ids.different:,} different {'numbers' if ids.type == 'long' else 'texts'}"
    if role == C.TIMESTAMP and plan.roles.times:
        span = f", {as_date(plan.span[0])} to {as_date(plan.span[1])}" if plan.span else ""
        return f"{plan.roles.times.label}{span}"
    if role == C.EVENT:
        kinds: dict[str, int] = {}
        for row in plan.table.rows:
            if text_of(row.get(name)) is not None:
                kinds[str(row[name])] = kinds.get(str(row[name]), 0) + 1
        most = sorted(kinds.items(), key=lambda pair: -pair[1])
        more = f" and {len(most) - _MOST_SHOWN} more" if len(most) > _MOST_SHOWN else ""
        return ", ".join(f"{kind[:30]} {count:,}" for kind, count in most[:_MOST_SHOWN]) + more
    if role == WEIGHT:
        return "ratings" if plan.roles.is_rating else "an amount: it weighs the event"
    return ""


def _notes(plan: Plan) -> list[str]:
    """Return what the user should know, a sentence each, the most important first."""
    notes = []
    good = plan.rows - plan.unfit.total()
    reasons = [f"{count:,} {WORDS[reason]}" for reason, count in plan.unfit.most_common() if count]
    notes.append(f"{good:,} of {plan.rows:,} rows are fit for use" + (f"; {', '.join(reasons)}." if reasons else "."))
    if plan.table.repeated:
        notes.append(f"{plan.table.repeated:,} of the rows are the header again.")
    if plan.table.emptied:
        notes.append(f"{plan.table.emptied:,} objects have nothing in {plan.table.form.explode}, and make no event.")
    if not plan.table.form.has_header:
        notes.append("Without a header columns are guessed by what they hold: check column_names.")
    notes += [f"{setting.path.rsplit('.', 1)[1]}: {setting.why}." for setting in plan.settings if setting.is_guess]
    if plan.roles.times and not plan.roles.times.zoned:
        notes.append("The times say no zone and are read as UTC; see data_loader.timezone.")
    for file, reason in list(plan.left_out.items())[:_MOST_SHOWN]:
        notes.append(f"Left out: {file.name} {reason.removeprefix(file.name).strip()}.")
    if len(plan.left_out) > _MOST_SHOWN:
        notes.append(f"Left out: {len(plan.left_out) - _MOST_SHOWN:,} more files.")
    return [*notes, *(f"{note[0].upper()}{note[1:]}." for note in plan.place.notes)]


def _allowance(plan: Plan) -> list[str]:
    share = min(round(1.2 * plan.unfit.total() / plan.rows + 0.005, 2), 1)
    return [
        "  # Many rows are not fit for use, so a run is refused. To run all the same, without them:",
        "  # event_validator:",
        f"  #   max_quarantined: {share:g}",
    ]


def _line(indent: str, key: str, setting: Setting) -> list[str]:
    """Return a setting with its comment, behind it if there is room, else above it."""
    line, why = f"{indent}{key}: {_value(setting.value)}", visible(setting.why)
    if len(line) + len(why) <= _WIDTH:
        return [f"{line} # {why}"]
    return [*textwrap.wrap(why, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "), line]


def _value(value: Any) -> str:
    return flow_text(value)
