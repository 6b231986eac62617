"""The job tune: on what stage 1 has stored, to a configuration that can be run."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from support.submitting import Done, commits, record, run_here, setting

from recommender.run.config import load_config

pytestmark = pytest.mark.job

SETTINGS = ["tune.tuner.trials=1", "tune.tuner.rank=[2]", "tune.tuner.max_iter=[2]", "tune.validation.share=0.3"]


@pytest.fixture(scope="module")
def root(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(finished / "stage1", tmp_path_factory.mktemp("tuning") / "out" / "stage1")).parent


@pytest.fixture(scope="module")
def arguments(root: Path, settings: list[str]) -> list[str]:
    return ["--root", str(root), *settings, *setting(*SETTINGS)]


@pytest.fixture(scope="module")
def tuned(spark: SparkSession, arguments: list[str]) -> Done:
    return run_here("tune", *arguments)


def test_it_ends_with_the_trials_and_a_configuration_that_can_be_run(tuned: Done, root: Path, events: Path) -> None:
    assert tuned.code == 0, tuned.err
    (commit,) = commits(root, "tune")
    made = record(commit)
    best = root / "tune" / "data" / made["attempt"] / "best.yaml"
    for text in ("tune: ", "95 % interval", "as configured", made["verdict"], f"./spark-submit.sh --config {best}"):
        assert text in tuned.out
    config = load_config(best, environ={})
    assert config.root == str(root)
    assert config.stage("stage2")["als"].items() >= made["best"].items()
    assert config.stage("stage1")["data_loader"]["event_filename"] == str(events)


def test_each_trial_is_told_when_it_begins(tuned: Done) -> None:
    assert "tune, 3,000 events: trial 0; as configured, 0 of 1 ..." in tuned.err
    assert "tune, 3,000 events: trial 1; halving with 1 iterations on all visitors, 0 of 1; trial 0: " in tuned.err


def test_what_has_not_changed_is_shown_again_without_spark(
    tuned: Done, arguments: list[str], python: Callable[..., Done]
) -> None:
    again = python("tune", *arguments)
    assert again.code == 0, again.err
    assert "tune: nothing has changed since run " in again.out
    assert "as configured" in again.out


def test_the_trials_stay_in_the_store(tuned: Done, root: Path) -> None:
    records = [json.loads(path.read_text()) for path in (root / "tune" / "trials").glob("*/*.json")]
    (commit,) = commits(root, "tune")
    numbers = sorted(trial["number"] for trial in record(commit)["trials"])
    assert sorted(trial["number"] for trial in records) == numbers == list(range(len(numbers)))
    assert len(numbers) >= 4


def test_a_space_that_is_none_is_told_before_spark_starts(python: Callable[..., Done]) -> None:
    done = python("tune", "--set", "tune.tuner.alpha.low=300")
    assert done.code == 10
    assert "tune.tuner: alpha must have low <= high, got low 300 and high 200" in done.last


def test_without_stage_1_it_says_what_to_run(python: Callable[..., Done]) -> None:
    done = python("tune", "--root", "empty")
    assert (done.code, "UPSTREAM_NOT_COMMITTED stage=tune run=" in done.last) == (12, True)
    assert "stage1 has no committed result below" in done.last
