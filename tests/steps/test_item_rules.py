import re
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from recommender.errors import ConfigError, InputError, SchemaError
from recommender.steps import ItemRules

DAY = 86_400_000
ITEMS = [(501, 0, 10 * DAY), (502, 1, 9 * DAY), (503, 2, 2 * DAY), (504, 3, None)]


def allowed(spark: SparkSession, id_type: str = "long", **rules: Any) -> list[int]:
    items = spark.createDataFrame(ITEMS, "itemid long, item_index int, last_timestamp long")
    items = items.withColumn("itemid", items.itemid.cast(id_type))
    found = ItemRules(**rules).execute(items)
    assert found is not None
    assert found.columns == ["item_index"]
    return sorted(row.item_index for row in found.collect())


def listed(path: Path, *ids: str) -> str:
    path.write_text("itemid,why\n" + "".join(f"{one},recalled\n" for one in ids))
    return str(path)


def test_without_a_rule_there_is_nothing_to_look_up(spark: SparkSession) -> None:
    items = spark.createDataFrame(ITEMS, "itemid long, item_index int, last_timestamp long")
    assert ItemRules().execute(items) is None


@pytest.mark.parametrize("id_type", ["long", "string"])
def test_denied_items_are_left_out_and_only_allowed_ones_stay(
    spark: SparkSession, tmp_path: Path, id_type: str
) -> None:
    denied = listed(tmp_path / "denied.csv", "502", " 503 ", "999")
    assert allowed(spark, id_type, deny_filename=denied) == [0, 3]
    assert allowed(spark, id_type, allow_filename=denied) == [1, 2]
    both = listed(tmp_path / "allowed.csv", "501", "502")
    assert allowed(spark, id_type, deny_filename=denied, allow_filename=both) == [0]


@pytest.mark.parametrize("id_type", ["long", "string"])
def test_hidden_items_are_left_out_like_denied_ones(spark: SparkSession, id_type: str) -> None:
    items = spark.createDataFrame(ITEMS, "itemid long, item_index int, last_timestamp long")
    items = items.withColumn("itemid", items.itemid.cast(id_type))
    found = ItemRules(max_days_unseen=8).execute(items, hidden=["502", "tea"])
    assert found is not None
    assert sorted(row.item_index for row in found.collect()) == [0, 2]


def test_lists_are_tables_and_parquet_files_too(spark: SparkSession, tmp_path: Path) -> None:
    ids = spark.createDataFrame([("501",), ("504",)], "itemid string")
    ids.write.parquet(f"{tmp_path}/list")
    ids.write.mode("overwrite").saveAsTable("denied_items")
    try:
        assert allowed(spark, deny_filename=f"{tmp_path}/list") == [1, 2]
        assert allowed(spark, deny_table="denied_items") == [1, 2]
        assert allowed(spark, allow_table="denied_items") == [0, 3]
    finally:
        spark.sql("DROP TABLE denied_items")


def test_an_item_that_was_not_seen_for_long_is_left_out(spark: SparkSession) -> None:
    assert allowed(spark, max_days_unseen=8) == [0, 1, 2]
    assert allowed(spark, max_days_unseen=7.9) == [0, 1]
    assert allowed(spark, max_days_unseen=0.5) == [0]


def test_an_empty_list_of_what_is_allowed_allows_nothing(spark: SparkSession, tmp_path: Path) -> None:
    spark.createDataFrame([], "itemid long").write.parquet(f"{tmp_path}/list")
    assert allowed(spark, allow_filename=f"{tmp_path}/list") == []


def test_what_the_result_depends_on_is_told() -> None:
    rules = ItemRules(deny_filename="a.csv", allow_filename="b.csv", deny_table="shop.hidden")
    assert rules.files == ["a.csv", "b.csv"]
    assert rules.versions(started=False) == {"shop.hidden": None}


def test_a_list_without_the_column_or_that_is_missing_is_told(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("sku\n7\n")
    with pytest.raises(SchemaError, match=r"SCHEMA_MISSING itemid; found \[sku\] in .*list.csv; a list of items has"):
        allowed(spark, deny_filename=f"{tmp_path}/list.csv")
    with pytest.raises(InputError, match=r"nothing.csv does not exist; see item_rules\.deny_filename$"):
        allowed(spark, deny_filename=f"{tmp_path}/nothing.csv")


def test_a_list_of_fractions_that_would_match_nothing_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    spark.createDataFrame([(501.0,)], "itemid double").write.parquet(f"{tmp_path}/list")
    with pytest.raises(SchemaError, match="SCHEMA_TYPE itemid expected whole numbers or text found double in"):
        allowed(spark, deny_filename=f"{tmp_path}/list")


@pytest.mark.parametrize("listed", ["502x", "5.5"])
def test_an_id_that_the_log_cannot_have_is_refused(spark: SparkSession, tmp_path: Path, listed: str) -> None:
    (tmp_path / "list.csv").write_text(f"itemid\n501\n{listed}\n")
    told = (
        r"^SCHEMA_TYPE itemid expected bigint found other text in 1 of 2 rows of \S+; it would match no item, see item"
    )
    with pytest.raises(SchemaError, match=told):
        allowed(spark, deny_filename=f"{tmp_path}/list.csv")


@pytest.mark.parametrize(
    ("text", "id_type"),
    [
        ("itemid\n501\ncustomer@shop.org\n", "long"),
        ("itemid,note\n501,a\n502,b,c\n", "long"),
        ("501\n", "long"),
        ("itemid\n501\ncaf\u00e9\n", "string"),
        ("", "long"),
    ],
)
def test_a_list_with_a_row_that_cannot_be_read_is_refused_and_the_row_not_shown(
    spark: SparkSession, tmp_path: Path, text: str, id_type: str
) -> None:
    (tmp_path / "list.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError) as raised:
        allowed(spark, id_type, deny_filename=f"{tmp_path}/list.csv")
    assert "customer" not in str(raised.value)


def test_a_list_that_denies_nothing_is_reported(spark: SparkSession, tmp_path: Path) -> None:
    items = spark.createDataFrame(ITEMS, "itemid long, item_index int, last_timestamp long")
    for text, told in (
        ("itemid\n", "has no ids: see item_rules"),
        ("itemid\n9\n", "is one of an item: see item_rules"),
    ):
        (tmp_path / "list.csv").write_text(text)
        warnings: list[str] = []
        assert ItemRules(deny_filename=f"{tmp_path}/list.csv").execute(items, warnings=warnings) is not None
        assert [warning.endswith(told) for warning in warnings] == [True]


def test_ids_of_a_list_that_are_written_in_another_way_are_reported(spark: SparkSession, tmp_path: Path) -> None:
    ids = [("SKU-1", 0, 1), ("0042", 1, 1), ("7", 2, 1), ("tea", 3, 1), ("Caf\u00e9", 4, 1)]
    items = spark.createDataFrame(ids, "itemid string, item_index int, last_timestamp long")
    warnings: list[str] = []
    written = ("\u200bsku-1", "42", "7.0", "tea", "coffee", "Cafe\u0301")
    rules = ItemRules(deny_filename=listed(tmp_path / "list.csv", *written))
    found = rules.execute(items, warnings=warnings)
    assert found is not None
    assert sorted(row.item_index for row in found.collect()) == [0, 1, 2, 4]
    assert re.fullmatch(r"4 ids in \S+ match no item, but would without case, .*: write them as the log .*", *warnings)


def test_days_out_of_range_are_an_error() -> None:
    with pytest.raises(ConfigError, match="max_days_unseen must be > 0, got 0"):
        ItemRules(max_days_unseen=0)
