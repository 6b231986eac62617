"""Events from tables and queries of the catalog, and from formats that know their past."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

import recommender.constants as C
from recommender.errors import InputError, SchemaError
from recommender.run.preflight import identity
from recommender.sources.tables import catalog_version
from recommender.stage1.main import Stage1
from recommender.stage1.steps import DataLoader

SCHEMA = "timestamp long, visitorid long, event string, itemid long"
ROWS = [(5, 7, "view", 3), (6, 8, "view", 4)]


def load(**parameters: Any) -> list[tuple[Any, ...]]:
    events = DataLoader(**parameters).execute().select(*C.EVENT_COLUMNS[:4])
    return sorted(tuple(row) for row in events.collect())


@pytest.fixture
def table(spark: SparkSession) -> Iterator[str]:
    spark.sql("CREATE DATABASE IF NOT EXISTS shop")
    spark.createDataFrame(ROWS, SCHEMA).write.mode("overwrite").saveAsTable("shop.events")
    yield "shop.events"
    spark.sql("DROP DATABASE shop CASCADE")


@pytest.mark.parametrize("name", ["shop.events", "spark_catalog.shop.events"])
def test_a_table_of_the_catalog_is_read(table: str, name: str) -> None:
    assert load(table=name) == ROWS
    assert load(table=name, since="1970-01-01T00:00:00.006Z") == ROWS[1:]
    rows = DataLoader(table=name).execute().collect()
    assert {row.source_file for row in rows} == {name}


def test_a_query_is_read(table: str) -> None:
    assert load(query="SELECT *, 1 AS more FROM shop.events WHERE itemid = 4") == ROWS[1:]


def test_a_query_may_end_as_people_end_them(table: str) -> None:
    assert load(query="WITH e AS (TABLE shop.events) SELECT * FROM e WHERE itemid = 4 ;\n") == ROWS[1:]
    assert load(query="SELECT * FROM shop.events WHERE itemid = 4 -- only these") == ROWS[1:]


def test_a_query_that_fails_on_a_row_is_told_without_the_row(spark: SparkSession, table: str) -> None:
    failing = "SELECT timestamp, visitorid, event, 1 div (itemid - {}) AS itemid FROM shop.events"
    told = "SOURCE_QUERY the query fails on a row, with DIVIDE_BY_ZERO; write it with try_cast, try_divide or try_add$"
    settings = {"event_validator": {"earliest": None, "max_quarantined": 1}}
    for item in (3, 4):
        stage = Stage1({"data_loader": {"query": failing.format(item)}, **settings})
        with pytest.raises(InputError, match=told):
            stage.execute()
        stage.release()


@pytest.mark.parametrize(
    "command",
    ["DROP TABLE shop.events", "INSERT INTO shop.events TABLE shop.events", "CREATE TABLE t AS SELECT 1", "SET a = b"],
)
def test_a_command_in_the_place_of_a_query_is_not_run(spark: SparkSession, table: str, command: str) -> None:
    with pytest.raises(InputError, match="SOURCE_QUERY the query cannot be read, it must be one SELECT: "):
        load(query=command)
    assert load(table=table) == ROWS
    assert not spark.catalog.tableExists("t")


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"table": "shop.nothing"}, "INPUT_NOT_FOUND shop.nothing does not exist"),
        ({"table": "no_such_catalog.shop.events"}, "INPUT_NOT_FOUND no_such_catalog.shop.events does not exist"),
        ({"query": "SELECT FROM WHERE"}, "SOURCE_QUERY the query cannot be read: "),
        ({"query": "SELECT * FROM shop.nothing"}, "INPUT_NOT_FOUND the query does not exist"),
        ({"query": "SELECT *, 1 AS Itemid FROM shop.events"}, "SCHEMA_AMBIGUOUS itemid, Itemid stand in the query"),
        ({"table": "shop.events", "columns": {"itemid": "product"}}, r"SCHEMA_MISSING product; found \[timestamp"),
        ({"table": "shop.events", "version": 1}, "NO_TIME_TRAVEL shop.events has no versions"),
        ({"table": "shop.events", "as_of": "2026-01-01"}, "NO_TIME_TRAVEL shop.events has no versions"),
        ({"event_filename": "/x", "file_format": "iceberg"}, "SOURCE_FORMAT this Spark cannot read the format of /x"),
    ],
)
def test_what_is_missing_is_told(table: str, parameters: dict[str, Any], told: str) -> None:
    with pytest.raises((InputError, SchemaError), match=told):
        load(**parameters)


def test_a_table_without_versions_has_none(spark: SparkSession, table: str) -> None:
    assert catalog_version(spark, table) is None
    stage = Stage1({"data_loader": {"table": table}})
    assert stage.versions(started=True) == {table: None}
    assert stage.sources() == []
    assert stage.is_sourced


def test_a_version_that_is_given_is_part_of_the_identity_before_spark_starts() -> None:
    def versions(**loader: Any) -> Any:
        return identity(Stage1({"data_loader": loader}), {}, hadoop=lambda: None)["versions"]

    assert versions(table="shop.events", version=3) == {"shop.events": "3"}
    assert versions(table="shop.events", as_of="2026-01-01") == {"shop.events": "as of 2026-01-01"}
    assert versions(table="shop.events") == {"shop.events": None}
    assert versions(query="SELECT 1") == {"query": None}
    assert versions(event_filename="/data/events", file_format="delta", version=3) == {"/data/events": "3"}
    assert versions(event_filename="/data/events.csv") == {}


@pytest.fixture
def delta(spark: SparkSession, tmp_path: Path) -> Path:
    """Return the path of a table in a format named delta, which shows the options that reach the reader."""
    datasource = pytest.importorskip("pyspark.sql.datasource", reason="Spark 3.5 has no data sources in Python")

    class Delta(datasource.DataSource):  # type: ignore[misc, name-defined]
        @classmethod
        def name(cls) -> str:
            return "delta"

        def schema(self) -> str:
            return SCHEMA

        def reader(self, schema: Any) -> Any:  # noqa: ARG002
            folder = Path(self.options["path"])
            return Reader(folder, self.options.get("versionasof"), self.options.get("timestampasof"))

    class Reader(datasource.DataSourceReader):  # type: ignore[misc, name-defined]
        def __init__(self, folder: Path, version: str | None, time: str | None) -> None:
            self.file = folder / f"{version or time or 'newest'}.json"

        def read(self, partition: Any) -> Iterator[tuple[Any, ...]]:  # noqa: ARG002
            yield from map(tuple, json.loads(self.file.read_text()))

    spark.dataSource.register(Delta)  # type: ignore[attr-defined]
    for name, rows in {"newest": ROWS, "1": ROWS[:1], "2026-01-01": ROWS[1:]}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
    return tmp_path


def test_a_version_or_a_time_reaches_the_format_s_own_reader(delta: Path) -> None:
    source: dict[str, Any] = {"event_filename": str(delta), "file_format": "delta"}
    assert load(**source) == ROWS
    assert load(**source, version=1) == ROWS[:1]
    assert load(**source, as_of="2026-01-01") == ROWS[1:]
    assert DataLoader(**source).execute(version="1").count() == 1  # the newest version that the run has found
