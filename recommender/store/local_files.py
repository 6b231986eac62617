"""Files that Python itself reaches: a disk, a network share, a mounted volume."""

import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from recommender.errors import ConflictError, StorageError
from recommender.store.file_info import TEMPORARY, FileInfo
from recommender.store.locks import locked

_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EINVAL}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


class LocalFiles:
    """The files below a folder.

    `create` links a finished file to its name, which fails if the name is taken. On a mount without links (a FUSE
    mount of an object store) it looks, moves, and reads back: safe with one writer at a time.

    Init parameters:
        root: the folder.
        scheme: what Spark wants before the path.
        cut: a prefix of the path that Spark does not know.
        mode: that of files which `restrict` is asked for; None: as the process makes them.
    """

    def __init__(self, root: Path, scheme: str = "file://", cut: str = "", mode: int | None = None) -> None:
        self.root = str(root.absolute())
        self._mode = mode
        self._prefix = scheme + self.root.removeprefix(cut)

    def url(self, path: str) -> str:
        return f"{self._prefix}/{path}"

    def create(self, path: str, content: bytes) -> bool:
        final = self._path(path)
        temporary = final.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
        new = [folder for folder in final.parents if folder.is_relative_to(self.root) and not folder.exists()]
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                created = _linked(temporary, final)
            finally:
                temporary.unlink(missing_ok=True)  # also what a full disk has cut off
            for folder in [final.parent, *(each.parent for each in new)]:
                _sync(folder)
        except OSError as error:
            raise self._error_of(error, path) from error
        return created

    def read(self, path: str) -> bytes:
        with self._translating(path):
            return self._path(path).read_bytes()

    def names(self, path: str) -> list[str]:
        try:
            return sorted(entry.name for entry in self._path(path).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise self._error_of(error, path) from error

    def walk(self, path: str) -> Iterator[FileInfo]:
        top = self._path(path)
        for folder, _, names in os.walk(top):
            for name in names:
                file = Path(folder, name)
                try:
                    status = file.stat()
                except FileNotFoundError:  # deleted meanwhile
                    continue
                yield FileInfo(file.relative_to(top).as_posix(), status.st_size, status.st_mtime)

    def modified(self, path: str) -> float:
        with self._translating(path):
            return self._path(path).stat().st_mtime

    def sha256(self, path: str) -> str:
        digest = hashlib.sha256()
        with self._translating(path), self._path(path).open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        return digest.hexdigest()

    def sync(self, paths: Iterable[str]) -> None:
        """Make files durable that Spark has written, which syncs nothing; then the folders that hold their names."""
        folders: set[Path] = set()
        for path in paths:
            file = self._path(path)
            with self._translating(path):
                _sync(file)
            folders |= {folder for folder in file.parents if folder.is_relative_to(self.root)}
        for folder in sorted(folders, reverse=True):  # those further down come first
            try:
                _sync(folder)
            except OSError as error:
                raise self._error_of(error, str(folder)) from error

    def restrict(self, path: str) -> None:
        """Keep others from reading a file, or what is in a folder; who may read a folder may also look into it."""
        if self._mode is None:
            return
        target = self._path(path)
        try:
            target.chmod(self._mode | (0o100 | (self._mode & 0o444) >> 2) if target.is_dir() else self._mode)
        except OSError as error:
            if error.errno not in _NO_LINKS:  # a mount without modes
                raise self._error_of(error, path) from error

    def delete(self, path: str) -> None:
        target = self._path(path)
        with suppress(FileNotFoundError), self._translating(path):  # somebody else may be deleting it too
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)

    @contextmanager
    def locked(self, name: str, patience: float = 60.0) -> Iterator[None]:
        path = f".locks/{name}"
        with ExitStack() as lock:
            try:
                is_held = lock.enter_context(locked(self._path(path), patience))
            except OSError as error:
                raise self._error_of(error, path) from error
            if not is_held:
                sentence = f"{self._path(path)} is held by another process"
                raise ConflictError("LOCKED", f"{sentence}; wait until it has ended, and start this again")
            yield

    def _path(self, path: str) -> Path:
        return Path(self.root, path)

    @contextmanager
    def _translating(self, path: str) -> Iterator[None]:
        """Raise errors of the file system as ours, but for a file that does not exist."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._error_of(error, path) from error

    def _error_of(self, error: OSError, path: str) -> StorageError:
        place = self._path(path)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return StorageError("STORAGE_FULL", f"{place} cannot be written: the disk is full; free some space")
        if error.errno in _DENIED:
            return StorageError("STORAGE_DENIED", f"{place} cannot be written: {error.strerror}; see --root")
        return StorageError("STORAGE_FAILED", f"{place} cannot be used: {error.strerror}; see --root")


def _linked(temporary: Path, final: Path) -> bool:
    """Give a finished file its name, unless the name is taken."""
    try:
        os.link(temporary, final)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if final.exists():
            return False
        content = temporary.read_bytes()
        temporary.rename(final)
        return final.read_bytes() == content
    return True


def _sync(path: Path) -> None:
    """Make the content of a file durable, or the names in a folder where the file system can."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not path.is_dir() or error.errno not in {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}:
            raise
    finally:
        os.close(descriptor)
