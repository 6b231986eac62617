"""Cache frames that are used more than once, until the code that cached them releases them.

Serverless compute of Databricks refuses to cache. There the rows are written to a folder and read from it, which
`kept_below` names; without a folder they are computed again each time they are used.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from pyspark import StorageLevel
from pyspark.sql import DataFrame

_REFUSED = "NOT_SUPPORTED_WITH_SERVERLESS"


class _Folder:
    """Where rows are written that the platform refuses to keep. A process runs one attempt at a time."""

    path: str | None = None
    numbers = count()


@contextmanager
def kept_below(folder: str) -> Iterator[None]:
    """Write what the platform refuses to keep below a folder that all workers reach; nobody removes it here."""
    before, _Folder.path = _Folder.path, folder
    try:
        yield
    finally:
        _Folder.path = before


class Cache:
    """The frames that somebody has cached.

    Init parameters:
        level: where they are kept.
    """

    def __init__(self, level: StorageLevel = StorageLevel.MEMORY_AND_DISK) -> None:
        self._level = level
        self._rows: list[DataFrame] = []

    def __call__(self, rows: DataFrame) -> DataFrame:
        """Cache rows when they are computed for the first time, and return them.

        If the platform refuses that, they are computed and written at once, if there is a folder.
        """
        try:
            self._rows.append(rows.persist(self._level))
        except Exception as error:
            if not is_refused(error):
                raise
            return rows if _Folder.path is None else _written(rows, _Folder.path)
        return self._rows[-1]

    def release(self) -> None:
        """Free them all."""
        while self._rows:
            self._rows.pop().unpersist()


def without_plan(rows: DataFrame, *, is_reliable: bool) -> DataFrame:
    """Compute rows, and return them without the plan that they were computed by.

    Args:
        is_reliable: write them to Spark's folder for checkpoints; else they are on the disks of the executors.
    """
    try:
        return rows.checkpoint() if is_reliable else rows.localCheckpoint()
    except Exception as error:
        if _Folder.path is None or not is_refused(error):
            raise
        return _written(rows, _Folder.path)


def is_refused(error: Exception) -> bool:
    """Return whether the platform does not offer what it was asked for."""
    return _REFUSED in str(error)


def _written(rows: DataFrame, folder: str) -> DataFrame:
    path = f"{folder}/{next(_Folder.numbers)}"
    rows.write.mode("error").parquet(path)
    return rows.sparkSession.read.schema(rows.schema).parquet(path)
