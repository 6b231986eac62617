"""What MLflow's own client reads of a run that was tracked: runs, numbers, files, versions and aliases."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.literal_run import METRICS, two_stages, whole_run
from support.literal_store import open_store, result

from recommender.__main__ import main
from recommender.errors import GateError
from recommender.store import Channels, Commit, Store
from recommender.tracking import Tracked, Tracking, Work, tracked

pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

STAGES = ("stage1", "stage2", "stage3", "stage4")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database with MLflow's tables, which take seconds to make."""
    from recommender.tracking.model_versions import mlflow_client

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    mlflow_client(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def uri(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)  # where MLflow keeps the files of a database without a server
    return f"sqlite:///{shutil.copy(empty, tmp_path)}"


@pytest.fixture
def server(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the address of MLflow's own server on the database."""
    pytest.importorskip("flask_cors", reason="the extra mlflow_server is not installed")
    for name, value in {
        "FILE_STORE": uri,
        "ARTIFACT_ROOT": "mlflow-artifacts:/",
        "SERVE_ARTIFACTS": "true",
        "ARTIFACT_DESTINATION": str(tmp_path / "artifacts"),
    }.items():
        monkeypatch.setenv(f"_MLFLOW_SERVER_{name}", value)
    from mlflow.server import app
    from werkzeug.serving import make_server

    listening = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}"
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def client(uri: str) -> Any:
    from recommender.tracking.model_versions import mlflow_client

    return mlflow_client(uri)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "root")


@pytest.fixture
def track(uri: str, store: Store) -> Callable[..., list[str]]:
    """Track a run that does something, and return the warnings."""

    def run(name: str, what: Callable[[Tracked], object], written: str = uri) -> list[str]:
        warnings: list[str] = []
        with tracked(Tracking(mlflow=uri), written, store, name, warnings.append, str) as tracking:
            what(tracking)
        return warnings

    return run


def commits(store: Store, last: Commit) -> list[Commit]:
    upstream = [store.commit_number(stage, number) for stage, number in sorted(last.record["upstream"].items())]
    return [*filter(None, upstream), last]


def tell(tracking: Tracked, *made: Commit) -> None:
    for commit in made:
        tracking.begun(Work(commit.stage, "verb"))
        tracking.done(commit)


def publish(store: Store, track: Callable[..., list[str]], run: str, **more: Any) -> Commit:
    """Make, publish and track the four stages of a run."""
    made = whole_run(store, run)
    Channels(store).publish("live", made)
    assert track(run, lambda tracking: tell(tracking, *commits(store, made)), **more) == []
    return made


def runs(client: Any) -> dict[str, Any]:
    experiment = client.get_experiment_by_name("recommender").experiment_id
    return {run.info.run_name: run for run in client.search_runs([experiment])}


def text(client: Any, run: Any, file: str) -> str:
    return Path(client.download_artifacts(run.info.run_id, file)).read_text()


def test_a_workflow_is_a_run_with_a_nested_run_for_each_stage(
    store: Store, track: Callable[..., list[str]], client: Any
) -> None:
    publish(store, track, "monday")
    found = runs(client)
    parent = found.pop("monday")
    assert sorted(found) == [f"{stage} verb" for stage in STAGES]
    assert {run.data.tags["mlflow.parentRunId"] for run in found.values()} == {parent.info.run_id}
    assert {run.info.status for run in [parent, *found.values()]} == {"FINISHED"}
    assert parent.data.tags["mlflow.note.content"].startswith("Published to live: finds 2.6 times as many")


