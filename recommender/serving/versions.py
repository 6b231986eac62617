"""The versions that a worker holds: the current one, the one before, and the next one until it takes effect.

Example usage:
>>> Versions().current()
Traceback (most recent call last):
recommender.serving.problems.RequestError: NOT_READY no version is loaded yet; ...
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from recommender.serving.problems import RequestError
from recommender.serving.version import Version


class Versions:
    """Which version answers.

    A version takes effect at a moment of the clock. Each request compares the clock with it, so that workers of one
    machine that have loaded the version change at the same moment, however late their threads run.

    Init parameters:
        clock: seconds since the epoch.
    Attributes:
        hidden: ids of the items that no list has.
        last_reload: {at, error} of the last version that was loaded or refused; None before.
        failures: how many were refused. draining: whether the worker is about to end.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._current: Version | None = None
        self._previous: Version | None = None
        self._next: tuple[float, Version] | None = None
        self.hidden: frozenset[str] = frozenset()
        self.archived: tuple[Any, Version] | None = None  # where it was found, and a version that is only looked at
        self.last_reload: Mapping[str, Any] | None = None
        self.failures = 0
        self.draining = False

    def add(self, version: Version, moment: float = 0.0) -> None:
        """Let a version take effect at a moment, in seconds since the epoch; the first one does at once."""
        version.hide(self.hidden)
        with self._lock:
            self._next = (moment if self._current else 0.0, version)
        self.switch_if_due()

    def hide(self, itemids: frozenset[str]) -> bool:
        """Let no list of any version have these items; return whether they are others than before."""
        if itemids == self.hidden:
            return False
        self.hidden, waiting, archived = itemids, self._next, self.archived
        for version in (self._current, self._previous, archived and archived[1], waiting and waiting[1]):
            if version is not None:
                version.hide(itemids)
        return True

    def archive(self, found: Any, version: Version) -> None:
        """Keep a version that is only looked at, and let its lists not have the hidden items either."""
        version.hide(self.hidden)
        self.archived = found, version

    def switch_if_due(self) -> None:
        """Let the next version take effect if its moment has come."""
        waiting = self._next
        if waiting is None or self._clock() < waiting[0]:
            return
        with self._lock:
            if self._next is waiting:
                self._previous, self._current, self._next = self._current, waiting[1], None

    @property
    def newest(self) -> Version | None:
        """Return the newest version that is loaded, in effect or not."""
        waiting = self._next
        return self._current if waiting is None else waiting[1]

    @property
    def is_waiting(self) -> bool:
        """Return whether a version is loaded and not in effect yet."""
        self.switch_if_due()
        return self._next is not None

    @property
    def is_ready(self) -> bool:
        """Return whether requests are to be sent to this worker."""
        return not self.draining and self._current is not None

    def current(self, least: int = 0) -> Version:
        """Return the version that answers.

        Args:
            least: the number of the version that the client has seen; it is not answered from an older one.

        Raises:
            RequestError: no version is loaded yet, or none that is new enough.
        """
        self.switch_if_due()
        version = self._current
        if version is None:
            raise RequestError(503, "NOT_READY", "no version is loaded yet; try again, and see /v1/status")
        if version.number >= least:
            return version
        newest = self.newest
        if newest is None or newest.number < least:
            sentence = f"this worker has version {version.number} and not yet {least}, which the header asks for"
            raise RequestError(503, "VERSION_BEHIND", f"{sentence}; try again, or leave X-Recommender-Version out")
        return newest

    def previous(self) -> Version:
        """Return the version before the current one.

        Raises:
            RequestError: there is none.
        """
        if self._previous is None:
            sentence = "no previous version is kept; leave version out for the current one"
            raise RequestError(404, "VERSION_UNKNOWN", sentence)
        return self._previous

    def both(self) -> tuple[Version | None, Version | None]:
        """Return the current and the previous version, None if there is none."""
        self.switch_if_due()
        return self._current, self._previous
