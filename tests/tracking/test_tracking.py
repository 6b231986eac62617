"""Nobody who tracks a run can end it."""

import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.literal_run import whole_run
from support.literal_store import open_store
from support.submitting import run_here

from recommender.errors import ConfigError
from recommender.run.config import parse_config
from recommender.store import Store
from recommender.tracking import Tracked, Tracking, Work, listeners, tracked

ONE = Work("stage4", "expose")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "root")


def warnings_of(store: Store, settings: Tracking) -> list[str]:
    """Track a run of one stage."""
    warnings: list[str] = []
    commit = whole_run(store, "monday")
    with tracked(settings, "", store, "monday", warnings.append, str) as tracking:
        tracking.begun(ONE)
        tracking.done(commit)
    return warnings


@pytest.fixture
def silent_server() -> Iterator[int]:
    """Return the port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_dead_server_is_one_warning(store: Store) -> None:
    warnings = warnings_of(store, Tracking(openlineage="http://127.0.0.1:9"))
    assert len(warnings) == 1
    assert warnings[0].startswith("OpenLineage does not track this run any more, which goes on: URLError: ")


def test_a_dead_mlflow_is_one_warning(store: Store) -> None:
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    started = time.monotonic()
    warnings = warnings_of(store, Tracking(mlflow="http://127.0.0.1:9"))
    assert len(warnings) == 1
    assert warnings[0].startswith("MLflow does not track this run any more, which goes on: MlflowException: ")
    assert time.monotonic() - started < 15


def test_a_server_that_does_not_answer_is_not_waited_for(
    store: Store, silent_server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners.Tracked._call, "__kwdefaults__", {"seconds": 0.2})
    warnings = warnings_of(store, Tracking(openlineage=f"http://127.0.0.1:{silent_server}"))
    assert warnings == ["OpenLineage does not track this run any more, which goes on: no answer within 0.2 s"]


def test_without_the_extra_the_warning_names_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    (warning,) = warnings_of(store, Tracking(mlflow="http://mlflow:5000"))
    assert warning.endswith("MLFLOW_MISSING tracking.mlflow needs the package mlflow-skinny; pip install '.[mlflow]'")


def test_a_listener_that_fails_leaves_the_others(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "lineage.jsonl"
    settings = Tracking(mlflow="nowhere://", openlineage=str(file))
    assert [warning.split()[0] for warning in warnings_of(store, settings)] == ["MLflow"]
    assert len(file.read_text().splitlines()) == 2


def test_nobody_is_told_unless_it_is_configured(store: Store) -> None:
    assert warnings_of(store, Tracking()) == []
    assert not Tracked([], print)._listeners


def test_the_setting_is_checked_with_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_PLACE", "http://mlflow:5000")
    config = parse_config("tracking: {mlflow: '${MLFLOW_PLACE}'}")
    assert config.tracking == Tracking(mlflow="http://mlflow:5000")
    with pytest.raises(ConfigError, match=r"CFG_UNKNOWN_KEY tracking\.mlflo, did you mean mlflow"):
        parse_config("tracking: {mlflo: x}")
    with pytest.raises(ConfigError, match=r"SECRET_INLINE tracking\.mlflow holds a secret"):
        parse_config("tracking: {mlflow: 'http://ann:hunter2@mlflow'}")
    with pytest.raises(ConfigError, match=r"CFG_TYPE tracking must be a mapping"):
        parse_config("tracking: 3")


def test_a_run_that_ends_before_spark_starts_is_not_tracked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_here("stage2", "--root", "root", "--set", "tracking.openlineage=lineage.jsonl")
    assert done.last.startswith("RECOMMENDER_ERROR UPSTREAM_NOT_COMMITTED")
    assert not Path("lineage.jsonl").exists()
