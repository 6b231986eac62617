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
from dataclasses import dataclass, field

from pyspark.sql import DataFrame, SparkSession, functions as F

import recommender.constants as C
from recommender.errors import InputError, StorageError
from recommender.publishing.places import Unpointed
from recommender.publishing.target import Version
from recommender.settings.step import TableName, step
from recommender.sources.loaded import quoted
from recommender.spark.errors import explained
from recommender.stage4.folder_files import check_rows

_VERSION = "version"


@step
class CatalogTable:
    """Write each version into a partition of a table.

    The column `version` is the id of the attempt, as the channel's record has it.

    The table is made where it is missing, in the session's default format. A reader asks for the version that it wants:
    which one is live is in the newest record of the channel (``attempt``). The owner of the table drops old partitions.

    Init parameters:
        table: catalog.schema.table; null: nothing is delivered there.
    Execution args:
        recommendations: the published table.
        target: what `target` has returned. version: what the table is. channel: of no matter here.
    Execution returns:
        nothing; the partition is there then, complete.
    Raises:
        ConfigError: the name is invalid. InputError: the table has other columns. StorageError: rows are missing
            afterwards.
    Persist strategy: a partition, which is replaced as a whole.
    """

    table: TableName | None = None

    @property
    def is_wanted(self) -> bool:
        return self.table is not None

    def target(self, types: Mapping[str, str]) -> "Partitions":  # noqa: ARG002
        return Partitions({"table": self.table})

    def execute(self, recommendations: DataFrame, target: "Partitions", version: Version, channel: str) -> None:  # noqa: ARG002
        try:
            self._replace(recommendations, target, version)
        except InputError:
            raise
        except Exception as error:
            reason = str(error).strip().split("\n", 1)[0][:200]
            sentence = f"{self.table} cannot be written ({reason}); see stage4.table"
            raise explained(error) or StorageError("TARGET_FAILED", sentence) from error
        check_rows(recommendations, target.rows(version), str(self.table))
        target.written.add(version.attempt)

    def _replace(self, recommendations: DataFrame, target: "Partitions", version: Version) -> None:
        """Write the partition, whatever is there."""
        spark, name = recommendations.sparkSession, target.name
        versioned = recommendations.withColumn(_VERSION, F.lit(version.attempt))
        if not spark.catalog.tableExists(name):
            versioned.limit(0).write.partitionBy(_VERSION).mode("ignore").saveAsTable(name)
        there = [column for column in spark.table(name).columns if column.lower() != _VERSION]  # as Spark finds names
        if sorted(map(str.lower, there)) != sorted(map(str.lower, recommendations.columns)):
            sentence = f"{self.table} has the columns {', '.join(there)}, and not {', '.join(recommendations.columns)}"
            raise InputError("TARGET_SCHEMA", f"{sentence}; drop the table, or set another stage4.table.table")
        columns = ", ".join(map(quoted, there))  # INSERT takes them by their place, whatever they are called
        recommendations.orderBy(C.VISITOR, C.RANK).createOrReplaceTempView("recommender_published")
        try:
            spark.sql(
                f"INSERT OVERWRITE TABLE {name} PARTITION ({_VERSION} = '{version.attempt}') "  # noqa: S608 - quoted
                f"SELECT {columns} FROM recommender_published"
            )
        finally:
            spark.catalog.dropTempView("recommender_published")


@dataclass
class Partitions(Unpointed):
    """A table with a partition per version; only its writer knows whether one is complete."""

    written: set[str] = field(default_factory=set)  # attempts

    @property
    def name(self) -> str:
        """The table's name, quoted."""
        return ".".join(quoted(part) for part in self.settings["table"].split("."))

    def has(self, version: Version) -> bool:
        """Return whether a version was written here; else it is written again, and replaces what is there."""
        return version.attempt in self.written

    def rows(self, version: Version) -> DataFrame:
        """Return the rows of a version."""
        return SparkSession.active().table(self.name).where(F.col(_VERSION) == version.attempt)
