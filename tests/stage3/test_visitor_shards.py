"""Shards cut the visitors into parts that are disjoint and complete."""

import pytest
from hypothesis import given, strategies as st
from pyspark.sql import SparkSession

from recommender.errors import ConfigError
from recommender.stage3.steps import VisitorShards


def test_parts_are_disjoint_and_complete(spark: SparkSession) -> None:
    visitors = spark.range(500).selectExpr("cast(id as int) as visitor_index", "id as more")
    parts = [VisitorShards().execute(visitors, shard, 4).collect() for shard in range(4)]
    assert all(parts)
    assert sorted(row["visitor_index"] for part in parts for row in part) == list(range(500))
    assert all(row["visitor_index"] == row["more"] for part in parts for row in part)


def test_all_rows_of_a_visitor_are_in_one_part(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(7, "view"), (7, "addtocart"), (7, "view")], "visitor_index int, event string")
    sizes = sorted(VisitorShards().execute(rows, shard, 3).count() for shard in range(3))
    assert sizes == [0, 0, 3]


def test_a_single_part_is_everything(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(7,)], "visitor_index int")
    assert VisitorShards().execute(rows, 0, 1) is rows


@given(visitors=st.integers(0, 10**10), size=st.integers(1, 2 * 10**9))
def test_there_are_enough_parts_and_not_one_more(visitors: int, size: int) -> None:
    number = VisitorShards(visitors_per_shard=size).number_of(visitors)
    assert number >= 1
    assert number * size >= visitors
    assert number == 1 or (number - 1) * size < visitors


@pytest.mark.parametrize("size", [0, -1, 2 * 10**9 + 1])
def test_a_size_out_of_range_is_told(size: int) -> None:
    with pytest.raises(ConfigError, match=f"CFG_RANGE visitors_per_shard must be 1..2000000000, got {size}"):
        VisitorShards(visitors_per_shard=size)


def test_a_visitor_s_part_does_not_depend_on_the_other_rows(spark: SparkSession) -> None:
    schema = "visitor_index int"
    many = spark.createDataFrame([(n,) for n in range(99, -1, -1)], schema)
    few = spark.createDataFrame([(n,) for n in range(7)], schema)
    for shard in range(3):
        part = {row["visitor_index"] for row in VisitorShards().execute(many, shard, 3).collect()}
        assert {row["visitor_index"] for row in VisitorShards().execute(few, shard, 3).collect()} == part & set(
            range(7)
        )


def test_no_visitors_have_one_part_and_no_rows(spark: SparkSession) -> None:
    none = spark.createDataFrame([], "visitor_index int")
    assert VisitorShards().number_of(0) == 1
    assert VisitorShards().execute(none, 1, 2).count() == 0
