"""Compute lists beside the loop that answers, one at a time per process: what is published never waits for them.

Example usage:
>>> import asyncio
>>> computer = Computer(waiting=2, seconds=1.0)
>>> asyncio.run(computer.run(lambda: 6 * 7))
42
"""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import Any, TypeVar

from recommender.serving.problems import RequestError

T = TypeVar("T")
_NICE = 5  # about a third of the share of the loop


def give_way(nice: int) -> None:
    """Let the calling thread run behind those that answer, if the system has priorities of threads."""
    if sys.platform == "linux":
        with suppress(OSError):
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, max(nice, os.getpriority(os.PRIO_PROCESS, thread)))


class Computer:
    """One thread, and a bound on what waits for it.

    Init parameters:
        waiting: how many computations may wait. seconds: how long a caller waits for its own.
    """

    def __init__(self, waiting: int, seconds: float) -> None:
        self._thread = ThreadPoolExecutor(1, "computing", give_way, (_NICE,))
        self._waiting, self._seconds = waiting, seconds
        self._open = 0
        self._lock = Lock()

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Return what a function returns.

        Raises:
            RequestError: too many wait already, or it took too long.
        """
        if self._open > self._waiting:
            raise RequestError(503, "BUSY", "too many lists are being computed; try again in a second")
        with self._lock:
            self._open += 1
        future: Future[T] = self._thread.submit(function, *arguments)
        future.add_done_callback(self._done)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._seconds)
        except asyncio.TimeoutError:
            sentence = f"no answer within {self._seconds:g} s; try again, or ask for fewer items"
            raise RequestError(503, "TIMEOUT", sentence) from None

    def _done(self, _: Future[Any]) -> None:
        with self._lock:
            self._open -= 1
