"""Cache frames that are used more than once, until they are released by whoever cached them.

Example usage:
>>> cache = Cache()
>>> rows = cache(spark.range(3))
>>> rows.is_cached
True
>>> cache.release()
>>> rows.is_cached
False
"""

from pyspark import StorageLevel
from pyspark.sql import DataFrame


class Cache:
    """The frames that somebody has cached.

    Init parameters:
        level: where they are kept.
    """

    def __init__(self, level: StorageLevel = StorageLevel.MEMORY_AND_DISK) -> None:
        self._level = level
        self._rows: list[DataFrame] = []

    def __call__(self, rows: DataFrame) -> DataFrame:
        """Cache rows when they are computed for the first time, and return them."""
        self._rows.append(rows.persist(self._level))
        return rows

    def release(self) -> None:
        """Free them all."""
        while self._rows:
            self._rows.pop().unpersist()
