"""Events from a real PostgreSQL: in parts, with quoted names, and what is told when it is down, refuses or dies."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyspark
import pytest
from pyspark.sql import SparkSession, functions as F
from support import postgres
from support.reading import event_log

import recommender.constants as C
from recommender.errors import ConfigError, InputError, RecommenderError, SchemaError, TransientError
from recommender.sources import jdbc
from recommender.spark.errors import explained
from recommender.stage1.steps import DataLoader

pytestmark = pytest.mark.skipif(bool(postgres.missing_for_jdbc()), reason=postgres.missing_for_jdbc())

ROWS = 100_000
NAMES = {"timestamp": "at time", "visitorid": "Visitor", "event": "select", "itemid": "Ünit"}


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Postgres]:
    """Return a server with many events in shop.events, and four in "Weird schema"."select"."""
    # Another user runs it, which may not look into pytest's folders.
    folder = Path(tempfile.mkdtemp(prefix="recommender-postgres-"))
    folder.chmod(0o755)
    with postgres.running(folder / "server") as running:
        running.sql(
            """CREATE SCHEMA shop;
            CREATE TABLE shop.events AS SELECT 1430622000000 + n AS timestamp, n % 5000 AS visitorid,
              'view'::text AS event, (n % 700)::numeric(12) AS itemid, NULL::text AS transactionid,
              to_timestamp(1430622000 + n) AS seen FROM generate_series(1, 100000) n;
            CREATE SCHEMA "Weird schema";
            CREATE TABLE "Weird schema"."select" ("at time" bigint, "Visitor" bigint, "select" text, "Ünit" bigint);
            INSERT INTO "Weird schema"."select" VALUES (5, 7, 'view', 3), (6, 8, 'view', 4), (7, 9, 'wave', 5),
              (8, 7, 'view', 3);
            CREATE TABLE victim (id int);
            CREATE TABLE twice AS SELECT 1 AS visitorid, 2 AS itemid, 3 AS "ItemID";
            CREATE TABLE odd AS SELECT n AS timestamp, (n % 5)::numeric AS visitorid, 'view'::text AS event,
              n AS itemid, n + 0.5 AS half, n::float8 AS approximate, n AS "a.b", date '2020-01-01' + n AS day
              FROM generate_series(1, 100) n;
            CREATE TABLE clock AS SELECT timestamp '2021-03-28 00:30' + n * interval '30 minutes' AS timestamp,
              n AS visitorid, 'view'::text AS event, n AS itemid FROM generate_series(0, 6) n;
            CREATE TABLE autumn AS SELECT timestamptz '2021-10-31 00:00Z' + n * interval '30 minutes' AS timestamp,
              n AS visitorid, 'view'::text AS event, n AS itemid FROM generate_series(0, 4) n;
            CREATE TABLE ever AS SELECT v::timestamp AS timestamp, 1 AS visitorid, 'view'::text AS event, 1 AS itemid
              FROM (VALUES ('infinity'), ('2021-03-28 02:30:00.123456'), (NULL)) t(v);
            CREATE TABLE long AS SELECT 1430622000000 AS timestamp, v::numeric(25) AS visitorid, v AS free,
              'view'::text AS event, 1 AS itemid FROM (VALUES (1234567890123456789012345::numeric), (7)) t(v);"""
        )
        yield running


@pytest.fixture
def load(server: postgres.Postgres, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("JDBC_USER", postgres.USER)
    monkeypatch.setenv("JDBC_PASSWORD", postgres.PASSWORD)
    monkeypatch.setattr(jdbc, "WAITS", (0.1, 0.1, 0.1))

    def loaded(**parameters: Any) -> Any:
        return DataLoader(**{"jdbc_url": server.url, **parameters}).execute()

    return loaded


@pytest.mark.slow
def test_many_rows_are_read_in_parts(load: Any) -> None:
    events = load(table="shop.events", jdbc_partition_column="visitorid", jdbc_partitions=4)
    by_part = events.groupBy(F.spark_partition_id().alias("part")).agg(F.count("*").alias("rows")).collect()
    assert len(by_part) == 4
    assert max(row.rows for row in by_part) < 0.26 * ROWS
    assert sum(row.rows for row in by_part) == ROWS
    sums = events.agg(F.sum("visitorid"), F.sum("itemid"), F.min("timestamp"), F.max("timestamp")).collect()[0]
    numbers = range(1, ROWS + 1)
    expected = (sum(n % 5000 for n in numbers), sum(n % 700 for n in numbers), 1430622000001, 1430622000000 + ROWS)
    assert tuple(sums) == expected


@pytest.mark.parametrize(
    "parts",
    [
        {"jdbc_partition_column": "visitorid", "jdbc_lower_bound": 0, "jdbc_upper_bound": 5000},
        {"jdbc_partition_column": "seen", "jdbc_partitions": 3},
        {"jdbc_predicates": ["visitorid < 1000", "visitorid >= 1000"]},
        {},
    ],
)
def test_every_way_of_cutting_gives_all_rows(load: Any, parts: dict[str, Any]) -> None:
    events = load(table="shop.events", **parts)
    assert events.count() == ROWS


def test_filters_are_pushed_down_and_a_timestamp_is_milliseconds(load: Any) -> None:
    columns = {"timestamp": "seen"}
    cut = {"since": "2015-05-03T03:00:10Z", "until": "2015-05-03T03:00:20Z", "partitions": {"visitorid": [12, 15, 99]}}
    events = load(table="shop.events", columns=columns, **cut)
    assert sorted(row.timestamp for row in events.collect()) == [1430622012000, 1430622015000]
    pushed = events._jdf.queryExecution().executedPlan().toString().split("PushedFilters: ")[1].split("\n")[0]
    if pyspark.__version__ >= "4":  # Spark 3.5 compares times without a zone itself
        assert "GreaterThanOrEqual(seen,2015-05-03" in pushed
        assert "LessThan(seen" in pushed
    assert "In(visitorid, [12,15,99])" in pushed


def test_a_query_of_the_database_is_read(load: Any) -> None:
    events = load(query="SELECT * FROM shop.events WHERE visitorid = 7;")
    assert events.count() == ROWS // 5000


def test_names_are_quoted(load: Any) -> None:
    events = load(table="Weird schema.select", columns=NAMES, jdbc_partition_column="Visitor", jdbc_partitions=2)
    assert sorted(tuple(row) for row in events.select(*C.EVENT_COLUMNS[:4]).collect()) == [
        (5, 7, "view", 3),
        (6, 8, "view", 4),
        (7, 9, "wave", 5),
        (8, 7, "view", 3),
    ]
    assert {row.source_file for row in events.select("source_file").distinct().collect()} == {
        f"Weird schema.select at 127.0.0.1:{load.__closure__[0].cell_contents.port}"
    }


@pytest.mark.parametrize("name", ['shop.events"; DROP TABLE victim; --', "events; DROP TABLE victim", "a'b", "x/*y*/"])
def test_04_sql_in_the_name_of_a_table(load: Any, server: postgres.Postgres, name: str) -> None:
    with pytest.raises(ConfigError, match="BAD_IDENTIFIER table must be a name: no quotes"):
        load(table=name)
    assert server.sql("SELECT count(*) FROM victim") == "0"


def test_sql_that_passes_for_a_name_is_just_a_name(load: Any, server: postgres.Postgres) -> None:
    with pytest.raises(InputError, match=r"INPUT_NOT_FOUND victim WHERE 1=1 at 127\.0\.0\.1:\d+ does not exist"):
        load(table="victim WHERE 1=1")


def test_21_a_server_that_is_down(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(jdbc, "time", SimpleNamespace(sleep=waited.append))
    with pytest.raises(TransientError, match=r"SOURCE_DOWN 127\.0\.0\.1:1 does not answer after 3 retries"):
        load(jdbc_url="jdbc:postgresql://127.0.0.1:1/shop", table="shop.events")
    assert waited == [0.1, 0.1, 0.1]


@pytest.mark.parametrize(("user", "password"), [(postgres.USER, "wrong-passw0rd"), ("nobody-here", postgres.PASSWORD)])
def test_22_a_refused_login(load: Any, monkeypatch: pytest.MonkeyPatch, user: str, password: str) -> None:
    waited: list[float] = []
    monkeypatch.setattr(jdbc, "time", SimpleNamespace(sleep=waited.append))
    monkeypatch.setenv("JDBC_USER", user)
    monkeypatch.setenv("JDBC_PASSWORD", password)
    with pytest.raises(
        TransientError, match=r"SOURCE_REFUSED 127\.0\.0\.1:\d+ refuses the login; see .*JDBC_PASSWORD"
    ) as raised:
        load(table="shop.events")
    assert waited == []
    assert password not in str(raised.value)
    assert raised.value.exit_code == 18


def test_a_login_of_another_name(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_USER", postgres.USER)
    monkeypatch.setenv("SHOP_PASSWORD", postgres.PASSWORD)
    monkeypatch.delenv("JDBC_PASSWORD")
    assert load(table="shop.events", jdbc_login="SHOP").limit(1).count() == 1
    with pytest.raises(TransientError, match="SOURCE_REFUSED"):
        load(table="shop.events")


def test_the_driver_of_a_known_database_is_asked_for_by_its_name() -> None:
    def driver(url: str, given: str | None = None) -> str | None:
        return jdbc.Database(url, driver=given).connection({}).get("driver")

    assert driver("jdbc:postgresql://db/shop") == "org.postgresql.Driver"  # which is how one of --jars is found
    assert driver("jdbc:postgresql://db/shop", "my.Driver") == "my.Driver"
    assert driver("jdbc:nosuchdb://db/shop") is None


def test_a_driver_that_is_missing(load: Any) -> None:
    with pytest.raises(InputError, match=r"SOURCE_DRIVER shop\.events at db: this Spark has no driver for it"):
        load(jdbc_url="jdbc:nosuchdb://db/shop", table="shop.events")


def test_names_that_differ_in_case_are_told(load: Any) -> None:
    with pytest.raises(
        SchemaError, match=r"SCHEMA_AMBIGUOUS two columns of twice at .*; name the columns in data_loader"
    ):
        load(table="twice")


def test_columns_and_queries_that_are_wrong(load: Any) -> None:
    with pytest.raises(SchemaError, match="SCHEMA_MISSING no_such; found"):
        load(table="shop.events", jdbc_partition_column="no_such")
    with pytest.raises(
        InputError, match=r"SOURCE_QUERY the query at 127\.0\.0\.1:\d+ cannot be read: .*nowhere|INPUT_NOT_F"
    ):
        load(query="SELECT * FROM nowhere")


@pytest.mark.parametrize("column", ["visitorid", "approximate", "a.b", "day"])
def test_columns_of_every_kind_cut_the_rows(load: Any, column: str) -> None:
    events = load(table="odd", jdbc_partition_column=column, jdbc_partitions=3)
    assert events.count() == 100
    assert events.select(F.spark_partition_id()).distinct().count() == 3


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (
            {"jdbc_partition_column": "event"},
            "SCHEMA_TYPE event expected a number, date or timestamp found string;",
        ),
        (
            {"jdbc_predicates": ["nope = 1"]},
            'SOURCE_QUERY odd at .* be read: ERROR: column "nope" does not exist',
        ),
        (
            {"jdbc_predicates": ["itemid ="]},
            "SOURCE_QUERY odd at .* be read: ERROR: syntax error at end of",
        ),
        ({"jdbc_predicates": ["1 / (itemid - itemid) > 0"]}, "SOURCE_QUERY .* cannot be read: ERROR: division by zero"),
        (
            {"jdbc_partition_column": "itemid", "jdbc_lower_bound": "a"},
            r"CFG_TYPE data_loader\.jdbc_lower_bound must be a whole number, as jdbc_partition_column is, got 'a'",
        ),
        (
            {"jdbc_partition_column": "day", "jdbc_upper_bound": "soon"},
            r"CFG_TYPE data_loader\.jdbc_upper_bound must be a time as 2015-05-03 03:00:00, as .*, got 'soon'",
        ),
        (
            {"jdbc_partition_column": "itemid", "jdbc_lower_bound": 9, "jdbc_upper_bound": 1},
            r"CFG_RANGE data_loader\.jdbc_lower_bound must not be above jdbc_upper_bound, got 9 and 1",
        ),
        ({"options": {"queryTimeout": "x"}}, r"CFG_OPTION data_loader\.options \(queryTimeout\) must be as Spark's"),
    ],
)
def test_parts_that_are_wrong(load: Any, parts: dict[str, Any], told: str) -> None:
    with pytest.raises(RecommenderError, match=told):
        load(table="odd", **parts)


def test_a_bound_beyond_all_rows_cuts_nothing_off(load: Any) -> None:
    assert load(table="odd", jdbc_partition_column="itemid", jdbc_lower_bound=500).count() == 100


def test_a_query_may_end_in_a_comment(load: Any) -> None:
    assert load(query="SELECT * FROM odd -- all").count() == 100


def test_numbers_without_a_precision_are_ids_where_they_are_whole(load: Any) -> None:
    whole = load(table="odd").agg(F.sum("visitorid")).collect()[0][0]
    assert whole == sum(n % 5 for n in range(1, 101))
    assert {row.visitorid for row in load(table="odd", id_type="string").collect()} == set("01234")
    half = load(table="odd", columns={"visitorid": "half"})
    assert half.where("visitorid IS NOT NULL").isEmpty()


# Times


HALF_AN_HOUR = 1_800_000
SPRING, AUTUMN = 1_616_891_400_000, 1_635_638_400_000  # the first times of clock, taken as UTC, and of autumn
CUTS: list[dict[str, Any]] = [
    {"table": "clock"},
    {"query": "SELECT * FROM clock -- all"},
    {"table": "clock", "jdbc_partition_column": "timestamp", "jdbc_partitions": 3},
    {"table": "clock", "jdbc_predicates": ["visitorid < 4", "visitorid >= 4"]},
]


def times_of(load: Any, **parameters: Any) -> list[int]:
    return sorted(row.timestamp for row in load(**parameters).select("timestamp").collect())


@pytest.fixture(params=["UTC", "Europe/Berlin"])
def zone(request: pytest.FixtureRequest, spark: SparkSession) -> Iterator[str]:
    """Return the zone that the JVM is in, of the driver of the database too."""
    zones = spark._jvm.java.util.TimeZone
    before = zones.getDefault()
    zones.setDefault(zones.getTimeZone(request.param))
    yield request.param
    zones.setDefault(before)


@pytest.mark.parametrize("cut", CUTS)
def test_a_time_without_a_zone_is_the_same_whatever_the_zone_of_the_jvm(
    load: Any, zone: str, cut: dict[str, Any]
) -> None:
    every = [SPRING + n * HALF_AN_HOUR for n in range(7)]  # in Berlin there is none from 2 to 3
    assert times_of(load, **cut) == every
    between = {"since": "2021-03-28T01:30:00Z", "until": "2021-03-28T03:00:00Z"}
    assert times_of(load, **cut, **between) == every[2:5]


def test_a_time_without_a_zone_is_one_of_the_zone_that_is_given(load: Any, zone: str) -> None:
    local = [-2, -1, 0, 1, 1, 2, 2]  # half hours from 00:30: those of the hour that is left out are moved forward
    found = times_of(load, table="clock", timezone="Europe/Berlin")
    assert found == [SPRING + n * HALF_AN_HOUR for n in local]
    assert times_of(load, table="clock", timezone="Europe/Berlin", since="2021-03-28T01:00:00Z") == found[3:]


@pytest.mark.parametrize("hour", [0, 1])
def test_a_bound_in_the_hour_that_happens_twice_is_exact(load: Any, zone: str, hour: int) -> None:
    since, until = f"2021-10-31T0{hour}:30:00Z", f"2021-10-31T0{hour + 1}:30:00Z"
    first = 1 + 2 * hour
    found = times_of(load, table="autumn", since=since, until=until)
    assert found == [AUTUMN + n * HALF_AN_HOUR for n in range(first, min(first + 2, 5))]


@pytest.mark.skipif(pyspark.__version__ < "4", reason="Spark 3.5 compares times without a zone itself")
def test_a_filter_of_a_time_without_a_zone_is_pushed_down(load: Any) -> None:
    events = load(table="clock", since="2021-03-28T01:30:00Z")
    pushed = events._jdf.queryExecution().executedPlan().toString().split("PushedFilters: ")[1].split("\n")[0]
    assert "GreaterThanOrEqual(timestamp,2021-03-28T01:30)" in pushed


def test_a_time_that_is_none_is_reported(load: Any) -> None:
    found = {row.timestamp: row.problem for row in load(table="ever", columns={"itemid": "itemid"}).collect()}
    assert sorted(time for time in found if time is not None) == [1_616_898_600_123]
    problems = [row.problem for row in load(table="ever").collect() if row.timestamp is None]
    assert sorted(map(str, problems)) == ["BAD_TIMESTAMP", "None"]
    with pytest.raises(
        SchemaError, match=r"SCHEMA_TYPE ever at .* has a time that Spark cannot hold, such as infinity"
    ):
        load(table="ever", jdbc_partition_column="timestamp")


IN_BERLIN = """
import sys
from pyspark.sql import SparkSession
from recommender.stage1.steps import DataLoader

