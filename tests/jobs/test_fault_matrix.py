"""Faults as docs/reliability.md numbers them, in real processes: the exit code, the text, and what is left on disk."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from submitting import JOBS, SUBMIT, Done, Running, attempts, commits, failed, record, run, write_events

from recommender.store import Store, open_files

pytestmark = pytest.mark.job

IS_ROOT = os.geteuid() == 0
needs_mount = pytest.mark.skipif(not IS_ROOT, reason="only root can mount a small file system")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def events(folder: Path) -> Path:
    return write_events(folder / "events.csv.gz")


@pytest.fixture(scope="module")
def settings(events: Path) -> list[str]:
    return ["--set", f"stage1.data_loader.event_filename={events}", "--set", "stage2.als.rank=4"]


@pytest.fixture(scope="module")
def finished(folder: Path, settings: list[str]) -> Path:
    """Return a root with a finished run "monday"; tests change copies of it."""
    root = folder / "finished"
    done = run([str(SUBMIT), str(JOBS / "workflow.py"), "--root", str(root), "--run-id", "monday", *settings], folder)
    assert done.code == 0, done.err
    return root


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "root"))


@pytest.fixture
def submit(settings: list[str], tmp_path: Path) -> Callable[..., Done]:
    def started(job: str, root: Path, *arguments: str, options: tuple[str, ...] = ()) -> Done:
        program = [str(SUBMIT), *options, str(JOBS / f"{job}.py"), "--root", str(root), *settings, *arguments]
        return run(program, tmp_path)

    return started


@pytest.fixture
def begin(settings: list[str], tmp_path: Path) -> Iterator[Callable[..., Running]]:
    begun = []

    def started(job: str, root: Path, *arguments: str, options: tuple[str, ...] = ()) -> Running:
        program = [str(SUBMIT), *options, str(JOBS / f"{job}.py"), "--root", str(root), *settings, *arguments]
        begun.append(Running(program, tmp_path))
        return begun[-1]

    yield started
    for job in begun:
        if job.process.poll() is None:
            job.kill()


@pytest.fixture
def python(tmp_path: Path) -> Callable[..., Done]:
    """Run a job without spark-submit: enough for what fails before Spark starts."""

    def started(job: str, *arguments: str) -> Done:
        done = run([sys.executable, str(JOBS / f"{job}.py"), *arguments], tmp_path)
        assert "starting Spark" not in done.err
        return done

    return started


def store(root: Path) -> Store:
    return Store(open_files(str(root), hadoop=lambda: None))


def newest(root: Path, stage: str) -> str:
    commit = store(root).latest(stage)
    assert commit is not None
    store(root).check(commit)
    return commit.attempt


def is_error(done: Done, code: int, *texts: str) -> bool:
    """Return whether a job ended with a code, and said why in its last line, without a trace."""
    assert done.last.startswith("RECOMMENDER_ERROR "), done.err[-2000:]
    assert "Traceback" not in done.err
    return done.code == code and all(text in done.last for text in texts)


# 1 to 7: told before Spark starts


def test_01_a_misspelt_key(python: Callable[..., Done]) -> None:
    done = python("stage1", "--set", "stage1.scroe_filter.min_score=5")
    assert is_error(done, 10, "CFG_UNKNOWN_KEY", "scroe_filter, did you mean score_filter")


def test_02_a_python_tag(python: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(f"root: !!python/object/apply:os.mkdir [{tmp_path}/executed]\n")
    assert is_error(python("stage1", "--config", str(tmp_path / "bad.yaml")), 10, "CFG_YAML_TAG")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("run_id", ["../x", "run:1", "a*", "x" * 300])
def test_03_a_run_id_that_is_no_name(python: Callable[..., Done], run_id: str) -> None:
    assert is_error(python("stage1", "--run-id", run_id), 10, "RUN_ID must match [A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@pytest.mark.parametrize("name", ["id`; drop table x --", "a;b", 'a"b', "a\\b"])
@pytest.mark.parametrize("key", ["stage1.data_loader.columns", "stage1.train_test_split.column_name"])
def test_04_sql_in_the_name_of_a_column(python: Callable[..., Done], tmp_path: Path, key: str, name: str) -> None:
    value = f"{{itemid: {json.dumps(name)}}}" if key.endswith("columns") else json.dumps(name)
    assert is_error(python("stage1", "--set", f"{key}={value}"), 10, "BAD_IDENTIFIER", "a name: no quotes")


@pytest.mark.parametrize(
    "override",
    [
        "stage1.data_loader.password=hunter2",
        "stage1.data_loader.event_filename=s3a://ann:hunter2@bucket/events",
        "root=jdbc:x://h/db?password=hunter2",
    ],
)
def test_05_a_secret_in_the_configuration(python: Callable[..., Done], override: str) -> None:
    done = python("stage1", "--set", override)
    assert is_error(done, 10, "SECRET_INLINE", "set the environment variable")
    assert "hunter2" not in done.err + done.out


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("stage3.recommend.k=0", "stage3.recommend.k must be 1..1000, got 0"),
        ("stage2.als.rank=0", "stage2.als.rank must be 1..1000, got 0"),
        ("stage1.score_filter.min_score=.nan", "stage1.score_filter.min_score must be"),
    ],
)
def test_06_a_number_out_of_range(python: Callable[..., Done], override: str, text: str) -> None:
    assert is_error(python("workflow", "--set", override), 10, "CFG_RANGE", text)


@pytest.mark.parametrize("source", ["out", "out/stage1", "out/stage2/data/*.csv", "."])
def test_07_output_that_overlaps_the_input(python: Callable[..., Done], source: str) -> None:
    done = python("stage1", "--root", "out", "--set", f"stage1.data_loader.event_filename={source}")
    assert is_error(done, 10, "OUTPUT_OVERLAPS_INPUT")


# 39 to 44: processes that end too early


def test_39_killed_while_tasks_run(begin: Callable[..., Running], submit: Callable[..., Done], root: Path) -> None:
    old = newest(root, "stage2")
    job = begin("stage2", root, "--run-id", "tuesday", "--force")
    job.wait_for(lambda: len(attempts(root, "stage2")) == 2)
    time.sleep(6)
    assert job.kill().code == -signal.SIGKILL
    assert newest(root, "stage2") == old
    assert failed(root, "stage2") == []
    done = submit("stage2", root, "--run-id", "tuesday")
    assert done.code == 0, done.err
    assert newest(root, "stage2") != old
    assert len(attempts(root, "stage2")) == 3


def test_40_killed_while_spark_commits_a_table(
    begin: Callable[..., Running], submit: Callable[..., Done], root: Path
) -> None:
    old = newest(root, "stage4")
    job = begin("stage4", root, "--run-id", "tuesday")
    known = set((root / "stage4" / "data").iterdir())

    def moved() -> bool:
        new = set((root / "stage4" / "data").iterdir()) - known
        return any(next(attempt.glob("recommendations/part-*"), None) for attempt in new)

    job.wait_for(moved)
    assert job.kill().code == -signal.SIGKILL
    assert newest(root, "stage4") == old
    done = submit("stage4", root, "--run-id", "tuesday")
    assert done.code == 0, done.err
    assert newest(root, "stage4") != old


def test_41_killed_after_the_commit_record(
    begin: Callable[..., Running], submit: Callable[..., Done], root: Path
) -> None:
    old = newest(root, "stage4")
    job = begin("stage4", root, "--run-id", "tuesday")
    job.wait_for(lambda: len(commits(root, "stage4")) == 2)
    assert job.kill().code == -signal.SIGKILL
    assert newest(root, "stage4") != old
    done = submit("stage4", root, "--run-id", "tuesday")
    assert done.code == 0, done.err
    assert "ALREADY_COMMITTED" in done.out
    assert "starting Spark" not in done.err
    live = sorted((root / "channels" / "live").iterdir())
    assert record(live[-1])["run"] == "tuesday"


@pytest.mark.parametrize(
    ("number", "code", "all_processes"), [(signal.SIGTERM, 143, False), (signal.SIGINT, 130, True)]
)
def test_42_told_to_end(begin: Callable[..., Running], root: Path, number: int, code: int, all_processes: bool) -> None:
    """A scheduler tells spark-submit; a terminal tells all of its processes."""
    old = newest(root, "stage2")
    job = begin("stage2", root, "--run-id", "tuesday", "--force")
    job.wait_for(lambda: "fitting ALS" in job.said())
    time.sleep(1)
    started = time.monotonic()
    done = job.terminate(number, all_processes=all_processes)
    assert time.monotonic() - started < 10
    assert done.code == code
    name = signal.Signals(number).name.removeprefix("SIG")
    assert done.last.startswith("RECOMMENDER_ERROR TERMINATED stage=stage2 run=tuesday")
    (note,) = failed(root, "stage2")
    assert (note["signal"], note["exit_code"], note["run"]) == (name, code, "tuesday")
    assert newest(root, "stage2") == old


def test_42_told_to_end_without_spark_submit(root: Path, settings: list[str], tmp_path: Path) -> None:
    program = [sys.executable, str(JOBS / "stage2.py"), "--root", str(root), *settings, "--force"]
    job = Running(program, tmp_path)
    job.wait_for(lambda: "fitting ALS" in job.said())
    time.sleep(1)
    done = job.terminate()
    assert done.code == 143
    assert done.last.startswith("RECOMMENDER_ERROR TERMINATED stage=stage2")
    assert [note["signal"] for note in failed(root, "stage2")] == ["TERM"]


def children(process: int, name: str) -> list[int]:
    """Return the processes below one whose command line holds a name."""
    listed = subprocess.run(["ps", "-ewwo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    below = {process}
    for _ in range(5):
        below |= {int(pid) for pid, parent, _ in rows if int(parent) in below}
    return [int(pid) for pid, _, command in rows if int(pid) in below and name in command]


CLUSTER = ("--master", "local-cluster[2,1,1024]", "--conf", "spark.executor.memory=1g")


def test_44_executors_that_are_lost_for_good(begin: Callable[..., Running], root: Path) -> None:
    old = newest(root, "stage2")
    once = ("--conf", "spark.task.maxFailures=1", "--conf", "spark.stage.maxConsecutiveAttempts=1")
    job = begin("stage2", root, "--run-id", "tuesday", "--force", options=(*CLUSTER, *once))

    job.wait_for(lambda: "fitting ALS" in job.said())
    deadline = time.monotonic() + 150
    while job.process.poll() is None and time.monotonic() < deadline:
        for executor in children(job.process.pid, "CoarseGrainedExecutorBackend"):
            os.kill(executor, signal.SIGKILL)
        time.sleep(7)  # new ones need some seconds to start, and must have begun a task to be missed
    done = job.done()
    assert is_error(done, 18, "CLUSTER_LOST")
    assert [note["id"] for note in failed(root, "stage2")] == ["CLUSTER_LOST"]
    assert newest(root, "stage2") == old


# 45 to 47: disks


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Return a function that mounts a file system of a given size."""
    mounted = []

    def mount(options: str) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


