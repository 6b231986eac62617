"""kill -9 at random moments, while a reader loops: no reader ever sees anything but a whole result."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.submitting import JOBS, Done, Running, commits, run, submitted

SEED = 20261124
KILLS = 50
READER = """
import hashlib, sys, time
from pathlib import Path
from recommender.store import Store, open_files

root, stop = sys.argv[1], Path(sys.argv[2])
reads = 0
while not stop.exists():
    for stage in ("stage3", "stage4"):
        store = Store(open_files(root, hadoop=lambda: None))
        commit = store.latest(stage)
        if commit is None:
            continue
        store.check(commit)
        for path, facts in commit.files().items():
            content = Path(root, stage, "data", path).read_bytes()
            if hashlib.sha256(content).hexdigest() != facts["sha256"]:
                raise SystemExit(f"{path} of commit {commit.number} is not what was written")
        reads += 1
    time.sleep(0.01)
print(reads)
"""


@pytest.mark.job
@pytest.mark.slow
def test_no_kill_shows_half_a_result(
    root: Path, settings: list[str], call: Callable[..., Done], tmp_path: Path
) -> None:
    draw = random.Random(SEED)  # noqa: S311 - the same moments every time

    def program(job: str, *arguments: str) -> list[str]:
        return submitted(job, "--root", str(root), *settings, *arguments)

    started = time.monotonic()
    assert run(program("stage4", "--force"), tmp_path).code == 0
    length = time.monotonic() - started
    environment = {**os.environ, "PYTHONPATH": str(JOBS.parent)}
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(root), str(tmp_path / "stop")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    tried = finished = 0
    try:
        while tried < KILLS:
            stage = draw.choice(["stage3", "stage4"])
            before = len(commits(root, stage))
            job = Running(program(stage, "--run-id", f"kill-{tried}"), tmp_path)
            time.sleep(draw.uniform(0.3, 1.1) * length)
            if job.process.poll() is None:
                job.kill()
            tried += 1
            finished += len(commits(root, stage)) - before
            assert reader.poll() is None
    finally:
        (tmp_path / "stop").touch()
        out, _ = reader.communicate(timeout=60)
    assert reader.returncode == 0, out
    assert int(out) > tried
    assert finished < tried or tried < 10  # two may both have come too late
    for stage in ("stage3", "stage4"):
        done = call(stage, root, "--run-id", f"kill-{tried - 1}-again")
        assert done.code == 0, done.err
    print(f"{tried} kills, {finished} of them after the commit; {out.strip()} reads, none wrong")
