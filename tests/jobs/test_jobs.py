"""The jobs as users start them: real processes, real files, from another folder, without PYTHONPATH."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from submitting import JOBS, SUBMIT, Done, run, write_events

pytestmark = pytest.mark.job


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def submit(folder: Path) -> Callable[..., Done]:
    def started(job: str, *arguments: str) -> Done:
        return run([str(SUBMIT), str(JOBS / f"{job}.py"), *arguments], folder)

    return started


@pytest.fixture(scope="module")
def python(folder: Path) -> Callable[..., Done]:
    """Run a job without spark-submit: enough for what fails before Spark starts."""

    def started(job: str, *arguments: str) -> Done:
        return run([sys.executable, str(JOBS / f"{job}.py"), *arguments], folder)

    return started


@pytest.fixture(scope="module")
def events(folder: Path) -> Path:
    return write_events(folder / "events.csv.gz")


@pytest.fixture(scope="module")
def workflow(submit: Callable[..., Done], events: Path) -> Done:
    source = f"stage1.data_loader.event_filename={events.name}"
    return submit("workflow", "--root", "out", "--run-id", "monday", "--set", source, "--set", "stage2.als.rank=4")


def commits(folder: Path, stage: str) -> list[Path]:
    return sorted((folder / "out" / stage / "commits").glob("*.json"))


def test_the_workflow_ends_with_recommendations(workflow: Done, folder: Path) -> None:
    assert workflow.code == 0, workflow.err
    record = json.loads(commits(folder, "stage4")[0].read_text())
    table = pq.read_table(folder / "out" / "stage4" / "data" / record["attempt"] / "recommendations")
    assert table.column_names == ["visitorid", "rank", "itemid", "score", "source"]
    assert set(table["visitorid"].to_pylist()) == set(range(150))
    assert table["visitorid"].to_pylist() == sorted(table["visitorid"].to_pylist())


def test_every_stage_commits_under_the_run_s_name(workflow: Done, folder: Path) -> None:
    for stage in ("stage1", "stage2", "stage3", "stage4"):
        (commit,) = commits(folder, stage)
        assert json.loads(commit.read_text())["run"] == "monday"


def test_the_channel_names_the_published_attempt(workflow: Done, folder: Path) -> None:
    (record,) = (folder / "out" / "channels" / "live").glob("*.json")
    published = json.loads(commits(folder, "stage4")[0].read_text())
    assert json.loads(record.read_text())["attempt"] == published["attempt"]


def test_the_summary_tells_rows_times_metrics_place_and_examples(workflow: Done) -> None:
    for text in (
        "stage1 prepare:",
        "events/s",
        "held-out visitors",
        "ndcg",
        "popular",
        "(fold_in)",
        "recommended:",
        "The recommendations are Parquet files in ",
        "Channel live names them\n",
    ):
        assert text in workflow.out
    assert re.search(r"data_loader +3,000\n +event_validator +3,000 +3,000", workflow.out)


def test_spark_s_own_log_stays_out_of_sight(workflow: Done) -> None:
    lines = [line for line in workflow.err.splitlines() if " INFO " in line]
    assert len(lines) <= 3  # what Spark says before it has read its settings
    assert "stage2 train: fitting ALS ..." in workflow.err


def test_a_stage_runs_alone_on_what_is_stored(workflow: Done, submit: Callable[..., Done], folder: Path) -> None:
    done = submit("stage4", "--root", "out", "--set", "stage4.publish.channel=candidate")
    assert done.code == 0, done.err
    assert len(commits(folder, "stage4")) == 2
    assert (folder / "out" / "channels" / "candidate" / f"{1:020d}.json").exists()


def test_what_was_submitted_is_not_overridden(submit: Callable[..., Done], folder: Path) -> None:
    (folder / "spy.py").write_text(
        f"import sys; sys.path.insert(0, {str(JOBS.parent)!r})\n"
        "from recommender.session import start_session\n"
        "spark = start_session('ours')\n"
        "for key in ('spark.sql.session.timeZone', 'spark.sql.shuffle.partitions', 'spark.app.name',\n"
        "            'spark.log.level', 'spark.ui.showConsoleProgress'):\n"
        "    print(key, spark.conf.get(key))\n"
        "spark.stop()\n"
    )
    given = ["--conf", "spark.sql.session.timeZone=Asia/Tokyo", "--conf", "spark.sql.shuffle.partitions=3"]
    given += ["--conf", "spark.log.level=ERROR", "--name", "theirs"]
    done = run([str(SUBMIT), *given, str(folder / "spy.py")], folder)
    assert done.code == 0, done.err
    assert dict(line.split(" ", 1) for line in done.out.splitlines()) == {
        "spark.sql.session.timeZone": "Asia/Tokyo",
        "spark.sql.shuffle.partitions": "3",
        "spark.app.name": "theirs",
        "spark.log.level": "ERROR",
        "spark.ui.showConsoleProgress": "false",
    }


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_truncated_file_is_one_sentence_and_leaves_no_data(
    submit: Callable[..., Done], events: Path, folder: Path
) -> None:
    broken = folder / "broken.csv.gz"
    broken.write_bytes(events.read_bytes()[:-3000])
    done = submit("stage1", "--root", "broken", "--set", f"stage1.data_loader.event_filename={broken}")
    assert done.code == 12
    assert done.last.startswith("RECOMMENDER_ERROR INPUT_CORRUPT stage=stage1 run=")
    assert "broken.csv.gz cannot be read to its end; replace the file" in done.last
    assert "Traceback" not in done.err
    assert files(folder / "broken") == ["_ATTEMPT.json", "_FAILED.json"]


def test_a_missing_column_is_one_sentence_and_leaves_no_data(submit: Callable[..., Done], folder: Path) -> None:
    (folder / "short.csv").write_text("timestamp,visitorid,event\n1,2,view\n")
    done = submit("workflow", "--root", "short", "--set", "stage1.data_loader.event_filename=short.csv")
    assert done.code == 12
    assert ": itemid; found [timestamp, visitorid, event] in short.csv; map other names" in done.last
    assert "Traceback" not in done.err
    assert files(folder / "short") == ["_ATTEMPT.json", "_FAILED.json"]


def test_a_trace_is_shown_when_asked_for(python: Callable[..., Done]) -> None:
    done = python("stage1", "--verbose", "--set", "stage1.data_loader.event_filename=nowhere.csv")
    assert done.code == 12
    assert "Traceback" in done.err
    assert done.last.endswith("nowhere.csv does not exist; see data_loader.event_filename")


def test_all_mistakes_are_told_before_spark_starts(python: Callable[..., Done]) -> None:
    done = python("workflow", "--set", "stage1.scroe_filter.min_score=5", "--set", "stage3.recommend.k=0")
    assert done.code == 10
    assert done.err.splitlines()[:2] == [
        "CFG_UNKNOWN_KEY stage1.scroe_filter, did you mean score_filter",
        "CFG_RANGE stage3.recommend.k must be 1..1000, got 0",
    ]
    assert done.last.startswith("RECOMMENDER_ERROR CFG_UNKNOWN_KEY stage=- run=")
    assert "starting Spark" not in done.err


def test_a_missing_configuration_is_told(python: Callable[..., Done]) -> None:
    done = python("stage1", "--config", "no.yaml")
    assert (done.code, done.last.split(": ", 1)[1]) == (
        10,
        "the configuration no.yaml cannot be read: No such file or directory",
    )


def test_a_run_id_that_is_no_name_is_told(python: Callable[..., Done]) -> None:
    done = python("stage1", "--run-id", "../x")
    assert done.code == 10
    assert "RUN_ID must match [A-Za-z0-9][A-Za-z0-9_-]{0,63}, got '../x'" in done.last


def test_a_stage_whose_input_was_not_made_says_what_to_run(python: Callable[..., Done]) -> None:
    done = python("stage2", "--root", "empty")
    assert done.code == 12
    assert "UPSTREAM_NOT_COMMITTED" in done.last
    assert "stage1 has no committed result below" in done.last
    assert "starting Spark" not in done.err


def test_a_root_of_an_unknown_kind_is_told(python: Callable[..., Done]) -> None:
    done = python("stage1", "--root", "ftp://host/x")
    assert (done.code, "STORAGE_SCHEME" in done.last) == (17, True)


@pytest.mark.parametrize("job", ["stage1", "stage2", "stage3", "stage4", "workflow", "sample"])
def test_every_job_has_a_help_text(python: Callable[..., Done], job: str) -> None:
    done = python(job, "--help")
    assert done.code == 0
    assert f"spark-submit jobs/{job}.py" in done.out
