"""A secret that comes from the environment is nowhere to be found afterwards: a canary, and every output searched."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from support.submitting import LIGHT, Done, environment, run, run_here, setting, submitted

CANARY = "canary-5up3r-53cr3t"

pytestmark = pytest.mark.job


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", CANARY)
    assert environment()["SHOP_PASSWORD"] == CANARY


def holding_the_canary(folder: Path) -> list[str]:
    """Return the files, and the parts of a name, that hold the secret."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [str(path) for path in files if CANARY.encode() in path.read_bytes() or CANARY in path.name]


def test_a_secret_is_in_no_log_and_no_record(canary: None, tmp_path: Path, events: Path) -> None:
    (tmp_path / "log").mkdir()
    conf = [f"spark.eventLog.dir={tmp_path}/log", "spark.eventLog.enabled=true", "spark.eventLog.compress=false"]
    conf += [f"spark.my.jdbc.url=jdbc:postgresql://ann:{CANARY}@db/shop", f"spark.my.password={CANARY}"]
    conf += [f"spark.executorEnv.DB_TOKEN={CANARY}"]
    options = [*LIGHT, *(word for each in conf for word in ("--conf", each))]
    source = setting(f"stage1.data_loader.event_filename={events}")
    done = run(submitted("stage1", "--root", "out", *source, options=options), tmp_path)
    assert done.code == 0, done.err
    assert "warning" not in done.err
    assert CANARY not in done.out + done.err
    assert list((tmp_path / "log").rglob("*"))
    assert list((tmp_path / "out").rglob("*.json"))
    assert holding_the_canary(tmp_path) == []


def test_a_secret_is_in_no_error(canary: None, spark: SparkSession, tmp_path: Path) -> None:
    source = setting(f"stage1.data_loader.event_filename={tmp_path}/${{SHOP_PASSWORD}}.csv")
    done = run_here("stage1", "--root", "out", *source)
    assert done.code == 12
    assert "***.csv does not exist" in done.last
    assert CANARY not in done.out + done.err
    assert holding_the_canary(tmp_path) == []


def test_a_secret_in_a_url_is_refused_wherever_it_comes_from(canary: None, python: Callable[..., Done]) -> None:
    source = setting("stage1.data_loader.event_filename=s3a://ann:${SHOP_PASSWORD}@bucket/events.csv")
    done = python("stage1", "--root", "out", *source)
    assert done.code == 10
    assert "SECRET_INLINE" in done.last
    assert CANARY not in done.out + done.err
