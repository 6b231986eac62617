"""Do what takes long beside the requests: hashes in a process of its own, loads and computations in threads.

All of them give way to those that answer.

Example usage:
>>> aside(lambda: iter([None, None]), lambda: True)
True
>>> def damaged():
...     yield
...     raise ArtifactError("ARTIFACT_CORRUPT", "items.arrow does not match its hash")
>>> aside(damaged, lambda: True)
Traceback (most recent call last):
recommender.errors.ArtifactError: ARTIFACT_CORRUPT items.arrow does not match its hash
"""

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from recommender.errors import ArtifactError, RecommenderError
from recommender.serving.links import Link, pair

_LOOK: Final = 0.02  # seconds between two looks at the process
_NICE: Final = 10  # a tenth of the share of who answers, where both want the same core


def give_way(nice: int = _NICE) -> None:
    """Let the thread that calls this run behind those that answer, where the system has priorities of threads."""
    if sys.platform == "linux":
        with suppress(OSError):
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, max(nice, os.getpriority(os.PRIO_PROCESS, thread)))


def aside(work: Callable[[], Iterator[None]], between: Callable[[], bool]) -> bool:
    """Do some work in a process of its own.

    Args:
        work: gives something after each piece; the process ends there if the one that has started it is gone.
        between: is called while the work is done; returns whether it is to go on.

    Returns:
        Whether the work is done; False if it was broken off.

    Raises:
        ArtifactError: with the id and the sentence of what the work has raised, or that its process died.
    """
    mine, its = pair()
    parent = os.getpid()
    process = os.fork()
    if not process:
        _do(work, its, parent)
    its.close()
    try:
        while not select.select([mine], [], [], _LOOK)[0]:
            if not between():
                return False
        told = mine.received()
    finally:
        mine.close()
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    if not told:
        raise ArtifactError("INTERNAL", "the process that compares hashes died; it is started again")
    if "error" in told[0]:
        raise ArtifactError(*told[0]["error"])
    return True


def _do(work: Callable[[], Iterator[None]], link: Link, parent: int) -> None:
    """Do the work, tell how it went, and never return."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # the parent decides
        give_way()
        for _ in work():
            if os.getppid() != parent:
                return
        link.send({"done": True})
    except RecommenderError as error:
        link.send({"error": [error.id, error.sentence]})
    except Exception as error:  # noqa: BLE001 - the boundary: it is told where the work is wanted
        reason = str(error).split("\n", 1)[0][:200]
        link.send({"error": ["INTERNAL", f"{type(error).__name__}: {reason}"]})
    finally:
        os._exit(0)
