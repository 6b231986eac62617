"""Find out how the lines of a text are cut into cells.

Example usage:
>>> cut = cutting(["sep=;", "user;item;at", "7;1;2019-01-01", "8;2;2019-01-02"])
>>> cut.delimiter, cut.skipped, cut.skip_rows, cut.header
(';', 1, 0, ['user', 'item', 'at'])
>>> cutting(["29::129::2::1577906627", "19::110::4::1577914937"]).header is None
True
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from recommender.inspect.columns import is_known_name
from recommender.inspect.values import looks_like_data

_DELIMITERS = ("\t", "::", "||", ";", "|", "\x01", "^", ",", " ")
_HEAD = 400  # lines by which it is decided
_MOST_SKIPPED = 30
_CONSISTENT = 0.9  # ratio of the lines that have the same number of cells
_SAID = re.compile(r' *"?sep=(.{1,3}?)"? *')  # a first line that names the delimiter, as Excel takes it
_MOST_LINES = 50  # of a row
_SPACED = re.compile(r'\s+"[^"]*"\s*')
_SINGLE = re.compile(r"'[^']*'")
_STAND_IN = "\x1f"  # for a delimiter of several characters


@dataclass(frozen=True)
class Cutting:
    """How lines become cells."""

    delimiter: str = ","  # between cells
    quote: str = '"'  # around cells; empty if quotes are ordinary characters
    escape: str = '"'  # before a quote inside quotes: a backslash, or the quote again
    multiline: bool = False  # whether line breaks stand inside quotes
    spaced: bool = False  # whether blanks stand before quotes
    skipped: int = 0  # number of lines before the header or the first row
    skip_rows: int = 0  # the same as the loader counts: without blank ones, and without sep=
    header: list[str] | None = None  # names of the columns; None without one
    width: int = 0  # number of cells of most lines


def cutting(lines: Sequence[str]) -> Cutting:
    """Return how these lines are cut."""
    head = [line for line in lines[:_HEAD] if line.strip()]
    said = _SAID.fullmatch(head[0]) if head else None
    cut = Cutting(said[1]) if said else _delimited(head)
    sample = lines[:_HEAD] if len(lines) <= _HEAD else lines[: 10 * _HEAD]
    cut = _quoted(cut, [line for line in sample if line.strip()])
    widths = [len(cells or ()) for cells in rows_of(head, cut)]
    width = Counter(widths).most_common(1)[0][0] if widths else 0
    skipped = _skipped(lines, cut, width)
    rest = [cells for cells in rows_of(head[1:], cut) if cells and len(cells) == width]
    names = next(rows_of(lines[skipped:], cut), None) or []
    header = [name.strip().removeprefix("\ufeff") for name in names] if _is_header(names, rest) else None
    skip_rows = sum(bool(line.strip()) for line in lines[:skipped]) - bool(said)
    return replace(cut, skipped=skipped, skip_rows=skip_rows, header=header, width=width)


def rows_of(lines: Iterable[str], cut: Cutting) -> Iterator[list[str] | None]:
    """Return the cells of each line; None for a line whose quotes cannot be understood."""
    lines = (line for line in lines if line.strip())
    if not cut.multiline:
        return (_cells(line, cut) for line in lines)
    return _joined_rows(lines, cut)


def _joined_rows(lines: Iterable[str], cut: Cutting) -> Iterator[list[str] | None]:
    reader = csv.reader((f"{line}\n" for line in lines), **_settings(cut))
    while True:
        try:
            yield next(reader)
        except csv.Error:
            yield None
        except StopIteration:
            return


def _cells(line: str, cut: Cutting) -> list[str] | None:
    if not cut.quote or cut.quote not in line:
        return line.split(cut.delimiter)
    if len(cut.delimiter) > 1:
        line = line.replace(cut.delimiter, _STAND_IN)
    try:
        return next(csv.reader([line], **_settings(cut)), None)
    except csv.Error:
        return None


def _settings(cut: Cutting) -> dict[str, Any]:
    doubled = cut.escape == cut.quote
    delimiter = cut.delimiter if len(cut.delimiter) == 1 else _STAND_IN
    escape = {} if doubled else {"escapechar": "\\"}
    quotes = {"quotechar": cut.quote or '"', "doublequote": doubled, "skipinitialspace": cut.spaced, **escape}
    return {"delimiter": delimiter, "strict": True, **quotes}


def _delimited(head: Sequence[str]) -> Cutting:
    """Return the delimiter that cuts most lines into the same number of cells, and into more than others do."""
    best, best_score = Cutting(), (False, 0.0)
    for delimiter in _DELIMITERS:
        cut = Cutting(delimiter)
        widths = Counter(len(_cells(line, cut) or line.split(delimiter)) for line in head)
        width, lines = max(widths.items(), key=lambda item: (item[0] > 1) * item[1], default=(1, 0))
        share = lines / max(len(head), 1)
        # Blanks stand in titles and times; they are a delimiter only if nothing else is.
        score = (share >= _CONSISTENT, (width - 1) * (1.0 if delimiter != " " else 0.01))
        score = score if score[0] else (False, share * (width > 1) * (delimiter != " "))
        if width > 1 and score > best_score:
            best, best_score = Cutting(delimiter), score
    return best


def _quoted(cut: Cutting, sample: Sequence[str]) -> Cutting:
    """Return how quotes are meant: the first way that leaves the fewest lines which are not understood."""
    if not any('"' in line for line in sample):
        columns = zip(*(line.split(cut.delimiter) for line in sample[1:]), strict=False)
        single = any(all(_SINGLE.fullmatch(cell) for cell in cells) for cells in columns)
        return replace(cut, quote="'", escape="'") if single else cut
    ways = [cut, *([replace(cut, escape="\\")] if any('\\"' in line for line in sample) else [])]
    ways += [replace(way, multiline=True) for way in ways]
    naive = [cell for line in sample for cell in line.split(cut.delimiter)]
    if any(_SPACED.fullmatch(cell) for cell in naive):
        ways = [replace(way, spaced=True) for way in ways]
    if not any(re.fullmatch(r'\s*"[^"]*"\s*', cell) for cell in naive):
        ways.append(replace(cut, quote=""))
    return min(ways, key=lambda way: _bad(sample, way))


def _bad(sample: Sequence[str], cut: Cutting) -> float:
    """Return the share of the lines that are not understood; a row may hold a few lines, not hundreds."""
    rows = [row for row in rows_of(sample, cut) if row]
    width = Counter(map(len, rows)).most_common(1)
    lines = (1 + sum(cell.count("\n") for cell in row) for row in rows if len(row) == width[0][0])
    return 1 - sum(number for number in lines if number <= _MOST_LINES) / max(len(sample), 1)


def _skipped(lines: Sequence[str], cut: Cutting, width: int) -> int:
    """Return how many lines stand before the header or the first row: comments, titles, sep=."""
    for position, line in enumerate(lines[:_MOST_SKIPPED]):
        if not line.strip():
            continue
        cells = next(rows_of([line], cut), None)
        is_title = cells is not None and len(cells) == 1 and width > 1
        if not (line.startswith("#") or is_title or _SAID.fullmatch(line)):
            return position
    return 0


def _is_header(names: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    """Return whether a first row names columns: known names, or words above numbers and times."""
    if any(is_known_name(name) for name in names):
        return True
    if any(looks_like_data(name) for name in names if name.strip()) or len(set(names)) < len(names):
        return False
    columns = list(zip(*rest, strict=True)) if rest else []
    if len(columns) != len(names):
        return not rest
    return any(sum(map(looks_like_data, cells)) > len(cells) / 2 for cells in columns) and not any(
        name in cells for name, cells in zip(names, columns, strict=True) if name.strip()
    )