@needs_mount
def test_45_the_output_s_disk_is_full(small_disk: Callable[[str], Path], submit: Callable[..., Done]) -> None:
    disk = small_disk("size=60k")
    done = submit("stage1", disk / "out")
    assert is_error(done, 17, "STORAGE_FULL", str(disk))
    assert commits(disk / "out", "stage1") == []
    (note,) = failed(disk / "out", "stage1")
    assert note["id"] == "STORAGE_FULL"


@needs_mount
def test_46_spark_s_own_disk_is_full(
    small_disk: Callable[[str], Path], submit: Callable[..., Done], tmp_path: Path
) -> None:
    disk = small_disk("size=100k")
    done = submit("stage1", tmp_path / "out", options=("--conf", f"spark.local.dir={disk}"))
    assert is_error(done, 17, "STORAGE_FULL", f"spark.local.dir {disk}")
    assert commits(tmp_path / "out", "stage1") == []


@needs_mount
def test_47_a_root_that_cannot_be_written(small_disk: Callable[[str], Path], python: Callable[..., Done]) -> None:
    disk = small_disk("size=60k,ro")
    assert is_error(python("workflow", "--root", str(disk)), 17, "STORAGE_DENIED", str(disk))


# 48 to 54: runs and records


def test_37_a_model_that_loses_is_kept_and_not_published(submit: Callable[..., Done], root: Path) -> None:
    live = sorted((root / "channels" / "live").iterdir())
    worse = ("--from", "stage2", "--set", "stage2.als.seed=5", "--set", "stage2.gate.min_gain_over_baselines=1000")
    done = submit("workflow", root, *worse)
    assert is_error(done, 14, "NOT_BLESSED", "ndcg@10", "asks for", "--override-gate")
    assert "stage2 train:" in done.out  # its metrics are shown
    assert [len(commits(root, f"stage{n}")) for n in (2, 3, 4)] == [2, 1, 1]
    assert record(commits(root, "stage2")[-1])["blessed"] is False
    assert sorted((root / "channels" / "live").iterdir()) == live
    done = submit("workflow", root, *worse, "--override-gate", "a new market")
    assert done.code == 0, done.err
    assert [len(commits(root, f"stage{n}")) for n in (2, 3, 4)] == [2, 2, 2]
    assert record(commits(root, "stage4")[-1])["gate_overridden"]["reason"] == "a new market"
    assert len(list((root / "channels" / "live").iterdir())) == len(live) + 1


