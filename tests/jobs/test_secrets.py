"""A secret that comes from the environment is nowhere to be found afterwards: a canary, and every output searched."""

from pathlib import Path

import pytest
from submitting import JOBS, SUBMIT, Done, environment, run, write_events

CANARY = "canary-5up3r-53cr3t"

pytestmark = pytest.mark.job


def submitted(folder: Path, source: str, *options: str) -> Done:
    (folder / "log").mkdir(exist_ok=True)
    logged = ["--conf", "spark.eventLog.enabled=true", "--conf", f"spark.eventLog.dir={folder}/log"]
    logged += ["--conf", "spark.eventLog.compress=false"]
    kept = ["--conf", f"spark.my.jdbc.url=jdbc:postgresql://ann:{CANARY}@db/shop"]
    kept += ["--conf", f"spark.my.password={CANARY}", "--conf", f"spark.executorEnv.DB_TOKEN={CANARY}"]
    job = [
        str(JOBS / "stage1.py"),
        "--root",
        str(folder / "out"),
        "--set",
        f"stage1.data_loader.event_filename={source}",
    ]
    return run([str(SUBMIT), *logged, *kept, *options, *job], folder)


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", CANARY)
    assert environment()["SHOP_PASSWORD"] == CANARY


def holding_the_canary(folder: Path) -> list[str]:
    """Return the files, and the parts of a name, that hold the secret."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [str(path) for path in files if CANARY.encode() in path.read_bytes() or CANARY in path.name]


def test_a_secret_is_in_no_log_and_no_record(canary: None, tmp_path: Path) -> None:
    events = write_events(tmp_path / "events.csv.gz")
    done = submitted(tmp_path, str(events))
    assert done.code == 0, done.err
    assert CANARY not in done.out + done.err
    assert list((tmp_path / "log").rglob("*"))
    assert list((tmp_path / "out").rglob("*.json"))
    assert holding_the_canary(tmp_path) == []


def test_a_secret_is_in_no_error(canary: None, tmp_path: Path) -> None:
    done = submitted(tmp_path, str(tmp_path / "${SHOP_PASSWORD}.csv"))
    assert done.code == 12
    assert "***.csv does not exist" in done.last
    assert CANARY not in done.out + done.err
    assert [path for path in holding_the_canary(tmp_path) if "/log/" not in path] == []


def test_a_secret_in_a_url_is_refused_wherever_it_comes_from(canary: None, tmp_path: Path) -> None:
    done = submitted(tmp_path, "s3a://ann:${SHOP_PASSWORD}@bucket/events.csv")
    assert done.code == 10
    assert "SECRET_INLINE" in done.last
    assert CANARY not in done.out + done.err


def test_a_pattern_that_does_not_cover_secrets_is_told(tmp_path: Path) -> None:
    events = write_events(tmp_path / "events.csv.gz")
    done = submitted(tmp_path, str(events), "--conf", "spark.redaction.regex=(?i)password")
    assert "warning: spark.redaction.regex does not cover DB_TOKEN, jdbc:" in done.err
    assert done.code == 0
