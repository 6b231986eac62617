"""The operations that the store needs of a file system, and the choice of the one that a root is on.

Two things are asked of it beyond the ordinary: `Files.create` makes a file with all of its content or not at all, and
tells of two callers one that it came second. Everything else in the store rests on that.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from recommender.errors import ConfigError, Mistake, StorageError
from recommender.store.file_info import FileInfo
from recommender.store.hadoop import SCHEMES, Hadoop
from recommender.store.local_files import LocalFiles

_GLOB = set("*?[]{}\\")


class Files(Protocol):
    """The files below one root; a path is relative to it, its parts joined by a slash."""

    root: str

    def url(self, path: str) -> str:
        """Return what Spark calls a path."""

    def create(self, path: str, content: bytes) -> bool:
        """Make a file, durably, with all of its content or not at all; False if the name is taken."""

    def read(self, path: str) -> bytes:
        """Return a file's content; FileNotFoundError if there is none."""

    def names(self, path: str) -> list[str]:
        """Return the sorted names in a folder; none if there is no folder."""

    def walk(self, path: str) -> Iterator[FileInfo]:
        """Return all files below a folder."""

    def modified(self, path: str) -> float:
        """Return when a file or a folder changed (seconds since epoch); FileNotFoundError if there is none."""

    def sha256(self, path: str) -> str:
        """Return the hash of a file's content; FileNotFoundError if there is none."""

    def sync(self, paths: Iterable[str]) -> None:
        """Make files durable that others have written, with their names; FileNotFoundError if one is gone."""

    def restrict(self, path: str) -> None:
        """Keep others from reading a file, or what is in a folder, where the file system has modes like a disk's."""

    def delete(self, path: str) -> None:
        """Delete a file, or a folder with all that is in it; nothing if there is none."""

    def locked(self, name: str, patience: float = 60.0) -> AbstractContextManager[None]:
        """Hold a lock below the root, as far as the file system has locks; the numbers of records decide elsewhere.

        Raises:
            ConflictError: another process holds it for longer than `patience`, in seconds.
        """


def last_change(files: Files, folder: str) -> float:
    """Return when the newest file below a folder changed, or the folder itself where it is empty.

    What is deleted meanwhile has changed at the time 0.
    """
    times = [file.modified for file in files.walk(folder)]
    try:
        return max(times) if times else files.modified(folder)
    except FileNotFoundError:
        return 0.0


def open_files(root: str, hadoop: Callable[[], Hadoop | None], mode: int | None = None) -> Files:
    """Return the files below a root.

    Args:
        root: a path, or a URI; its scheme chooses: none and ``file:`` are paths that Python reaches; the others, such
            as ``hdfs:``, ``s3:`` and ``gs:``, go through Hadoop's FileSystem. Without a JVM, as over Spark Connect,
            ``dbfs:`` is where Databricks mounts it.
        hadoop: returns the gateway to a JVM, or None; called where the scheme needs one.
        mode: that of files which `restrict` is asked for, such as 0o640; None: as the process makes them.

    Raises:
        ConfigError: the root is not a path. StorageError: its scheme is unknown, or cannot be reached from here.
    """
    scheme, colon, rest = root.partition(":")
    if _GLOB & set(root):
        raise ConfigError(Mistake("CFG_VALUE", "root", f"root must not contain any of * ? [ ] {{ }} \\, got {root}"))
    if not colon or scheme == "file":
        path = Path("/", rest.lstrip("/")) if colon else Path(root)
        return LocalFiles(path, "dbfs:" if path.is_relative_to("/Volumes") else "file://", mode=mode)
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}:" for name in SCHEMES)
        raise StorageError("STORAGE_SCHEME", f"root {root}: {scheme}: is not supported; use a path, file:, {known}")
    gateway = hadoop()
    if gateway:
        from recommender.store.hadoop_files import HadoopFiles  # noqa: PLC0415 - who serves only has no Spark

        return HadoopFiles(gateway, root)
    if scheme == "dbfs":
        mounted = Path("/", rest.lstrip("/"))
        if not mounted.is_relative_to("/Volumes"):
            mounted = Path("/dbfs", rest.lstrip("/"))
        if mounted.parents[-2].exists():
            return LocalFiles(mounted, "dbfs:", cut="/dbfs")
    sentence = f"root {root}: {scheme}: needs a JVM, and there is none here (Spark Connect); use a path that is mounted"
    raise StorageError("STORAGE_SCHEME", sentence)