builder = SparkSession.builder.master("local[1]").config("spark.driver.extraClassPath", sys.argv[2])
spark = builder.config("spark.ui.enabled", "false").config("spark.sql.session.timeZone", "UTC").getOrCreate()
print(spark._jvm.java.util.TimeZone.getDefault().getID())
loader = DataLoader(jdbc_url=sys.argv[1], table="clock", since="2021-03-28T01:30:00Z", until="2021-03-28T03:00:00Z")
print(sorted(row.timestamp for row in loader.execute().select("timestamp").collect()))
"""


@pytest.mark.slow
def test_a_process_in_berlin_reads_the_same_times(server: postgres.Postgres) -> None:
    login = {"JDBC_USER": postgres.USER, "JDBC_PASSWORD": postgres.PASSWORD}
    command = [sys.executable, "-c", IN_BERLIN, server.url, str(postgres.DRIVER)]
    place = {"cwd": Path(__file__).resolve().parents[2], "env": {**os.environ, **login, "TZ": "Europe/Berlin"}}
    done = subprocess.run(command, capture_output=True, text=True, check=True, **place)  # type: ignore[call-overload]
    times = [SPRING + n * HALF_AN_HOUR for n in (2, 3, 4)]
    assert done.stdout.splitlines() == ["Europe/Berlin", str(times)]


@pytest.mark.slow
def test_a_job_finds_the_driver_that_jars_names(server: postgres.Postgres, tmp_path: Path) -> None:
    source = {"event_filename": "null", "jdbc_url": server.url, "query": "SELECT * FROM shop.events LIMIT 900"}
    options = [word for name, value in source.items() for word in ("--set", f"stage1.data_loader.{name}={value}")]
    login = {"JDBC_USER": postgres.USER, "JDBC_PASSWORD": postgres.PASSWORD}
    command = ["./spark-submit.sh", "--jars", str(postgres.DRIVER), "stage1", "--root", str(tmp_path / "out"), *options]
    place = {"cwd": Path(__file__).resolve().parents[2], "env": {**os.environ, **login}}
    done = subprocess.run(command, capture_output=True, text=True, check=False, **place)  # type: ignore[call-overload]
    assert "SOURCE_DRIVER" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines() if "data_loader" in line] == [["data_loader", "900"]]


# Numbers


def test_numbers_of_more_than_20_digits_are_exact_or_reported(load: Any, server: postgres.Postgres) -> None:
    assert {row.visitorid for row in load(table="long", id_type="string").collect()} == {
        "1234567890123456789012345",
        "7",
    }
    assert {(row.visitorid, row.problem) for row in load(table="long").collect()} == {(None, "BAD_ID"), (7, None)}
    loader = {"jdbc_url": server.url, "table": "long", "columns": {"visitorid": "free"}}
    with pytest.raises(SchemaError, match=r"SCHEMA_TYPE long at .* more digits than Spark reads; cast it to text in"):
        event_log({"data_loader": loader}).load()


def test_21_a_server_that_dies_while_it_is_read(load: Any, server: postgres.Postgres) -> None:
    slow = "SELECT e.* FROM shop.events e, LATERAL (SELECT pg_sleep(0.00002 * (e.visitorid % 2 + 1))) s"
    events = load(query=slow, jdbc_fetch_size=100)

    def kill() -> None:
        reads = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND application_name LIKE '%JDBC%'"
        until = time.monotonic() + 60
        while server.sql(reads) == "0" and time.monotonic() < until:
            time.sleep(0.05)
        server.stop("immediate")

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(Exception) as raised:  # noqa: PT011 - Spark's own, told as ours at the edge
            events.agg(F.sum("visitorid")).collect()
    finally:
        killer.join()
        server.start()
    told = explained(raised.value)
    assert isinstance(told, RecommenderError)
    assert (told.id, told.exit_code) == ("SOURCE_LOST", 18)
    assert events.limit(1).count() == 1