def test_settings_that_differ_metrics_report_and_record_are_logged(
    store: Store, track: Callable[..., list[str]], client: Any
) -> None:
    publish(store, track, "monday")
    parent, trained = runs(client)["monday"], runs(client)["stage2 verb"]
    assert parent.data.params == trained.data.params == {"stage2.als.rank": "16"}
    row = next(row for row in METRICS if (row["model"], row["metric"], row["k"]) == ("als", "ndcg", 10))
    for run in (parent, trained):
        logged = [run.data.metrics[f"als/ndcg_at_10{end}"] for end in ("", "_low", "_high")]
        assert logged == [row["value"], row["low"], row["high"]]
        assert "als/coverage_at_10_low" not in run.data.metrics  # it has no interval
    committed = store.latest("stage2")
    assert committed
    assert json.loads(text(client, trained, "record.json")) == committed.record
    assert "Published to live" in text(client, parent, "report.html")


def test_each_trial_of_a_search_is_a_step(store: Store, track: Callable[..., list[str]], client: Any) -> None:
    trials = [
        {
            "number": number,
            "value": value,
            "seconds": 1.5,
            "parameters": {"rank": 8 * 2**number, "half_life_days": None},
        }
        for number, value in ((1, 0.25), (0, 0.125), (2, None))
    ]
    tuned = result(store, "tune", "monday", metric="recall@20", trials=trials)
    assert track("monday", lambda tracking: tell(tracking, tuned)) == []
    run = runs(client)["tune verb"].info.run_id
    history = {name: client.get_metric_history(run, f"trial/{name}") for name in ("recall_at_20", "rank")}
    steps = {name: sorted((each.step, each.value) for each in found) for name, found in history.items()}
    assert steps == {"recall_at_20": [(0, 0.125), (1, 0.25)], "rank": [(0, 8), (1, 16), (2, 32)]}


def test_a_run_that_is_started_again_goes_on_in_the_same_run(
    store: Store, track: Callable[..., list[str]], client: Any
) -> None:
    two_stages(store, "monday")
    first, second = store.latest("stage1"), store.latest("stage2")
    assert first
    assert second
    track("monday", lambda tracking: tell(tracking, first))
    track("monday", lambda tracking: tell(tracking, second))
    assert sorted(runs(client)) == ["monday", "stage1 verb", "stage2 verb"]


def test_a_run_that_fails_is_failed_with_the_sentence(
    store: Store, track: Callable[..., list[str]], client: Any
) -> None:
    two_stages(store, "monday", blessed=False)

    def refused(tracking: Tracked) -> None:
        tell(tracking, *filter(None, (store.latest("stage1"), store.latest("stage2"))))
        tracking.begun(Work("stage3", "predict"))
        raise GateError("NOT_BLESSED", "it is worse, said postgresql://ann:hunter2@db/shop")

    with pytest.raises(GateError):
        track("monday", refused)
    found = runs(client)
    assert {name: run.info.status for name, run in found.items()} == {
        "monday": "FAILED",
        "stage1 verb": "FINISHED",
        "stage2 verb": "FINISHED",
        "stage3 predict": "FAILED",
    }
    assert found["monday"].data.tags["mlflow.note.content"].endswith("it is worse, said postgresql://***@db/shop")
    assert "Refused by the gate" in text(client, found["monday"], "report.html")


def test_no_secret_is_logged(store: Store, track: Callable[..., list[str]], client: Any) -> None:
    changed = {"data_loader": {"options": {"password": "hunter2"}, "jdbc_url": "jdbc:x://ann:hunter2@db/shop"}}
    prepared = result(store, "stage1", "monday", changed=changed)
    track("monday", lambda tracking: tell(tracking, prepared))
    run = runs(client)["stage1 verb"]
    assert run.data.params["stage1.data_loader.jdbc_url"] == '"jdbc:x://***@db/shop"'
    everything = [*run.data.params.values(), text(client, run, "record.json")]
    assert not [value for value in everything if "hunter2" in value]


