"""Facts about the cluster of a session: cores, memory, partitions, a folder for checkpoints.

Example usage:
>>> cores(spark)
2
>>> partitions_for(spark, rows=100_000, rows_per_partition=10_000)
10
"""

from functools import lru_cache

from pyspark.sql import DataFrame, SparkSession, functions as F

from recommender.spark.cache import is_refused

_LARGEST_BLOCK = 256 * 2**20
_UNITS = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}


@lru_cache(maxsize=1)
def cores(spark: SparkSession) -> int:
    """Return how many tasks run side by side: the number of partitions that Spark gives a range by default.

    A session is asked once.
    """
    partition = spark.range(100_000).select(F.spark_partition_id().alias("partition"))
    row = partition.agg(F.max("partition") + 1).first()
    return int(row[0]) if row else 1


def room_for_a_block(spark: SparkSession) -> int:
    """Return the bytes of a block that a task may hold: an eighth of an executor's memory, 256 MB at most.

    More would not fit into a cell of 2 GB with what is made of it, nor pass through the driver in time.
    """
    return min(memory_of_an_executor(spark) // 8, _LARGEST_BLOCK)


def memory_of_an_executor(spark: SparkSession) -> int:
    """Return the bytes of ``spark.executor.memory``, 1 GB if it is not set.

    >>> memory_of_an_executor(spark) // 2**20
    1024
    """
    text = (spark.conf.get("spark.executor.memory", "1g") or "1g").strip().lower().removesuffix("b")
    unit = text[-1] if text[-1] in _UNITS else "m"
    return int(text.rstrip("kmgtp")) * _UNITS[unit]


def partitions_for(spark: SparkSession, rows: int, rows_per_partition: int) -> int:
    """Return enough partitions to keep every core busy and none too large."""
    return max(cores(spark), -(-rows // rows_per_partition))


def together(rows: DataFrame, column: str) -> DataFrame:
    """Bring the rows with the same value of a column together.

    Rows that are brought together by the same column meet in the same partition: what is cached so is joined and
    grouped without another shuffle. Spark would choose the number of partitions of each by its size.
    """
    number = rows.sparkSession.conf.get("spark.sql.shuffle.partitions") or ""
    return rows.repartition(int(number), column) if number.isdigit() else rows.repartition(column)


def has_checkpoint_folder(spark: SparkSession) -> bool:
    """Return whether a checkpoint can be made, whoever has named the folder, and however.

    It is set by ``spark.checkpoint.dir`` from Spark 4 on, or on the context, which a session does not show. But Spark
    refuses a checkpoint without a folder as soon as it is asked for one; the one asked for here is never made.
    """
    try:
        spark.range(0).checkpoint(eager=False)
    except Exception as error:  # whatever the kind of session makes of Spark's
        if "heckpoint directory has not been set" in str(error) or is_refused(error):
            return False
        raise
    return True
