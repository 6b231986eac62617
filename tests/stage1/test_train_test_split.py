"""The split value is numpy's percentile, whatever the data."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pyspark.sql import DataFrame, SparkSession

from recommender.errors import ConfigError, InputError, SchemaError
from recommender.stage1.steps import train_test_split
from recommender.stage1.steps.train_test_split import TrainTestSplit


def values(spark: SparkSession, numbers: list[int] | list[float], type_: str = "long") -> DataFrame:
    return spark.createDataFrame([(n,) for n in numbers], f"visitorid {type_}")


@pytest.fixture
def hundred(spark: SparkSession) -> DataFrame:
    return spark.range(100).selectExpr("id AS visitorid", "99 - id AS anotherid")


def test_the_seed_s_default_keeps_ninety_percent(hundred: DataFrame) -> None:
    train, test = TrainTestSplit().execute(hundred)
    assert train.count() == 90
    assert test.agg({"visitorid": "min"}).collect()[0][0] == 90


def test_the_seed_s_fifty_percent(hundred: DataFrame) -> None:
    train, test = TrainTestSplit(train_percentile=50).execute(hundred)
    assert train.count() == 50
    assert test.agg({"visitorid": "min"}).collect()[0][0] == 50


def test_the_seed_s_other_column(hundred: DataFrame) -> None:
    train, test = TrainTestSplit(column_name="anotherid").execute(hundred)
    assert train.count() == 90
    assert test.agg({"visitorid": "min", "anotherid": "min"}).collect()[0].asDict() == {
        "min(visitorid)": 0,
        "min(anotherid)": 90,
    }


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    numbers=st.lists(st.integers(-(2**40), 2**40) | st.integers(0, 5), min_size=20, max_size=60),
    percentile=st.floats(0, 100) | st.sampled_from([0, 50, 90, 100]),
    exact_rows=st.sampled_from([1, 5, 200_000]),
)
def test_the_split_value_is_numpy_s(
    spark: SparkSession, numbers: list[int], percentile: float, exact_rows: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_test_split, "_EXACT_ROWS", exact_rows)
        found = TrainTestSplit(train_percentile=percentile).split_value(values(spark, numbers))
    assert found == np.percentile(np.array(numbers), percentile)


def test_the_split_value_of_fractions_is_numpy_s(spark: SparkSession) -> None:
    numbers = [0.25, -1.5, 3.125, 8.0, 8.0, 1e9]
    for percentile in (0, 33.3, 90, 100):
        found = TrainTestSplit(train_percentile=percentile).split_value(values(spark, numbers, "double"))
        assert found == np.percentile(np.array(numbers), percentile)


def test_many_values_are_bracketed_and_not_counted(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []
    counts = train_test_split._counts

    def spy(rows: DataFrame) -> list[tuple[object, int]]:
        counted.append(rows.count())
        return counts(rows)

    monkeypatch.setattr(train_test_split, "_counts", spy)
    monkeypatch.setattr(train_test_split, "_EXACT_ROWS", 2_000)
    rows = spark.range(100_000).selectExpr("(id * 7919) % 100003 AS visitorid")
    expected = np.percentile((np.arange(100_000) * 7919) % 100_003, 90)
    assert TrainTestSplit().split_value(rows) == expected
    assert counted[0] <= 2_000


def test_a_sketch_that_is_off_by_far_changes_nothing(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_test_split, "_EXACT_ROWS", 10)
    monkeypatch.setattr(train_test_split, "_ACCURACY", 3)
    monkeypatch.setattr(train_test_split, "_MARGIN", 0.001)
    rows = spark.range(500).withColumnRenamed("id", "visitorid")
    assert TrainTestSplit(train_percentile=77).split_value(rows) == np.percentile(np.arange(500), 77)


def test_the_order_of_the_rows_does_not_matter(spark: SparkSession) -> None:
    numbers = [5, 1, 9, 9, 2, 7, 7, 3]
    expected = np.percentile(numbers, 90)
    for order in (numbers, numbers[::-1], sorted(numbers)):
        assert TrainTestSplit().split_value(values(spark, order).repartition(3)) == expected


def test_every_row_is_in_one_part(spark: SparkSession) -> None:
    rows = values(spark, [4, 4, 4, 4, 8, 15, 16, 23, 42])
    train, test = TrainTestSplit(train_percentile=50).execute(rows)
    both = sorted(row[0] for row in train.unionByName(test).collect())
    assert both == [4, 4, 4, 4, 8, 15, 16, 23, 42]
    assert {row[0] for row in train.collect()} == {4}


def test_equal_values_are_all_in_the_test_part(spark: SparkSession) -> None:
    train, test = TrainTestSplit().execute(values(spark, [3, 3, 3]))
    assert (train.count(), test.count()) == (0, 3)


def test_a_timestamp_of_milliseconds_is_split_exactly(spark: SparkSession) -> None:
    numbers = [1_430_622_000_000 + 86_400_000 * day for day in range(10)]
    assert TrainTestSplit().split_value(values(spark, numbers)) == np.percentile(numbers, 90)


@pytest.mark.parametrize("exact_rows", [200_000, 30])
@pytest.mark.parametrize("first", [2**63 - 100, -(2**63)])
def test_integers_that_a_float_rounds_are_split_exactly(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, first: int, exact_rows: int
) -> None:
    monkeypatch.setattr(train_test_split, "_EXACT_ROWS", exact_rows)
    split = TrainTestSplit()
    rows = values(spark, [first + n for n in range(100)])
    train, test = split.execute(rows)
    assert sorted(row[0] - first for row in train.collect()) == list(range(90))
    assert sorted(row[0] - first for row in test.collect()) == list(range(90, 100))
    assert split.split_value(rows) == first + 90  # the least that is not below first + 89.1


def test_rows_without_a_value_are_in_neither_part(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(1.0,), (None,), (float("nan"),), (2.0,)], "visitorid double")
    train, test = TrainTestSplit(train_percentile=50).execute(rows)
    assert ([row[0] for row in train.collect()], [row[0] for row in test.collect()]) == ([1.0], [2.0])


def test_no_rows_are_an_error(spark: SparkSession) -> None:
    with pytest.raises(InputError, match="INPUT_EMPTY train_test_split: no row has a visitorid to split by"):
        TrainTestSplit().execute(values(spark, []))


def test_a_missing_column_is_named(spark: SparkSession) -> None:
    with pytest.raises(SchemaError, match=r"SCHEMA_MISSING day; found \[visitorid\]; see train_test_split.column_name"):
        TrainTestSplit(column_name="day").execute(values(spark, [1]))


def test_a_column_that_is_no_number_is_named(spark: SparkSession) -> None:
    rows = spark.createDataFrame([("a",)], "visitorid string")
    with pytest.raises(
        SchemaError,
        match=r"found string; text has no percentile: set train_test_split\.column_name: timestamp",
    ):
        TrainTestSplit().execute(rows)


@pytest.mark.parametrize("percentile", [-1, 100.5])
def test_a_percentile_out_of_range_is_refused(percentile: float) -> None:
    with pytest.raises(ConfigError, match=r"train_percentile must be 0..100, got"):
        TrainTestSplit(train_percentile=percentile)
