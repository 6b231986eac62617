"""Executors that die while the stages run change nothing of the result."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from submitting import JOBS, SUBMIT, Running, commits, record, write_events
from test_fault_matrix import CLUSTER, children

from recommender.config import STAGES

pytestmark = [pytest.mark.job, pytest.mark.slow]

FIRST_THREE = list(STAGES)[:3]


def contents(root: Path) -> dict[str, Any]:
    return {stage: record(commits(root, stage)[-1])["contents"] for stage in FIRST_THREE}


def workflow(root: Path, folder: Path, events: Path, *options: str) -> Running:
    settings = ["--set", f"stage1.data_loader.event_filename={events}", "--set", "stage2.als.rank=4"]
    job = ["--root", str(root), "--until", "stage3", *settings]
    return Running([str(SUBMIT), *options, str(JOBS / "workflow.py"), *job], folder)


def test_43_executors_are_lost_in_every_stage(tmp_path: Path) -> None:
    events = write_events(tmp_path / "events.csv.gz")
    undisturbed = workflow(tmp_path / "undisturbed", tmp_path, events, *CLUSTER).done()
    assert undisturbed.code == 0, undisturbed.err
    root = tmp_path / "disturbed"
    job = workflow(root, tmp_path, events, *CLUSTER)
    killed = []
    for stage in FIRST_THREE:
        job.wait_for(lambda stage=stage: list((root / stage / "data").glob("*/_ATTEMPT.json")))  # type: ignore[misc]
        for _ in range(2):
            time.sleep(2.5)
            executors = children(job.process.pid, "CoarseGrainedExecutorBackend")
            if executors and not commits(root, stage):
                os.kill(executors[0], signal.SIGKILL)
                killed.append(stage)
    done = job.done()
    assert done.code == 0, done.err
    assert set(killed) == set(FIRST_THREE)
    assert contents(root) == contents(tmp_path / "undisturbed")
