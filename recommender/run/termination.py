"""Leave in order when a signal ends the process.

A scheduler sends SIGTERM, a terminal SIGINT. Both become an exception in the main thread, so that what is unfinished is
cleaned up and the error line is written; should that take too long, the process ends anyway.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

_received: list[int] = []

_HEEDED = (signal.SIGTERM, signal.SIGINT)
_LONGEST = 9.0  # seconds; schedulers kill after ten or more


class Terminated(BaseException):
    """A signal ends the process. No `except Exception` stops it.

    Init parameters:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.signal = signal.Signals(number).name.removeprefix("SIG")
        self.exit_code = 128 + number


def received() -> int | None:
    """Return the signal that ends the process, even if its exception was lost in another one."""
    return _received[0] if _received else None


def elsewhere(function: Callable[[], T]) -> T:
    """Call a function in another thread, and return its result.

    A signal may have interrupted a call to the JVM half way; the connection of this thread then gives the answers to
    other questions, and a new thread has one of its own.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


@contextmanager
def heeding_signals() -> Iterator[None]:
    """Raise `Terminated` in the main thread on the first SIGTERM or SIGINT; later ones change nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield  # a notebook's thread: the platform handles signals
        return
    timers: list[threading.Timer] = []
    _received.clear()

    def leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        for each in _HEEDED:
            signal.signal(each, signal.SIG_IGN)
        _received.append(number)
        timers.append(threading.Timer(_LONGEST, os._exit, [128 + number]))
        timers[0].daemon = True
        timers[0].start()
        raise Terminated(number)

    before = {number: signal.signal(number, leave) for number in _HEEDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for timer in timers:
            timer.cancel()
