"""Iceberg for real: events from a table as it is and as it was, and lists in another one, which is rolled back.

The library comes from a package of PyPI for Spark 3.5, without its copy of Jackson; Spark's own is renamed for it.
"""

import importlib.util
from pathlib import Path
from typing import Any

import pyspark
import pytest
from pyspark.sql import SparkSession
from support.clusters import on_cluster
from support.relocated import relocate
from support.submitting import JOBS

pytestmark = [pytest.mark.job, pytest.mark.slow]

JACKSON = "com.fasterxml.jackson"
PACKAGE = "snowpark_connect_deps_iceberg"
JAR = "iceberg-spark-runtime-3.5_2.12-*.jar"
EVENTS, LISTS = "lake.shop.events", "lake.shop.lists"


@pytest.fixture
def lake(tmp_path: Path) -> dict[str, str]:
    """Return the settings of a session with a catalog `lake`."""
    if not pyspark.__version__.startswith("3.5."):
        pytest.skip("PyPI has Iceberg for Spark 3.5 only: SPARK=3.5 tests/run.sh tests/jobs/test_iceberg.py")
    found = importlib.util.find_spec(PACKAGE)
    if found is None:
        pytest.skip("without Iceberg: pip install snowpark-connect-deps-iceberg")
    [iceberg] = (Path(str(found.origin)).parent / "jars").glob(JAR)
    shaded = f"org.apache.iceberg.shaded.{JACKSON}"
    jars = [
        relocate(jar, tmp_path / jar.name, JACKSON, shaded)
        for part in ("core", "databind", "annotations")
        for jar in (Path(pyspark.__file__).parent / "jars").glob(f"jackson-{part}-2.*.jar")
    ]
    return {
        "spark.driver.extraClassPath": ":".join(map(str, [iceberg, *jars])),
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.lake.type": "hadoop",
        "spark.sql.catalog.lake.warehouse": str(tmp_path / "lake"),
    }


def snapshots(spark: SparkSession, table: str) -> list[int]:
    rows = spark.table(f"{table}.snapshots").orderBy("committed_at").collect()
    return [row.snapshot_id for row in rows]


def in_a_lake(spark: SparkSession, root: str, log: str, *overrides: str) -> dict[str, Any]:
    """Run the workflow on a table that grows, and roll back this table and that of the lists."""
    from recommender import run_workflow

    def run(*more: str, **options: Any) -> dict[str, Any]:
        given = [*overrides, f"stage1.data_loader.table={EVENTS}", f"stage4.table.table={LISTS}", *more]
        return run_workflow(str(JOBS.parent / "conf" / "local.yaml"), root=root, overrides=given, **options)

    def versions() -> list[str]:
        return sorted(row.version for row in spark.table(LISTS).select("version").distinct().collect())

    columns = "timestamp bigint, visitorid bigint, event string, itemid bigint, transactionid bigint"
    events = spark.read.schema(columns).csv(log, header=True)
    half = f"timestamp <= {events.approxQuantile('timestamp', [0.5], 0)[0]}"
    spark.sql(f"CREATE TABLE {EVENTS} ({columns}) USING iceberg")
    events.where(half).writeTo(EVENTS).append()
    first = run(run_id="first")
    events.where(f"NOT {half}").writeTo(EVENTS).append()
    second = run(run_id="second")
    old, new = snapshots(spark, EVENTS)
    earlier = run(f"stage1.data_loader.version={old}", stages=["stage1"], run_id="earlier")
    delivered, wanted = versions(), second["stage4"].tables["recommendations"]
    lists = spark.table(LISTS).where(f"version = '{second['stage4'].commit.attempt}'").drop("version")
    differing = lists.exceptAll(wanted).count() + wanted.exceptAll(lists).count()
    spark.sql(f"CALL lake.system.rollback_to_snapshot('shop.lists', {snapshots(spark, LISTS)[-2]})")
    spark.sql(f"CALL lake.system.rollback_to_snapshot('shop.events', {old})")
    runs = (first, second, earlier, run(stages=["stage1"]))
    return {
        "events": [each["stage1"].commit.record["events"] for each in runs],
        "versions": [each["stage1"].commit.record["versions"][EVENTS] for each in runs],
        "snapshots": [str(old), str(new)],
        "attempts": [each["stage4"].commit.attempt for each in (first, second)],
        "delivered": delivered,
        "differing": differing,
        "rolled_back": versions(),
    }


def test_a_real_table_is_read_as_it_is_and_as_it_was_and_takes_the_lists(
    lake: dict[str, str], events: Path, settings: list[str], tmp_path: Path
) -> None:
    overrides = [each for each in settings if each != "--set" and "event_filename" not in each]
    found = on_cluster("local[2]", in_a_lake, str(tmp_path / "out"), str(events), *overrides, settings=lake)
    old, new = found["snapshots"]
    assert found["events"] == [1500, 3000, 1500, 1500]
    assert found["versions"] == [old, new, old, old]
    first, second = found["attempts"]
    assert found["delivered"] == sorted([first, second])
    assert found["differing"] == 0
    assert found["rolled_back"] == [first]
