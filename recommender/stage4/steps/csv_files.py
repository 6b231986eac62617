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

from typing import ClassVar, Final

from pyspark.sql import Column, DataFrame, functions as F, types as T

import recommender.constants as C
from recommender.publishing.target import Version  # noqa: F401 - for the example
from recommender.settings.step import step
from recommender.stage4.folder_files import COMMITTED, FolderFiles

# What a spreadsheet takes for the beginning of a formula; also as its wide forms, and behind a line's end.
_FORMULA: Final = "^[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
_ROWS_PER_FILE: Final = 1_000_000  # a spreadsheet opens 1,048,576
_OPTIONS: Final = {
    "header": "true",
    "escape": '"',
    "quoteAll": "true",
    "ignoreLeadingWhiteSpace": "false",
    "emptyValue": "",
}


@step
class CsvFiles(FolderFiles):
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

    FORMAT: ClassVar[str] = "csv"

    def written(self, rows: DataFrame, url: str) -> DataFrame:
        kinds = {field.name: field.dataType for field in rows.schema}
        cells = [_defused(name) if isinstance(kind, T.StringType) else F.col(name) for name, kind in kinds.items()]
        writer = rows.orderBy(C.VISITOR, C.RANK).select(*cells).write.mode("error").options(**_OPTIONS, **COMMITTED)
        writer.options(maxRecordsPerFile=str(_ROWS_PER_FILE), ignoreTrailingWhiteSpace="false").csv(url)
        return rows.sparkSession.read.options(**_OPTIONS, multiLine="true").schema(rows.schema).csv(url)


def _defused(name: str) -> Column:
    """Return a text that no spreadsheet takes for a formula."""
    text = F.col(name)
    return F.when(text.rlike(_FORMULA), F.concat(F.lit("'"), text)).otherwise(text).alias(name)
