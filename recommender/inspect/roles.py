"""Find out which column of a table is which of ours: by name, by what it holds, or as the user says."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import recommender.constants as C
from recommender.inspect.columns import AMOUNT, NAMES, RATING, place_of
from recommender.inspect.values import Times, is_part_of_time, number_of, text_of, times_of, weight_of

WEIGHT: Final = "weight"
BY_NAME, BY_VALUES, BY_USER = "by its name", "by its values", "as you say"
_HALF = 0.5
_MOST_KINDS = 60
_SURE = 0.95  # ratio of the values of a column that is recognised without a name
_ITEM_OF_AMAZON = re.compile(r"B[0-9A-Z]{9}|\d{9}[\dX]")


@dataclass
class Roles:
    """The columns of a log, by their role."""

    columns: dict[str, str] = field(default_factory=dict)  # our column -> the table's; weight is a rating or an amount
    how: dict[str, str] = field(default_factory=dict)  # our column -> how it was found
    times: Times | None = None  # the format of the column of times
    clock: str | None = None  # column with the time of day, if the other has days only
    is_rating: bool = False  # whether the weight is a rating
    part: str | None = None  # the part of a time that the only column with times has, if it is not a whole time
    unread: str | None = None  # column that is named as times are, but whose values are not recognised as times

    @property
    def missing(self) -> list[str]:
        """Return which of the columns that every log needs were not found."""
        found = {name for name in self.columns if name != C.TIMESTAMP or self.times}
        return [name for name in (C.VISITOR, C.ITEM, C.TIMESTAMP) if name not in found]


class _Search:
    """One table, of which columns are taken one by one."""

    def __init__(self, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
        self.roles = Roles()
        self._columns = columns
        self._rows = rows

    def values(self, name: str) -> list[Any]:
        return [row.get(name) for row in self._rows]

    def filled(self, name: str) -> float:
        values = self.values(name)
        return sum(text_of(value) is not None for value in values) / max(len(values), 1)

    def take(self, role: str, name: str | None, how: str) -> None:
        if name is not None:
            self.roles.columns[role] = name
            self.roles.how[role] = how

    @property
    def free(self) -> list[str]:
        return [name for name in self._columns if name not in self.roles.columns.values()]

    def named(self, role: str) -> list[str]:
        """Return the free columns whose names are those of a role, the surest first, nearly empty ones last."""
        found = [(place, name) for name in self.free if (place := place_of(role, name)) is not None]
        return [name for _, name in sorted(found, key=lambda pair: (self.filled(pair[1]) < _HALF, pair[0]))]

    def kinds(self, name: str) -> Counter[str]:
        return Counter(str(value) for value in self.values(name) if text_of(value) is not None)

    def ids(self) -> list[str]:
        """Return the free columns that may hold ids, those that are full first."""
        found = [name for name in self.free if len(set(map(str, self.values(name)))) > 1]
        found = [name for name in found if not any(isinstance(v, list | dict) for v in self.values(name)[:100])]
        return sorted(found, key=lambda name: self.filled(name) < _SURE)


def roles_of(
    columns: Sequence[str], rows: Sequence[Mapping[str, Any]], given: Mapping[str, str], is_named: bool
) -> Roles:
    """Return which column is which.

    Args:
        given: our column -> the table's, as the user says.
        is_named: whether the names are those of a header.
    """
    search = _Search(columns, rows)
    for role, name in given.items():
        search.take(role, name, BY_USER)
    _find_times(search, is_named)
    if is_named:
        for role in (C.ITEM, C.VISITOR, C.EVENT, C.TRANSACTION):
            if role not in search.roles.columns:
                search.take(role, next(iter(search.named(role)), None), BY_NAME)
    _find_kinds(search, is_named)
    _find_ids(search, is_named)
    _find_weight(search, is_named)
    order = {name: at for at, name in enumerate([*C.EVENT_COLUMNS, WEIGHT])}
    search.roles.columns = dict(sorted(search.roles.columns.items(), key=lambda pair: order[pair[0]]))
    return search.roles


def _find_times(search: _Search, is_named: bool) -> None:
    roles = search.roles
    chosen = roles.columns.get(C.TIMESTAMP)
    candidates = [chosen] if chosen else search.named(C.TIMESTAMP) if is_named else []
    for name in candidates:
        roles.times = times_of(search.values(name))
        if roles.times:
            search.take(C.TIMESTAMP, name, roles.how.get(C.TIMESTAMP, BY_NAME))
            break
        roles.part = roles.part or is_part_of_time(search.values(name))
        roles.unread = roles.unread or name
    else:
        ids = {name for role in (C.VISITOR, C.ITEM) for name in search.named(role)} if is_named else set()
        for name in [] if chosen else reversed([name for name in search.free if name not in ids]):
            times, values = times_of(search.values(name)), search.values(name)
            if times and sum(times.read(v) is not None for v in values[:2000]) > _SURE * len(values[:2000]):
                roles.times = times
                search.take(C.TIMESTAMP, name, BY_VALUES)
                break
    if roles.times and roles.times.days:
        clocks = [name for name in search.free if is_part_of_time(search.values(name)) == "time of day"]
        roles.clock = next(iter(clocks), None)


def _find_kinds(search: _Search, is_named: bool) -> None:
    """Find the kinds of events by their values if no name shows them, and drop a name that is not that of kinds."""
    roles = search.roles
    name = roles.columns.get(C.EVENT)
    if name and roles.how[C.EVENT] == BY_NAME:
        kinds = search.kinds(name)
        if len(kinds) > _MOST_KINDS and len(kinds) > kinds.total() / 5:
            del roles.columns[C.EVENT], roles.how[C.EVENT]
    if C.EVENT in roles.columns:
        return
    for other in search.free:
        kinds = search.kinds(other)
        known = sum(weight_of(kind) is not None for kind in kinds)
        if 0 < len(kinds) <= _MOST_KINDS // 3 and known > len(kinds) / 2 and (not is_named or known > 1):
            search.take(C.EVENT, other, BY_VALUES)
            return


def _find_ids(search: _Search, is_named: bool) -> None:
    """Find visitors and items if no name shows them: in this order, which nearly all logs have."""
    missing = [role for role in (C.VISITOR, C.ITEM) if role not in search.roles.columns]
    known = {name for role in NAMES for name in search.named(role)} if is_named else set()
    free = [name for name in search.ids() if name not in known and name != search.roles.clock]
    if is_named:  # a guess only where nothing else is left
        if len(missing) == 1 and len(free) == 1:
            search.take(missing[0], free[0], BY_VALUES)
        return
    amazon = [name for name in free if all(_ITEM_OF_AMAZON.fullmatch(kind) for kind in search.kinds(name))]
    if C.ITEM in missing and amazon:
        search.take(C.ITEM, amazon[0], BY_VALUES)
        missing.remove(C.ITEM)
        free.remove(amazon[0])
    for role, name in zip(missing, free, strict=False):
        search.take(role, name, BY_VALUES)


def _find_weight(search: _Search, is_named: bool) -> None:
    """Find a rating or an amount; of a log with kinds of events the kinds weigh."""
    roles = search.roles
    if C.EVENT in roles.columns or roles.how.get(WEIGHT) == BY_USER:
        roles.is_rating = roles.how.get(WEIGHT) == BY_USER and place_of(RATING, roles.columns[WEIGHT]) is not None
        return
    if is_named:
        ratings, amounts = search.named(RATING), search.named(AMOUNT)
        name = next((n for n in [*ratings, *amounts] if _are_numbers(search.values(n))), None)
        search.take(WEIGHT, name, BY_NAME)
        roles.is_rating = name in ratings
        return
    name = next((name for name in search.free if _are_ratings(search.values(name))), None)
    search.take(WEIGHT, name, BY_VALUES)
    roles.is_rating = name is not None


def _are_numbers(values: Sequence[Any]) -> bool:
    return sum(number_of(value) is not None for value in values) > _HALF * len(values)


def _are_ratings(values: Sequence[Any]) -> bool:
    """Return whether values are marks: half or whole numbers up to 10, several of them, and not nearly all 1."""
    counts = Counter(number_of(value) for value in values)
    marks = {n for n in counts if n is not None and 0 < n <= 10 and (2 * n).is_integer()}  # noqa: PLR2004
    return len(marks) > 1 and marks == set(counts) and counts[1.0] < _HALF * len(values)
