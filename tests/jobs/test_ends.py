"""Processes that are killed, told to end, or meet another, as docs/reliability.md numbers the faults.

What a test waits for is a state (a file, a job of Spark's that runs), so that the end comes where it is meant to.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.disks import mounting, needs_mount
from support.submitting import (
    LIGHT,
    Done,
    Running,
    attempts,
    commits,
    failed,
    is_error,
    live,
    newest,
    record,
    run,
    script,
    setting,
    submitted,
)

pytestmark = pytest.mark.job


class Logged:
    """What Spark writes into its log of events: which jobs run.

    Init parameters:
        folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir()
        log = (f"dir={folder}", "enabled=true", "compress=false", "rolling.enabled=false")
        self.options = (*LIGHT, *(word for part in log for word in ("--conf", f"spark.eventLog.{part}")))

    def runs(self) -> bool:
        """Return whether a job has begun and not ended."""
        text = "".join(path.read_text() for path in self._folder.iterdir())
        return text.count('"SparkListenerJobStart"') > text.count('"SparkListenerJobEnd"')


@pytest.fixture
def fitting(begin: Callable[..., Running], root: Path, tmp_path: Path) -> Running:
    """Return stage 2 of the run "tuesday", whose tasks fit the model at this moment."""
    logged = Logged(tmp_path / "log")
    job = begin("stage2", root, "--run-id", "tuesday", "--force", options=logged.options)
    job.wait_for(lambda: "fitting ALS" in job.said() and logged.runs())
    return job


def test_39_killed_while_tasks_run(call: Callable[..., Done], root: Path, fitting: Running) -> None:
    old = newest(root, "stage2")
    assert fitting.kill().code == -signal.SIGKILL
    assert newest(root, "stage2") == old
    assert failed(root, "stage2") == []
    done = call("stage2", root, "--run-id", "tuesday")
    assert done.code == 0, done.err
    assert newest(root, "stage2") != old
    assert len(attempts(root, "stage2")) == 3


