"""How many partitions a piece of work is cut into.

Example usage:
>>> cores(spark)
2
>>> partitions_for(spark, rows=100_000, rows_per_partition=10_000)
10
"""

from pyspark.sql import SparkSession, functions as F


def cores(spark: SparkSession) -> int:
    """Return how many tasks run side by side: the number of partitions that Spark gives a range by default."""
    partition = spark.range(100_000).select(F.spark_partition_id().alias("partition"))
    row = partition.agg(F.max("partition") + 1).first()
    return int(row[0]) if row else 1


def partitions_for(spark: SparkSession, rows: int, rows_per_partition: int) -> int:
    """Return enough partitions to keep every core busy and none too large."""
    return max(cores(spark), -(-rows // rows_per_partition))
