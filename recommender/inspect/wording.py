"""Write the findings as a configuration with comments, and as one screen of text."""

import shlex
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import recommender.constants as C
from recommender.inspect.judging import WORDS
from recommender.inspect.plan import Plan
from recommender.inspect.roles import WEIGHT
from recommender.inspect.settings import Setting
from recommender.inspect.tables import MOST_FILES
from recommender.inspect.values import text_of
from recommender.settings.yaml_text import flow_text
from recommender.terminal.text import indented, program, table, visible
from recommender.times import as_time

_WIDTH = 110
_MOST_SHOWN = 6
_NOBODY = ("unknown", "anonymous", "anon", "guest", "0", "not set", "(not set)", "visitor", "user")
_MUCH = 0.01  # ratio of the rows
_DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", " ": "blanks"}
_LIBRARIES = {
    "delta": "io.delta:delta-spark_2.13:VERSION",
    "iceberg": "org.apache.iceberg:iceberg-spark-runtime-SPARK:VERSION",
}


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
    parts.append(f"Wrote {visible(written)}: read it, change what is wrong, and run\n\n  {_command(plan, written)}")
    return "\n\n".join(parts)


def _command(plan: Plan, written: str) -> str:
    """Return what starts a run from this folder: the script of a checkout, or the command of the package."""
    config = f"--config {visible(shlex.quote(written))}"
    packages = f"--packages {_LIBRARIES[plan.place.lake]} " if plan.place.lake else ""
    if Path("spark-submit.sh").exists():
        return f"./spark-submit.sh {packages}{config}"
    given = f'PYSPARK_SUBMIT_ARGS="{packages.strip()}" ' if packages else ""
    return f"{given}{program()} run {config}"


def _looked_at(plan: Plan) -> str:
    files = len(plan.table.files)
    what = "all" if plan.table.whole and len(plan.place.files) <= MOST_FILES else "the first"
    where = visible(plan.table.files[0].name) if files == 1 else f"{files:,} files of {visible(plan.given)}"
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
    header += f" in line {cut.skipped + 1}" if cut.skipped and form.has_header else ""
    return f"CSV {header}, cells between {cells}, {form.encoding}"


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
        days = dict.fromkeys(as_time(time)[:10] for time in plan.span or ())
        return ", ".join([plan.roles.times.label, *([" to ".join(days)] if days else [])])
    if role == C.EVENT:
        kinds: dict[str, int] = {}
        for row in plan.table.rows:
            if (kind := text_of(row.get(name))) is not None:
                kinds[kind] = kinds.get(kind, 0) + 1
        most = sorted(kinds.items(), key=lambda pair: -pair[1])
        more = f" and {len(most) - _MOST_SHOWN} more" if len(most) > _MOST_SHOWN else ""
        return ", ".join(f"{kind[:30]} {count:,}" for kind, count in most[:_MOST_SHOWN]) + more
    if role == WEIGHT:
        return "ratings" if plan.roles.is_rating else "an amount: it weighs the event"
    filled = sum(text_of(row.get(name)) is not None for row in plan.table.rows)
    return f"{filled:,} filled cells"


def _notes(plan: Plan) -> list[str]:
    """Return what the user should know, a sentence each, the most important first."""
    good = plan.rows - plan.unfit.total()
    reasons = [f"{count:,} {WORDS[reason]}" for reason, count in plan.unfit.most_common() if count]
    notes = [f"{good:,} of {plan.rows:,} rows are fit for use" + (f"; {', '.join(reasons)}." if reasons else ".")]
    table, times = plan.table, plan.roles.times
    facts = [
        (table.emptied, f"{table.emptied:,} objects have nothing in {table.form.explode}, and make no event."),
        (not table.form.has_header, "Without a header columns are guessed by what they hold: check column_names."),
        (plan.place.lake, "The files may hold rows that the table has deleted; a run reads the table as it is."),
        (times and times.doubt, f"timestamp: {times and times.doubt}."),
        (times and not times.zoned, "The times say no zone and are read as UTC; see data_loader.timezone."),
    ]
    notes += [note for holds, note in facts if holds]
    notes += [f"{setting.path.rsplit('.', 1)[1]}: {setting.why}." for setting in plan.settings if setting.is_guess]
    notes += _nobody(plan)
    notes += [f"{note[0].upper()}{note[1:]}." for note in plan.place.notes]
    left_out = [f"Left out: {why}." for why in plan.left_out.values()]
    more = [f"Left out: {len(left_out) - _MOST_SHOWN:,} more files."] if len(left_out) > _MOST_SHOWN else []
    return [*notes, *left_out[:_MOST_SHOWN], *more]


def _nobody(plan: Plan) -> list[str]:
    """Return a sentence for each word that stands for nobody, as far as it is the visitor of strikingly many rows."""
    column, different = plan.roles.columns[C.VISITOR], max(plan.ids[0].different, 1)
    words = Counter(str(text_of(row.get(column))).lower() for row in plan.table.rows)
    return [
        f"{words[word]:,} rows are of the visitor {word}: if that is nobody, see data_loader.null_words."
        for word in _NOBODY
        if words[word] > max(_MUCH * plan.rows, 5 * plan.rows / different if word == "0" else 0)
    ]


def _allowance(plan: Plan) -> list[str]:
    share = min(round(1.2 * plan.unfit.total() / plan.rows + 0.005, 2), 1)
    return [
        "  # Many rows are not fit for use, so a run is refused. To run anyway, without them:",
        "  # event_validator:",
        f"  #   max_quarantined: {share:g}",
    ]


def _line(indent: str, key: str, setting: Setting) -> list[str]:
    """Return a setting with its comment, behind it if there is room, else above it."""
    line, why = f"{indent}{key}: {flow_text(setting.value)}", visible(setting.why)
    if len(line) + len(why) <= _WIDTH:
        return [f"{line} # {why}"]
    return [*textwrap.wrap(why, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "), line]
