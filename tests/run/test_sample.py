"""Generated events are the same everywhere and look like a shop's."""

from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession, functions as F

from recommender.run.sample import main, sample_events, sample_items


@pytest.fixture(scope="module")
def events(spark: SparkSession) -> DataFrame:
    return sample_events(spark, 20_000).cache()


def test_the_number_and_the_kinds_are_exact(events: DataFrame) -> None:
    kinds = {row["event"]: row["count"] for row in events.groupBy("event").count().collect()}
    assert kinds == {"view": 19_340, "addtocart": 500, "transaction": 160}


def test_the_same_events_come_out_of_any_partitioning(spark: SparkSession, events: DataFrame) -> None:
    before = spark.conf.get("spark.sql.leafNodeDefaultParallelism", None)
    spark.conf.set("spark.sql.leafNodeDefaultParallelism", "7")
    try:
        again = sample_events(spark, 20_000)
        assert_df_equality(events, again, ignore_row_order=True, ignore_nullable=True)
    finally:
        if before is None:
            spark.conf.unset("spark.sql.leafNodeDefaultParallelism")
        else:
            spark.conf.set("spark.sql.leafNodeDefaultParallelism", before)


def test_every_item_of_the_events_has_a_title_a_picture_and_attributes(spark: SparkSession, events: DataFrame) -> None:
    items = sample_items(spark, 20_000)
    assert events.join(items, "itemid", "left_anti").count() == 0
    rows = items.collect()
    assert len({row["itemid"] for row in rows}) == len(rows) == 1640
    assert len({row["title"] for row in rows}) > 400
    assert {row["category"] for row in rows} >= {"shoes", "lamps"}
    assert all(5 <= row["price"] <= 200 for row in rows)
    assert 0.8 < sum(row["in_stock"] for row in rows) / len(rows) < 1
    for row in rows[:100]:
        drawing = ElementTree.fromstring(unquote(row["picture"].removeprefix("data:image/svg+xml,")))  # noqa: S314
        assert len(drawing) == 2


def test_another_seed_gives_other_events(spark: SparkSession) -> None:
    assert sample_events(spark, 100, seed=1).exceptAll(sample_events(spark, 100, seed=2)).count() > 90


def test_a_cart_follows_a_view_and_a_transaction_a_cart_of_the_same_pair(events: DataFrame) -> None:
    moment = {
        kind: events.where(F.col("event") == kind).select("visitorid", "itemid", F.col("timestamp").alias(kind))
        for kind in ("view", "addtocart", "transaction")
    }
    for later, earlier, number in (("addtocart", "view", 500), ("transaction", "addtocart", 160)):
        pairs = moment[later].join(moment[earlier], ["visitorid", "itemid"])
        follows = pairs.where(F.col(later) > F.col(earlier)).dropDuplicates(["visitorid", "itemid", later])
        assert follows.count() == moment[later].distinct().count() <= number


def test_only_transactions_have_a_transaction_id(events: DataFrame) -> None:
    assert events.where((F.col("event") == "transaction") != F.col("transactionid").isNotNull()).count() == 0


def test_visitors_and_items_have_heavy_tails(events: DataFrame) -> None:
    for column in ("visitorid", "itemid"):
        counts = events.groupBy(column).count()
        top = counts.agg(F.max("count"), F.median("count")).collect()[0]
        assert top[0] > 20 * top[1]


def test_the_log_lasts_four_and_a_half_months(events: DataFrame) -> None:
    first, last = events.agg(F.min("timestamp"), F.max("timestamp")).collect()[0]
    assert 100 < (last - first) / 86_400_000 < 138


def test_the_number_of_events_has_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--events", "0", "--out", "x"])
    assert "--events must be 1..100000000, got 0" in capsys.readouterr().err
