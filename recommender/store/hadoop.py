"""The way to a JVM and its classes; nothing of Spark is loaded before it is used."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

SCHEMES: Final = ("hdfs", "s3a", "s3", "gs", "abfss", "abfs", "wasbs", "dbfs")


@dataclass(frozen=True)
class Hadoop:
    """The way to a JVM: py4j's view of it, and a Hadoop Configuration with the submitted settings."""

    jvm: Any
    configuration: Any

    def listed(self, pattern: str) -> Iterator[tuple[str, list[float]]]:
        """Return the files that a path or glob names, folders with all that is in them: (path, [bytes, changed])."""
        from py4j.protocol import Py4JJavaError  # noqa: PLC0415 - who serves only has no Spark

        path = self.jvm.org.apache.hadoop.fs.Path(pattern)
        try:
            files = path.getFileSystem(self.configuration)
            for match in files.globStatus(path) or ():
                found = files.listFiles(match.getPath(), True)
                while found.hasNext():
                    status = found.next()
                    yield str(status.getPath()), [status.getLen(), status.getModificationTime() / 1000]
        except Py4JJavaError:
            return  # what cannot be listed cannot be loaded; the loader says so
