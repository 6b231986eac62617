"""Deliver the recommendations as CSV, for people who open them in a spreadsheet.

Example usage:
>>> import tempfile
>>> rows = spark.createDataFrame([(7, 1, "=1+1", 0.5, "als")],
...                              "visitorid long, rank int, itemid string, score float, source string")
>>> step = CsvFiles(path=tempfile.mkdtemp())
>>> target, version = step.target({}), Version("stage4", 3, "5ee8" * 8, "monday")
>>> step.execute(rows, target, version, "live")
>>> target.show(version, "live", 0)
1
>>> spark.read.text(f"{step.path}/{target.current('live')}").collect()[1]
Row(value='"7","1","\\'=1+1","0.5","als"')
"""

from collections.abc import Mapping
from typing import Any, Final

from pyspark.sql import Column, DataFrame, functions as F, types as T

import recommender.constants as C
from recommender.publishing.folder import FolderTarget
from recommender.publishing.places import open_folder
from recommender.publishing.target import Version
from recommender.settings.step import Annotated, Field, step
from recommender.stage4.reading_back import check_rows

# What a spreadsheet takes for the beginning of a formula; also as its wide forms, and behind a line's end.
_FORMULA: Final = "^[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
_ROWS_PER_FILE: Final = 1_000_000  # a spreadsheet opens 1,048,576


@step
class CsvFiles:
    """Write each version as CSV to a folder of its own, and name it in a record of the channel.

    A text that a spreadsheet would take for a formula gets a quote before it, which the spreadsheet does not show, and
    every cell is in double quotes, so that who separates cells by another sign finds none inside a text. Numbers stay
    as they are. A file has a line with the names of the columns and at most a million rows, in the order of visitors.

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
    Persist strategy: CSV, UTF-8.
    """

    path: str | None = None
    keep_versions: Annotated[int, Field(ge=1, le=100)] = 2

    @property
    def is_wanted(self) -> bool:
        """Whether anything is delivered there."""
        return self.path is not None

    def target(self, types: Mapping[str, str]) -> FolderTarget:  # noqa: ARG002
        """Return the folder as a place that versions are delivered to."""
        settings: dict[str, Any] = {"path": self.path, "format": "csv", "keep_versions": self.keep_versions}
        return open_folder(settings)

    def execute(self, recommendations: DataFrame, target: FolderTarget, version: Version, channel: str) -> None:  # noqa: ARG002
        """Write a version; see the class."""
        folder = target.folder(version)
        kinds = {field.name: field.dataType for field in recommendations.schema}
        cells = [_defused(name) if isinstance(kind, T.StringType) else F.col(name) for name, kind in kinds.items()]
        writer = recommendations.orderBy(C.VISITOR, C.RANK).select(*cells).write.mode("error")
        options = {
            "header": "true",
            "escape": '"',
            "quoteAll": "true",
            "ignoreLeadingWhiteSpace": "false",
            "emptyValue": "",
        }
        committed = {"mapreduce.fileoutputcommitter.algorithm.version": "1", "maxRecordsPerFile": str(_ROWS_PER_FILE)}
        url = target.files.url(folder)
        writer.options(**options, **committed, ignoreTrailingWhiteSpace="false").csv(url)
        reader = recommendations.sparkSession.read.options(**options, multiLine="true")
        check_rows(recommendations, reader.schema(recommendations.schema).csv(url), url)
        target.finish(version, folder)


def _defused(name: str) -> Column:
    """Return a text that no spreadsheet takes for a formula."""
    text = F.col(name)
    return F.when(text.rlike(_FORMULA), F.concat(F.lit("'"), text)).otherwise(text).alias(name)
