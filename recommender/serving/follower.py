"""Follow the published versions: one thread per worker checks and opens a version, and only then lets it take effect.

A version goes through these steps, and if one fails, the version before it stays:
- its manifest and the hash of each file are compared;
- its files are mapped into memory, checked, read once, and the golden questions are asked;
- it takes effect some seconds after its publication, in all workers that have loaded it at the same moment.
A version that failed is tried again later, less and less often; a rollback is a newer record, followed like any other.

Example usage:
>>> import tempfile
>>> from recommender.serving.sources import channel_of
>>> versions = Versions()
>>> Follower(channel_of(tempfile.mkdtemp(), "live"), versions).look()
>>> versions.newest is None
True
"""

import logging
import time
from collections.abc import Callable

from recommender.errors import ArtifactError, RecommenderError
from recommender.serving.sources import Found, Source, ids_in
from recommender.serving.version import Version
from recommender.serving.versions import Versions
from recommender.snapshot.checks import checked_files, corrupt, read_manifest
from recommender.store import now

_LONGEST_WAIT = 600.0  # seconds between two tries of a version that failed
_log = logging.getLogger("recommender.serving")


def open_version(found: Found) -> Version:
    """Return a version, after all checks.

    Raises:
        ArtifactError: it is damaged, answers wrongly, or is the version of another run.
    """
    manifest = read_manifest(found.folder, found.sha256)
    if found.run is not None and manifest.run != found.run:
        raise corrupt(f"{found.folder} is of run {manifest.run}, not of run {found.run}")
    for _ in checked_files(found.folder, manifest):
        pass
    return Version.open(found.folder, manifest, found.number)


class Follower:
    """Which version a worker serves.

    Init parameters:
        source: where versions come from. versions: of the worker.
        effective_after: seconds from the publication of a version to the moment at which it takes effect.
        retry: seconds until a version that failed is tried again, at first.
        open_version: opens a version.
        hidden_file: ids of items that no list has, beside those of the source; None: no file.
    """

    def __init__(
        self,
        source: Source,
        versions: Versions,
        effective_after: float = 10.0,
        retry: float = 5.0,
        open_version: Callable[[Found], Version] = open_version,
        hidden_file: str | None = None,
    ) -> None:
        self._hidden_file = hidden_file
        self._source, self._versions, self._effective_after = source, versions, effective_after
        self._open = open_version
        self.served: Found | None = None
        self.error: RecommenderError | None = None  # why the newest version is not served
        self._retry = retry
        self._failed: dict[Found | None, tuple[float, float]] = {}  # seconds to wait, and until when, monotonic
        self._behind: float | None = None  # since when the channel shows an older record, monotonic seconds

    def look(self) -> None:
        """Take over what is newest; a worker without a version takes the one before if the newest is damaged."""
        try:
            hidden = self._source.hidden() | ids_in(self._hidden_file)
            if self._versions.hide(hidden):
                _log.info("%d items are hidden", len(hidden))
            if self._versions.is_waiting:
                return  # one change at a time
            for place, found in enumerate(self._source.newest_first()):
                before, is_served = self.served, self._is_served(found)
                if is_served and not place and (self.error or self.served != before):
                    self._recovered()
                if is_served or self.served or place:
                    return
        except Exception as error:  # noqa: BLE001 - nothing that is published may end the service
            self._fail(None, error)

    def _is_served(self, found: Found) -> bool:
        """Return whether a version is served, after trying to open it if that is due."""
        if found == self.served:
            return True
        if self._is_behind(found) or not self._is_due(found):
            return False
        started = time.monotonic()
        try:
            version = self._open(found)
        except Exception as error:  # noqa: BLE001 - nothing that is published may end the service
            self._fail(found, error)
            return False
        # A publisher whose clock is ahead does not delay its version by more than the usual time.
        moment = min(found.at, time.time()) + self._effective_after
        self._versions.add(version, moment)
        self.served = found
        seconds = time.monotonic() - started
        _log.info("loaded version %d from %s in %.2f s", found.number, found.folder, seconds)
        return True

    def _is_due(self, found: Found) -> bool:
        return time.monotonic() >= self._failed.get(found, (0.0, 0.0))[1]

    def _is_behind(self, found: Found) -> bool:
        """Return whether a record is older than the one that is served, and not for so long that it must be meant.

        A file system may be behind for a while; a store that was restored, or made anew, stays so.
        """
        if self.served is None or found.number >= self.served.number:
            self._behind = None
            return False
        if self._behind is None:
            self._behind = time.monotonic()
            sentence = f"the channel shows record {found.number} after record {self.served.number}"
            wait = f"it is followed if that is still so in {_LONGEST_WAIT:.0f} s"
            self._fail(found, ArtifactError("CHANNEL_BEHIND", f"{sentence}; {wait}"))
        return time.monotonic() - self._behind < _LONGEST_WAIT

    def _recovered(self) -> None:
        """Forget what failed: what the channel names is served."""
        self._failed, self.error = {}, None
        self._versions.last_reload = {"at": now(), "error": None}

    def _fail(self, found: Found | None, reason: Exception) -> None:
        """Stay with what is served, and say why."""
        error = reason if isinstance(reason, RecommenderError) else _unreadable(reason)
        wait = min(2 * self._failed[found][0], _LONGEST_WAIT) if found in self._failed else self._retry
        is_known = found is None and str(self.error) == str(error)
        self._failed[found], self.error = (wait, time.monotonic() + wait), error
        if is_known:
            return  # the channel itself cannot be read, still
        self._versions.failures += 1
        self._versions.last_reload = {"at": now(), "error": str(error)}
        _log.warning("not taken over: %s", error)


def _unreadable(error: Exception) -> ArtifactError:
    reason = str(error).split("\n", 1)[0][:200]
    return corrupt(f"what is published cannot be read: {type(error).__name__}: {reason}")
