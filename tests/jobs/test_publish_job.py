"""Stage 4 delivers to a PostgreSQL and to folders, with a snapshot; a process of it is killed, and gone on with."""

import csv
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from support import postgres
from support.submitting import Done, Running, run_here, setting, store, submitted

from recommender.__main__ import main
from recommender.publishing.folder import FolderTarget
from recommender.serving.version import Version
from recommender.snapshot.checks import checked_files, read_manifest
from recommender.store import Channels

pytestmark = [pytest.mark.job, pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())]

COUNT = "SELECT count(*), count(DISTINCT visitorid) FROM recommendations"


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="recommender-postgres-"))
    folder.chmod(0o755)
    with postgres.running(folder / "server") as running:
        yield running


@pytest.fixture(scope="module")
def publishing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("publishing")


@pytest.fixture(scope="module")
def places(settings: list[str], publishing: Path, server: postgres.Postgres) -> Iterator[list[str]]:
    """Return the arguments of a run that is delivered to a database and as files."""
    url = f"stage4.postgres.url=postgresql://127.0.0.1:{server.port}/postgres"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POSTGRES_USER", postgres.USER)
        patch.setenv("POSTGRES_PASSWORD", postgres.PASSWORD)
        yield [*settings, *setting(url, "stage4.postgres.lock_timeout=0.5", f"stage4.csv.path={publishing / 'csv'}")]


@pytest.fixture(scope="module")
def published(spark: SparkSession, finished: Path, publishing: Path, places: list[str]) -> tuple[Path, Done]:
    """Return the root of a finished run "monday", and how its stage 4 ended."""
    root = Path(shutil.copytree(finished, publishing / "root"))
    for later in ("stage4", "channels"):
        shutil.rmtree(root / later)
    done = run_here("stage4", "--root", str(root), "--run-id", "monday", *places)
    assert done.code == 0, done.err
    return root, done


@pytest.fixture
def root(published: tuple[Path, Done], tmp_path: Path) -> Path:
    """Return a copy of the published root."""
    return Path(shutil.copytree(published[0], tmp_path / "root"))


def live(root: Path) -> str | None:
    current = Channels(store(root)).current("live")
    return current.run_id if current else None


def test_a_run_is_delivered_everywhere_and_named(
    published: tuple[Path, Done], publishing: Path, server: postgres.Postgres
) -> None:
    root, done = published
    commit = store(root).latest("stage4")
    assert commit is not None
    paths = [root / "stage4/data" / path for path in commit.files("recommendations")]
    rows = sorted(tuple(row.values()) for path in paths for row in pq.ParquetFile(path).read().to_pylist())
    assert server.sql(COUNT) == f"{len(rows)}|{len({row[0] for row in rows})}"
    first = server.sql("SELECT visitorid, rank, itemid, source FROM recommendations ORDER BY visitorid, rank LIMIT 20")
    assert first.splitlines() == [f"{v}|{r}|{i}|{source}" for v, r, i, _, source in rows[:20]]
    target = FolderTarget({"path": str(publishing / "csv"), "format": "csv", "keep_versions": 2})
    files = (publishing / "csv" / str(target.current("live"))).glob("part-*.csv")
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
    root: Path, places: list[str], server: postgres.Postgres, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--run-id", "tuesday", *setting("stage4.publish.channel=candidate", "stage3.recommend.k=5")]
    done = run_here("workflow", "--root", str(root), "--from", "stage3", *places, *more)
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


@pytest.mark.slow
def test_55_a_job_that_is_killed_while_it_loads_leaves_the_old_version_and_goes_on(
    root: Path, places: list[str], server: postgres.Postgres, tmp_path: Path
) -> None:
    before = server.sql("SELECT table_name FROM recommender_pointers WHERE channel = 'live'")
    arguments = ["--root", str(root), *places, "--run-id", "wednesday", *setting("stage4.report.examples=1")]
    job = Running(submitted("stage4", *arguments), tmp_path)
    job.wait_for(lambda: server.sql("SELECT count(*) FROM recommender_versions WHERE NOT ready") != "0")
    job.kill()
    assert server.sql("SELECT table_name FROM recommender_pointers WHERE channel = 'live'") == before
    assert live(root) == "monday"
    done = run_here("stage4", *arguments)
    assert done.code == 0, done.err
    assert "ALREADY_COMMITTED" in done.out  # what was computed is not computed again
    assert live(root) == "wednesday"
    assert server.sql("SELECT run FROM recommender_pointers WHERE channel = 'live'") == "wednesday"
    assert server.sql("SELECT count(*) FROM recommender_versions WHERE NOT ready") == "0"


def test_57_a_job_that_finds_the_view_locked_is_told_and_goes_on(
    root: Path, places: list[str], server: postgres.Postgres
) -> None:
    import psycopg

    arguments = ["--root", str(root), *places, "--run-id", "thursday", *setting("stage4.report.examples=2")]
    url = f"postgresql://{postgres.USER}:{postgres.PASSWORD}@127.0.0.1:{server.port}/postgres"
    with psycopg.connect(url) as holder:
        holder.execute("SELECT * FROM recommendations LIMIT 1")
        done = run_here("stage4", *arguments)
    assert done.code == 18
    assert done.last.startswith("RECOMMENDER_ERROR TARGET_LOCKED stage=stage4 run=thursday")
    assert live(root) == "monday"
    done = run_here("stage4", *arguments)
    assert (done.code, live(root)) == (0, "thursday")
    assert "starting Spark" not in done.err  # everything was loaded before
