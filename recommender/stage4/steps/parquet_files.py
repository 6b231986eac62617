"""Deliver the recommendations as Parquet to a folder that other programs read.

Example usage:
>>> import tempfile
>>> rows = spark.createDataFrame([(7, 1, 6, 0.5, "als")],
...                              "visitorid long, rank int, itemid long, score float, source string")
>>> step = ParquetFiles(path=tempfile.mkdtemp())
>>> target, version = step.target({}), Version("stage4", 3, "5ee8" * 8, "monday")
>>> step.execute(rows, target, version, "live")
>>> target.show(version, "live", 0)
1
>>> spark.read.parquet(f"{step.path}/{target.current('live')}").collect()
[Row(visitorid=7, rank=1, itemid=6, score=0.5, source='als')]
"""

from typing import ClassVar

from pyspark.sql import DataFrame

from recommender.publishing.target import Version  # noqa: F401 - for the example
from recommender.settings.step import step
from recommender.stage4.folder_files import COMMITTED, FolderFiles


@step
class ParquetFiles(FolderFiles):
    """Write each version to a folder of its own, and name it in a record of the channel; see docs/publishing.md.

    Init parameters:
        path: folder, or URI of one; null: nothing is delivered there.
        keep_versions: how many of the versions stay that a channel has named last, 1 to 100.
    Execution args:
        recommendations: the published table.
        target: what `target` has returned. version: what the table is. channel: of no matter here.
    Execution returns:
        nothing; the version is there then, complete, and no channel names it yet.
    Raises:
        ConfigError: a parameter is out of range. StorageError: the folder cannot be written.
    Persist strategy: Parquet.
    """

    FORMAT: ClassVar[str] = "parquet"

    def written(self, rows: DataFrame, url: str) -> DataFrame:
        rows.write.mode("error").options(**COMMITTED).parquet(url)
        return rows.sparkSession.read.schema(rows.schema).parquet(url)
