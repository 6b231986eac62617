"""Plain text for people: tables, sizes, ages, durations.

Example usage:
>>> print(table([("run", "bytes"), ("monday", size(1536))], right=[1]))
run         bytes
monday    1.5 KiB
>>> age(90), age(3 * 86_400), seconds("12h")
('1 min', '3 d', 43200.0)
"""

import os
import re
import sys
from collections.abc import Sequence

from recommender.settings.redaction import redacted

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def visible(text: str) -> str:
    """Return a text of somebody else's with its control characters escaped: a terminal would obey them."""
    return _UNSEEN.sub(
        lambda found: f"\\x{ord(found[0]):02x}" if found[0] < "\xff" else f"\\u{ord(found[0]):04x}", text
    )


def error_line(id_: str, place: str, sentence: str) -> str:
    """Return the last line on stderr of a job or command that fails, for people and for alerts."""
    return str(redacted(f"RECOMMENDER_ERROR {id_} {place}: {visible(sentence)}\n"))


def table(lines: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return lines of cells as columns; those with the numbers in `right` are aligned to the right."""
    lines = [[visible(cell) for cell in line] for line in lines]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "    ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def indented(text: str) -> str:
    """Return a text with two spaces before each line."""
    return "\n".join(f"  {line}" for line in text.splitlines())


def program() -> str:
    """Return how the user has started the command of the package, and can start it again."""
    return "recommender" if os.path.basename(sys.argv[0]) == "recommender" else "python -m recommender"  # noqa: PTH119


def title(stage: str, verb: str) -> str:
    """Return what a stage is called: its key and its verb, once where they are the same.

    >>> title("stage2", "train"), title("tune", "tune")
    ('stage2 train', 'tune')
    """
    return " ".join(dict.fromkeys((stage, verb)))


def size(number: float) -> str:
    """Return bytes in the unit that suits them."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if number < 1024:  # noqa: PLR2004
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def age(number: float) -> str:
    """Return seconds in the unit that suits them."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if number >= length:
            return f"{number // length:.0f} {unit}"
    return f"{max(number, 0):.0f} s"


def seconds(duration: str) -> float:
    """Return the seconds of a duration such as 90s, 30m, 12h or 7d.

    Raises:
        ValueError: it is not a duration.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", duration)
    if not found:
        raise ValueError(f"{duration!r} is not a duration; write 90s, 30m, 12h or 7d")
    return float(found[1]) * _UNITS[found[2]]
