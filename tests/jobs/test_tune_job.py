"""The job tune as users start it: on what stage 1 has stored, to a configuration that can be run."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from submitting import JOBS, SUBMIT, Done, commits, record, run, write_events

from recommender.config import load_config

pytestmark = pytest.mark.job

SETTINGS = ["tune.tuner.trials=2", "tune.tuner.rank=[2]", "tune.tuner.max_iter=[2]", "tune.validation.share=0.3"]
ARGUMENTS = ["--root", "out", *(part for setting in SETTINGS for part in ("--set", setting))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def python(folder: Path) -> Callable[..., Done]:
    """Run the job without spark-submit: enough for what starts no Spark."""
    return lambda *arguments: run([sys.executable, str(JOBS / "tune.py"), *arguments], folder)


@pytest.fixture(scope="module")
def tuned(folder: Path) -> Done:
    events = write_events(folder / "events.csv.gz")
    source = f"stage1.data_loader.event_filename={events.name}"
    prepared = run([str(SUBMIT), str(JOBS / "stage1.py"), "--root", "out", "--set", source], folder)
    assert prepared.code == 0, prepared.err
    return run([str(SUBMIT), str(JOBS / "tune.py"), *ARGUMENTS, "--set", source], folder)


def test_it_ends_with_the_trials_and_a_configuration_that_can_be_run(tuned: Done, folder: Path) -> None:
    assert tuned.code == 0, tuned.err
    (commit,) = commits(folder / "out", "tune")
    made = record(commit)
    best = folder / "out" / "tune" / "data" / made["attempt"] / "best.yaml"
    for text in ("tune: ", "95 % interval", "as configured", f"./spark-submit.sh --config {best}"):
        assert text in tuned.out
    config = load_config(best, environ={})
    assert config.root == "out"
    assert config.stage("stage2")["als"].items() >= made["best"].items()
    assert config.stage("stage1")["data_loader"]["event_filename"] == "events.csv.gz"


def test_each_trial_is_told_when_it_begins(tuned: Done) -> None:
    assert "tune: trial 0; 0 of 2 done ..." in tuned.err
    assert "tune: trial 1; 1 of 2 done; trial 0: " in tuned.err


def test_what_has_not_changed_is_shown_again_without_spark(tuned: Done, python: Callable[..., Done]) -> None:
    again = python(*ARGUMENTS, "--set", "stage1.data_loader.event_filename=events.csv.gz")
    assert again.code == 0, again.err
    assert "tune: nothing has changed since run " in again.out
    assert "as configured" in again.out
    assert "starting Spark" not in again.err


def test_the_trials_stay_in_the_store(tuned: Done, folder: Path) -> None:
    records = [json.loads(path.read_text()) for path in (folder / "out" / "tune" / "trials").glob("*/*.json")]
    assert sorted(trial["number"] for trial in records) == [0, 1]


def test_a_space_that_is_none_is_told_before_spark_starts(python: Callable[..., Done]) -> None:
    done = python("--set", "tune.tuner.alpha.low=200")
    assert done.code == 10
    assert "tune.tuner: alpha must have low <= high, got low 200 and high 100" in done.last
    assert "starting Spark" not in done.err


def test_without_stage_1_it_says_what_to_run(python: Callable[..., Done]) -> None:
    done = python("--root", "empty")
    assert (done.code, "UPSTREAM_NOT_COMMITTED stage=tune run=" in done.last) == (12, True)
    assert "stage1 has no committed result below" in done.last
