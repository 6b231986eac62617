"""Jobs whose runs are tracked."""

import json
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from support.submitting import run_here, setting, write_events

from recommender.snapshot.checks import read_manifest
from recommender.tables.als_model import load_model


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVENTS_PATH", raising=False)
    events = f"stage1.data_loader.event_filename={write_events(tmp_path / 'events.csv.gz', 1500)}"
    return ["--root", "root", "--run-id", "monday", *setting(events, "tracking.openlineage=lineage.jsonl")]


@pytest.mark.job
def test_a_run_with_a_dead_mlflow_ends_with_0_and_one_warning(
    spark: SparkSession, settings: list[str], tmp_path: Path
) -> None:
    done = run_here("stage1", *settings, *setting("tracking.mlflow=http://127.0.0.1:9"))
    assert done.code == 0, done.err
    warnings = [line for line in done.err.splitlines() if "MLflow" in line]
    assert len(warnings) == 1
    assert warnings[0].startswith("warning: MLflow does not track this run any more, which goes on: ")
    start, complete = map(json.loads, Path("lineage.jsonl").read_text().splitlines())
    assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    assert start["inputs"] == complete["inputs"] == [{"namespace": "file", "name": f"{tmp_path}/events.csv.gz"}]
    written = {Path(each["name"]).name: each["outputFacets"]["outputStatistics"] for each in complete["outputs"]}
    assert written["interactions"]["rowCount"] > 0


@pytest.mark.slow
def test_a_whole_workflow_is_in_mlflow_with_a_model_that_can_be_loaded(
    spark: SparkSession, settings: list[str], tmp_path: Path
) -> None:
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    from recommender.tracking.model_versions import mlflow_client

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    model = setting("stage2.als.rank=4", "stage2.als.max_iter=2", "stage2.evaluator.replicates=50")
    done = run_here("workflow", *settings, *model, *setting(f"tracking.mlflow={uri}"))
    assert done.code == 0, done.err
    assert "MLflow" not in done.err + done.out
    client: Any = mlflow_client(uri)
    experiment = client.get_experiment_by_name("recommender").experiment_id
    found = {run.info.run_name: run for run in client.search_runs([experiment])}
    stages = ["stage1 prepare", "stage2 train", "stage3 predict", "stage4 expose"]
    assert sorted(found) == ["monday", *stages]
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    assert found["monday"].data.params["stage2.als.rank"] == "4"
    assert found["stage2 train"].data.metrics["als/ndcg_at_10"] > 0
    version = client.get_model_version_by_alias("recommender", "live")
    assert load_model(version.source).rank == 4
    place = Path(version.tags["recommender.snapshot"].removeprefix("file://"))
    assert read_manifest(place).run == "monday"
    kinds = [json.loads(line)["eventType"] for line in Path("lineage.jsonl").read_text().splitlines()]
    assert kinds == ["START", "COMPLETE"] * 4
