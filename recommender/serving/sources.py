"""Where versions come from: a channel of the store, which is followed, or a folder.

Example usage:
>>> import tempfile
>>> list(channel_of(tempfile.mkdtemp(), "live").newest_first())
[]
>>> channel_of("hdfs://namenode/shop", "live")
Traceback (most recent call last):
recommender.errors.StorageError: STORAGE_SCHEME root hdfs://namenode/shop: snapshots are mapped into memory, ...
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final

from recommender.errors import ArtifactError, ConfigError, Mistake, StorageError
from recommender.serving.settings import Settings
from recommender.snapshot.checks import read_manifest
from recommender.snapshot.layout import MANIFEST
from recommender.store import Channels, Commit, Hidden, Publication, Store, open_files

SNAPSHOT: Final = "snapshot"
CANDIDATE: Final = "candidate"
_MOST: Final = 20  # versions that are kept to look at


@dataclass(frozen=True)
class Found:
    """A snapshot that is to be served.

    Attributes:
        folder: where it is. number: of the channel's record, 0 for a folder. run: that it must be of, None: of any.
        sha256: of its manifest's file, None: not known. at: when it was published, seconds since the epoch.
    """

    folder: Path
    number: int = 0
    run: str | None = None
    sha256: str | None = None
    at: float = 0.0


@dataclass(frozen=True)
class Folder:
    """A snapshot that never changes."""

    path: Path

    def check(self) -> None:
        """Raise an ArtifactError if the folder has no manifest, or a damaged one."""
        read_manifest(self.path)

    def newest_first(self) -> Iterator[Found]:
        """Return the snapshot."""
        yield Found(self.path)

    def kept(self) -> Iterator[tuple[str, Found]]:
        """Return none."""
        return iter(())

    def hidden(self) -> frozenset[str]:
        """Return none: they are in a store."""
        return frozenset()


@dataclass(frozen=True)
class Channel:
    """What the newest record of a channel names.

    Init parameters:
        store: the store. root: its folder, absolute. channel: the name.
    """

    store: Store
    root: Path
    channel: str

    def check(self) -> None:
        """Raise a ConfigError if the root does not exist, or other channels do but not this one."""
        if not self.root.is_dir():
            sentence = f"the folder {self.root} does not exist; give the folder in which the stages store their results"
            raise ConfigError(Mistake("ROOT_UNKNOWN", "root", sentence))
        names = Channels(self.store).names()
        if names and self.channel not in names:
            sentence = f"{self.root} has no channel {self.channel}; it has {', '.join(sorted(names))}"
            raise ConfigError(Mistake("CHANNEL_UNKNOWN", "channel", sentence))

    def newest_first(self) -> Iterator[Found]:
        """Return the snapshot that the channel names, and then those that it named before.

        Raises:
            ArtifactError: a record is damaged, or names a commit that has expired or has no snapshot.
        """
        channels = Channels(self.store)
        for publication in channels.history(self.channel):
            yield self._found(publication, channels.commit(publication))

    def kept(self) -> Iterator[tuple[str, Found]]:
        """Return the candidate, and what the channel names and has named, newest first, if the files are there."""
        for found in islice(replace(self, channel=CANDIDATE)._there(), 1):
            yield CANDIDATE, found
        for found in islice(self._there(), _MOST):
            yield self.channel, found

    def hidden(self) -> frozenset[str]:
        """Return the ids of the items that are hidden now.

        Raises:
            ArtifactError: their record is damaged.
        """
        return frozenset(item.itemid for item in Hidden(self.store).items())

    def _there(self) -> Iterator[Found]:
        channels = Channels(self.store)
        for publication in channels.history(self.channel):
            with suppress(ArtifactError):
                found = self._found(publication, channels.commit(publication))
                if (found.folder / MANIFEST).is_file():
                    yield found

    def _found(self, publication: Publication, commit: Commit | None) -> Found:
        if commit is None:
            sentence = f"channel {self.channel} names run {publication.run_id}, whose record has expired"
            raise ArtifactError("VERSION_EXPIRED", f"{sentence}; publish another version")
        path = f"{commit.attempt}/{SNAPSHOT}"
        facts = commit.files().get(f"{path}/{MANIFEST}")
        if facts is None:
            sentence = f"run {publication.run_id} was published to channel {self.channel} without a serving snapshot"
            raise ArtifactError("SNAPSHOT_MISSING", f"{sentence}; let stage 4 make one, and publish again")
        folder = self.root / publication.record["stage"] / "data" / path
        # What an earlier run has made, and this one only found again, names that run.
        run = None if "reused" in commit.record else publication.run_id
        at = datetime.fromisoformat(publication.record["at"]).timestamp()
        return Found(folder, publication.number, run, facts["sha256"], at)


Source = Folder | Channel


def channel_of(root: str, channel: str) -> Channel:
    """Return a channel of the store below a root.

    Raises:
        ConfigError: the root is not a path. StorageError: Python does not reach it.
    """
    try:
        files = open_files(root, lambda: None)
    except StorageError as error:
        sentence = f"root {root}: snapshots are mapped into memory, and need a path that is mounted here"
        raise StorageError(
            "STORAGE_SCHEME", f"{sentence}; mount it, or copy the snapshot and use --snapshot"
        ) from error
    return Channel(Store(files), Path(files.root), channel)


def ids_in(file: str | None) -> frozenset[str]:
    """Return the ids of a file with one in each line; none without a file.

    Raises:
        ArtifactError: it cannot be read; that does not mean that no item is hidden.
    """
    if file is None:
        return frozenset()
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ArtifactError("HIDDEN_FILE", f"{file} cannot be read: {reason}; see --hidden-file") from error
    return frozenset(filter(None, map(str.strip, lines)))


def source_of(settings: Settings) -> Source:
    """Return where versions come from.

    Raises:
        ConfigError: the root is not a path. StorageError: Python does not reach it.
    """
    if settings.snapshot:
        return Folder(Path(settings.snapshot).absolute())
    return channel_of(settings.root, settings.channel)
