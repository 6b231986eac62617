"""The recommendations in a table of the catalog, a partition per version."""

from collections.abc import Iterator

import pytest
from pyspark.sql import DataFrame, SparkSession

from recommender.errors import ConfigError, InputError, StorageError
from recommender.publishing.target import Version
from recommender.stage4.steps import CatalogTable

SCHEMA = "visitorid long, rank int, itemid long, score float, source string"
TABLE = "default.lists_of_the_test"


def version(number: int) -> Version:
    return Version("stage4", number, f"{number:032x}", f"run-{number}")


def lists(spark: SparkSession, item: int, visitors: int = 3) -> DataFrame:
    rows = [(visitor, rank, item, 1.0 / rank, "als") for visitor in range(visitors) for rank in (2, 1)]
    return spark.createDataFrame(rows, SCHEMA)


@pytest.fixture(autouse=True)
def no_table(spark: SparkSession) -> Iterator[None]:
    yield
    spark.sql(f"DROP TABLE IF EXISTS {TABLE}")


def deliver(spark: SparkSession, number: int, rows: DataFrame) -> None:
    step = CatalogTable(table=TABLE)
    target = step.target({})
    assert not target.has(version(number))
    step.execute(rows, target, version(number), "live")
    assert target.has(version(number))


def test_each_version_has_a_partition(spark: SparkSession) -> None:
    deliver(spark, 1, lists(spark, 7))
    deliver(spark, 2, lists(spark, 8))
    counts = spark.table(TABLE).groupBy("version", "itemid").count().orderBy("version").collect()
    assert [tuple(row) for row in counts] == [(f"{1:032x}", 7, 6), (f"{2:032x}", 8, 6)]
    assert spark.table(TABLE).columns == ["visitorid", "rank", "itemid", "score", "source", "version"]


def test_a_second_try_replaces_what_the_first_has_left(spark: SparkSession) -> None:
    deliver(spark, 1, lists(spark, 7, visitors=2))  # what a run has left that was killed
    deliver(spark, 2, lists(spark, 9))
    deliver(spark, 1, lists(spark, 8))
    counts = spark.table(TABLE).groupBy("version", "itemid").count().orderBy("version").collect()
    assert [tuple(row) for row in counts] == [(f"{1:032x}", 8, 6), (f"{2:032x}", 9, 6)]


def test_a_table_whose_columns_are_in_another_order_gets_each_its_own(spark: SparkSession) -> None:
    columns = "ItemId long, Score float, version string, Rank int, VisitorId long, Source string"
    spark.sql(f"CREATE TABLE {TABLE} ({columns}) USING parquet PARTITIONED BY (version)")
    deliver(spark, 1, lists(spark, 7))
    first = spark.table(TABLE).orderBy("visitorid", "rank").select("visitorid", "rank", "itemid").first()
    assert first is not None
    assert tuple(first) == (0, 1, 7)


def test_a_table_with_other_columns_is_told(spark: SparkSession) -> None:
    spark.sql(f"CREATE TABLE {TABLE} (item long, version string) USING parquet PARTITIONED BY (version)")
    with pytest.raises(InputError, match=r"TARGET_SCHEMA default.lists_of_the_test has the columns item, and not visi"):
        deliver(spark, 1, lists(spark, 7))


def test_a_table_that_cannot_be_written_is_told(spark: SparkSession) -> None:
    step = CatalogTable(table="no_such_schema.lists")
    with pytest.raises(
        StorageError, match=r"TARGET_FAILED no_such_schema.lists cannot be written \(.*; see stage4.table"
    ):
        step.execute(lists(spark, 7), step.target({}), version(1), "live")


def test_sql_in_the_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="BAD_IDENTIFIER table must be a name"):
        CatalogTable(table="lists; DROP TABLE x; --")
