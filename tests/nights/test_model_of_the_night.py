"""The model that is published may change from night to night: whole runs, from factors to neighbours and back."""

import json
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from support.submitting import run_here

from recommender.serving import answers
from recommender.serving.version import Version
from recommender.snapshot.checks import read_manifest
from recommender.stage2.steps import ModelGate
from recommender.store import Commit, Store, open_files

DAY = 86_400_000
START = 1_430_611_200_000 + DAY // 2  # noon
CONFIG = """
stage1: {data_loader: {event_filename: %s}, holdout: {last_events: 2}, train_test_split: {train_percentile: 70}}
stage2: {als: {rank: 2, max_iter: 2}, evaluator: {cutoffs: [5], metrics: [ndcg], replicates: 20},
  gate: {k: 5, beat: [], min_gain_over_live: -1, publish_model: best}}
stage3: {recommend: {k: 5}}
stage4: {report: {examples: 1}, release_diff: {min_visitors_kept: 0, min_items_kept: 0}}
"""


def log(days: int) -> str:
    """Return a log of some days: visitors of one half like one half of the items."""
    lines = ["timestamp,visitorid,event,itemid"]
    for day in range(days):
        for i in range(50):
            visitor = (i * 7 + day) % (20 + 2 * day)
            kind = ("view", "view", "addtocart", "transaction")[i % 4]
            lines.append(f"{START + day * DAY + i * 600_000},{visitor},{kind},{(i + day * 3) % 10 * 2 + visitor % 2}")
    return "\n".join([*lines, ""])


@pytest.mark.slow
def test_the_published_model_may_change_from_night_to_night(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events, config, root = tmp_path / "events.csv", tmp_path / "config.yaml", tmp_path / "out"
    config.write_text(CONFIG % events)
    store = Store(open_files(str(root), lambda: None))
    versions = []
    for number, model in enumerate(("als", "item_to_item", "item_to_item", "als"), 6):
        choice = model, f"{model} is chosen"
        monkeypatch.setattr(ModelGate, "_chosen", lambda *_, choice=choice: choice)
        events.write_text(log(number))
        done = run_here("workflow", "--config", str(config), "--root", str(root))
        assert done.code == 0, done.err
        assert f"{model} is chosen; blessed" in done.out
        judged, predicted, exposed = (newest(store, stage) for stage in ("stage2", "stage3", "stage4"))
        is_near = model == "item_to_item"
        assert ("neighbours" in judged.record["contents"]) is is_near
        (note,) = [step["note"] for step in predicted.record["steps"] if step["step"] == "recommend"]
        assert note.startswith("item_to_item " if is_near else "als ")
        values = {row["model"]: row["value"] for row in judged.record["metrics"]}
        assert [each["model"] for each in judged.record["gate"]["compared"]] == (["live"] if versions else [])
        assert not versions or values["live"] is not None
        folder = root / "stage4" / "data" / exposed.attempt / "snapshot"
        manifest = read_manifest(folder)
        assert (manifest.model, json.loads((folder / "manifest.json").read_text())["gate"]["model"]) == (model, model)
        versions.append(Version.open(folder, manifest, number))
    for version in versions[1:3]:
        published: Any = [answers.published(version, answers.Request(5, str(each))) for each in range(20)]
        computed = [answers.computed(version, answers.Request(5, str(each))) for each in range(20)]
        found = [(one["items"], other["items"]) for one, other in zip(published, computed, strict=True) if one]
        assert len(found) > 10
        assert all(one == other for one, other in found)


def newest(store: Store, stage: str) -> Commit:
    commit = store.latest(stage)
    assert commit is not None
    return commit
