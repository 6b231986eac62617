"""The step that copies lists to a real PostgreSQL, with Spark's tasks."""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession, functions as F
from support import postgres
from support.shop import tables

from recommender.errors import ConfigError, DataQualityError, StorageError, TransientError
from recommender.publishing.postgres import database as databases
from recommender.publishing.postgres.versions import Versions
from recommender.publishing.target import Version
from recommender.stage4.steps import PostgresView

SCHEMA = "visitorid {id}, rank int, itemid {id}, score float, source string"
LONG = {"visitorid": "bigint", "itemid": "bigint"}
TEXT = {"visitorid": "string", "itemid": "string"}


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Postgres]:
    if postgres.missing():
        pytest.skip(postgres.missing())
    folder = Path(tempfile.mkdtemp(prefix="recommender-postgres-"))
    folder.chmod(0o755)
    with postgres.running(folder / "server") as running:
        yield running


@pytest.fixture
def shop(server: postgres.Postgres, monkeypatch: pytest.MonkeyPatch) -> postgres.Postgres:
    monkeypatch.setenv("POSTGRES_USER", postgres.USER)
    monkeypatch.setenv("POSTGRES_PASSWORD", postgres.PASSWORD)
    server.sql("DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop")
    return server


def step(server: postgres.Postgres, **more: Any) -> PostgresView:
    return PostgresView(url=f"postgresql://127.0.0.1:{server.port}/postgres", schema="shop", **more)


def version(number: int) -> Version:
    return Version("stage4", number, f"{number:032x}", f"run-{number}")


def lists(spark: SparkSession, item: int, visitors: int = 500) -> DataFrame:
    """Return three places for each visitor, in several partitions."""
    rows = spark.range(0, visitors * 3, 1, numPartitions=6)
    rank = (F.col("id") % 3 + 1).cast("int")
    return rows.select(
        F.floor(F.col("id") / 3).alias("visitorid"),
        rank.alias("rank"),
        F.lit(item).cast("long").alias("itemid"),
        (F.sin("id") * 1e6).cast("float").alias("score"),
        F.lit("als").alias("source"),
    )


def deliver(server: postgres.Postgres, rows: DataFrame, number: int, types: dict[str, str] = LONG, **more: Any) -> None:
    delivering = step(server, **more)
    with closing(delivering.target(types)) as target:
        delivering.execute(rows, target, version(number), "live")
        target.show(version(number), "live", target.position("live"))


def test_all_rows_are_copied_by_several_tasks(spark: SparkSession, shop: postgres.Postgres) -> None:
    rows = lists(spark, 7)
    deliver(shop, rows, 1, connections=3)
    found = shop.sql("SELECT visitorid, rank, itemid, score::float8, source FROM shop.recommendations ORDER BY 1, 2")
    expected = [tuple(row) for row in rows.orderBy("visitorid", "rank").collect()]
    assert [tuple(map(str, row)) for row in expected[:50]] == [
        (v, r, i, str(float(s)), source) for v, r, i, s, source in (line.split("|") for line in found.splitlines()[:50])
    ]
    assert shop.sql("SELECT count(*) FROM shop.recommendations") == "1500"


def test_texts_arrive_as_they_are(spark: SparkSession, shop: postgres.Postgres) -> None:
    texts = ['quote "x", y', "line\nend", "back\\slash", "\\N", " space ", "löwe", "tab\tx", "'", "", "=1"]
    rows = [(text, 1, text, 0.5, "als") for text in texts]
    deliver(shop, spark.createDataFrame(rows, SCHEMA.format(id="string")), 1, TEXT)
    found = shop.sql("SELECT encode(convert_to(visitorid, 'UTF8'), 'hex') FROM shop.recommendations")
    assert sorted(bytes.fromhex(line).decode() for line in found.split("\n")) == sorted(texts)


def test_nothing_is_a_version_too(spark: SparkSession, shop: postgres.Postgres) -> None:
    deliver(shop, spark.createDataFrame([], SCHEMA.format(id="long")), 1)
    assert shop.sql("SELECT count(*) FROM shop.recommendations") == "0"


