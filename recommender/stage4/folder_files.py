"""The base of the steps that deliver files to a folder; such a step only says how the rows are written.

Example usage:
>>> class TextFiles(FolderFiles):
...     FORMAT = "text"
>>> TextFiles(path="/srv/lists").is_wanted, TextFiles().is_wanted
(True, False)
>>> TextFiles(path="/srv/lists").target({}).settings["format"]
'text'
>>> check_rows(*(spark.range(rows) for rows in (3, 2)), "shop.lists")
Traceback (most recent call last):
recommender.errors.StorageError: AUDIT_ROWS of 3 rows that were written to shop.lists, 2 can be read back; ...
"""

from collections.abc import Mapping
from typing import ClassVar

from pyspark.sql import DataFrame, functions as F

from recommender.errors import StorageError
from recommender.publishing.folder import FolderTarget
from recommender.publishing.places import open_folder
from recommender.publishing.target import Version
from recommender.settings.step import Annotated, Field, step
from recommender.spark.aggregates import single_row

# A task that is tried twice leaves nothing of its first try.
COMMITTED = {"mapreduce.fileoutputcommitter.algorithm.version": "1"}


@step
class FolderFiles:
    """Write each version to a folder of its own, and name it in a record of the channel.

    Class attributes:
        FORMAT: name of the format, for the place's settings.
    """

    FORMAT: ClassVar[str]

    path: str | None = None
    keep_versions: Annotated[int, Field(ge=1, le=100)] = 2

    @property
    def is_wanted(self) -> bool:
        """Whether anything is delivered there."""
        return self.path is not None

    def target(self, types: Mapping[str, str]) -> FolderTarget:  # noqa: ARG002
        """Return the folder as a place that versions are delivered to."""
        return open_folder({"path": self.path, "format": self.FORMAT, "keep_versions": self.keep_versions})

    def execute(self, recommendations: DataFrame, target: FolderTarget, version: Version, channel: str) -> None:  # noqa: ARG002
        """Write a version, and read it back; see the class."""
        folder = target.folder(version)
        url = target.files.url(folder)
        check_rows(recommendations, self.written(recommendations, url), url)
        target.finish(version, folder)

    def written(self, rows: DataFrame, url: str) -> DataFrame:
        """Write rows to a new folder, and return what a reader finds there."""
        raise NotImplementedError


def check_rows(sent: DataFrame, found: DataFrame, place: str) -> None:
    """Raise a StorageError if not as many rows can be read back from a place as were sent there."""
    counts = [int(single_row(rows.agg(F.count(F.lit(1))))[0]) for rows in (sent, found)]
    if counts[0] != counts[1]:
        sentence = f"of {counts[0]:,} rows that were written to {place}, {counts[1]:,} can be read back"
        raise StorageError("AUDIT_ROWS", f"{sentence}; look at it, and start the run again")