@pytest.fixture(scope="module")
def killed_in_the_job_commit(finished: Path, settings: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a root whose stage 4 of the run "tuesday" was killed while Spark committed a table."""
    folder = tmp_path_factory.mktemp("killed")
    root = Path(shutil.copytree(finished, folder / "root"))
    known = set((root / "stage4" / "data").iterdir())

    def moved() -> bool:
        new = set((root / "stage4" / "data").iterdir()) - known
        return any(next(attempt.glob("recommendations/part-*"), None) for attempt in new)

    job = Running(submitted("stage4", "--root", str(root), *settings, "--run-id", "tuesday"), folder)
    job.wait_for(moved)
    assert job.kill().code == -signal.SIGKILL
    return root


def test_40_killed_while_spark_commits_a_table(killed_in_the_job_commit: Path, finished: Path) -> None:
    root = killed_in_the_job_commit
    assert newest(root, "stage4") == newest(finished, "stage4")
    assert live(root) == ["monday"]
    assert len(attempts(root, "stage4")) == 2
    assert failed(root, "stage4") == []


def test_41_killed_after_the_commit_record(
    begin: Callable[..., Running], call: Callable[..., Done], killed_in_the_job_commit: Path, tmp_path: Path
) -> None:
    """The second start finishes what was killed, and is killed too; the third finds the result, and publishes it."""
    root = Path(shutil.copytree(killed_in_the_job_commit, tmp_path / "root"))
    old = newest(root, "stage4")
    job = begin("stage4", root, "--run-id", "tuesday")
    job.wait_for(lambda: len(commits(root, "stage4")) == 2)
    assert job.kill().code == -signal.SIGKILL
    assert newest(root, "stage4") != old
    done = call("stage4", root, "--run-id", "tuesday")
    assert done.code == 0, done.err
    assert "ALREADY_COMMITTED" in done.out
    assert "starting Spark" not in done.err
    assert live(root)[-1] == "tuesday"


@pytest.mark.parametrize(
    ("number", "code", "all_processes"), [(signal.SIGTERM, 143, False), (signal.SIGINT, 130, True)]
)
def test_42_told_to_end(root: Path, fitting: Running, number: int, code: int, all_processes: bool) -> None:
    """A scheduler tells spark-submit; a terminal tells all of its processes."""
    old = newest(root, "stage2")
    started = time.monotonic()
    done = fitting.terminate(number, all_processes=all_processes)
    assert time.monotonic() - started < 10
    assert done.code == code
    name = signal.Signals(number).name.removeprefix("SIG")
    assert done.last.startswith("RECOMMENDER_ERROR TERMINATED stage=stage2 run=tuesday")
    (note,) = failed(root, "stage2")
    assert (note["signal"], note["exit_code"], note["run"]) == (name, code, "tuesday")
    assert newest(root, "stage2") == old


@pytest.mark.slow
def test_42_told_to_end_without_spark_submit(
    root: Path, settings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = Logged(tmp_path / "log")
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", " ".join([*logged.options, "pyspark-shell"]))
    job = Running([sys.executable, script("stage2"), "--root", str(root), *settings, "--force"], tmp_path)
    job.wait_for(lambda: "fitting ALS" in job.said() and logged.runs())
    done = job.terminate()
    assert done.code == 143
    assert done.last.startswith("RECOMMENDER_ERROR TERMINATED stage=stage2")
    assert [note["signal"] for note in failed(root, "stage2")] == ["TERM"]


def children(process: int, name: str, age: float = 0) -> list[int]:
    """Return the processes below one whose command line holds a name, and that are at least so many seconds old."""
    listed = subprocess.run(["ps", "-ewwo", "pid,ppid,etimes,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 3) for line in listed.splitlines()[1:]]
    below = {process}
    for _ in range(5):
        below |= {int(pid) for pid, parent, _, _ in rows if int(parent) in below}
    return [int(pid) for pid, _, lived, command in rows if int(pid) in below and name in command and int(lived) >= age]


def cluster(executors: int) -> tuple[str, ...]:
    """Return the options for a cluster whose executors are processes."""
    return (*LIGHT, "--master", f"local-cluster[{executors},1,1024]", "--conf", "spark.executor.memory=1g")


@pytest.mark.slow
def test_44_executors_that_are_lost_for_good(begin: Callable[..., Running], root: Path, tmp_path: Path) -> None:
    old, logged = newest(root, "stage2"), Logged(tmp_path / "log")
    once = ("--conf", "spark.task.maxFailures=1", "--conf", "spark.stage.maxConsecutiveAttempts=1")
    options = (*logged.options, *cluster(2), *once)
    job = begin("stage2", root, "--run-id", "tuesday", "--force", options=options)
    job.wait_for(lambda: "fitting ALS" in job.said())
    age, deadline = 0, time.monotonic() + 150
    while job.process.poll() is None and time.monotonic() < deadline:
        # An executor that has just started has no task to be missed; how long it needs depends on the machine.
        for executor in children(job.process.pid, "CoarseGrainedExecutorBackend", age) if logged.runs() else ():
            os.kill(executor, signal.SIGKILL)
            age += 1
        time.sleep(0.1)
    done = job.done()
    assert is_error(done, 18, "CLUSTER_LOST")
    assert [note["id"] for note in failed(root, "stage2")] == ["CLUSTER_LOST"]
    assert newest(root, "stage2") == old


@needs_mount
def test_46_spark_s_own_disk_is_full(tmp_path: Path, settings: list[str]) -> None:
    with mounting(tmp_path) as mount:
        disk = mount("size=40k")
        options = (*LIGHT, "--conf", f"spark.local.dir={disk}")
        done = run(submitted("stage1", "--root", "out", *settings, options=options), tmp_path)
    assert is_error(done, 17, "STORAGE_FULL", f"spark.local.dir {disk}")
    assert commits(tmp_path / "out", "stage1") == []


@pytest.mark.slow
def test_53_two_publishers(begin: Callable[..., Running], call: Callable[..., Done], root: Path) -> None:
    job = begin("stage4", root, "--run-id", "one")
    job.wait_for(lambda: len(attempts(root, "stage4")) == 2)  # it has looked, and starts Spark now
    ends = sorted((call("stage4", root, "--run-id", "other"), job.done()), key=lambda done: done.code)
    assert [done.code for done in ends] == [0, 15]
    assert is_error(ends[1], 15, "COMMIT_CONFLICT", "expected 1 found 2")
    assert len(commits(root, "stage4")) == 2
    assert len(live(root)) == 2


@pytest.mark.slow
def test_a_workflow_that_was_killed_does_only_what_is_missing(
    begin: Callable[..., Running], call: Callable[..., Done], root: Path
) -> None:
    for later in ("stage3", "stage4", "channels"):
        shutil.rmtree(root / later)
    again = ("--run-id", "monday", *setting("stage3.shards.visitors_per_shard=80"))
    job = begin("workflow", root, *again)
    job.wait_for(lambda: list((root / "stage3" / "shards").glob("*/*1.json")))
    job.kill()
    assert [len(commits(root, f"stage{n}")) for n in (1, 2, 3, 4)] == [1, 1, 0, 0]
    done = call("workflow", root, *again)
    assert done.code == 0, done.err
    assert done.out.count("ALREADY_COMMITTED") == 2
    assert "shard 1 of 2 was done before" in done.err
    stage3 = record(commits(root, "stage3")[0])
    assert len({path.split("/")[0] for path in stage3["files"]}) == 2
    assert stage3["contents"]["recommendations"]["rows"] == 150 * 10
    assert not list((root / "stage3" / "shards").glob("*/*.json"))
