"""Show on stderr which work is running, for how long, and how long the last run took for it.

On a terminal one line is kept up to date; elsewhere there is one line per part of the work. If somebody reads events,
there are events instead. Progress counts parts of the work; on a terminal also the tasks that Spark is busy with.

Example usage:
>>> expected = Expected({"fitting ALS": 20.0, "judging": 10.0}, seconds=31.0, events=50_000)
>>> Work("stage2 train", expected).line("judging")
'stage2 train, 50,000 events: judging (2 of 2)'
"""

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from recommender.spark.effort import running_tasks
from recommender.spark.session import error_stream
from recommender.terminal import events
from recommender.terminal.text import visible

WIPE = "\r\x1b[K"  # the line of a terminal
_DOTS = " ... "


@dataclass(frozen=True)
class Expected:
    """What the last run lets expect of a piece of work.

    Attributes:
        parts: part -> its seconds, in the order in which they come.
        seconds: of all of it; None if unknown.
        events: of the log; None if unknown.
    """

    parts: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None
    events: int | None = None

    @classmethod
    def of(cls, record: Mapping[str, Any] | None, events_: int | None = None) -> "Expected":
        """Return what a commit's record lets expect.

        Args:
            record: of the stage's last commit, None if there is none.
            events_: of the log that is worked on; None: those of the record.
        """
        record = record or {}
        return cls(record.get("timings") or {}, record.get("seconds"), events_ or record.get("events"))


class Work:
    """A piece of work that is running.

    Init parameters:
        text: what it is called.
        expected: what the last run lets expect of it.
    """

    def __init__(self, text: str, expected: Expected) -> None:
        rows = f", {expected.events:,} events" if expected.events else ""
        self.text, self._rows, self._expected = text, rows, expected
        self._names = list(expected.parts)
        self._started = time.monotonic()

    def line(self, part: str) -> str:
        """Return what is running: the part, and its number among all parts if that is known."""
        number = f" ({self._names.index(part) + 1} of {len(self._names)})" if part in self._names else ""
        return f"{self.text}{self._rows}{f': {part}' if part else ''}{number}"

    def clock(self) -> str:
        """Return for how long it has been running, and how long that took in the last run."""
        expected = f" of about {self._expected.seconds:,.0f} s" if self._expected.seconds else ""
        return f"{self.elapsed():,.0f} s{expected}"

    def elapsed(self) -> float:
        """Return the seconds since it began."""
        return time.monotonic() - self._started

    def left(self, part: str) -> float | None:
        """Return the seconds that the last run took from the beginning of a part on, None if that is not known."""
        if part not in self._names:
            return None if part else self._expected.seconds
        return sum(self._expected.parts[name] for name in self._names[self._names.index(part) :])

    def facts(self, part: str) -> dict[str, Any]:
        """Return the same for machines."""
        step = self._names.index(part) + 1 if part in self._names else None
        elapsed, left = round(self.elapsed(), 3), self.left(part)
        seconds = {"elapsed": elapsed, "expected_left": None if left is None else round(left, 3)}
        return {"what": self.text, "part": part, "step": step, "of": len(self._names) or None, **seconds}


def warn(sentence: str) -> None:
    """Show a warning at once, above the line that is kept up to date."""
    if events.is_wanted():
        events.emit("warning", sentence=sentence)
        return
    stream = error_stream()
    stream.write(f"{WIPE if stream.isatty() else ''}warning: {visible(sentence)}\n")
    stream.flush()


@contextmanager
def progress(text: str, expected: Expected | None = None) -> Iterator[Callable[[str], None]]:
    """Show that a piece of work is running, until it ends; the function that it gives shows the part.

    Args:
        text: what it is called.
        expected: what the last run lets expect of it.
    """
    work = Work(text, expected or Expected())
    if events.is_wanted():
        events.emit("part_started", **work.facts(""))
        yield lambda part: events.emit("part_started", **work.facts(part))
        return
    stream = error_stream()
    if not stream.isatty():

        def write(part: str) -> None:
            left = work.left(part)
            stream.write(f"{work.line(part)}{f', about {left:,.0f} s left' if left else ''} ...\n")
            stream.flush()

        write("")
        yield write
        return
    running = [work.line("")]
    done = threading.Event()

    def show() -> None:
        while True:
            stream.write(f"{WIPE}{_fitted(f'{running[0]}{_tasks()}', work.clock())}")
            stream.flush()
            if done.wait(1):
                break
        stream.write(WIPE)
        stream.flush()

    def show_part(part: str) -> None:
        running[0] = work.line(part)

    ticker = threading.Thread(target=show, daemon=True)
    ticker.start()
    try:
        yield show_part
    finally:
        done.set()
        ticker.join()


def _tasks() -> str:
    """Return how many of the tasks that Spark is busy with are done."""
    found = running_tasks()
    return f", {found[0]:,} of {found[1]:,} tasks" if found else ""


def _fitted(text: str, clock: str) -> str:
    """Return the line of a terminal; if it is too narrow, the text is cut, and the clock stays.

    >>> _fitted("stage2 train, 50,000 events: judging the models", "14 s")[-10:]
    's ... 14 s'
    """
    room = max(shutil.get_terminal_size().columns - 1 - len(clock) - len(_DOTS), 0)
    return f"{text[:room]}{_DOTS}{clock}"[: shutil.get_terminal_size().columns - 1]
