"""A secret that comes from the environment is nowhere to be found afterwards: a canary, and every output searched."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from support.submitting import CANARY, Done, environment, run_here, setting

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


def test_a_secret_is_in_no_log_and_no_record(folder: Path, workflow: Done, finished: Path) -> None:
    assert "spark.redaction" not in workflow.err  # the pattern covers secrets, or there would be a warning
    assert list((folder / "log").rglob("*"))
    assert list(finished.rglob("*.json"))
    assert holding_the_canary(folder) == []


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
