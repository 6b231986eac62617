"""A folder as a place that versions are delivered to: files for other programs, and for people.

    <path>/recommendations/version=<number>_<attempt>_<random>/part-*   the rows of a version, written once
    <path>/_versions/<attempt>.json                                     its files with their sizes: it is complete
    <path>/_channels/<channel>/<number>.json                            which of them a channel names

A reader takes the newest record of the channel, and reads the folder that it names. Spark and others take the part
``version=...`` for a column, and leave out what begins with an underscore.
"""

import secrets as random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Final

from recommender.errors import ConflictError, StorageError
from recommender.publishing.target import Version, not_delivered
from recommender.store import Hadoop, Log, last_change, now, open_files, seal, unseal

_ROWS: Final = "recommendations"
_DAY = 86_400  # seconds
_READING: Final = 3_600  # seconds for which who has asked a channel may read the version that it named


class FolderTarget:
    """A folder with versions, and channels that name one of them.

    Init parameters:
        settings: path, a path or URI; format of the files; keep_versions of each channel.
        hadoop: returns the gateway to a JVM, or None; called where the path needs one.
    """

    def __init__(self, settings: Mapping[str, Any], hadoop: Callable[[], Hadoop | None] = lambda: None) -> None:
        self.settings = settings
        self.files = open_files(settings["path"], hadoop)

    def folder(self, version: Version) -> str:
        """Return the path of a new folder for the rows of a version."""
        return f"{_ROWS}/version={version.commit}_{version.short}_{random.token_hex(4)}"

    def finish(self, version: Version, folder: str) -> None:
        """Say that a version is complete: all files of a folder that are there; raise a StorageError if none is."""
        sizes = {f"{folder}/{file.path}": file.size for file in self.files.walk(folder) if _is_data(file.path)}
        if not sizes:
            raise StorageError("AUDIT_ROWS", f"nothing can be found in {self.files.url(folder)}; start the run again")
        self.files.sync(sizes)
        record = {"run": version.run, "attempt": version.attempt, "at": now(), "folder": folder, "files": sizes}
        if not self.files.create(_mark(version.attempt), seal(record)) and not self.has(version):
            self.files.delete(_mark(version.attempt))  # of files that are not all there any more
            self.files.create(_mark(version.attempt), seal(record))

    def position(self, channel: str) -> int:
        return self._log(channel).newest_number()

    def named(self, channel: str) -> str:
        newest = next(self._named(channel), None)
        mark = self._record(newest["attempt"]) if newest else None
        if newest is None or (mark is not None and mark["folder"] != newest["folder"]):
            return ""  # the version was delivered again since, to another folder
        return str(newest["attempt"])

    def has(self, version: Version) -> bool:
        record = self._record(version.attempt)
        if record is None:
            return False
        folder = record["folder"]
        found = {f"{folder}/{file.path}": file.size for file in self.files.walk(folder)}
        return all(found.get(path) == size for path, size in record["files"].items())

    def held(self) -> AbstractContextManager[None]:
        return self.files.locked("publish")

    def show(self, version: Version, channel: str, expected: int) -> int:
        record = self._record(version.attempt)
        if record is None:
            raise not_delivered(f"{self.files.root} has not run {version.run} any more")
        log = self._log(channel)
        newest = log.record(expected) if expected else None
        if newest is not None and newest["folder"] == record["folder"] and log.newest_number() == expected:
            return expected
        named = {key: record[key] for key in ("run", "attempt", "folder", "files")}
        body = {**named, "at": now(), "token": random.token_hex(16)}
        taken = log.newest_number() != expected
        if taken or not log.append(expected + 1, body, is_ours={"token": body["token"]}):
            sentence = f"expected {expected} found {log.newest_number()}: channel {channel} of {self.files.root}"
            raise ConflictError("COMMIT_CONFLICT", f"{sentence} was moved meanwhile; start this run again")
        return expected + 1

    def current(self, channel: str) -> str | None:
        """Return the folder that a channel names, None before the first move."""
        newest = next((record for _, record in self._log(channel).newest_first()), None)
        return None if newest is None else str(newest["folder"])

    def clean_up(self) -> None:
        """Remove versions that no channel has named for long, and unfinished ones."""
        kept, known = self._kept(), self._known()
        for attempt, record in known.items():
            if attempt not in kept and (self._was_named(attempt) or _age(record["at"]) > _DAY):
                self.files.delete(_mark(attempt))
                self.files.delete(record["folder"])
        finished = {record["folder"] for record in known.values()} | set(kept.values())
        for name in self.files.names(_ROWS):
            folder = f"{_ROWS}/{name}"
            if folder not in finished and last_change(self.files, folder) < time.time() - _DAY:
                self.files.delete(folder)

    def close(self) -> None:
        """Do nothing."""

    def _kept(self) -> dict[str, str]:
        """Return attempt -> folder of those that each channel has named last, or not long ago."""
        kept: dict[str, str] = {}
        for channel in self.files.names("_channels"):
            last: set[str] = set()
            newer: dict[str, Any] | None = None
            for record in self._named(channel):
                last.add(record["attempt"])
                if len(last) > self.settings["keep_versions"] and newer and _age(newer["at"]) > _READING:
                    break
                kept.setdefault(record["attempt"], record["folder"])
                newer = record
        return kept

    def _was_named(self, attempt: str) -> bool:
        channels = self.files.names("_channels")
        return any(record["attempt"] == attempt for channel in channels for record in self._named(channel))

    def _named(self, channel: str) -> Iterator[dict[str, Any]]:
        """Return the records of a channel, newest first."""
        return (record for _, record in self._log(channel).newest_first())

    def _known(self) -> dict[str, dict[str, Any]]:
        names = [name.removesuffix(".json") for name in self.files.names("_versions") if name.endswith(".json")]
        return {name: record for name in names if (record := self._record(name)) is not None}

    def _record(self, attempt: str) -> dict[str, Any] | None:
        try:
            return unseal(self.files.read(_mark(attempt)), self.files.url(_mark(attempt)))
        except FileNotFoundError:
            return None

    def _log(self, channel: str) -> Log:
        return Log(self.files, f"_channels/{channel}")


def _mark(attempt: str) -> str:
    return f"_versions/{attempt}.json"


def _is_data(path: str) -> bool:
    return not any(name.startswith(("_", ".")) for name in path.split("/"))


def _age(timestamp: str) -> float:
    return time.time() - datetime.fromisoformat(timestamp).timestamp()
