"""The boundary of a job: every error becomes one line and a code."""

from pathlib import Path

import pytest

from recommender.run import job
from recommender.run.job import run_job

SCRIPT = str(Path(__file__).resolve().parents[2] / "jobs" / "stage1.py")


def fail_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(job, "given_config", failing)


def test_a_bug_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fail_with(monkeypatch, ZeroDivisionError("division by zero\nin detail"))
    assert run_job(["stage1"], SCRIPT, ["--run-id", "monday"]) == 1
    assert capsys.readouterr().err == (
        "RECOMMENDER_ERROR INTERNAL stage=stage1 run=monday attempt=-: "
        "ZeroDivisionError: division by zero; --verbose shows where\n"
    )


def test_a_fault_of_spark_s_is_explained(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fail_with(monkeypatch, RuntimeError("java.io.IOException: No space left on device"))
    assert run_job(["stage1"], SCRIPT, []) == 17
    assert "RECOMMENDER_ERROR STORAGE_FULL stage=stage1 run=" in capsys.readouterr().err


def test_the_last_line_is_the_error_s_also_with_a_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, KeyError("x"))
    assert run_job(["stage1", "stage2"], SCRIPT, ["--verbose"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1].startswith("RECOMMENDER_ERROR INTERNAL stage=- run=")


def test_a_wrong_argument_is_told_as_all_errors_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_job(["stage1"], SCRIPT, ["--conf", "a=b"]) == 10
    assert capsys.readouterr().err == (
        "RECOMMENDER_ERROR CFG_ARGUMENT stage=stage1 run=- attempt=-: unrecognized arguments: --conf a=b; see --help\n"
    )


def test_a_jvm_that_ran_out_of_memory_was_not_told_to_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(job, "is_ending", lambda: True)  # Spark ends its JVM by itself then
    fail_with(monkeypatch, RuntimeError("Job aborted: java.lang.OutOfMemoryError: Java heap space"))
    run_job(["stage1"], SCRIPT, [])
    assert "RECOMMENDER_ERROR OUT_OF_MEMORY" in capsys.readouterr().err
