"""Where versions come from: a channel of the store, which is followed, or a folder.

Example usage:
>>> import tempfile
>>> channel_of(tempfile.mkdtemp(), "live").newest() is None
True
>>> channel_of("hdfs://namenode/shop", "live")
Traceback (most recent call last):
recommender.errors.StorageError: STORAGE_SCHEME root hdfs://namenode/shop: snapshots are mapped into memory, ...
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from recommender.errors import ArtifactError, StorageError
from recommender.snapshot.layout import MANIFEST
from recommender.store import Channels, Store, open_files

SNAPSHOT: Final = "snapshot"


@dataclass(frozen=True)
class Found:
    """A snapshot that is to be served.

    Attributes:
        folder: where it is. number: of the channel's record, 0 for a folder. run: that it must be of, None: of any.
        sha256: of its manifest's file, None: not known.
    """

    folder: Path
    number: int = 0
    run: str | None = None
    sha256: str | None = None


class Source(Protocol):
    """Where versions come from."""

    @property
    def channel(self) -> str | None:
        """Return the channel that is followed, None for a folder."""

    def newest(self) -> Found | None:
        """Return what is to be served now, None if there is nothing yet."""


@dataclass(frozen=True)
class Folder:
    """A snapshot that never changes."""

    path: Path
    channel: None = None

    def newest(self) -> Found:
        """Return the snapshot."""
        return Found(self.path)


@dataclass(frozen=True)
class Channel:
    """What the newest record of a channel names.

    Init parameters:
        store: the store. root: its folder, absolute. channel: the name.
    """

    store: Store
    root: Path
    channel: str

    def newest(self) -> Found | None:
        """Return the snapshot that the channel names.

        Raises:
            ArtifactError: its record is damaged, or names a commit that has expired or has no snapshot.
        """
        channels = Channels(self.store)
        publication = channels.current(self.channel)
        if publication is None:
            return None
        record = publication.record
        commit = channels.commit(publication)
        if commit is None:
            sentence = f"channel {self.channel} names run {publication.run_id}, whose record has expired"
            raise ArtifactError("VERSION_EXPIRED", f"{sentence}; publish another version")
        path = f"{commit.attempt}/{SNAPSHOT}"
        facts = commit.files().get(f"{path}/{MANIFEST}")
        if facts is None:
            sentence = f"run {publication.run_id} was published to channel {self.channel} without a serving snapshot"
            raise ArtifactError("SNAPSHOT_MISSING", f"{sentence}; let stage 4 make one, and publish again")
        folder = self.root / record["stage"] / "data" / path
        # What an earlier run has made, and this one only found again, names that run.
        run = None if "reused" in commit.record else publication.run_id
        return Found(folder, publication.number, run, facts["sha256"])


def channel_of(root: str, channel: str) -> Channel:
    """Return a channel of the store below a root.

    Raises:
        ConfigError: the root is no path. StorageError: Python does not reach it.
    """
    try:
        files = open_files(root, lambda: None)
    except StorageError as error:
        sentence = f"root {root}: snapshots are mapped into memory, and need a path that is mounted here"
        raise StorageError(
            "STORAGE_SCHEME", f"{sentence}; mount it, or copy the snapshot and use --snapshot"
        ) from error
    return Channel(Store(files), Path(files.root), channel)
