"""Stage 4 as a real process that delivers to a PostgreSQL and to folders, with a snapshot; killed, and gone on with."""

import csv
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import postgres
import pyarrow.parquet as pq
import pytest
from submitting import JOBS, SUBMIT, Done, Running, run, write_events

from recommender.__main__ import main
from recommender.delivery.folder import FolderTarget
from recommender.serving.checks import checked_files, read_manifest
from recommender.serving.version import Version
from recommender.store import Channels, Store, open_files

pytestmark = [pytest.mark.job, pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())]

COUNT = "SELECT count(*), count(DISTINCT visitorid) FROM recommendations"


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="recommender-postgres-"))
    folder.chmod(0o755)
    with postgres.running(folder / "server") as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("publishing")


@pytest.fixture(scope="module")
def settings(folder: Path, server: postgres.Postgres) -> list[str]:
    values = [
        f"stage1.data_loader.event_filename={write_events(folder / 'events.csv.gz')}",
        "stage2.als.rank=4",
        f"stage4.postgres.url=postgresql://127.0.0.1:{server.port}/postgres",
        "stage4.postgres.lock_timeout=0.5",
        f"stage4.csv.path={folder / 'csv'}",
    ]
    return [word for value in values for word in ("--set", value)]


@pytest.fixture(scope="module")
def submitted(folder: Path, settings: list[str], server: postgres.Postgres) -> Iterator[Callable[..., list[str]]]:
    """Return a function that makes the command line of a job."""
    patch = pytest.MonkeyPatch()
    patch.setenv("POSTGRES_USER", postgres.USER)
    patch.setenv("POSTGRES_PASSWORD", postgres.PASSWORD)
    yield lambda job, root, *more: [str(SUBMIT), str(JOBS / f"{job}.py"), "--root", str(root), *settings, *more]
    patch.undo()


@pytest.fixture(scope="module")
def published(folder: Path, submitted: Callable[..., list[str]]) -> tuple[Path, Done]:
    """Return the root of a finished run "monday", and how it ended."""
    root = folder / "root"
    done = run(submitted("workflow", root, "--run-id", "monday"), folder)
    assert done.code == 0, done.err
    return root, done


def store(root: Path) -> Store:
    return Store(open_files(str(root), lambda: None))


def live(root: Path) -> str | None:
    current = Channels(store(root)).current("live")
    return current.run_id if current else None


def test_a_run_is_delivered_everywhere_and_named(
    published: tuple[Path, Done], folder: Path, server: postgres.Postgres
) -> None:
    root, done = published
    commit = store(root).latest("stage4")
    assert commit is not None
    paths = [root / "stage4/data" / path for path in commit.files("recommendations")]
    rows = sorted(tuple(row.values()) for path in paths for row in pq.ParquetFile(path).read().to_pylist())
    assert server.sql(COUNT) == f"{len(rows)}|{len({row[0] for row in rows})}"
    first = server.sql("SELECT visitorid, rank, itemid, source FROM recommendations ORDER BY visitorid, rank LIMIT 20")
    assert first.splitlines() == [f"{v}|{r}|{i}|{source}" for v, r, i, _, source in rows[:20]]
    target = FolderTarget({"path": str(folder / "csv"), "format": "csv", "keep_versions": 2})
    files = (folder / "csv" / str(target.current("live"))).glob("part-*.csv")
    assert sum(len(list(csv.reader(path.read_text().splitlines()))) - 1 for path in files) == len(rows)
    current = Channels(store(root)).current("live")
    assert current is not None
    assert set(current.record["delivered"]) == {"postgres", "csv"}
    assert "channel live; delivered to postgres, csv" in done.out


def test_its_snapshot_answers_as_the_lists_say(published: tuple[Path, Done]) -> None:
    root, _ = published
    commit = store(root).latest("stage4")
    assert commit is not None
    folder = root / "stage4/data" / commit.attempt / "snapshot"
    manifest = read_manifest(folder, commit.files()[f"{commit.attempt}/snapshot/manifest.json"]["sha256"])
    assert len(list(checked_files(folder, manifest))) >= len(manifest.files)
    version = Version.open(folder, manifest, 1)  # asks the golden questions
    assert (manifest.run, manifest.number, manifest.counts.visitors) == ("monday", commit.number, 150)
    assert len(manifest.golden) == 3
    assert {row["metric"] for row in manifest.metrics} >= {"ndcg", "recall"}
    assert manifest.gate is not None
    assert len(version.snapshot.visitors) == 150


