"""One finished run, made by a real process as users start it; tests change copies of it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from support.submitting import (
    CANARY,
    LIGHT,
    Done,
    Running,
    environment,
    run,
    run_here,
    setting,
    submitted,
    write_events,
)


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Be in a folder of the test's own, with nothing in the environment that says where events are."""
    monkeypatch.delenv("EVENTS_PATH", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="session")
def events(folder: Path) -> Path:
    return write_events(folder / "events.csv.gz")


@pytest.fixture(scope="session")
def settings(events: Path) -> list[str]:
    model = ("stage2.als.rank=4", "stage2.als.max_iter=2", "stage2.evaluator.replicates=50")
    return setting(f"stage1.data_loader.event_filename={events}", *model)


@pytest.fixture(scope="session")
def workflow(folder: Path, settings: list[str]) -> Done:
    """Return how the run "monday" ended, with Spark as users have it: adaptive, with its partitions.

    It is given a secret wherever one can come from, and writes Spark's log of events beside its root; test_secrets.py
    looks for it.
    """
    (folder / "log").mkdir()
    conf = [f"spark.eventLog.dir={folder}/log", "spark.eventLog.enabled=true", "spark.eventLog.compress=false"]
    conf += [f"spark.my.jdbc.url=jdbc:postgresql://ann:{CANARY}@db/shop", f"spark.my.password={CANARY}"]
    conf += [f"spark.executorEnv.DB_TOKEN={CANARY}"]
    options = [word for each in conf for word in ("--conf", each)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHOP_PASSWORD", CANARY)
        assert environment()["SHOP_PASSWORD"] == CANARY
        done = run(submitted("workflow", "--root", "out", "--run-id", "monday", *settings, options=options), folder)
    for name, text in (("out", done.out), ("err", done.err)):
        (folder / f"workflow.{name}").write_text(text)
    return done


@pytest.fixture(scope="session")
def finished(folder: Path, workflow: Done) -> Path:
    """Return the root of the run "monday"; nobody may change it."""
    assert workflow.code == 0, workflow.err
    return folder / "out"


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    """Return a copy of the finished root."""
    return Path(shutil.copytree(finished, tmp_path / "root"))


@pytest.fixture
def python() -> Callable[..., Done]:
    """Run a job, in this process, that ends before it needs Spark."""

    def started(job: str, *arguments: str) -> Done:
        done = run_here(job, *arguments)
        assert "starting Spark" not in done.err
        return done

    return started


@pytest.fixture
def call(spark: SparkSession, settings: list[str]) -> Callable[..., Done]:
    """Run a job in this process, in the session that all tests share."""

    def started(job: str, root: Path, *arguments: str) -> Done:
        assert SparkSession.getActiveSession() is spark
        return run_here(job, "--root", str(root), *settings, *arguments)

    return started


@pytest.fixture
def begin(settings: list[str], tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start a real process, which is killed with the test."""
    begun = []

    def started(job: str, root: Path, *arguments: str, options: tuple[str, ...] = LIGHT) -> Running:
        begun.append(Running(submitted(job, "--root", str(root), *settings, *arguments, options=options), tmp_path))
        return begun[-1]

    yield started
    for job in begun:
        if job.process.poll() is None:
            job.kill()
