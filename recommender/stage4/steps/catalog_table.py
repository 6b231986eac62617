"""Deliver the recommendations to a table of the catalog, a partition per version.

Example usage:
>>> rows = spark.createDataFrame([(7, 1, 6, 0.5, "als")],
...                              "visitorid long, rank int, itemid long, score float, source string")
>>> step = CatalogTable(table="default.published_lists")
>>> target, version = step.target({}), Version("stage4", 3, "5ee8" * 8, "monday")
>>> for _ in range(2):  # a second time replaces what is there
...     step.execute(rows, target, version, "live")
>>> spark.table("published_lists").select("visitorid", "version").collect()
[Row(visitorid=7, version='5ee85ee85ee85ee85ee85ee85ee85ee8')]
>>> _ = spark.sql("DROP TABLE published_lists")
"""

from collections.abc import Mapping
from typing import Any

from pyspark.sql import DataFrame, SparkSession, functions as F

import recommender.constants as C
from recommender.aggregates import single_row
from recommender.base import TableName, step
from recommender.delivery.places import Unpointed
from recommender.delivery.target import Version
from recommender.errors import StorageError
from recommender.sources import quoted
from recommender.spark_errors import explained

_VERSION = "version"


@step
class CatalogTable:
    """Write each version into a partition of a table.

    The column `version` is the id of the attempt, as the channel's record has it.

    The table is made where it is missing, in the session's default format. A reader asks for the version that it wants:
    which one is live is in the newest record of the channel (``attempt``). Old partitions are dropped by who owns the
    table.

    Init parameters:
        table: catalog.schema.table; null: nothing is delivered there.
    Execution args:
        recommendations: the published table.
        target: what `target` has returned. version: what the table is. channel: of no matter here.
    Execution returns:
        nothing; the partition is there then, complete.
    Raises:
        ConfigError: the name is none. StorageError: rows are missing afterwards.
    Persist strategy: a partition, which is replaced as a whole.
    """

    table: TableName | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether anything is delivered there."""
        return self.table is not None

    def target(self, types: Mapping[str, str]) -> "Partitions":  # noqa: ARG002
        """Return the table as a place that versions are delivered to."""
        return Partitions({"table": self.table})

    def execute(self, recommendations: DataFrame, target: "Partitions", version: Version, channel: str) -> None:  # noqa: ARG002
        """Write a partition; see the class."""
        try:
            written = self._replace(recommendations, target, version)
        except Exception as error:
            reason = str(error).strip().split("\n", 1)[0][:200]
            sentence = f"{self.table} cannot be written ({reason}); see stage4.table"
            raise explained(error) or StorageError("TARGET_FAILED", sentence) from error
        (sent,) = single_row(recommendations.agg(F.count(F.lit(1))))
        if written != sent:
            sentence = f"of {sent:,} rows that were written to {self.table}, {written:,} can be read back"
            raise StorageError("AUDIT_ROWS", f"{sentence}; look at the table, and start the run again")
        target.written.add(version.attempt)

    def _replace(self, recommendations: DataFrame, target: "Partitions", version: Version) -> int:
        """Write the partition, whatever is there, and return the rows that it has then."""
        spark, name = recommendations.sparkSession, target.name
        versioned = recommendations.withColumn(_VERSION, F.lit(version.attempt))
        if not spark.catalog.tableExists(name):
            versioned.limit(0).write.partitionBy(_VERSION).mode("ignore").saveAsTable(name)
        columns = ", ".join(quoted(column) for column in recommendations.columns)
        recommendations.orderBy(C.VISITOR, C.RANK).createOrReplaceTempView("recommender_published")
        try:
            spark.sql(
                f"INSERT OVERWRITE TABLE {name} PARTITION ({_VERSION} = '{version.attempt}') "  # noqa: S608 - quoted
                f"SELECT {columns} FROM recommender_published"
            )
        finally:
            spark.catalog.dropTempView("recommender_published")
        return target.rows(version)


class Partitions(Unpointed):
    """A table with a partition per version; whether one is complete is known only to who has written it.

    Init parameters:
        settings: the table.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        self.written: set[str] = set()

    @property
    def name(self) -> str:
        """The table's name, quoted."""
        return ".".join(quoted(part) for part in self.settings["table"].split("."))

    def has(self, version: Version) -> bool:
        """Return whether a version was written here; else it is written again, and replaces what is there."""
        return version.attempt in self.written

    def rows(self, version: Version) -> int:
        """Return the number of rows of a version."""
        rows = SparkSession.active().table(self.name).where(F.col(_VERSION) == version.attempt)
        (count,) = single_row(rows.agg(F.count(F.lit(1))))
        return int(count)
