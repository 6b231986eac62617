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

from collections.abc import Mapping
from typing import Any

from pyspark.sql import DataFrame

from recommender.publishing.folder import FolderTarget
from recommender.publishing.places import open_folder
from recommender.publishing.target import Version
from recommender.settings.step import Annotated, Field, step
from recommender.stage4.reading_back import check_rows


@step
class ParquetFiles:
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

    path: str | None = None
    keep_versions: Annotated[int, Field(ge=1, le=100)] = 2

    @property
    def is_wanted(self) -> bool:
        """Whether anything is delivered there."""
        return self.path is not None

    def target(self, types: Mapping[str, str]) -> FolderTarget:  # noqa: ARG002
        """Return the folder as a place that versions are delivered to."""
        settings: dict[str, Any] = {"path": self.path, "format": "parquet", "keep_versions": self.keep_versions}
        return open_folder(settings)

    def execute(self, recommendations: DataFrame, target: FolderTarget, version: Version, channel: str) -> None:  # noqa: ARG002
        """Write a version; see the class."""
        folder = target.folder(version)
        writer = recommendations.write.mode("error").option("mapreduce.fileoutputcommitter.algorithm.version", "1")
        url = target.files.url(folder)
        writer.parquet(url)
        check_rows(recommendations, recommendations.sparkSession.read.schema(recommendations.schema).parquet(url), url)
        target.finish(version, folder)
