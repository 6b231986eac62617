"""Load the event log.

Example usage:
>>> import pathlib, tempfile
>>> path = pathlib.Path(tempfile.mkdtemp()) / "events.csv"
>>> _ = path.write_text("event,user,timestamp,itemid,colour\\nview,7,1430622000000,1,red\\n")
>>> DataLoader(event_filename=str(path), columns={"visitorid": "user"}).execute().show()
+-------------+---------+-----+------+-------------+
|    timestamp|visitorid|event|itemid|transactionid|
+-------------+---------+-----+------+-------------+
|1430622000000|        7| view|     1|         NULL|
+-------------+---------+-----+------+-------------+
<BLANKLINE>
"""

from collections.abc import Mapping
from typing import Literal

from pyspark.sql import Column, DataFrame, SparkSession, functions as F, types as T

import recommender.constants as C
from recommender.base import Annotated, ColumnName, Field, field, step
from recommender.errors import ConfigError, InputError, Mistake, SchemaError
from recommender.spark_errors import explained

_REQUIRED = (C.TIMESTAMP, C.VISITOR, C.EVENT, C.ITEM)


@step
class DataLoader:
    """Load events from CSV or Parquet into one schema, columns found by name.

    Init parameters:
        event_filename: file, folder or glob with the events; null lets the job generate sample events.
        file_format: csv, parquet, or auto: csv where the name contains ".csv" (also compressed), else parquet.
        delimiter: the character between the cells of a CSV file.
        columns: event column -> the log's name for it; a column that is not listed has its own name.
        id_type: type of visitorid and itemid, long (64 bit) or string.
    Execution args:
        none; the file is read through the active session.
    Execution returns:
        One row per event, order undefined: timestamp long (ms since epoch, UTC), visitorid and itemid as `id_type`,
        event string, transactionid string. A cell that is empty or cannot be read is null; transactionid is null where
        the log has no such column. Further columns are dropped.
    Raises:
        InputError: the file is missing, empty or unreadable. SchemaError: a column is missing or of a wrong type.
    Persist strategy: none of its own; the log is the source of truth.
    """

    event_filename: str | None = None
    file_format: Literal["auto", "csv", "parquet"] = "auto"
    delimiter: Annotated[str, Field(pattern=r'^[^"\\\r\n]$')] = ","
    columns: Mapping[str, ColumnName] = field(default_factory=dict)
    id_type: Literal["long", "string"] = "long"

    def __post_init__(self) -> None:
        unknown = sorted(set(self.columns) - set(C.EVENT_COLUMNS))
        if unknown:
            raise ValueError(f"columns names {', '.join(unknown)}, but an event has {', '.join(C.EVENT_COLUMNS)}")

    def execute(self) -> DataFrame:
        """Return the events; see the class."""
        if not self.event_filename:
            raise ConfigError(Mistake("CFG_MISSING", "event_filename", "event_filename names no events to load"))
        rows = self._read(SparkSession.active(), self.event_filename)
        if not rows.columns or rows.isEmpty():
            raise InputError("INPUT_EMPTY", f"{self.event_filename} has no events")
        return rows.select(*(self._column(rows, name).alias(name) for name in C.EVENT_COLUMNS))

    def _read(self, spark: SparkSession, path: str) -> DataFrame:
        is_csv = self.file_format == "csv" or (self.file_format == "auto" and ".csv" in path)
        try:
            if is_csv:
                # No schema: every cell is a string under the header's name, and is cast by name below.
                return spark.read.csv(path, header=True, sep=self.delimiter, escape='"')
            return spark.read.parquet(path)
        except Exception as error:
            text = str(error)
            if "PATH_NOT_FOUND" in text:
                raise InputError("INPUT_NOT_FOUND", f"{path} does not exist; see data_loader.event_filename") from error
            if "UNABLE_TO_INFER_SCHEMA" in text:
                raise InputError("INPUT_EMPTY", f"{path} has no events") from error
            if "No FileSystem for scheme" in text or "ClassNotFoundException" in text:
                raise InputError("INPUT_NOT_FOUND", f"{path}: this Spark has no library for its file system") from error
            if explained(error):
                sentence = f"{path} cannot be read as {'CSV' if is_csv else 'Parquet'}; see data_loader.file_format"
                raise InputError("INPUT_CORRUPT", sentence) from error
            raise

    def _column(self, rows: DataFrame, name: str) -> Column:
        """Return one of our columns, made from the log's column of the mapped name."""
        source = self.columns.get(name, name)
        if source not in rows.columns:
            if name not in _REQUIRED and name not in self.columns:
                return F.lit(None).cast("string")
            found = ", ".join(column if column.isprintable() else ascii(column) for column in rows.columns)[:300]
            hint = "map other names with data_loader.columns"
            raise SchemaError("SCHEMA_MISSING", f"{source}; found [{found}] in {self.event_filename}; {hint}")
        wanted = {C.TIMESTAMP: "bigint", C.VISITOR: self._id_type, C.ITEM: self._id_type}.get(name, "string")
        return self._converted(source, rows.schema[source].dataType, wanted)

    @property
    def _id_type(self) -> str:
        return "bigint" if self.id_type == "long" else "string"

    def _converted(self, source: str, found: T.DataType, wanted: str) -> Column:
        quoted = f"`{source.replace('`', '``')}`"
        if isinstance(found, T.StringType):
            return F.expr(f"try_cast(nullif(trim({quoted}), '') as {wanted})")
        if isinstance(found, T.TimestampType) and wanted == "bigint":
            return F.expr(f"unix_millis({quoted})")
        if isinstance(found, T.IntegralType) or wanted == "string":
            return F.col(quoted).cast(wanted)
        sentence = f"{source} expected {wanted} found {found.simpleString()}, file {self.event_filename}"
        raise SchemaError("SCHEMA_TYPE", sentence)
