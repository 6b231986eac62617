"""Files through Hadoop's FileSystem, by way of the JVM that Spark runs in: HDFS and object stores."""

import errno
import posixpath
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from typing import Any, ClassVar

from py4j.protocol import Py4JJavaError
from pyspark.errors import IllegalArgumentException

from recommender.errors import StorageError
from recommender.store.file_info import TEMPORARY, FileInfo
from recommender.store.hadoop import Hadoop

_CONDITIONAL = "fs.option.create.conditional.overwrite"
_REFUSED = re.compile(r"(?i)status code:? 4(?:09|12)|PreconditionFailed|ConditionalRequestConflict")
_ABORTABLE = "fs.capability.outputstream.abortable"
_MISSING = {"FileNotFoundException", "NoSuchFileException"}
_TAKEN = {"FileAlreadyExistsException"}
_DENIED = {"AccessControlException", "AccessDeniedException"}
_FULL = ("No space left on device", "quota", "Quota")


class HadoopFiles:
    """The files below a folder of HDFS or of an object store.

    How `create` makes a name once depends on the store:
    - hdfs, abfss: a finished file is renamed to its name; the name node, or the service, refuses a name that is taken.
    - s3a since Hadoop 3.4.2, where its FileSystem says that it can: a conditional write.
    - others: look, write, and read back. That is safe with one writer at a time, and finds a second one that wrote
      over us while we were looking.

    Init parameters:
        hadoop: the way to the JVM.
        root: a URI.
    """

    _RENAME: ClassVar[set[str]] = {"hdfs", "abfss", "abfs"}

    def __init__(self, hadoop: Hadoop, root: str) -> None:
        self.root = root.rstrip("/")
        self._jvm = hadoop.jvm
        self._scheme = root.partition(":")[0]
        try:
            self._files = self._path("").getFileSystem(hadoop.configuration)
        except (Py4JJavaError, IllegalArgumentException) as error:  # pyspark replaces Java's, once there is a session
            reason = str(error).split("\n", 1)[0] if isinstance(error, IllegalArgumentException) else _reason(error)
            fault = f"root {root}: this Spark cannot reach {self._scheme}: ({reason}); correct it, or add its library"
            raise StorageError("STORAGE_SCHEME", fault) from error

    def url(self, path: str) -> str:
        return f"{self.root}/{path}"

    def create(self, path: str, content: bytes) -> bool:
        try:
            if self._scheme in self._RENAME:
                return self._create_by_rename(path, content)
            if self._files.hasPathCapability(self._path(path), _CONDITIONAL):
                builder = self._files.createFile(self._path(path)).recursive().must(_CONDITIONAL, True)
                return self._write(builder.build(), content)
            if self._files.exists(self._path(path)):
                return False
            self._write(self._files.create(self._path(path), False), content)
            return self.read(path) == content
        except Py4JJavaError as error:
            if _class(error) in _TAKEN or _REFUSED.search(str(error.java_exception.getMessage())):
                return False
            raise self._error_of(error, path) from error

    def read(self, path: str) -> bytes:
        with self._translating(path), closing(self._files.open(self._path(path))) as stream:
            return bytes(self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream))

    def names(self, path: str) -> list[str]:
        with suppress(FileNotFoundError), self._translating(path):
            return sorted(status.getPath().getName() for status in self._files.listStatus(self._path(path)))
        return []

    def walk(self, path: str) -> Iterator[FileInfo]:
        with suppress(FileNotFoundError), self._translating(path):
            top = self._files.makeQualified(self._path(path)).toUri().getPath()
            found = self._files.listFiles(self._path(path), True)
            while found.hasNext():
                status = found.next()
                file = posixpath.relpath(status.getPath().toUri().getPath(), top)
                yield FileInfo(file, status.getLen(), status.getModificationTime() / 1000)

    def modified(self, path: str) -> float:
        with self._translating(path):
            return float(self._files.getFileStatus(self._path(path)).getModificationTime() / 1000)

    def sha256(self, path: str) -> str:
        with self._translating(path), closing(self._files.open(self._path(path))) as stream:  # the JVM computes it
            return str(self._jvm.org.apache.commons.codec.digest.DigestUtils.sha256Hex(stream))

    def sync(self, paths: Iterable[str]) -> None:
        """Do nothing: a closed file is kept by several machines."""

    def restrict(self, path: str) -> None:
        """Do nothing: the cluster, or the bucket, decides who may read."""

    def delete(self, path: str) -> None:
        with suppress(FileNotFoundError), self._translating(path):
            self._files.delete(self._path(path), True)

    def locked(self, name: str, patience: float = 60.0) -> AbstractContextManager[None]:  # noqa: ARG002
        """Do nothing: these file systems have no locks that end with their holder."""
        return nullcontext()

    def _path(self, path: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(f"{self.root}/{path}".rstrip("/"))

    def _create_by_rename(self, path: str, content: bytes) -> bool:
        folder, _ = posixpath.split(path)
        temporary = self._path(f"{folder}/{TEMPORARY}{uuid.uuid4().hex}")
        self._write(self._files.create(temporary, False), content)
        renamed = bool(self._files.rename(temporary, self._path(path)))
        if not renamed:
            with suppress(Py4JJavaError):  # the clean-up finds it
                self._files.delete(temporary, False)
        return renamed

    def _write(self, stream: Any, content: bytes) -> bool:
        try:
            stream.write(bytearray(content))
            if stream.hasCapability("hsync"):
                stream.hsync()
        except Py4JJavaError:
            if stream.hasCapability(_ABORTABLE):
                stream.abort()  # closing it would publish what was written so far
            raise
        stream.close()
        return True

    @contextmanager
    def _translating(self, path: str) -> Iterator[None]:
        """Raise Java's errors as ours, or as FileNotFoundError."""
        try:
            yield
        except Py4JJavaError as error:
            raise self._error_of(error, path) from error

    def _error_of(self, error: Py4JJavaError, path: str) -> Exception:
        place, reason = self.url(path), _reason(error)
        if _class(error) in _MISSING:
            return FileNotFoundError(errno.ENOENT, "there is no such file", place)
        if any(word in reason for word in _FULL):
            return StorageError("STORAGE_FULL", f"{place} cannot be written: {reason}; free some space")
        if _class(error) in _DENIED:
            return StorageError("STORAGE_DENIED", f"{place} cannot be written: {reason}; see --root")
        return StorageError("STORAGE_FAILED", f"{place} cannot be used: {reason}; see --root")


def _class(error: Py4JJavaError) -> str:
    return str(error.java_exception.getClass().getSimpleName())


def _reason(error: Py4JJavaError) -> str:
    return f"{_class(error)}: {error.java_exception.getMessage()}".split("\n", 1)[0][:200]
