"""The first process of the service: it owns the socket, starts the others, follows the versions, and ends in order.

The workers are forked, because this process never has a second thread; each has a link to it. A worker that dies is
replaced, by one that loads what is served before it accepts a connection. If this process dies, its links end, and the
workers end too.
"""

import gc
import logging
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

from recommender.errors import ArtifactError, ConfigError, Mistake
from recommender.serving.aside import aside
from recommender.serving.follower import Follower, checked
from recommender.serving.links import Link, pair
from recommender.serving.metrics import Counters
from recommender.serving.settings import Settings
from recommender.serving.shared import Shared
from recommender.serving.sources import Found, Source
from recommender.serving.worker import Worker

_LOG = logging.getLogger("recommender.serving")
_LONGEST_DRAIN: Final = 9.5  # seconds
_YOUNG: Final = 1.0  # seconds; a worker that dies so young is not replaced at once
_BACKLOG: Final = 2048
_TOLD_TO_END: Final = (signal.SIGTERM, signal.SIGINT)


@dataclass
class _Child:
    """A worker: its process, the link to it, and when it was started, monotonic seconds."""

    process: int
    link: Link
    since: float


class Supervisor:
    """The service.

    Init parameters:
        source: where versions come from. listener: the socket. settings: the bounds.
        workers: how many processes answer. poll: seconds between two looks at the channel.
    """

    def __init__(
        self, source: Source, listener: socket.socket, settings: Settings, workers: int = 1, poll: float = 5.0
    ) -> None:
        self._listener, self._settings, self._poll = listener, settings, poll
        self._shared = Shared(workers, Counters.SIZE)
        self._selector = selectors.DefaultSelector()
        self._children: dict[int, _Child] = {}
        self._due = dict.fromkeys(range(workers), 0.0)  # worker -> when it is to be started, monotonic seconds
        self._told = False
        self._follower = Follower(source, self._shared, self._tell, _LOG, self._check, poll)

    def run(self) -> int:
        """Serve until told to end; return the exit code."""
        for number in _TOLD_TO_END:
            signal.signal(number, self._hear)
        awake, wake = socket.socketpair()  # a signal ends a wait at once
        for end in (awake, wake):
            end.setblocking(False)
        signal.set_wakeup_fd(wake.fileno())
        self._selector.register(awake, selectors.EVENT_READ, None)
        self._ends = (awake, wake)
        look = 0.0
        while not self._told:
            self._start_what_is_due()
            if time.monotonic() >= look:
                self._follower.look()
                look = time.monotonic() + self._poll
                self._give_up_if_nothing_can_change()
            self._attend(max(0.0, min([look, *self._due.values()]) - time.monotonic()))
        return self._end()

    def _hear(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._told = True

    def _start_what_is_due(self) -> None:
        for worker, due in list(self._due.items()):
            if time.monotonic() >= due and not self._told:
                del self._due[worker]
                self._start(worker)

    def _start(self, worker: int) -> None:
        """Fork a worker, and tell it what to load."""
        mine, its = pair()
        loads = self._follower.joined(worker)
        gc.freeze()  # pages that a collection would write to stay shared
        sys.stdout.flush()
        sys.stderr.flush()
        process = os.fork()
        if not process:
            self._be_worker(worker, mine, its, len(loads))
        its.close()
        self._children[worker] = _Child(process, mine, time.monotonic())
        self._selector.register(mine, selectors.EVENT_READ, worker)
        self._follower.state.workers = len(self._children)
        self._tell(self._follower.told())
        for load in loads:
            mine.send(load)

    def _be_worker(self, worker: int, mine: Link, its: Link, loads: int) -> None:
        """Be a worker, and never return: what this process has of the supervisor's is closed."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in _TOLD_TO_END:
                signal.signal(number, signal.SIG_DFL)
            self._selector.close()
            for link in (mine, *(child.link for child in self._children.values())):
                link.close()
            for end in self._ends:
                end.close()
            Worker(worker, self._listener, its, self._shared, self._settings, loads).run()
            code = 0
        except BaseException as error:  # noqa: BLE001 - nothing may come back into the supervisor's code
            _LOG.error("worker %d failed: %s: %s", worker, type(error).__name__, error)
        finally:
            os._exit(code)

    def _attend(self, seconds: float) -> None:
        """Wait for messages of workers, and for their ends, so long at most."""
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                self._ends[0].recv(1 << 10)
                continue
            worker: int = key.data
            messages = self._children[worker].link.received()
            if messages is None:
                self._lost(worker)
                continue
            for message in messages:
                if "ready" in message:
                    self._follower.ready(worker, message["ready"])
                else:
                    error = ArtifactError(message["id"], message["sentence"])
                    self._follower.failed(message["failed"], error)

    def _lost(self, worker: int) -> None:
        """Note the end of a worker, and when it is to be replaced."""
        code = self._forget(worker)
        if self._told:
            return
        _LOG.warning("worker %d ended with %s; it is replaced", worker, code)
        self._follower.left(worker)
        self._follower.state.workers = len(self._children)
        self._tell(self._follower.told())

    def _forget(self, worker: int) -> str:
        child = self._children.pop(worker)
        self._selector.unregister(child.link)
        child.link.close()
        _kill(child.process)
        _, status = os.waitpid(child.process, 0)
        self._due[worker] = max(time.monotonic(), child.since + _YOUNG)
        code = os.waitstatus_to_exitcode(status)
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _give_up_if_nothing_can_change(self) -> None:
        """End where there is nothing to serve and no channel that could bring something else."""
        follower = self._follower
        if follower.error and not follower.active and follower.state.channel is None:
            self._end()
            raise follower.error

    def _check(self, found: Found) -> bool:
        """Compare a version with its hashes, without keeping a worker or a signal waiting."""
        return aside(lambda: checked(found), self._between)

    def _between(self) -> bool:
        """Do what is due while a version is checked; return whether to go on with that."""
        self._start_what_is_due()
        self._attend(0)
        return not self._told

    def _tell(self, message: Mapping[str, Any]) -> None:
        for child in list(self._children.values()):
            child.link.send(message)

    def _end(self) -> int:
        """Let the workers answer what they have begun, and end; return the exit code."""
        _LOG.info("told to end: no longer ready, answering what still comes")
        self._listener.close()
        self._tell({"drain": True})
        latest = time.monotonic() + _LONGEST_DRAIN
        while self._children and time.monotonic() < latest:
            self._attend(max(0.0, latest - time.monotonic()))
        for worker in list(self._children):
            _LOG.warning("worker %d did not end in time; it is stopped", worker)
            self._forget(worker)
        return 0


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that is bound; port 0 takes one that is free.

    Raises:
        ConfigError: that is not possible.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        sentence = f"cannot listen on {host} port {port}: {reason}; choose another --host or --port"
        raise ConfigError(Mistake("CANNOT_LISTEN", "", sentence)) from error


def _kill(process: int) -> None:
    """End a process that has closed its link, or did not end when it was told."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