def test_no_output_has_the_password(published: tuple[Path, Done]) -> None:
    root, done = published
    assert postgres.PASSWORD not in done.out + done.err
    assert not any(postgres.PASSWORD in path.read_text() for path in root.rglob("*.json"))


def test_a_candidate_is_compared_with_what_is_live_and_promoted(
    published: tuple[Path, Done],
    folder: Path,
    tmp_path: Path,
    submitted: Callable[..., list[str]],
    server: postgres.Postgres,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = Path(shutil.copytree(published[0], tmp_path / "root"))
    more = ["--run-id", "tuesday", "--set", "stage4.publish.channel=candidate", "--set", "stage3.recommend.k=5"]
    done = run([*submitted("workflow", root, "--from", "stage3"), *more], folder)
    assert done.code == 0, done.err
    assert "from monday to tuesday" in done.out
    assert "overlap@10" in done.out
    before = server.sql(COUNT)
    assert server.sql("SELECT max(rank) FROM recommendations_candidate") == "5"
    assert live(root) == "monday"
    assert main(["release", "--root", str(root), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["lists"]["visitors"] == {"candidate": 150, "live": 150, "gained": 0, "lost": 0}
    assert found["metrics"]["ndcg@10"][0] == found["metrics"]["ndcg@10"][1]
    assert main(["promote", "candidate", "live", "--root", str(root)]) == 0
    assert server.sql("SELECT max(rank) FROM recommendations") == "5"
    assert main(["rollback", "live", "--root", str(root)]) == 0
    assert server.sql(COUNT) == before


def test_55_a_job_that_is_killed_while_it_loads_leaves_the_old_version_and_goes_on(
    published: tuple[Path, Done],
    folder: Path,
    tmp_path: Path,
    submitted: Callable[..., list[str]],
    server: postgres.Postgres,
) -> None:
    root = Path(shutil.copytree(published[0], tmp_path / "root"))
    before = server.sql("SELECT table_name FROM recommender_pointers WHERE channel = 'live'")
    program = submitted("stage4", root, "--run-id", "wednesday", "--force", "--set", "stage4.report.examples=1")
    job = Running(program, tmp_path)
    job.wait_for(lambda: server.sql("SELECT count(*) FROM recommender_versions WHERE NOT ready") != "0")
    job.kill()
    assert server.sql("SELECT table_name FROM recommender_pointers WHERE channel = 'live'") == before
    assert live(root) == "monday"
    done = run(program, folder)
    assert done.code == 0, done.err
    assert "ALREADY_COMMITTED" in done.out  # what was computed is not computed again
    assert live(root) == "wednesday"
    assert server.sql("SELECT run FROM recommender_pointers WHERE channel = 'live'") == "wednesday"
    assert server.sql("SELECT count(*) FROM recommender_versions WHERE NOT ready") == "0"


def test_57_a_job_that_finds_the_view_locked_is_told_and_goes_on(
    published: tuple[Path, Done],
    folder: Path,
    tmp_path: Path,
    submitted: Callable[..., list[str]],
    server: postgres.Postgres,
) -> None:
    import psycopg

    root = Path(shutil.copytree(published[0], tmp_path / "root"))
    program = submitted("stage4", root, "--run-id", "thursday", "--set", "stage4.report.examples=2")
    url = f"postgresql://{postgres.USER}:{postgres.PASSWORD}@127.0.0.1:{server.port}/postgres"
    with psycopg.connect(url) as holder:
        holder.execute("SELECT * FROM recommendations LIMIT 1")
        done = run(program, folder)
    assert done.code == 18
    assert done.last.startswith("RECOMMENDER_ERROR TARGET_LOCKED stage=stage4 run=thursday")
    assert live(root) == "monday"
    done = run(program, folder)
    assert (done.code, live(root)) == (0, "thursday")
    assert "starting Spark" not in done.err  # everything was loaded before
