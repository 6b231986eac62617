"""Follow the versions that are published: check, let every process load, and only then take over, all at one moment.

A version goes through these steps; where one fails, the version before it stays, and the failure is counted:
- its manifest and the hash of each file are compared, once, here;
- every worker maps it into memory, checks what belongs together, warms it up and asks the golden questions;
- when all have said that they are ready, one number in shared memory is set, and all answer from it.
The version before is kept, to be compared with; the one before that is let go. A version that failed is tried again
later, less and less often; a rollback is a newer record, and is followed like any other.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, TypeGuard

from recommender.errors import ArtifactError, RecommenderError
from recommender.serving.held import State
from recommender.serving.shared import Shared
from recommender.serving.sources import Found, Source
from recommender.snapshot.checks import checked_files, corrupt, read_manifest
from recommender.store import now

_LONGEST_WAIT: Final = 600.0  # seconds between two tries of a version that failed
_LONGEST_LOAD: Final = 300.0  # seconds that workers may take to load a version


@dataclass
class Loading:
    """A version that workers load.

    Attributes:
        number: by which the workers know it. found: where it is.
        waiting: the workers that have not said that they are ready. since: when they were told, monotonic seconds.
    """

    number: int
    found: Found
    waiting: set[int] = field(default_factory=set)
    since: float = 0.0

    def message(self) -> dict[str, Any]:
        """Return what a worker is told."""
        found = self.found
        return {"load": self.number, "folder": str(found.folder), "record": found.number, "sha256": found.sha256}


def checked(found: Found) -> Iterator[None]:
    """Compare a version with its hashes, a piece at a time.

    Raises:
        ArtifactError: it is damaged, or the version of another run.
    """
    manifest = read_manifest(found.folder, found.sha256)
    if found.run is not None and manifest.run != found.run:
        raise corrupt(f"{found.folder} is of run {manifest.run}, not of run {found.run}")
    yield from checked_files(found.folder, manifest)


class Follower:
    """Which version is served, and which is about to be.

    Init parameters:
        source: where versions come from. shared: the memory of all processes.
        tell: sends a message to all workers.
        log: where it tells what it does.
        check: compares a version with its hashes; returns False if that was broken off.
        retry: seconds until a version that failed is tried again, at first.
    """

    def __init__(
        self,
        source: Source,
        shared: Shared,
        tell: Callable[[Mapping[str, Any]], None],
        log: logging.Logger,
        check: Callable[[Found], bool] = lambda found: all(True for _ in checked(found)),
        retry: float = 5.0,
    ) -> None:
        self._source, self._shared, self._tell, self._log, self._check = source, shared, tell, log, check
        self.state = State(channel=source.channel)
        self.active: Loading | None = None
        self.previous: Loading | None = None
        self.candidate: Loading | None = None
        self.error: RecommenderError | None = None  # why the newest version is not served
        self._workers: set[int] = set()
        self._numbers = 0
        self._behind: float | None = None  # since when the channel shows an older record, monotonic seconds
        self._failed: tuple[Found | None, str] | None = None
        self._retry, self._wait, self._again = retry, retry, 0.0

    def look(self) -> None:
        """See whether there is another version, and begin to take it over."""
        if self.candidate is not None:
            if time.monotonic() - self.candidate.since > _LONGEST_LOAD:
                self._fail(self.candidate.found, corrupt(f"{self.candidate.found.folder} could not be loaded in time"))
            return
        found: Found | None = None
        try:
            found = self._source.newest()
            if self.error and self.active and found == self.active.found:
                self._recovered()
            is_wanted = self._is_due(found) and self._check(found)
        except RecommenderError as error:
            self._fail(found, error)
            return
        except Exception as error:  # noqa: BLE001 - nothing that is published may end the service
            reason = str(error).split("\n", 1)[0][:200]
            self._fail(found, corrupt(f"what is published cannot be read: {type(error).__name__}: {reason}"))
            return
        # Workers that have ended meanwhile cannot say whether the version is sound.
        if found is None or not is_wanted or not self._workers:
            return
        self._numbers += 1
        self.candidate = Loading(self._numbers, found, set(self._workers), time.monotonic())
        self._tell(self.candidate.message())
        self._take_over_if_ready()

    def joined(self, worker: int) -> list[dict[str, Any]]:
        """Return what a new worker is to load; it is waited for from now on."""
        self._workers.add(worker)
        if self.candidate:
            self.candidate.waiting.add(worker)
        return [each.message() for each in (self.previous, self.active, self.candidate) if each]

    def ready(self, worker: int, number: int) -> None:
        """Note that a worker has loaded a version."""
        if self.candidate and number == self.candidate.number:
            self.candidate.waiting.discard(worker)
            self._take_over_if_ready()

    def failed(self, number: int, error: RecommenderError) -> None:
        """Note that a worker could not load a version."""
        if self.candidate and number == self.candidate.number:
            self._fail(self.candidate.found, error)
        elif self.active and number == self.active.number:
            self._log.warning("a new worker cannot load what is served, and goes on trying: %s", error)

    def left(self, worker: int) -> None:
        """Note that a worker is gone."""
        self._workers.discard(worker)
        if self.candidate and worker in self.candidate.waiting:
            self._fail(self.candidate.found, corrupt(f"a process died while it loaded {self.candidate.found.folder}"))

    def told(self) -> dict[str, Any]:
        """Return what the workers know of the service."""
        return {"state": asdict(self.state)}

    def _take_over_if_ready(self) -> None:
        if self.candidate is None or self.candidate.waiting:
            return
        let_go, self.previous, self.active, self.candidate = self.previous, self.active, self.candidate, None
        self._shared.previous = self._shared.active
        self._shared.active = self.active.number  # all processes answer from it, from now on
        if let_go:
            self._tell({"drop": let_go.number})
        self._recovered()
        found, seconds = self.active.found, time.monotonic() - self.active.since
        self._log.info("serving version %d from %s, loaded in %.2f s", found.number, found.folder, seconds)

    def _is_due(self, found: Found | None) -> TypeGuard[Found]:
        """Return whether a version is to be taken over, now: another one, which may have failed before."""
        if found is None or (self.active and found == self.active.found):
            return False
        if self._is_behind(found):
            return False
        return self._failed is None or self._failed[0] != found or time.monotonic() >= self._again

    def _is_behind(self, found: Found) -> bool:
        """Return whether a record is older than the one that is served, and not for so long that it must be meant.

        A file system may be behind for a while; a store that was restored, or made anew, stays so.
        """
        if self.active is None or found.number >= self.active.found.number:
            self._behind = None
            return False
        if self._behind is None:
            self._behind = time.monotonic()
            sentence = f"the channel shows record {found.number} after record {self.active.found.number}"
            wait = f"it is followed if that is still so in {_LONGEST_WAIT:.0f} s"
            self._fail(found, ArtifactError("CHANNEL_BEHIND", f"{sentence}; {wait}"))
        return time.monotonic() - self._behind < _LONGEST_WAIT

    def _recovered(self) -> None:
        """Forget what failed: what the channel names is served."""
        self._failed, self._wait, self.error = None, self._retry, None
        self.state.last_reload = {"at": now(), "error": None}
        self._tell(self.told())

    def _fail(self, found: Found | None, error: RecommenderError) -> None:
        """Stay with what is served, and say why."""
        if self.candidate:
            self._tell({"drop": self.candidate.number})
        self.candidate, self.error = None, error
        is_known = self._failed == (found, str(error))
        is_tried_again = self._failed is not None and self._failed[0] == found
        self._wait = min(2 * self._wait, _LONGEST_WAIT) if is_tried_again else self._retry
        self._failed, self._again = (found, str(error)), time.monotonic() + self._wait
        if is_known and found is None:
            return  # the channel itself cannot be read, still
        self.state.failures += 1
        self.state.last_reload = {"at": now(), "error": str(error)}
        self._tell(self.told())
        self._log.warning("not taken over: %s", error)