def test_48_a_finished_run_again(submit: Callable[..., Done], root: Path) -> None:
    done = submit("workflow", root, "--run-id", "monday")
    assert done.code == 0, done.err
    assert done.out.count("ALREADY_COMMITTED") == 4
    assert "starting Spark" not in done.err
    assert [len(commits(root, f"stage{n}")) for n in (1, 2, 3, 4)] == [1, 1, 1, 1]
    assert len(list((root / "channels" / "live").iterdir())) == 1


def test_49_a_run_id_that_stands_for_something_else(submit: Callable[..., Done], root: Path, events: Path) -> None:
    done = submit("stage2", root, "--run-id", "monday", "--set", "stage2.als.rank=5")
    assert is_error(done, 15, "RUN_ID_REUSED", "config.als.rank")
    other = Path(shutil.copy(events, root.parent / "other.csv.gz"))
    done = submit("stage1", root, "--run-id", "monday", "--set", f"stage1.data_loader.event_filename={other}")
    assert is_error(done, 15, "RUN_ID_REUSED", "config.data_loader.event_filename", "inputs.")


def part_of(root: Path, stage: str, table: str) -> Path:
    attempt = root / stage / "data" / newest(root, stage)
    return min((attempt / table).glob("part-*"))


def test_50_a_committed_part_that_is_gone(submit: Callable[..., Done], root: Path) -> None:
    part = part_of(root, "stage1", "scores")
    part.unlink()
    assert is_error(submit("stage2", root, "--force"), 16, "ARTIFACT_CORRUPT", f"missing {part.name}")
    assert len(commits(root, "stage2")) == 1


