"""Indexes are dense, in the order of the ids, and never move."""

import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pyspark.sql import DataFrame, SparkSession

from recommender.errors import DataQualityError, SchemaError
from recommender.stage1.steps import ColumnEncoder, VisitorEncoder, column_encoder


def ids(spark: SparkSession, values: list[Any], type_: str = "long") -> DataFrame:
    return spark.createDataFrame([(value,) for value in values], f"itemid {type_}")


def mapping(encoder: DataFrame) -> dict[Any, int]:
    return {row[0]: row[1] for row in encoder.collect()}


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=st.lists(st.integers(-(2**62), 2**62) | st.integers(0, 9), max_size=40),
    second=st.lists(st.integers(-(2**62), 2**62) | st.integers(0, 9), max_size=40),
    per_bucket=st.sampled_from([3, 100_000]),
)
def test_indexes_are_dense_sorted_and_append_only(
    spark: SparkSession, first: list[int], second: list[int], per_bucket: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column_encoder, "_IDS_PER_BUCKET", per_bucket)
        patch.setattr(column_encoder, "_IDS_PER_SAMPLE", 1)
        encoder = ColumnEncoder().execute(ids(spark, first))
        more = ColumnEncoder().execute(ids(spark, second), known=encoder)
        known, both = mapping(encoder), mapping(more)
    new = sorted(set(second) - set(first))
    assert known == {value: index for index, value in enumerate(sorted(set(first)))}
    assert both == known | {value: index for index, value in enumerate(new, start=len(known))}
    assert more.count() == len(both)


def test_strings_are_numbered_in_their_order_over_many_buckets(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(column_encoder, "_IDS_PER_BUCKET", 7)
    monkeypatch.setattr(column_encoder, "_IDS_PER_SAMPLE", 2)
    values = [f"item-{number * 7919 % 1009:x}" for number in range(100)]
    encoder = ColumnEncoder().execute(ids(spark, values, "string"))
    assert mapping(encoder) == {value: index for index, value in enumerate(sorted(values))}


def test_the_first_are_numbered_before_the_others(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_encoder, "_IDS_PER_BUCKET", 7)
    monkeypatch.setattr(column_encoder, "_IDS_PER_SAMPLE", 1)
    known = ColumnEncoder().execute(ids(spark, [50, 70]))
    first = [value for value in range(0, 100, 3) if value != 50]
    encoder = ColumnEncoder().execute(ids(spark, list(range(100))), known=known, first=ids(spark, first))
    others = [value for value in range(100) if value not in {*first, 50, 70}]
    assert mapping(encoder) == {value: index for index, value in enumerate([50, 70, *first, *others])}


@pytest.mark.parametrize(
    ("kind", "ids"),
    [
        ("long", [2**62, -5, 2**31, 7]),
        ("string", ["b", "", "ä", "a"]),
        ("string", [str(uuid.UUID(int=n)) for n in (9, 2**100, 4)]),
        ("decimal(20,0)", [Decimal(3), Decimal(10**19)]),
    ],
)
def test_25_any_type_of_id_is_encoded(spark: SparkSession, kind: str, ids: list[Any]) -> None:
    encoder = ColumnEncoder().execute(spark.createDataFrame([(one,) for one in ids], f"itemid {kind}"))
    assert {row.itemid: row.item_index for row in encoder.collect()} == {one: n for n, one in enumerate(sorted(ids))}


def test_the_partitioning_does_not_matter(spark: SparkSession) -> None:
    rows = spark.range(50).selectExpr("id * 31 % 17 AS itemid")
    assert mapping(ColumnEncoder().execute(rows)) == mapping(ColumnEncoder().execute(rows.repartition(7)))


def test_nulls_have_no_index(spark: SparkSession) -> None:
    assert mapping(ColumnEncoder().execute(ids(spark, [None, 5]))) == {5: 0}


def test_the_index_is_an_int_with_the_column_s_name(spark: SparkSession) -> None:
    assert ColumnEncoder().execute(ids(spark, [5])).dtypes == [("itemid", "bigint"), ("item_index", "int")]
    renamed = ColumnEncoder(column_name="itemid", index_column_name="number").execute(ids(spark, [5]))
    assert renamed.columns == ["itemid", "number"]
    assert VisitorEncoder().index == "visitor_index"
    assert ColumnEncoder(column_name="shop").index == "shop_index"


def test_encoding_replaces_the_id_and_drops_unknown_ones(spark: SparkSession) -> None:
    encoder = ColumnEncoder().execute(ids(spark, [5, 9]))
    rows = spark.createDataFrame([(9, 1.0), (7, 2.0)], "itemid long, score double")
    assert [row.asDict() for row in ColumnEncoder().encode(rows, encoder).collect()] == [
        {"item_index": 1, "score": 1.0}
    ]


def test_26_too_many_ids_are_told(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_encoder, "_MAX_INDEX", 2)
    with pytest.raises(DataQualityError, match="TOO_MANY_IDS 3 distinct itemid, at most 2"):
        ColumnEncoder().execute(ids(spark, [1, 2, 3]))


def test_a_missing_column_is_named(spark: SparkSession) -> None:
    with pytest.raises(SchemaError, match=r"SCHEMA_MISSING itemid; found \[id\]; see the encoder's column_name"):
        ColumnEncoder().execute(spark.range(1))


def test_ids_of_another_type_than_before_are_named(spark: SparkSession) -> None:
    known = spark.createDataFrame([("ann", 0)], "visitorid string, visitor_index int")
    told = "SCHEMA_TYPE visitorid expected string, as numbered before, found bigint; see the encoder's start_afresh"
    with pytest.raises(SchemaError, match=told):
        ColumnEncoder("visitorid").execute(spark.createDataFrame([(7,)], "visitorid long"), known)
