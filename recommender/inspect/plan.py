"""Decide with which settings a log is loaded."""

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import recommender.constants as C
from recommender.errors import DataQualityError, InputError, SchemaError
from recommender.inspect.judging import WORDS, unfit
from recommender.inspect.places import Place, found_at, literal
from recommender.inspect.roles import Roles, roles_of
from recommender.inspect.settings import Setting, settings_for
from recommender.inspect.tables import Table, joined, read_place
from recommender.inspect.values import Ids, ids_of

_MOST_UNFIT = 0.01  # as event_validator.max_quarantined has it
_OTHER_FORM = "has another form than the rest"
_FEW_FILES = 20
_MANY_NEGATIVE = 0.1  # ratio of the ids; fewer are mistakes, more are hashes


@dataclass
class Plan:
    """The findings about a log, and the settings that follow from them."""

    given: str  # the path as the user wrote it
    place: Place  # where the events are
    path: str  # what is loaded of it
    table: Table  # the rows that were looked at
    roles: Roles  # which column is which
    ids: tuple[Ids, Ids]  # of visitors and items
    unfit: Counter[str]  # number of rows that would be kept apart, by reason
    span: tuple[int, int] | None  # first and last time, in ms since 1970
    left_out: dict[Path, str]  # file -> why it is not loaded, a sentence with its name
    settings: list[Setting] = field(default_factory=list)  # what the configuration says
    problem: DataQualityError | None = None  # why a run would be refused; None if it would not be

    @property
    def rows(self) -> int:
        """Return the number of rows that were looked at."""
        return len(self.table.rows) + self.table.malformed + self.table.repeated


def plan_for(given: str, columns: Mapping[str, str] | None = None) -> Plan:
    """Look at a file, a folder or a glob.

    Args:
        columns: our column -> the log's, as far as the user says.

    Raises:
        InputError: nothing there can be read. SchemaError: a column that every log needs was not found.
    """
    place = found_at(given)
    tables, left_out = read_place(place)
    if not any(table.rows or table.malformed for table in tables):
        raise InputError("INPUT_EMPTY", next(iter(left_out.values()), f"{given} has no events: it has no rows"))
    table, roles = _chosen(tables, columns or {}, left_out)
    ids = tuple(_ids(table, roles.columns[name]) for name in (C.VISITOR, C.ITEM))
    assert roles.times is not None  # noqa: S101 - for mypy: it is one of what is missing else
    keep = _are_hashes(ids)
    reasons, span = unfit(table.rows, roles.columns, roles.times, roles.clock, keep)
    reasons += Counter(MALFORMED=table.malformed, ENCODING=table.damaged, HEADER=table.repeated)
    plan = Plan(given, place, _path(place, left_out), table, roles, (ids[0], ids[1]), reasons, span, left_out)
    plan.settings = settings_for(plan.path, place.lake, table, roles, plan.ids, keep)
    if any(setting.path.endswith(".where") for setting in plan.settings):
        del plan.unfit["BAD_WEIGHT"]  # the condition leaves them out
    plan.problem = _problem(plan)
    return plan


def _ids(table: Table, column: str) -> Ids:
    is_short = table.types.get(column) == "float"  # of 32 bits
    return ids_of((row.get(column) for row in table.rows), exact=2**24 if is_short else 2**53)


def _chosen(tables: Sequence[Table], given: Mapping[str, str], left_out: dict[Path, str]) -> tuple[Table, Roles]:
    """Return the files that hold events, as one table; those that do not are left out."""
    alike: dict[tuple[Any, ...], list[Table]] = {}
    failed: list[tuple[Table, Roles]] = []
    for table in tables:
        known = {role: name for role, name in given.items() if name in table.columns}
        roles = roles_of(table.columns, table.rows, known, table.form.has_header)
        if roles.missing or len(known) < len(given):
            failed.append((table, roles))
            lacks = f"has no column for {', '.join(roles.missing) or 'those you name'}"
            left_out |= {file: f"{file.name} {lacks}" for file in table.files}
        else:
            alike.setdefault(_likeness(table, roles), []).append(table)
    if not alike:
        raise _missing(*max(failed, key=lambda pair: len(pair[0].rows)), given)
    most = max(alike.values(), key=lambda tables: sum(len(table.rows) for table in tables))
    for others in alike.values():
        if others is not most:
            left_out |= {file: f"{file.name} {_OTHER_FORM}" for table in others for file in table.files}
    whole = joined(most)
    return whole, roles_of(whole.columns, whole.rows, given, whole.form.has_header)


def _likeness(table: Table, roles: Roles) -> tuple[Any, ...]:
    """Return what tables have in common that are loaded with the same settings."""
    needed = {role: name for role, name in roles.columns.items() if name != C.TRANSACTION}
    types = [_plain(table.types.get(name, "")) for name in needed.values()]
    return (table.form, *sorted(needed.items()), *types, roles.times and (roles.times.unit, roles.times.pattern))


