"""Channels: names, such as ``live``, that point to a published commit.

A channel is a log: a publication, a promotion or a rollback is one more record, and the newest record counts.
"""

import getpass
import os
import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from recommender.errors import ArtifactError, ConfigError, ConflictError, Mistake
from recommender.store.files import Files
from recommender.store.log import Log
from recommender.store.store import Commit, Store, now

PATIENCE: Final = 60.0  # seconds in which another publisher must let go of a channel


@dataclass(frozen=True)
class Publication:
    """A record of a channel: its number, and the commit that it names."""

    channel: str
    number: int
    record: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        """Return the run whose result is published."""
        return str(self.record["run"])


class Channels:
    """All channels of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._files: Files = store.files

    def names(self) -> list[str]:
        return self._files.names("channels")

    def history(self, channel: str) -> Iterator[Publication]:
        """Return the records of a channel, newest first."""
        for number, record in self._log(channel).newest_first():
            yield Publication(channel, number, record)

    def current(self, channel: str) -> Publication | None:
        """Return what a channel names now."""
        return next(self.history(channel), None)

    def currents(self) -> Iterator[Publication]:
        """Return what each channel names now, but for a channel whose newest record is damaged."""
        for channel in self.names():
            with suppress(ArtifactError):
                if current := self.current(channel):
                    yield current

    def position(self, channel: str) -> int:
        """Return the number of a channel's newest record, 0 before the first."""
        return self._log(channel).newest_number()

    def held(self, channel: str) -> AbstractContextManager[None]:
        """Keep other publishers from moving a channel while the context is open; see `Files.locked`."""
        return self._files.locked(f"channel-{channel}", PATIENCE)

    def commit(self, publication: Publication) -> Commit | None:
        """Return the commit that a publication names, or None if it has expired."""
        found = self._store.commit_number(publication.record["stage"], publication.record["commit"])
        return found if found and found.attempt == publication.record["attempt"] else None

    def publish(
        self,
        channel: str,
        commit: Commit,
        action: str = "publish",
        *,
        expected: int | None = None,
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> Publication:
        """Let a channel name a commit.

        Args:
            action: publish, promote or rollback.
            expected: number of the newest record when the publisher began; by default that of now.
            more: what the record says besides.

        Raises:
            ConflictError: somebody else has moved the channel meanwhile.
        """
        self.check(channel, expected)
        log = self._log(channel)
        number, token = (log.newest_number() if expected is None else expected) + 1, uuid.uuid4().hex
        record = {
            **more,
            "action": action,
            "stage": commit.stage,
            "commit": commit.number,
            "attempt": commit.attempt,
            "run": commit.run_id,
            "at": now(),
            "by": _who(),
            "token": token,
        }
        if not log.append(number, record, is_ours={"token": token}):
            raise _moved(channel, number - 1, log.newest_number())
        return Publication(channel, number, record)

    def check(self, channel: str, expected: int | None) -> None:
        """Raise a ConflictError if a channel's newest record is not the expected one: somebody has moved it."""
        found = self.position(channel)
        if expected not in {None, found}:
            raise _moved(channel, expected, found)

    def newest_published(self, channel: str) -> int:
        """Return the number of the newest commit that was ever published to a channel, 0 if none was.

        A rollback moves the channel, and this number stays.
        """
        numbers = [0]
        for publication in self.history(channel):
            numbers.append(publication.record["commit"])
            if publication.record["action"] == "publish":
                break  # it was newer than all before
        return max(numbers)

    def before(self, channel: str) -> Publication | None:
        """Return the version that a channel named before the current one; None if there is none.

        What was rolled back from is not before anything: after a rollback from the third version to the second, the
        first is before.
        """
        line: list[Publication] = []
        for publication in reversed(list(self.history(channel))):
            attempts = [each.record["attempt"] for each in line]
            attempt = publication.record["attempt"]
            if publication.record["action"] == "rollback" and attempt in attempts:
                del line[len(attempts) - attempts[::-1].index(attempt) :]
            elif not attempts or attempts[-1] != attempt:
                line.append(publication)
        return line[-2] if len(line) > 1 else None

    def earlier(self, channel: str, to: str | None = None) -> tuple[Publication, Commit]:
        """Return an earlier version of a channel, and the commit that it names, whose files are all there.

        Args:
            to: number of a record of the channel, or a run id or its unique beginning; by default the version before
                the current one; see `before`.

        Raises:
            ConfigError: the channel or the version does not exist. ArtifactError: its files are damaged.
        """
        history = list(self.history(channel))
        if not history:
            known = ", ".join(self.names()) or "none yet"
            raise ConfigError(Mistake("CHANNEL_UNKNOWN", "", f"no channel {channel}; there are {known}"))
        if to is None:
            found = self.before(channel)
        else:
            found = next((p for p in history if to in {str(p.number), p.run_id}), None) or _begun(history, to)
        if found is None:
            sought = "an earlier version" if to is None else f"a version {to}"
            sentence = f"channel {channel} has not had {sought}; it had {_versions(history)}"
            raise ConfigError(Mistake("VERSION_UNKNOWN", "", sentence))
        commit = self.commit(found)
        if commit is None:
            sentence = f"the files of run {found.run_id} have expired; it had {_versions(history)}"
            raise ConfigError(Mistake("VERSION_EXPIRED", "", f"channel {channel} cannot go back: {sentence}"))
        self._store.check(commit)
        return found, commit

    def rollback(self, channel: str, to: str | None = None) -> Publication:
        """Let a channel name an earlier version again; see `earlier`."""
        return self.publish(channel, self.earlier(channel, to)[1], action="rollback")

    def _log(self, channel: str) -> Log:
        return Log(self._files, f"channels/{channel}")


def _moved(channel: str, expected: int | None, found: int) -> ConflictError:
    sentence = f"expected {expected} found {found}: channel {channel} was moved meanwhile"
    return ConflictError("COMMIT_CONFLICT", f"{sentence}; look at it, and start again")


def _who() -> dict[str, str]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    return {"user": user, "host": socket.gethostname()}


def _begun(history: list[Publication], beginning: str) -> Publication | None:
    """Return the newest record of the only run that begins like this; digits alone are the number of a record."""
    found = [publication for publication in history if publication.run_id.startswith(beginning)]
    is_unique = len({publication.run_id for publication in found}) == 1
    return found[0] if is_unique and not beginning.isdecimal() else None


def _versions(history: list[Publication]) -> str:
    return ", ".join(f"{p.number} (run {p.run_id})" for p in history[:10])
