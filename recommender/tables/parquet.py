"""Write and read the stored tables as Parquet, with the schemas of their contracts.

Example usage:
>>> import tempfile
>>> path = tempfile.mkdtemp()
>>> rows = spark.createDataFrame([(3, 2.0)], "item_index int, score double")
>>> write_table(path, "popularity", rows)
>>> read_table(f"{path}/popularity", rows.schema).collect()
[Row(item_index=3, score=2.0)]
"""

from pyspark.sql import DataFrame, SparkSession, functions as F
from pyspark.sql.types import StructType

from recommender.tables import schemas


def as_stored(table: str, rows: DataFrame) -> DataFrame:
    """Return the columns of a table's contract, cast to its types; an id keeps its own type."""
    return rows.select(
        *(
            F.col(name) if type_ == "id" else F.col(name).cast(type_).alias(name)
            for name, type_ in schemas.fields(table)
        )
    )


def write_table(path: str, name: str, rows: DataFrame, part: str = "") -> None:
    """Write a table to the new folder of its name below `path`, or a part of it to a new folder in there."""
    difference = schemas.mismatch(name, rows.dtypes)
    if difference:
        raise TypeError(f"{name} breaks its contract: {difference}")
    # Version 2 of Hadoop's committer shows what a task wrote before the job is done.
    writer = rows.write.mode("error").option("mapreduce.fileoutputcommitter.algorithm.version", "1")
    writer.parquet("/".join(filter(None, (path, name, part))))


def read_table(paths: str | list[str], schema: StructType) -> DataFrame:
    """Read a table, or just the listed files of it, with the schema that it was written with.

    Parquet compares each page with its checksum while it is read.
    """
    spark = SparkSession.active()
    if not paths:
        return spark.createDataFrame([], schema)
    strict = {"ignoreCorruptFiles": "false", "ignoreMissingFiles": "false"}
    checked = {"parquet.page.verify-checksum.enabled": "true", **strict}
    return spark.read.schema(schema).options(**checked).parquet(*([paths] if isinstance(paths, str) else paths))
