"""What a run would do, and why: decided as a run decides, without doing anything and without Spark."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.literal_store import file_of, open_store, result

from recommender.__main__ import main
from recommender.run import preflight
from recommender.run.building import prepared
from recommender.run.config import WORKFLOW, parse_config
from recommender.run.job import run_job
from recommender.run.preflight import fingerprint, identity
from recommender.store import Commit, Store

ALL = list(WORKFLOW)
PROFILE = {"events": 1000, "visitors": 100, "items": 20, "pairs": 900}
HEAVIEST = {"heaviest_visitors": [{"id": "7", "events": 25_000}], "heaviest_items": [{"id": "3", "events": 50}]}


class Shop:
    """A log, a root, and runs that have left their records without Spark."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "out"
        self.log = folder / "events"
        self.log.mkdir()
        self.write("monday.csv", 100)

    @property
    def store(self) -> Store:
        return open_store(self.root)

    def write(self, name: str, rows: int) -> Path:
        lines = [f"{1430622000000 + i},{i % 10},view,{i % 7}" for i in range(rows)]
        path = self.log / name
        path.write_text("\n".join(["timestamp,visitorid,event,itemid", *lines]) + "\n")
        return path

    def settings(self, *more: str) -> list[str]:
        return [f"stage1.data_loader.event_filename={self.log}", *more]

    def commit(self, run: str, *settings: str, stages: list[str] = ALL, **judged: Any) -> dict[str, Commit]:
        """Leave the records of a run."""
        config = parse_config(f"root: {self.root}", self.settings(*settings))
        store, made = prepared(config, WORKFLOW)
        commits: dict[str, Commit] = {}
        for name in WORKFLOW:
            if name not in stages:
                commits[name] = store.latest(name)  # type: ignore[assignment]
                continue
            stage = made[name]
            read = stage.needs().stages | ({stage.GATED_BY} if stage.GATED_BY else set())
            upstream = {key: commits[key] for key in sorted(read)}
            made_of = identity(stage, upstream, lambda: None)
            record = {**made_of, "upstream_attempts": made_of["upstream"], "fingerprint": fingerprint(made_of)}
            record |= {"upstream": {key: commit.number for key, commit in upstream.items()}, "blessed": True}
            record |= {"events": 1000, "seconds": 10.0, "profile": {**PROFILE, **HEAVIEST}, **judged}
            commits[name] = result(store, name, run, rows=run, **record)
        return commits

    def plan(self, *words: str, settings: tuple[str, ...] = (), code: int = 0) -> dict[str, Any]:
        """Return stage -> (what would become of it, why)."""
        sets = [word for setting in self.settings(*settings) for word in ("--set", setting)]
        before = sorted(self.folder.rglob("*"))
        assert main(["plan", "--root", str(self.root), *sets, "--json", *words]) == code
        assert sorted(self.folder.rglob("*")) == before
        self.found = json.loads(self.capsys.readouterr().out)
        return {each["stage"]: (each["does"], "; ".join(each["why"])) for each in self.found["stages"]}

    capsys: pytest.CaptureFixture[str]
    found: dict[str, Any]


