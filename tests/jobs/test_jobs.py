"""The jobs as users start them: real files, from another folder, without PYTHONPATH; some as real processes."""

import json
import re
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from support.page_text import Page
from support.submitting import (
    JOBS,
    LIGHT,
    SUBMIT,
    Done,
    commits,
    live,
    newest,
    record,
    run,
    run_here,
    script,
    setting,
    submitted,
)

pytestmark = pytest.mark.job


def test_the_workflow_ends_with_recommendations(finished: Path) -> None:
    attempt = record(commits(finished, "stage4")[0])["attempt"]
    table = pq.read_table(finished / "stage4" / "data" / attempt / "recommendations")
    assert table.column_names == ["visitorid", "rank", "itemid", "score", "source"]
    assert set(table["visitorid"].to_pylist()) == set(range(150))
    assert table["visitorid"].to_pylist() == sorted(table["visitorid"].to_pylist())


def test_every_stage_commits_under_the_run_s_name(finished: Path) -> None:
    for stage in ("stage1", "stage2", "stage3", "stage4"):
        (commit,) = commits(finished, stage)
        assert record(commit)["run"] == "monday"


def test_the_channel_names_the_published_attempt(finished: Path) -> None:
    (named,) = (finished / "channels" / "live").glob("*.json")
    assert record(named)["attempt"] == record(commits(finished, "stage4")[0])["attempt"]


def test_the_report_lies_beside_the_recommendations(finished: Path, workflow: Done) -> None:
    commit = record(commits(finished, "stage4")[0])
    page = Page((finished / "stage4" / "data" / commit["attempt"] / "report.html").read_text())
    assert f"Visitor {commit['examples'][0]['visitorid']}" in page.sections["Example visitors"]
    metrics = record(commits(finished, "stage2")[0])["metrics"]
    assert {row[key] for row in metrics for key in ("value", "low", "high") if row[key] is not None} <= page.values
    assert not any("report.html" in path for path in commit["files"])
    assert "/report.html\n" in workflow.out


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
    assert "stage2 train, 3,000 events: fitting ALS ..." in workflow.err


def test_a_dry_run_finds_what_the_run_has_made(
    finished: Path, settings: list[str], python: Callable[..., Done]
) -> None:
    done = python("workflow", "--dry-run", "--root", str(finished), *settings)
    assert (done.code, done.out.count("is used again")) == (0, 4), done.out
    changed = setting("stage3.similar_items.k=3")
    done = python("workflow", "--dry-run", "--root", str(finished), *settings, *changed)
    assert "stage3 predict    would run        stage3.similar_items.k is 3, was 10\n" in done.out
    assert "as the last run" in done.out
    assert done.out.count("is used again") == 2


