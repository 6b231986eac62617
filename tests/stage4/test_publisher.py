from typing import Any

import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession, functions as F

from recommender.errors import ConfigError
from recommender.stage4.steps import Publisher

RECOMMENDATIONS = "visitorid long, rank int, itemid long, score float, source string"
KEYS = [(9, 2), (10, 1), (-3, 1), (9, 1), (9, 10), (10, 2), (2**40, 1), (0, 1)]


def recommendations(spark: SparkSession, keys: list[tuple[int, int]]) -> DataFrame:
    rows = [(visitor, rank, rank + 50, rank / 2, "als") for visitor, rank in keys]
    return spark.createDataFrame(rows, RECOMMENDATIONS).repartition(3)


def test_the_rows_are_sorted_by_visitor_and_rank_as_numbers(spark: SparkSession) -> None:
    published = Publisher().execute(recommendations(spark, KEYS)).collect()
    assert [(row["visitorid"], row["rank"]) for row in published] == sorted(KEYS)


def test_the_rows_are_sorted_across_all_partitions(spark: SparkSession) -> None:
    key = "spark.sql.adaptive.coalescePartitions.enabled"
    before = spark.conf.get(key)
    spark.conf.set(key, "false")
    try:
        published = Publisher().execute(recommendations(spark, KEYS * 2)).select("*", F.spark_partition_id()).collect()
    finally:
        spark.conf.set(key, str(before))
    assert {row[-1] for row in published} == {0, 1}
    assert [row[-1] for row in published] == sorted(row[-1] for row in published)
    assert [(row["visitorid"], row["rank"]) for row in published] == sorted(KEYS * 2)


def test_rows_and_columns_stay_the_same(spark: SparkSession) -> None:
    rows = recommendations(spark, KEYS).withColumn("source", F.expr("if(rank = 2, null, source)"))
    assert_df_equality(Publisher().execute(rows), rows, ignore_row_order=True)


def test_nothing_to_publish_is_published_as_nothing(spark: SparkSession) -> None:
    nothing = spark.createDataFrame([], RECOMMENDATIONS)
    assert_df_equality(Publisher().execute(nothing), nothing)


def test_the_usual_channel_is_live() -> None:
    assert Publisher().channel == "live"
    assert Publisher(channel="candidate").channel == "candidate"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"channel": "beta"}, "CFG_RANGE channel must be one of live, candidate, got 'beta'"),
        ({"chanel": "live"}, "CFG_UNKNOWN_KEY chanel, did you mean channel"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_rule_and_value(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        Publisher(**given)
    assert str(error.value) == sentence
