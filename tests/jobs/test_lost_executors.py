"""Executors that die while the stages run change nothing of the result."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from support.submitting import Running, commits, record, submitted
from test_ends import children, cluster

from recommender.run.config import STAGES

pytestmark = [pytest.mark.job, pytest.mark.slow]

FIRST_THREE = list(STAGES)[:3]


def contents(root: Path) -> dict[str, Any]:
    return {stage: record(commits(root, stage)[-1])["contents"] for stage in FIRST_THREE}


def begun(root: Path, folder: Path, settings: list[str]) -> Running:
    job = submitted("workflow", "--root", str(root), "--until", "stage3", *settings, options=cluster(2))
    return Running(job, folder)


def test_43_executors_are_lost_in_every_stage(tmp_path: Path, settings: list[str]) -> None:
    undisturbed = begun(tmp_path / "undisturbed", tmp_path, settings).done()
    assert undisturbed.code == 0, undisturbed.err
    root = tmp_path / "disturbed"
    job = begun(root, tmp_path, settings)
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
    # One that dies while its stage ends may be counted in the next one.
    lost = [record(commits(root, stage)[-1])["lost"] for stage in FIRST_THREE]
    assert sum(each["executors"] for each in lost) >= len(FIRST_THREE)
    assert done.err.count("and computed their part again") == sum(any(each.values()) for each in lost)
    for stage in FIRST_THREE:
        assert record(commits(tmp_path / "undisturbed", stage)[-1])["lost"] == {"executors": 0, "tasks": 0}