@pytest.fixture
def shop(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setattr("recommender.run.plan._not_started", lambda: pytest.fail("Spark was started"))
    shop = Shop(tmp_path)
    shop.capsys = capsys
    return shop


def does(plan: dict[str, Any]) -> list[str]:
    return [each[0] for each in plan.values()]


def test_1_without_a_run_all_stages_run(shop: Shop) -> None:
    found = shop.plan()
    assert does(found) == ["run"] * 4
    assert found["stage1"][1] == f"there is no result of it below {shop.root} yet"
    assert (found["stage2"][1], found["stage4"][1]) == ("stage1 would run", "stage1, stage2, stage3 would run")


def test_2_if_nothing_has_changed_nothing_runs(shop: Shop) -> None:
    shop.commit("monday")
    found = shop.plan()
    assert does(found) == ["reuse"] * 4
    assert found["stage1"][1] == "nothing has changed since run monday, commit 1"
    assert shop.found["outlook"] is None


@pytest.mark.parametrize(
    ("setting", "first", "why"),
    [
        ("stage1.score_filter.min_score=5", "stage1", "stage1.score_filter.min_score is 5.0, was 1.0"),
        ("stage2.als.rank=64", "stage2", "stage2.als.rank is 64, was 32"),
        ("stage3.similar_items.k=5", "stage3", "stage3.similar_items.k is 5, was 10"),
        ("stage4.report.examples=0", "stage4", "stage4.report.examples is 0, was 3"),
    ],
)
def test_3_a_setting_runs_its_stage_and_those_that_read_it(shop: Shop, setting: str, first: str, why: str) -> None:
    shop.commit("monday")
    found = shop.plan(settings=(setting,))
    assert why in found[first][1]
    place = ALL.index(first)
    assert does(found) == ["reuse"] * place + ["run"] * (4 - place)


def test_4_a_setting_that_two_stages_share_is_named_in_the_first(shop: Shop) -> None:
    shop.commit("monday")
    found = shop.plan(settings=("stage3.recommend.exclude_events=[]",))
    assert does(found) == ["reuse", "run", "run", "run"]
    assert "stage2.recommend.exclude_events is []" in found["stage2"][1]


def test_5_a_new_file_runs_all(shop: Shop) -> None:
    shop.commit("monday")
    path = shop.write("tuesday.csv", 50)
    found = shop.plan()
    assert does(found) == ["run"] * 4
    assert found["stage1"][1] == f"file {path} is new, {path.stat().st_size / 1024:.1f} KiB"


def test_6_a_file_that_has_changed_or_gone_runs_all(shop: Shop) -> None:
    shop.write("tuesday.csv", 50)
    shop.commit("monday")
    shop.write("monday.csv", 10)
    (shop.log / "tuesday.csv").unlink()
    told = shop.plan()["stage1"][1]
    assert f"file {shop.log}/tuesday.csv is gone" in told
    assert f"file {shop.log}/monday.csv has changed: " in told


def test_7_another_version_of_the_code_runs_all(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.commit("monday")
    was = preflight.code_version()
    monkeypatch.setattr(preflight, "code_version", lambda: "9.9+new")
    found = shop.plan()
    assert does(found) == ["run"] * 4
    assert found["stage1"][1] == f"the code is 9.9+new, was {was}"


def test_8_a_damaged_table_is_refused_as_the_run_would(shop: Shop) -> None:
    commits = shop.commit("monday")
    file_of(shop.root, commits["stage2"]).unlink()
    found = shop.plan(code=16)
    assert does(found) == ["reuse", "refuse"]
    assert found["stage2"][1].startswith("ARTIFACT_CORRUPT missing part-0.parquet")
    assert "RECOMMENDER_ERROR" not in shop.capsys.readouterr().err


def test_9_another_root_has_nothing_yet(shop: Shop, tmp_path: Path) -> None:
    shop.commit("monday")
    shop.root = tmp_path / "other"
    assert does(shop.plan()) == ["run"] * 4


def test_10_an_earlier_result_is_made_the_newest_again(shop: Shop) -> None:
    shop.commit("monday")
    shop.commit("tuesday", "stage3.similar_items.k=5", stages=["stage3", "stage4"])
    found = shop.plan()
    assert does(found)[:3] == ["reuse"] * 3
    assert found["stage3"] == ("reuse", "the same as run monday, commit 1 and would be made the newest again")


def test_11_a_stage_alone_says_that_its_upstream_has_changed(shop: Shop) -> None:
    shop.commit("monday")
    shop.commit("tuesday", "stage1.score_filter.min_score=5", stages=["stage1"])
    found = shop.plan("--from", "stage2", "--until", "stage2")
    assert found == {"stage2": ("run", "stage1 has another result than the one that was read")}


def test_12_a_named_run_does_only_what_it_has_not_done(shop: Shop) -> None:
    shop.commit("monday")
    assert does(shop.plan("--run-id", "monday")) == ["reuse"] * 4
    found = shop.plan("--run-id", "tuesday")
    assert found["stage1"] == ("run", "run tuesday has no result of it yet")
    found = shop.plan("--run-id", "monday", settings=("stage1.score_filter.min_score=5",), code=15)
    assert "RUN_ID_REUSED run monday has committed stage1 with another config.score_filter.min_score" in str(found)


def test_13_force_runs_all(shop: Shop) -> None:
    shop.commit("monday")
    found = shop.plan("--force")
    assert (does(found), found["stage1"][1]) == (["run"] * 4, "--force computes it anew")


def test_14_a_model_that_is_not_blessed_ends_the_run(shop: Shop) -> None:
    gate = {"reasons": [{"id": "NOT_BLESSED", "sentence": "ndcg@10 0.031 < 0.034"}]}
    shop.commit("monday", blessed=False, gate=gate)
    found = shop.plan(code=14)
    assert list(found) == ["stage1", "stage2", "stage4"]
    assert does(found) == ["reuse", "reuse", "refuse"]
    assert "NOT_BLESSED ndcg@10 0.031 < 0.034" in found["stage4"][1]
    assert does(shop.plan("--override-gate", "new market")) == ["reuse"] * 4


def test_15_of_a_table_without_versions_only_spark_knows(shop: Shop) -> None:
    table = ("stage1.data_loader.event_filename=null", "stage1.data_loader.table=shop.events")
    shop.commit("monday", *table)
    found = shop.plan(settings=table)
    assert found["stage1"] == ("run", "whether shop.events has changed is only known with Spark")


def test_16_without_a_source_the_sample_would_be_generated(shop: Shop) -> None:
    found = shop.plan(settings=("stage1.data_loader.event_filename=null",))
    assert "50,000 sample events would be generated" in found["stage1"][1]
    assert shop.found["outlook"]["log"]["events"] == 50_000


def test_17_a_log_that_is_not_there_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recommender.run.runner.hadoop", lambda: None)
    shop.commit("monday")
    for path in shop.log.iterdir():
        path.unlink()
    found = shop.plan(code=12)
    assert does(found) == ["refuse"]
    assert found["stage1"][1] == f"INPUT_NOT_FOUND {shop.log} does not exist, or has no files"


def test_a_stage_without_its_upstream_is_refused_as_the_run_would(shop: Shop) -> None:
    assert main(["plan", "--root", str(shop.root), "--from", "stage3"]) == 12
    assert "UPSTREAM_NOT_COMMITTED command=plan: stage2 has no committed result" in shop.capsys.readouterr().err


def test_a_forecast_follows_from_the_last_run(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYSPARK_SUBMIT_ARGS", raising=False)
    shop.commit("monday")
    size = (shop.log / "monday.csv").stat().st_size
    shop.write("monday.csv", 199)
    ratio = (shop.log / "monday.csv").stat().st_size / size
    shop.plan()
    outlook = shop.found["outlook"]
    assert outlook["log"]["events"] == round(1000 * ratio)
    assert outlook["log"]["heaviest"][0] == ["visitor", "7", round(25_000 * ratio)]
    assert list(outlook["stages"]) == ALL
    # Twice as many of so few events take hardly longer: 11.5 s + 10.6 µs each.
    assert outlook["stages"]["stage1"]["seconds"] == pytest.approx(10.0, abs=0.1)
    assert outlook["stages"]["stage1"]["disk"] == int(len("monday") * round(1000 * ratio) / 1000)
    assert outlook["partitions"] == 1
    most = f"visitor 7 has about {round(25_000 * ratio):,} events"
    assert f"{most}, of which event_cap.max_per_visitor keeps 20,000" in outlook["advice"]


def test_another_rank_writes_another_model(shop: Shop) -> None:
    shop.commit("monday")
    disk = []
    for settings in ((), ("stage2.als.rank=64",)):
        shop.plan("--force", settings=settings)
        disk.append(shop.found["outlook"]["stages"]["stage2"]["disk"])
    assert disk[1] == pytest.approx(2 * disk[0], abs=1)


def test_a_forecast_of_a_first_run_follows_from_a_look_at_the_log(shop: Shop) -> None:
    shop.plan()
    outlook = shop.found["outlook"]
    assert outlook["log"] | {"heaviest": []} == {
        "events": 100,
        "visitors": 10,
        "items": 7,
        "pairs": 70,
        "heaviest": [],
        "source": "the first 100 rows; ids are at most so many",
        "is_small": True,
        "was_small": False,
    }
    assert ["visitor", "0", 10] in outlook["log"]["heaviest"]
    assert not outlook["stages"]["stage1"]["measured"]
    assert outlook["seconds"] == pytest.approx(11.5 + 15.1 + 2.8 + 4.4, abs=0.1)  # it is planned once


def test_large_logs_get_advice(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    large = {"events": 3 * 10**9, "visitors": 10**8, "items": 10**7, "pairs": 2 * 10**9}
    shop.commit("monday", profile=large)
    monkeypatch.setenv("SPARK_DRIVER_MEMORY", "8g")
    settings = ("stage1.score_filter.min_score=5", "stage3.shards.visitors_per_shard=50000000")
    shop.plan(settings=settings)
    advice = "\n".join(shop.found["outlook"]["advice"])
    assert "--driver-memory " in advice
    assert "the driver gets 8.0 GiB" in advice
    assert "stage 3 works in 2 shards" in advice
    assert "--set stage3.shards.visitors_per_shard=" in advice
    assert "GiB are free" in advice
    monkeypatch.setenv("MASTER", "yarn")
    shop.plan(settings=settings)
    assert any("--executor-memory 4g --executor-cores 4, at least " in each for each in shop.found["outlook"]["advice"])


def test_a_dry_run_of_the_workflow_prints_the_plan(shop: Shop) -> None:
    shop.commit("monday")
    sets = [word for setting in shop.settings("stage2.als.rank=64") for word in ("--set", setting)]
    before = sorted(shop.folder.rglob("*"))
    assert run_job(WORKFLOW, None, ["--dry-run", "--root", str(shop.root), *sets]) == 0
    out = shop.capsys.readouterr().out
    assert "stage1 prepare    is used again    nothing has changed since run monday, commit 1\n" in out
    assert "stage2 train      would run        stage2.als.rank is 64, was 32\n" in out
    assert "log: about 1,000 events, 100 visitors, 20 items (run monday)" in out
    assert "visitor 7 with 25,000" in out
    assert sorted(shop.folder.rglob("*")) == before


def test_a_search_is_planned_too_but_its_time_is_not_forecast(shop: Shop) -> None:
    shop.commit("monday")
    assert run_job(["tune"], None, ["--dry-run", "--json", "--root", str(shop.root)]) == 0
    told = json.loads(shop.capsys.readouterr().out)
    assert (told["event"], told["outlook"]) == ("plan", None)
    why = [f"there is no result of it below {shop.root} yet"]
    assert told["stages"] == [{"stage": "tune", "verb": "tune", "does": "run", "why": why, "commit": None}]


def test_many_differences_are_cut(shop: Shop) -> None:
    shop.commit("monday")
    for number in range(9):
        shop.write(f"more-{number}.csv", 5)
    assert shop.plan()["stage1"][1].endswith("and 4 more differences")


def test_a_run_that_has_nothing_to_do_tells_a_scheduler_so(shop: Shop) -> None:
    shop.commit("monday", stages=["stage1", "stage2", "stage3"])
    sets = [word for setting in shop.settings() for word in ("--set", setting)]
    words = ["--json", "--root", str(shop.root), "--until", "stage3", "--run-id", "monday", *sets]
    assert run_job(WORKFLOW, None, words) == 0
    out, err = shop.capsys.readouterr()
    told = [json.loads(line) for line in out.splitlines()]
    assert err == ""
    names = ["run_started", *["stage_started", "stage_done"] * 3, "run_done"]
    assert [each["event"] for each in told] == names
    assert told[0]["stages"] == ["stage1", "stage2", "stage3"]
    assert (told[2]["stage"], told[2]["commit"], told[2]["rows"]) == ("stage1", 1, {"scores": 1})
    assert told[2]["skipped"].startswith("ALREADY_COMMITTED: ")


def test_a_run_that_fails_tells_a_scheduler_why(shop: Shop) -> None:
    assert run_job(WORKFLOW, None, ["--json", "--root", str(shop.root), "--from", "stage3"]) == 12
    out, err = shop.capsys.readouterr()
    error = json.loads(out.splitlines()[-1])
    assert (error["event"], error["id"], error["exit_code"]) == ("error", "UPSTREAM_NOT_COMMITTED", 12)
    assert err.startswith("RECOMMENDER_ERROR UPSTREAM_NOT_COMMITTED ")


def test_the_run_then_does_what_the_plan_has_said(shop: Shop) -> None:
    shop.commit("monday")
    shop.commit("tuesday", "stage3.similar_items.k=5", stages=["stage3", "stage4"])
    assert does(shop.plan("--until", "stage3")) == ["reuse"] * 3
    sets = [word for setting in shop.settings() for word in ("--set", setting)]
    words = ["--json", "--root", str(shop.root), "--until", "stage3", *sets]
    assert run_job(WORKFLOW, None, words) == 0
    told = [json.loads(line) for line in shop.capsys.readouterr().out.splitlines()]
    skipped = [each["skipped"] for each in told if each["event"] == "stage_done"]
    assert skipped[0] == "nothing has changed since run monday, commit 1; --force runs it"
    assert skipped[2] == "the same as run monday, commit 1: now commit 3"
    newest = shop.store.latest("stage3")
    assert newest is not None
    assert (newest.number, newest.record["reused"]) == (3, 1)
