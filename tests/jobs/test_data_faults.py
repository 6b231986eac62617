"""What is wrong with the data, as the one on call sees it: exit code, last line, and what is left on disk."""

import gzip
import os
import re
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from support import postgres
from support.submitting import Done, attempts, commits, failed, record, run_here, setting, write_events

from recommender.run import runner
from recommender.run.sample import sample_events, sample_items
from recommender.sources import jdbc

pytestmark = pytest.mark.job


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """Return a log of the test's own, which it changes."""
    return write_events(tmp_path / "events.csv.gz")


@pytest.fixture
def stage1(spark: SparkSession) -> Callable[..., Done]:
    """Run stage 1 with settings."""
    return lambda *values: run_here("stage1", "--root", "out", *setting(*(f"stage1.{value}" for value in values)))


def test_16_too_much_in_quarantine(stage1: Callable[..., Done], events: Path, tmp_path: Path) -> None:
    with gzip.open(events, "at") as file:
        file.write("1430622000000,7,view\n" * 20 + "1430622000000,,view,3,\n" * 40)
    done = stage1(f"data_loader.event_filename={events}")
    assert done.code == 13, done.err
    assert done.last.startswith("RECOMMENDER_ERROR QUARANTINE_RATE stage=stage1 ")
    found = re.search(r": 2\.0% > 1\.0%: 60 of 3,060 rows .*\(MALFORMED 20, NULL_ID 40\).* kept in (\S+)$", done.last)
    assert found, done.last
    assert commits(tmp_path / "out", "stage1") == []
    kept = pq.read_table(found[1].removeprefix("file://")).to_pylist()
    assert sorted((row["reason"], row["rows"]) for row in kept) == [("MALFORMED", 20), ("NULL_ID", 40)]
    assert all(row["source_file"].endswith("/events.csv.gz") for row in kept)
    assert next(row["raw"] for row in kept if row["reason"] == "MALFORMED") == "1430622000000,7,view"
    assert [note["id"] for note in failed(tmp_path / "out", "stage1")] == ["QUARANTINE_RATE"]


@pytest.mark.slow
def test_38_half_a_delivery(stage1: Callable[..., Done], events: Path, tmp_path: Path) -> None:
    assert stage1(f"data_loader.event_filename={events}").code == 0
    write_events(events, number=1170)
    done = stage1(f"data_loader.event_filename={events}")
    assert done.code == 13, done.err
    assert "DRIFT" in done.last
    assert "rows -61% limit 50%: 1,170 events after 3,000 in the commit before" in done.last
    assert len(commits(tmp_path / "out", "stage1")) == 1
    done = stage1(f"data_loader.event_filename={events}", "drift.max_drop=0.7")
    assert done.code == 0, done.err
    first, second = (record(path) for path in commits(tmp_path / "out", "stage1"))
    assert (first["profile"]["events"], second["profile"]["events"]) == (3000, 1170)
    assert first["contents"]["visitors"]["rows"] <= second["contents"]["visitors"]["rows"]


def test_real_events_have_nothing_in_common_with_generated_ones(
    stage1: Callable[..., Done], events: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "sample_events", lambda spark: sample_events(spark, 7000))
    monkeypatch.setattr(runner, "sample_items", lambda spark: sample_items(spark, 7000))
    assert stage1().code == 0
    done = stage1(f"data_loader.event_filename={events}")
    assert done.code == 0, done.err
    generated, real = (record(path) for path in commits(tmp_path / "out", "stage1"))
    assert generated["profile"]["events"] > 2 * real["profile"]["events"]
    assert real["contents"]["visitors"]["rows"] == 150


@pytest.mark.skipif(not postgres.DRIVER.exists(), reason=f"no JDBC driver {postgres.DRIVER}: .ci/run installs it")
def test_21_a_database_that_does_not_answer(
    stage1: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JDBC_USER", "reco")
    monkeypatch.setenv("JDBC_PASSWORD", "canary-of-a-secret")
    waited: list[float] = []
    monkeypatch.setattr(jdbc, "time", SimpleNamespace(sleep=waited.append))
    database = ("data_loader.jdbc_url=jdbc:postgresql://127.0.0.1:1/shop", "data_loader.table=shop.events")
    done = stage1(*database)
    assert done.code == 18, done.err
    assert "SOURCE_DOWN" in done.last
    assert "127.0.0.1:1 does not answer after 3 retries" in done.last
    assert waited == [1, 4, 15]
    written = [path for path in tmp_path.rglob("*") if path.is_file() and os.access(path, os.R_OK)]
    assert written
    assert not any(b"canary-of-a-secret" in path.read_bytes() for path in written)
    assert "canary-of-a-secret" not in done.out + done.err


@pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())
def test_21_a_database_that_dies_while_a_job_reads_it(
    stage1: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JDBC_USER", postgres.USER)
    monkeypatch.setenv("JDBC_PASSWORD", postgres.PASSWORD)
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    folder.chmod(0o755)
    with postgres.running(folder / "server") as server, ThreadPoolExecutor(1) as aside:
        server.sql(
            "CREATE TABLE events AS SELECT 1430622000000 + n AS timestamp, n % 997 AS visitorid, 'view' AS event, "
            "n % 89 AS itemid FROM generate_series(1, 1000000) n"
        )
        stopped = aside.submit(stop_while_it_is_read, server)
        source = {"jdbc_url": server.url, "table": "events", "jdbc_fetch_size": "1"}
        done = stage1(*(f"data_loader.{name}={value}" for name, value in source.items()))
        stopped.result()
    assert done.code == 18, done.err
    assert done.last.startswith("RECOMMENDER_ERROR SOURCE_LOST stage=stage1 ")
    assert done.last.endswith(": the database ended the connection while it was read; start it again to go on")
    assert commits(tmp_path / "out", "stage1") == []
    assert [note["id"] for note in failed(tmp_path / "out", "stage1")] == ["SOURCE_LOST"]
    (attempt,) = attempts(tmp_path / "out", "stage1")
    assert sorted(path.name for path in attempt.parent.iterdir()) == ["_ATTEMPT.json", "_FAILED.json"]


def stop_while_it_is_read(server: postgres.Postgres) -> None:
    """Stop a database, as if it were killed, once a job has read its rows for a second."""
    reads = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'PostgreSQL JDBC%' "
        "AND xact_start < clock_timestamp() - interval '1 second'"
    )
    deadline = time.monotonic() + 120
    while server.sql(reads) == "0" and time.monotonic() < deadline:
        time.sleep(0.05)
    server.stop("immediate")