def test_a_lost_row_is_noticed(spark: SparkSession, shop: postgres.Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    from recommender.stage4.steps import postgres_view

    monkeypatch.setattr(postgres_view, "_contents", lambda _: (1501, "0", "0"))
    with pytest.raises(StorageError, match=r"AUDIT_ROWS of 1,501 rows .* those that are there are 1,500"):
        deliver(shop, lists(spark, 7), 1)
    assert shop.sql("SELECT to_regclass('shop.recommendations')") == ""


def test_58_a_task_that_meets_a_constraint_tells_it_without_values(
    spark: SparkSession, shop: postgres.Postgres
) -> None:
    deliver(shop, lists(spark, 7), 1)
    (first,) = tables(shop)
    shop.sql(f"ALTER TABLE shop.{first} ADD CONSTRAINT known_item CHECK (itemid < 4711)")
    with pytest.raises(DataQualityError) as raised:
        deliver(shop, lists(spark, 4711), 2)
    assert raised.value.id == "TARGET_CONSTRAINT"
    assert raised.value.sentence.endswith(" breaks the constraint known_item; the live version stays")
    assert "4711" not in raised.value.sentence
    assert shop.sql("SELECT min(itemid) FROM shop.recommendations") == "7"


def test_55_a_database_that_dies_while_rows_are_copied(
    spark: SparkSession, shop: postgres.Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "WAITS", [0.1])
    deliver(shop, lists(spark, 7), 1)
    delivering = step(shop)
    target = delivering.target(LONG)
    begin = Versions.begin

    def begun(*given: Any) -> Any:
        table = begin(*given)
        shop.stop("immediate")
        return table

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Versions, "begin", begun)
            with pytest.raises(TransientError, match=r"TARGET_DOWN"):
                delivering.execute(lists(spark, 8), target, version(2), "live")
    finally:
        target.close()
        shop.start()
    assert shop.sql("SELECT min(itemid), count(*) FROM shop.recommendations") == "7|1500"
    deliver(shop, lists(spark, 8), 2)
    assert shop.sql("SELECT min(itemid), count(*) FROM shop.recommendations") == "8|1500"


def test_a_task_that_runs_twice_copies_its_rows_once(spark: SparkSession, shop: postgres.Postgres) -> None:
    from recommender.publishing.postgres import versions

    copied = versions.copy_part

    def twice(*given: Any) -> int:
        *where, chunks = given
        content = list(chunks)
        rows = copied(*where, iter(content))
        assert copied(*where, iter(content)) == 0
        return rows

    versions.copy_part = twice
    try:
        deliver(shop, lists(spark, 7), 1)
    finally:
        versions.copy_part = copied
    assert shop.sql("SELECT count(*) FROM shop.recommendations") == "1500"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"url": "jdbc:postgresql://db/shop"}, "CFG_RANGE url must be text that matches"),
        ({"view": "a; DROP TABLE x"}, "CFG_RANGE view must be text that matches"),
        ({"schema": 'a"; DROP TABLE x; --'}, "BAD_IDENTIFIER schema must be a name"),
        ({"url": "postgresql://ann:hunter2@db/shop"}, "CFG_VALUE url must not hold a login"),
        ({"url": "postgresql://db/shop?password=hunter2"}, "CFG_VALUE url must not hold a login"),
        ({"tries": 0}, "CFG_RANGE tries must be 1..100, got 0"),
        ({"lock_timeout": 0.0}, "CFG_RANGE lock_timeout must be"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_rule(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        PostgresView(**given)
    assert str(error.value).startswith(sentence)
    assert "hunter2" not in str(error.value)


def test_a_login_in_the_url_is_refused() -> None:
    from recommender.run.config import parse_config

    with pytest.raises(ConfigError, match=r"SECRET_INLINE stage4.postgres.url holds a secret"):
        parse_config("", ["stage4.postgres.url=postgresql://ann:hunter2@db/shop"], {})
