"""Make settings from the findings: those that differ from the defaults, each with a reason.

Example usage:
>>> for setting in _kinds(["view", "View ", "Buy"]):
...     print(setting.path, setting.value)
stage1.data_loader.event_map {'view': 'view'}
stage1.score_events.score_map {'view': 1, 'Buy': 10}
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import recommender.constants as C
from recommender.inspect.roles import WEIGHT, Roles
from recommender.inspect.tables import Table
from recommender.inspect.values import Ids, number_of, text_of, weight_of

# Every key that is ever written, in the order of the file.
KEYS: Final = (
    *(
        f"stage1.data_loader.{name}"
        for name in (
            *("event_filename", "file_format", "header", "column_names", "skip_rows", "delimiter", "options"),
            *("columns", "explode", "where", "constant_event", "event_map", "id_type", "timestamp_unit"),
            "timestamp_format",
        )
    ),
    "stage1.event_validator.negative_ids",
    "stage1.event_deduplicator.keep_duplicates",
    "stage1.train_test_split.column_name",
    "stage1.score_events.score_map",
    "stage1.group_scores.aggregate",
    "stage1.score_filter.min_score",
    "stage2.als.implicit_prefs",
)
_SUFFIX = re.compile(r"\.([a-z]+)(?:\.(?:gz|gzip|bz2|zst|lz4))?$")
_UNKNOWN_ZONE = "they say no zone and are read as UTC; timezone: Europe/Berlin would say otherwise"
_OF_PURCHASES = {"tdat", "price", "unitprice", "salesprice", "quantity", "qty", "invoicedate", "orderdate"}
_MOST_KINDS = 60
_RATING = "rating"
_QUOTES = {"": "quotes are part of the cells", "'": "cells stand in single quotes"}
_ESCAPES = {"\\": "a backslash is before a quote inside quotes"}


@dataclass(frozen=True)
class Setting:
    """One line of the configuration."""

    path: str  # of the key
    value: Any  # plain JSON types
    why: str  # the comment
    is_guess: bool = False  # whether people should look at it


def settings_for(
    path: str, lake: str | None, table: Table, roles: Roles, ids: tuple[Ids, Ids], keep_negative: bool
) -> list[Setting]:
    """Return the settings that differ from the defaults, in the order of the configuration."""
    found = [_loader("event_filename", path, "file, folder or glob"), *_form(path, lake, table)]
    names = _names(table, roles)
    if names:
        why = "the file has no header" if not table.form.has_header else "names of its header stand twice or lack"
        found += [_loader("header", False, why), _loader("column_names", names, "one per cell, in their order")]
    columns = _columns(roles, {} if table.form.has_header else dict(zip(table.columns, names, strict=True)))
    if columns:
        found.append(_loader("columns", columns, "our name: the log's name"))
    found += [*_times(roles), *_ids(ids, keep_negative), *_weights(table, roles)]
    if roles.times and roles.times.days and not roles.clock and _has_twins(table, roles):
        why = "the times are days: what happened twice on a day counts twice"
        found.append(Setting("stage1.event_deduplicator.keep_duplicates", True, why))
    return sorted(found, key=lambda setting: KEYS.index(setting.path))


def _loader(name: str, value: Any, why: str) -> Setting:
    return Setting(f"stage1.data_loader.{name}", value, why)


def _form(path: str, lake: str | None, table: Table) -> list[Setting]:
    form, cut = table.form, table.form.cutting
    found = []
    named = _SUFFIX.search(path.lower())
    if lake:
        found.append(
            _loader("file_format", lake, "the table's own log says which of its files count: needs its library")
        )
    elif named is None or C.FORMATS.get(named[1], named[1]) != form.file_format:
        found.append(_loader("file_format", form.file_format, "the name does not show it"))
    skipped = cut.skip_rows + (table.renamed and form.has_header)
    if skipped:
        found.append(
            _loader("skip_rows", skipped, "lines before the first row" if table.renamed else "lines before the header")
        )
    if form.file_format == "csv" and cut.delimiter != ",":
        found.append(_loader("delimiter", cut.delimiter, "between the cells"))
    found += _options(table)
    if form.explode:
        found.append(_loader("explode", form.explode, "an array: each of its elements is an event"))
    return found


def _options(table: Table) -> list[Setting]:
    form, cut = table.form, table.form.cutting
    is_csv = form.file_format == "csv"
    guess = "as it looks; change it if letters are wrong" if form.encoding.startswith("w") else "by its first bytes"
    found = [
        (form.encoding != "UTF-8", "encoding", form.encoding, f"encoding: {guess}"),
        (is_csv and cut.quote != '"', "quote", cut.quote, _QUOTES.get(cut.quote, "")),
        (is_csv and cut.escape != '"', "escape", cut.escape, _ESCAPES.get(cut.escape, "")),
        (is_csv and cut.spaced, "ignoreLeadingWhiteSpace", "true", "blanks stand before quotes"),
        (is_csv and cut.multiline, "multiLine", "true", "cells have line breaks"),
    ]
    options = {name: value for holds, name, value, _ in found if holds}
    why = "; ".join(why for holds, *_, why in found if holds and why)
    return [Setting("stage1.data_loader.options", options, why, is_guess=True)] if options else []


def _names(table: Table, roles: Roles) -> list[str]:
    """Return the names of the columns of files whose header cannot be used, or that have none."""
    if table.form.has_header:
        return table.columns if table.renamed else []
    ours = {name: role if role != WEIGHT else _RATING for role, name in roles.columns.items()}
    return [ours.get(name, name) for name in table.columns]


def _columns(roles: Roles, renamed: dict[str, str]) -> dict[str, Any]:
    """Return the columns that have other names in the log than here."""
    found: dict[str, Any] = {role: renamed.get(name, name) for role, name in roles.columns.items()}
    if roles.clock:
        found[C.TIMESTAMP] = [found[C.TIMESTAMP], renamed.get(roles.clock, roles.clock)]
    return {role: name for role, name in found.items() if name != role}


def _times(roles: Roles) -> list[Setting]:
    times = roles.times
    if times is None:
        return []
    notes = [note for note in (times.doubt, None if times.zoned else _UNKNOWN_ZONE) if note]
    if times.pattern:
        pattern = f"{times.pattern} H:mm:ss" if roles.clock else times.pattern
        return [_loader("timestamp_format", pattern, "; ".join(notes) or "a pattern of Spark's")]
    if times.unit in {None, "ms"}:
        return []
    what = "text such as 2019-01-31T08:30:00Z" if times.unit == "iso" else "since 1970"
    return [_loader("timestamp_unit", times.unit, "; ".join([what, *notes]))]


def _ids(ids: tuple[Ids, Ids], keep_negative: bool) -> list[Setting]:
    found = []
    if any(each.type == "string" for each in ids):
        zeros = sum(each.zeros for each in ids)
        why = (
            "ids have leading zeros, which numbers would lose" if zeros else "ids are not all whole numbers of 64 bits"
        )
        found.append(Setting("stage1.data_loader.id_type", "string", why, is_guess=bool(zeros)))
        found.append(
            Setting("stage1.train_test_split.column_name", C.TIMESTAMP, "ids that are text have no percentile")
        )
    elif keep_negative:
        why = "so many ids are negative that they must be hashes"
        found.append(Setting("stage1.event_validator.negative_ids", "keep", why, is_guess=True))
    return found


def _weights(table: Table, roles: Roles) -> list[Setting]:
    """Return how much an event weighs: by its kind, by a column, or all alike."""
    if C.EVENT in roles.columns:
        return _kinds(row.get(roles.columns[C.EVENT]) for row in table.rows)
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()) for name in table.columns}
    kind = C.VIEW
    if roles.is_rating:
        kind = _RATING
    elif C.TRANSACTION in roles.columns or plain & _OF_PURCHASES:
        kind = C.PURCHASE
    found = [
        replace(_loader("constant_event", kind, f"the log has no kinds of events: each is a {kind}"), is_guess=True),
        Setting("stage1.score_events.score_map", {kind: 1}, "the only kind"),
    ]
    if WEIGHT not in roles.columns:
        return found
    column = roles.columns[WEIGHT]
    numbers = [number for row in table.rows if (number := number_of(row.get(column))) is not None]
    if not roles.is_rating:
        if min(numbers, default=1) <= 0:
            condition = f"try_cast(`{column.replace('`', '``')}` AS double) > 0"
            found.append(_loader("where", condition, "without returns and empty rows"))
        return [*found, Setting("stage1.group_scores.aggregate", "sum", "of a pair's events; or last, max, mean")]
    why = "false: learn the ratings themselves; if the gate then finds popularity better, try true"
    found.append(Setting("stage1.group_scores.aggregate", "last", "a rating that was changed replaces the one before"))
    found.append(Setting("stage2.als.implicit_prefs", False, why))
    least = min((number for number in numbers if number > 0), default=1)
    if least < 1:
        found.append(
            Setting("stage1.score_filter.min_score", least, "the least rating, else it would not be learned from")
        )
    return found


def _kinds(values: Iterable[Any]) -> list[Setting]:
    """Return the weights of the kinds of events, those that are written in several ways as one."""
    counts = Counter(
        str(value) if isinstance(value, str) else str(text_of(value)) for value in values if text_of(value) is not None
    )
    ways: dict[str, list[str]] = {}
    for kind, _ in counts.most_common():
        ways.setdefault(kind.strip().lower(), []).append(kind)
    names = [plain if len(kinds) > 1 or kinds[0] != kinds[0].strip() else kinds[0] for plain, kinds in ways.items()]
    found = []
    mapped = {plain: plain for plain, kinds in ways.items() if len(kinds) > 1 or kinds[0] != kinds[0].strip()}
    if mapped:
        why = "written in several ways; case and blanks do not matter here"
        found.append(Setting("stage1.data_loader.event_map", mapped, why, is_guess=True))
    known = {name: weight_of(name) for name in names}
    unknown = [name for name, weight in known.items() if weight is None]
    default = 0 if any(known.values()) else 1
    weights = {name: default if weight is None else weight for name, weight in known.items()}
    kept = dict(list(weights.items())[:_MOST_KINDS])
    why = "a guess by their names: set what each is worth to you"
    if unknown:
        why += f"; {', '.join(unknown[:5])}: not known"
    if kept != {kind: int(weight) for kind, weight in C.DEFAULT_SCORES.items()}:
        found.append(Setting("stage1.score_events.score_map", kept, why, is_guess=len(kept) > 1 or bool(unknown)))
    return found


def _has_twins(table: Table, roles: Roles) -> bool:
    """Return whether events of the same day are the same in all columns that are loaded."""
    names = [name for role, name in roles.columns.items() if role != WEIGHT]
    keys = Counter(tuple(str(row.get(name)) for name in names) for row in table.rows)
    return len(keys) < keys.total()