def _plain(kind: str) -> str:
    """Return a type without the size of whole numbers and the way of storing text, in which files may differ.

    >>> _plain("uint32"), _plain("uint64"), _plain("dictionary<values=string, indices=int32, ordered=0>")
    ('int', 'uint64', 'string')
    """
    text = re.sub(r"^large_|^dictionary<values=|, indices.*$", "", kind)
    return re.sub(r"^(int\d+|uint(8|16|32))$", "int", text)


def _missing(table: Table, roles: Roles, given: Mapping[str, str]) -> SchemaError:
    """Return the error of missing columns, with the setting to write."""
    place = table.files[0].name
    wrong = [name for name in given.values() if name not in table.columns]
    found = ", ".join(table.columns[:40]) or "none"
    if not table.rows and table.malformed:
        sentence = f"all {table.malformed:,} rows of {place} have another number of cells than its header"
        return SchemaError("SCHEMA_MALFORMED", f"{sentence} ({found}); a comma inside numbers or texts needs quotes")
    if wrong:
        return SchemaError("SCHEMA_MISSING", f"{place} has no column {', '.join(wrong)}; it has {found}")
    what = {C.VISITOR: "visitors", C.ITEM: "items", C.TIMESTAMP: "times"}
    names = " and ".join(what[name] for name in roles.missing)
    part = f" (a column holds a {roles.part} only, which is not a time)" if roles.part else ""
    if roles.unread and not roles.part and roles.missing == [C.TIMESTAMP]:
        sentence = f"{place}: the values of {roles.unread} are not recognised as times"
        ways = "write them as 2019-01-31T08:30:00 or as numbers since 1970, name another column with --column"
        return SchemaError("SCHEMA_TYPE", f"{sentence}; {ways} timestamp=NAME, or write timestamp_format by hand")
    flags = " ".join(f"--column {name}=NAME" for name in roles.missing)
    others = "" if roles.missing != [C.TIMESTAMP] else ", or join the times with data_loader.query (docs/your-data.md)"
    sentence = f"{place}: no column of {names} was found{part}; its columns are {found}"
    return SchemaError("SCHEMA_MISSING", f"{sentence}. Say which it is with {flags}{others}")


def _are_hashes(ids: Sequence[Ids]) -> bool:
    """Return whether negative ids are meant, as those of hashes are."""
    return any(each.negative > _MANY_NEGATIVE * each.different for each in ids)


def _path(place: Place, left_out: Mapping[Path, str]) -> str:
    """Return what names the files with events and no others."""
    if not left_out or place.lake:
        return place.path
    kept = [file for file in place.files if file not in left_out]
    if len(kept) == 1:
        return literal(kept[0])
    ends = {file.name.rpartition(".")[2] for file in kept}
    if len(ends) == 1 and not any(file.name.endswith(f".{next(iter(ends))}") for file in left_out):
        return f"{place.path}/*.{literal(next(iter(ends)))}"
    base = os.path.commonpath([str(file.parent) for file in kept])
    names = ",".join(literal(file.relative_to(base)) for file in kept[: _FEW_FILES * 10])
    return f"{literal(base)}/{{{names}}}"


def _problem(plan: Plan) -> DataQualityError | None:
    """Return why a run with these rows would be refused."""
    inexact = sum(ids.inexact for ids in plan.ids)
    if inexact:
        sentence = f"{inexact:,} ids are rounded numbers such as 9.2E+18, which a spreadsheet or pandas writes"
        return DataQualityError("INEXACT_IDS", f"{sentence}: different ids became one; export them as text")
    others = [file.name for file, reason in plan.left_out.items() if reason.endswith(_OTHER_FORM)]
    if others:
        sentence = (
            f"{len(others):,} files with events, one is {others[0]}, differ from the rest in format, columns or times"
        )
        return DataQualityError(
            "FORMS_DIFFER", f"{sentence} and are left out; write them alike, or load them on their own"
        )
    if plan.place.notes and plan.path == plan.place.path:
        sentence = f"{plan.place.notes[0]}, and a run reads those of one depth"
        return DataQualityError("FORMS_DIFFER", f"{sentence}; move the others, or name the files with a glob")
    number = plan.unfit.total()
    if number <= _MOST_UNFIT * plan.rows:
        return None
    reasons = ", ".join(f"{count:,} {WORDS[reason]}" for reason, count in plan.unfit.most_common() if count)
    sentence = f"{number:,} of the {plan.rows:,} rows looked at are not fit for use: {reasons}"
    way = "mend the log, or allow it with event_validator.max_quarantined, which the file has ready"
    return DataQualityError("QUARANTINE_RATE", f"{sentence}; {way}")