def test_a_published_result_is_a_version_of_the_model_which_the_alias_names(
    store: Store, track: Callable[..., list[str]], client: Any
) -> None:
    made = publish(store, track, "monday")
    version = client.get_model_version_by_alias("recommender", "live")
    model = store.latest("stage2")
    assert model
    assert version.source == store.files.url(f"stage2/data/{model.attempt}/model")
    assert (version.tags["recommender.run"], version.tags["recommender.attempt"]) == ("monday", made.attempt)
    assert version.run_id == runs(client)["monday"].info.run_id
    track("monday", lambda tracking: tell(tracking, made))
    assert len(client.search_model_versions("name='recommender'")) == 1  # it is registered once


@pytest.mark.filterwarnings("ignore")
def test_a_server_gets_the_same_and_the_places_of_the_files_in_tags(store: Store, server: str) -> None:
    """It takes no version whose source is a path of this machine."""
    from recommender.tracking.model_versions import mlflow_client

    made = whole_run(store, "monday")
    Channels(store).publish("live", made)
    with tracked(Tracking(mlflow=server), server, store, "monday", pytest.fail, str) as tracking:
        tell(tracking, *commits(store, made))
    client = mlflow_client(server)
    assert sorted(runs(client)) == ["monday", *(f"{stage} verb" for stage in STAGES)]
    version = client.get_model_version_by_alias("recommender", "live")
    model = store.latest("stage2")
    assert model
    assert version.source == f"{runs(client)['monday'].info.artifact_uri}/version"
    assert version.tags["recommender.model"] == store.files.url(f"stage2/data/{model.attempt}/model")
    assert json.loads(text(client, runs(client)["monday"], "version/version.json")) == version.tags


def test_a_registry_that_refuses_leaves_a_run_that_is_logged(
    store: Store, track: Callable[..., list[str]], client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise OSError("references are not allowed")

    monkeypatch.setattr("recommender.tracking.mlflow_runs.register", refused)
    made = whole_run(store, "monday")
    (warning,) = track("monday", lambda tracking: tell(tracking, made))
    assert warning.endswith("OSError: references are not allowed")
    assert {run.info.status for run in runs(client).values()} == {"FINISHED"}


def test_promote_and_rollback_move_the_alias(
    store: Store, track: Callable[..., list[str]], client: Any, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_PLACE", uri)
    for run in ("monday", "tuesday"):
        publish(store, track, run, written="${MLFLOW_PLACE}")

    def named(alias: str) -> str:
        return str(client.get_model_version_by_alias("recommender", alias).tags["recommender.run"])

    assert named("live") == "tuesday"
    assert main(["rollback", "live", "--root", store.files.root]) == 0
    assert named("live") == "monday"
    newest = store.latest("stage4")
    assert newest
    Channels(store).publish("candidate", newest)
    assert main(["promote", "--root", store.files.root, "--override-gate", "a test"]) == 0
    assert named("live") == "tuesday"
    notes = list(Path(store.files.root).rglob("mlflow.json"))
    assert {json.loads(note.read_text())["uri"] for note in notes} == {"${MLFLOW_PLACE}"}  # it may hold a login


def test_an_alias_leaves_with_a_result_that_was_never_registered(
    store: Store, track: Callable[..., list[str]], client: Any
) -> None:
    Channels(store).publish("live", whole_run(store, "sunday"))
    publish(store, track, "monday")
    assert main(["rollback", "live", "--root", store.files.root]) == 0
    assert client.get_registered_model("recommender").aliases == {}


def test_a_registry_that_cannot_be_reached_leaves_the_rollback_with_a_warning(
    store: Store,
    track: Callable[..., list[str]],
    capsys: pytest.CaptureFixture[str],
    uri: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NOWHERE", uri)
    for run in ("monday", "tuesday"):
        publish(store, track, run, written="${NOWHERE}")
    monkeypatch.delenv("NOWHERE")
    assert main(["rollback", "live", "--root", store.files.root]) == 0
    out = capsys.readouterr().out
    assert "channel live now names run monday" in out
    assert (
        "warning: the alias live in MLflow was not moved: ConfigError: CFG_ENV tracking.mlflow uses ${NOWHERE}" in out
    )