def test_50_a_committed_part_that_is_cut_or_changed(submit: Callable[..., Done], root: Path) -> None:
    part = part_of(root, "stage1", "scores")
    content = part.read_bytes()
    part.write_bytes(content[:-1])
    assert is_error(submit("stage2", root, "--force"), 16, "ARTIFACT_CORRUPT", part.name, "bytes, not")
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    part.write_bytes(flipped)
    assert is_error(submit("stage2", root, "--force"), 16, "ARTIFACT_CORRUPT", part.name)
    assert len(commits(root, "stage2")) == 1


def test_51_a_foreign_file_beside_the_data(submit: Callable[..., Done], root: Path) -> None:
    table = part_of(root, "stage3", "recommendations").parent
    (table / "part-99999-foreign.snappy.parquet").write_bytes(b"not Parquet")
    done = submit("stage4", root, "--force")
    assert done.code == 0, done.err
    one, other = (record(commit)["contents"] for commit in commits(root, "stage4"))
    assert one == other


def test_52_a_commit_record_that_is_cut(submit: Callable[..., Done], root: Path) -> None:
    commit = commits(root, "stage1")[0]
    commit.write_bytes(commit.read_bytes()[:100])
    done = submit("stage2", root)
    assert is_error(done, 16, "ARTIFACT_CORRUPT", commit.name)
    assert "starting Spark" not in done.err


