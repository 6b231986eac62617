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

from recommender import schemas


def as_stored(table: str, rows: DataFrame) -> DataFrame:
    """Return the columns of a table's contract, cast to its types; an id keeps its own type."""
    return rows.select(
        *(
            F.col(name) if type_ == "id" else F.col(name).cast(type_).alias(name)
            for name, type_ in schemas.fields(table)
        )
    )


def write_table(path: str, name: str, rows: DataFrame) -> None:
    """Write a table to the new folder of its name below `path`."""
    difference = schemas.mismatch(name, rows.dtypes)
    if difference:
        raise TypeError(f"{name} breaks its contract: {difference}")
    rows.write.mode("errorifexists").parquet(f"{path}/{name}")


def read_table(path: str, schema: StructType) -> DataFrame:
    """Read a table with the schema that it was written with."""
    return SparkSession.active().read.schema(schema).parquet(path)