@pytest.fixture(scope="module")
def again(
    spark: SparkSession, finished: Path, settings: list[str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Done]:
    """Return a root whose stage 4 ran again: alone, for another channel, with a foreign file beside the lists."""
    root = Path(shutil.copytree(finished, tmp_path_factory.mktemp("again") / "root"))
    table = root / "stage3" / "data" / newest(root, "stage3") / "recommendations"
    (table / "part-99999-foreign.snappy.parquet").write_bytes(b"not Parquet")
    words = ("--force", "--json", *setting("stage4.publish.channel=candidate"))
    return root, run_here("stage4", "--root", str(root), *settings, *words)


def test_a_run_again_is_told_the_time_that_it_took_before(again: tuple[Path, Done]) -> None:
    _, done = again
    assert done.code == 0, done.err
    told = [json.loads(line) for line in done.out.splitlines()]
    parts = {each["part"]: each for each in told if each["event"] == "part_started"}
    assert parts["making the serving snapshot"]["of"] >= parts["making the serving snapshot"]["step"] >= 2
    assert parts["reading back what was written"]["expected_left"] > 0
    assert told[-2]["event"] == "stage_done"
    assert told[-2]["rows"]["recommendations"] > 0


def test_a_stage_runs_alone_on_what_is_stored(again: tuple[Path, Done]) -> None:
    root, _ = again
    assert len(commits(root, "stage4")) == 2
    assert (root / "channels" / "candidate" / f"{1:020d}.json").exists()
    assert live(root) == ["monday"]


def test_51_a_foreign_file_beside_the_data(again: tuple[Path, Done]) -> None:
    one, other = (record(commit)["contents"] for commit in commits(again[0], "stage4"))
    assert one == other


def test_what_was_submitted_is_not_overridden(tmp_path: Path) -> None:
    (tmp_path / "spy.py").write_text(
        f"import sys; sys.path.insert(0, {str(JOBS.parent)!r})\n"
        "from recommender.spark.session import start_session\n"
        "spark = start_session('ours')\n"
        "for key in ('spark.sql.session.timeZone', 'spark.sql.shuffle.partitions', 'spark.app.name',\n"
        "            'spark.log.level', 'spark.ui.showConsoleProgress'):\n"
        "    print(key, spark.conf.get(key))\n"
        "spark.stop()\n"
    )
    given = ["--conf", "spark.sql.session.timeZone=Asia/Tokyo", "--conf", "spark.sql.shuffle.partitions=3"]
    given += ["--conf", "spark.log.level=ERROR", "--name", "theirs"]
    done = run([str(SUBMIT), *given, str(tmp_path / "spy.py")], tmp_path)
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


@pytest.fixture(scope="module")
def truncated(events: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """Return the root of a process that met a file that is cut, and how it ended."""
    folder = tmp_path_factory.mktemp("truncated")
    (folder / "broken.csv.gz").write_bytes(events.read_bytes()[:-3000])
    source = setting("stage1.data_loader.event_filename=broken.csv.gz")
    options = (*LIGHT, "--conf", "spark.redaction.regex=(?i)password")
    return folder / "broken", run(submitted("stage1", "--root", "broken", *source, options=options), folder)


def test_a_truncated_file_is_one_sentence_and_leaves_no_data(truncated: tuple[Path, Done]) -> None:
    """The exit code and the last line come through spark-submit, with nothing of Spark's own around it."""
    root, done = truncated
    assert done.code == 12
    assert done.last.startswith("RECOMMENDER_ERROR INPUT_CORRUPT stage=stage1 run=")
    assert "broken.csv.gz cannot be read to its end; replace the file" in done.last
    assert "Traceback" not in done.err
    assert "SparkException" not in done.err
    assert files(root) == ["_ATTEMPT.json", "_FAILED.json"]


def test_a_pattern_that_does_not_cover_secrets_is_told(truncated: tuple[Path, Done]) -> None:
    assert "warning: spark.redaction.regex does not cover DB_TOKEN, jdbc:" in truncated[1].err


def test_a_missing_column_is_one_sentence_and_leaves_no_data(call: Callable[..., Done], tmp_path: Path) -> None:
    short = tmp_path / "short.csv"
    short.write_text("timestamp,visitorid,event\n1,2,view\n")
    done = call("workflow", tmp_path / "out", *setting(f"stage1.data_loader.event_filename={short}"))
    assert done.code == 12
    assert f": itemid; found [timestamp, visitorid, event] in {short}; map other names" in done.last
    assert "Traceback" not in done.err
    assert files(tmp_path / "out") == ["_ATTEMPT.json", "_FAILED.json"]


def test_without_spark_submit_the_last_line_and_the_exit_code_are_the_same(tmp_path: Path) -> None:
    done = run([sys.executable, script("stage1"), *setting("stage1.scroe_filter.min_score=5")], tmp_path)
    assert done.code == 10
    assert done.last.startswith("RECOMMENDER_ERROR CFG_UNKNOWN_KEY stage=stage1 run=")


def test_a_trace_is_shown_when_asked_for(call: Callable[..., Done], tmp_path: Path) -> None:
    done = call("stage1", tmp_path / "out", "--verbose", *setting("stage1.data_loader.event_filename=nowhere.csv"))
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
    done = python("stage1", "--config", "conf/no.yaml")
    assert (done.code, done.last.split(": ", 1)[1]) == (
        10,
        f"the configuration conf/no.yaml does not exist; looked in {Path.cwd()}/conf and {JOBS.parent}/conf",
    )


def test_a_configuration_is_looked_for_in_the_job_s_checkout_too(
    python: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(JOBS)
    events = setting("stage1.data_loader.event_filename=events.csv")
    done = python("stage2", "--config", "conf/production.yaml", "--root", "/nowhere/root", *events)
    assert "stage1 has no committed result below /nowhere/root" in done.last


@pytest.mark.parametrize("job", sorted(JOBS.glob("*.py")), ids=lambda job: job.stem)
def test_a_script_runs_where_no_file_is_defined(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(JOBS)
    monkeypatch.setattr(sys, "path", [*sys.path])
    names = {"__name__": "elsewhere"}
    exec(compile(job.read_text(), str(job), "exec"), names)  # noqa: S102 - as a platform does
    assert names["SCRIPT"] == job
    assert sys.path[0] == str(JOBS.parent)


def test_a_stage_whose_input_was_not_made_says_what_to_run(python: Callable[..., Done]) -> None:
    done = python("stage2", "--root", "empty")
    assert done.code == 12
    assert "UPSTREAM_NOT_COMMITTED" in done.last
    assert "stage1 has no committed result below" in done.last
    assert "starting Spark" not in done.err


def test_a_root_of_an_unknown_kind_is_told(python: Callable[..., Done]) -> None:
    done = python("stage1", "--root", "ftp://host/x")
    assert (done.code, "STORAGE_SCHEME" in done.last) == (17, True)


@pytest.mark.parametrize("job", ["stage1", "stage2", "stage3", "stage4", "workflow", "tune", "sample"])
def test_every_script_has_a_help_text(
    job: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [script(job), "--help"])
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(script(job), run_name="__main__")
    assert end.value.code == 0
    assert f"spark-submit jobs/{job}.py" in capsys.readouterr().out