def test_53_two_publishers(begin: Callable[..., Running], root: Path) -> None:
    jobs = [begin("stage4", root, "--run-id", name) for name in ("one", "other")]
    for job in jobs:
        job.wait_for(lambda: len(attempts(root, "stage4")) == 3)  # both have looked before either has committed
    ends = sorted((job.done() for job in jobs), key=lambda done: done.code)
    assert [done.code for done in ends] == [0, 15]
    assert is_error(ends[1], 15, "COMMIT_CONFLICT", "expected 1 found 2")
    assert len(commits(root, "stage4")) == 2
    assert len(list((root / "channels" / "live").iterdir())) == 2


def test_54_a_stage_before_that_was_not_run(python: Callable[..., Done], tmp_path: Path) -> None:
    assert is_error(python("stage2", "--root", "empty"), 12, "UPSTREAM_NOT_COMMITTED", "run stage1 first")
    assert not (tmp_path / "empty").exists()


def test_54_a_stage_before_that_commits_meanwhile(begin: Callable[..., Running], root: Path) -> None:
    job = begin("stage3", root, "--run-id", "tuesday")
    job.wait_for(lambda: len(attempts(root, "stage3")) == 2)
    again = store(root)
    for stage in ("stage1", "stage2"):
        old = again.latest(stage)
        assert old is not None
        again.commit(again.begin(stage, "meanwhile"), {**old.record, "run": "meanwhile"})
    done = job.done()
    assert done.code == 0, done.err
    assert record(commits(root, "stage3")[-1])["upstream"] == {"stage1": 1, "stage2": 1}


def test_61_a_model_of_another_class(submit: Callable[..., Done], root: Path) -> None:
    part = part_of(root, "stage2", "model/metadata")
    part.write_text(part.read_text().replace("org.apache.spark.ml.recommendation.ALSModel", "evil.Model"))
    assert is_error(submit("stage3", root, "--force"), 16, "MODEL_CLASS", "names the class 'evil.Model'")
    assert len(commits(root, "stage3")) == 1


# a workflow that goes on where it was


def test_a_workflow_that_was_killed_does_only_what_is_missing(
    begin: Callable[..., Running], submit: Callable[..., Done], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shards = ("--set", "stage3.shards.visitors_per_shard=40")
    job = begin("workflow", out, "--run-id", "tuesday", *shards)
    job.wait_for(lambda: list((out / "stage3" / "shards").glob("*/*1.json")), seconds=180)
    job.kill()
    assert [len(commits(out, f"stage{n}")) for n in (1, 2, 3, 4)] == [1, 1, 0, 0]
    done = submit("workflow", out, "--run-id", "tuesday", *shards)
    assert done.code == 0, done.err
    assert done.out.count("ALREADY_COMMITTED") == 2
    assert "shard 1 of 4 was done before" in done.err
    stage3 = record(commits(out, "stage3")[0])
    assert len({path.split("/")[0] for path in stage3["files"]}) == 2
    assert stage3["contents"]["recommendations"]["rows"] == 150 * 10
    assert not list((out / "stage3" / "shards").glob("*/*.json"))


def test_a_workflow_runs_from_one_stage_until_another(submit: Callable[..., Done], root: Path) -> None:
    done = submit("workflow", root, "--from", "stage2", "--until", "stage3", "--set", "stage2.als.rank=3")
    assert done.code == 0, done.err
    assert [len(commits(root, f"stage{n}")) for n in (1, 2, 3, 4)] == [1, 2, 2, 1]
    assert record(commits(root, "stage3")[-1])["upstream"] == {"stage1": 1, "stage2": 2}


def test_stages_in_the_wrong_order_are_told(python: Callable[..., Done]) -> None:
    done = python("workflow", "--from", "stage3", "--until", "stage2")
    assert is_error(done, 10, "CFG_ARGUMENT", "--from stage3 comes after --until stage2")
