"""The stage: what it reads, what it finds, and how a search that was killed goes on from the store."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession, functions as F

from recommender.errors import ConfigError
from recommender.run.config import STAGES, load_config, own_steps, parse_config
from recommender.run.runner import Outcome, Progress, Runner
from recommender.settings.step import Steps
from recommender.spark.row_counts import StepRows
from recommender.stage import Context, Stage
from recommender.stage1.steps import DataLoader, HoldoutSplit, ScoreEvents, ScoreFilter, ScoreGrouper
from recommender.store import Store, open_files
from recommender.tables import schemas
from recommender.tune.main import Tune
from recommender.tune.objective import TrialObjective
from recommender.tune.trial import Judged, Parameters

SCORES = "visitor_index int, item_index int, score float, last_timestamp bigint"
# Visitors like the items of their own third, and everybody likes item 0: popularity alone does not tell them apart.
PAIRS = [
    (v, i, 1.0, v + 7 * i)
    for v in range(60)
    for i in range(18)
    if i == 0 or (i % 3 == v % 3 and (v + i) % 7) or (v * i) % 31 == 1
]
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "score_events": {"score_map": {"view": 1.0}},
    "group_scores": {"max_score": None},
    "score_filter": {"min_score": 1.0},
    "holdout": {"last_events": 5},
}
CONFIG: Mapping[str, Mapping[str, Any]] = {
    "validation": {"share": 0.4, "last_pairs": 2},
    "tuner": {
        "trials": 2,
        "rank": [6],
        "max_iter": [5],
        "k": 3,
        "reg_param": {"low": 0.01, "high": 0.1},
        "alpha": {"low": 5, "high": 40},
        "timeout_minutes": None,
    },
    "als": {"rank": 1, "max_iter": 1, "reg_param": 5.0, "alpha": 0.01},
    "recommend": {"exclude_events": ["view"]},
}


def tables(spark: SparkSession) -> dict[str, DataFrame]:
    scores = spark.createDataFrame(PAIRS, SCORES)
    items = [(f"i{i}", i, 9, 9.0, 500, 500) for i in range(18)]
    return {
        "scores": scores,
        "interactions": scores.selectExpr("visitor_index", "item_index", "'view' event", "score", "last_timestamp"),
        "items": spark.createDataFrame(items, schemas.TABLES["items"].replace("itemid id", "itemid string")),
    }


@pytest.fixture(scope="module")
def found(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tune, dict[str, Any]]:
    stage = Tune(CONFIG)
    stage.given = {"root": "${OUT}", "stage2": {"als": dict(CONFIG["als"])}}
    return stage, stage.execute_persist(str(tmp_path_factory.mktemp("tune")), **tables(spark), **SETTINGS)


def test_the_final_holdout_is_not_read() -> None:
    assert {table for _, table in Tune.INPUTS.values()} == {"scores", "interactions", "items"}


def test_the_search_finds_more_than_what_is_configured(found: tuple[Tune, dict[str, Any]]) -> None:
    stage, _ = found
    start = stage.found.start
    assert (start.number, start.parameters) == (0, CONFIG["als"])
    assert stage.best.number > 0
    assert (stage.best.value or 0) > (start.value or 0) + 0.1
    number = (
        rf"Trial {stage.best.number} gains \+0\.\d{{4}} \(95 % interval \+0\.\d{{4}} to \+0\.\d{{4}}\) of ndcg@3 over"
    )
    assert re.match(rf"{number} the configured parameters \(trial 0\), on the same visitors\.$", stage.verdict)


def test_the_table_has_a_row_per_trial(found: tuple[Tune, dict[str, Any]]) -> None:
    stage, data = found
    assert schemas.mismatch("trials", data["trials"].dtypes) == ""
    rows = {row["trial"]: row for row in data["trials"].collect()}
    assert rows.keys() == set(range(len(stage.trials)))
    for trial in stage.trials:
        row = rows[trial.number]
        assert json.loads(row["parameters"]) == trial.parameters
        assert (row["state"], row["value"], row["low"], row["high"]) == (
            trial.state,
            trial.value,
            trial.low,
            trial.high,
        )
        assert (row["share"], row["seconds"]) == (1, trial.seconds)
        assert trial.seconds > 0


def test_the_record_has_the_trials_with_the_best_first(found: tuple[Tune, dict[str, Any]]) -> None:
    stage, _ = found
    details = stage.details()
    assert (details["metric"], details["best"]) == ("ndcg@3", stage.best.parameters)
    values = [trial["value"] for trial in details["trials"] if trial["state"] == "complete"]
    assert values == sorted(values, reverse=True)
    assert (details["verdict"], details["gain"]["value"]) == (
        stage.verdict,
        stage.found.gain and stage.found.gain.value,
    )
    assert json.loads(json.dumps(details)) == details


def test_the_report_tells_what_was_held_out(found: tuple[Tune, dict[str, Any]]) -> None:
    stage, _ = found
    fitted, tried = stage.report({"trials": 6})
    held = int(fitted.note.split()[3])
    assert fitted.step == "validation"
    assert held <= 2 * (tried.rows_in or 0)
    note = f"held-out visitors, trials of lists for them; the best is trial {stage.best.number}"
    assert tried == StepRows("tuner", tried.rows_in, 6, note)


def test_the_best_configuration_can_be_run(found: tuple[Tune, dict[str, Any]], tmp_path: Path) -> None:
    stage, _ = found
    ((name, text),) = stage.documents().items()
    (tmp_path / name).write_text(text)
    config = load_config(tmp_path / "best.yaml", environ={"OUT": "here"})
    assert config.stage("stage2") == {"als": stage.best.parameters}
    assert "root: ${OUT}" in text
    assert f"# {stage.verdict}\n" in text


def test_weights_are_searched_where_stage_1_lets_them(spark: SparkSession) -> None:
    tuner = {**CONFIG["tuner"], "trials": 2, "score_map": {"view": {"low": 1, "high": 9}}, "min_score": [1, 2]}
    stage = Tune({**CONFIG, "tuner": tuner})
    stage.execute(**tables(spark), **SETTINGS)
    stage.release()
    names = {"rank", "max_iter", "reg_param", "alpha", "score_map.view", "min_score"}
    assert all(set(trial.parameters) == names for trial in stage.trials)
    faded = {**SETTINGS, "score_events": {"score_map": {"view": 1.0}, "half_life_days": 30.0}}
    with pytest.raises(ConfigError, match=r"TUNE_SPACE score_map\.view cannot be searched: the scores of stage 1 fade"):
        Tune({**CONFIG, "tuner": tuner}).execute(**tables(spark), **faded)


def test_a_validation_part_by_time_holds_the_latest_pairs_out(spark: SparkSession) -> None:
    tuner = {**CONFIG["tuner"], "trials": 1, "timeout_minutes": 1e-9}
    stage = Tune({**CONFIG, "validation": {"percentile": 80}, "tuner": tuner})
    stage.execute(**tables(spark), **SETTINGS, protocol="time_cut")
    stage.release()
    assert stage.verdict.startswith(
        "Nothing was gained over the configured parameters (trial 0): no complete trial has"
    )
    fitted, _ = stage.report({"trials": 1})
    assert (fitted.rows_out or 0) == pytest.approx(0.8 * len(PAIRS), rel=0.02)
    assert fitted.note.endswith("are held out, by time")


def test_known_visitors_are_judged_by_blocks_and_its_exponent(spark: SparkSession) -> None:
    tuner = {**CONFIG["tuner"], "reg_exponent": [0.5], "trials": 1}
    stage = Tune({**CONFIG, "tuner": tuner, "als": {**CONFIG["als"], "solver": "blocks"}})
    told: list[str] = []
    stage.context = Context(warn=told.append)
    tied = tables(spark)
    tied["scores"] = tied["scores"].withColumn("last_timestamp", F.lit(7).cast("bigint"))
    stage.execute(**tied, **SETTINGS, protocol="every_visitor")
    stage.release()
    assert {trial.parameters["reg_exponent"] for trial in stage.trials} == {0.5, 1.0}
    held = int(stage.report({"trials": 1})[0].note.split()[3])
    assert (stage.report({"trials": 1})[0].rows_out or 0) + held == len(PAIRS)  # the visitors' other pairs are fitted
    (sentence,) = told
    assert "evaluated visitors have pairs with equal times on both sides of the split, so that a hash" in sentence
    assert sentence.endswith("the share that your own test part has, 0.2 for example")
    assert stage.details()["warnings"] == told


def test_the_search_may_fit_by_blocks_what_is_configured_for_mllib() -> None:
    searching = Tune({"tuner": {"solver": "blocks"}, "als": {"rank": 7}})
    assert (searching._als.solver, searching._als.rank) == ("blocks", 7)
    assert Tune({"als": {"rank": 7}})._als.solver == "mllib"
    with pytest.raises(ConfigError, match=r"solver must be null with stage2\.als\.nonnegative, got blocks"):
        Tune({"tuner": {"solver": "blocks"}, "als": {"nonnegative": True}})


def test_the_neighbours_are_searched_over_their_own_configured_parameters(spark: SparkSession) -> None:
    walk = {"model": "item_to_item", "neighbours": [3, 6], "trials": 2, "k": 3, "timeout_minutes": None}
    stage = Tune({**CONFIG, "tuner": walk, "item_to_item": {"alpha": 0.0, "beta": 2.0, "neighbours": 1}})
    stage.given = {}
    stage.execute(**tables(spark), **SETTINGS)
    stage.release()
    configured = {"item_to_item.neighbours": 1, "item_to_item.alpha": 0.0, "item_to_item.beta": 2.0}
    assert (stage.found.start.parameters, stage.found.start.number) == (configured, 0)
    assert (stage.best.value or 0) > (stage.found.start.value or 0)
    best = {name.removeprefix("item_to_item."): value for name, value in stage.best.parameters.items()}
    assert parse_config(stage.documents()["best.yaml"]).stage("stage2") == {"item_to_item": best}


def test_long_fits_need_checkpoints() -> None:
    assert not Tune({"tuner": {"max_iter": [5, 10]}}).needs_checkpoints()
    assert Tune({"tuner": {"max_iter": [5, 15]}}).needs_checkpoints()
    assert not Tune({"tuner": {"max_iter": [15]}, "als": {"checkpoint_interval": -1}}).needs_checkpoints()
    assert Tune({"tuner": {"max_iter": [5], "solver": "blocks"}}).needs_checkpoints()
    assert not Tune({"tuner": {"model": "item_to_item"}, "als": {"max_iter": 15}}).needs_checkpoints()


def test_what_serves_is_set_where_it_serves() -> None:
    config = parse_config("stage2: {als: {seed: 3}}\nstage3: {recommend: {k: 5}}\ntune: {tuner: {trials: 2}}")
    assert config.stage("tune") == {"tuner": {"trials": 2}, "als": {"seed": 3}, "recommend": {"k": 5}}
    assert list(own_steps("tune")) == ["validation", "tuner"]
    with pytest.raises(ConfigError, match=r"tune\.als is set as stage2\.als, for both stages"):
        parse_config("tune: {als: {rank: 3}}")


class MadeSteps(Steps):
    data_loader: DataLoader
    score_events: ScoreEvents
    group_scores: ScoreGrouper
    score_filter: ScoreFilter
    holdout: HoldoutSplit


class Made(Stage):
    """A stage 1 that has the tables ready."""

    NAME = "prepare"
    steps: MadeSteps

    def __init__(self, spark: SparkSession) -> None:
        super().__init__({"score_events": {"score_map": {"view": 1}}})
        self._spark = spark

    def execute(self) -> dict[str, DataFrame]:
        return tables(self._spark)

    def report(self, rows: Mapping[str, int]) -> list[StepRows]:
        return [StepRows("score_events", None, rows["scores"])]


class Judging:
    """Stands in for fits: notes the parameters, and dies at a trial."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.asked: list[Parameters] = []
        self.dies_at = dies_at

    def __call__(self, parameters: Parameters, share: float) -> Judged:  # noqa: ARG002
        if len(self.asked) == self.dies_at:
            raise RuntimeError("killed")
        self.asked.append(parameters)
        return Judged(min(parameters["alpha"] / 100, 1))


class Job:
    """Runs the search on one store, each call as a process of its own would."""

    def __init__(self, root: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = Store(open_files(str(root), hadoop=lambda: None))
        self._spark, self._patch = spark, monkeypatch

    def run(self, name: str, stage: Stage, *, force: bool = False) -> Outcome:
        runner = Runner(
            self.store,
            lambda: self._spark,
            Progress(run="r"),
            named=False,
            force=force,
            failure=lambda e: {"id": str(e)},
        )
        runner.pin({name: stage})
        return runner.run(name, stage)

    def tune(
        self, dies_at: int | None = None, force: bool = False, given: str = "here", **tuner: Any
    ) -> tuple[Any, Outcome]:
        judging = Judging(dies_at)
        self._patch.setattr(TrialObjective, "__call__", judging)
        stage = Tune({**CONFIG, "tuner": {**CONFIG["tuner"], "trials": 4, **tuner}})
        stage.given = {"root": given}
        return judging, self.run("tune", stage, force=force)


@pytest.fixture
def job(tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setitem(schemas.TABLES, "scores", SCORES)  # type: ignore[arg-type]
    made = Job(tmp_path / "out", spark, monkeypatch)
    made.run("stage1", Made(spark))
    return made


def parameters(outcome: Outcome) -> dict[int, Any]:
    return {trial["number"]: trial["parameters"] for trial in outcome.commit.record["trials"]}


def test_a_search_that_was_killed_after_two_trials_goes_on(job: Job) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        job.tune(dies_at=2)
    assert job.store.latest("tune") is None
    judging, outcome = job.tune()
    whole = len(parameters(outcome))
    assert whole >= 8  # trial 0, four settings with 3 iterations, two with 5, and one or more around the best
    assert len(judging.asked) == whole - 2
    assert sorted(parameters(outcome)) == list(range(whole))
    afresh, other = job.tune(force=True)
    assert len(afresh.asked) == whole
    assert parameters(other) == parameters(outcome)


def test_the_best_configuration_is_a_file_of_the_commit(job: Job) -> None:
    _, outcome = job.tune()
    (path,) = (path for path in outcome.commit.files() if path.endswith("best.yaml"))
    text = job.store.files.read(f"tune/data/{path}").decode()
    assert parse_config(text).stage("stage2")["als"] == outcome.commit.record["best"]
    job.store.check(outcome.commit)


def test_a_search_that_has_not_changed_is_not_done_again_and_one_with_larger_ranks_goes_on(job: Job) -> None:
    _, first = job.tune()
    again, outcome = job.tune()
    assert (again.asked, outcome.commit) == ([], first.commit)
    more, longer = job.tune(rank=[6, 12])
    assert [asked["rank"] for asked in more.asked] == [12]
    assert parameters(longer).items() >= parameters(first).items()


def test_another_search_begins_anew(job: Job) -> None:
    first, _ = job.tune()
    other, _ = job.tune(metric="recall")
    assert len(other.asked) == len(first.asked)


def test_another_configuration_is_written_without_another_search(job: Job) -> None:
    job.tune()
    judging, outcome = job.tune(given="elsewhere")
    (path,) = (path for path in outcome.commit.files() if path.endswith("best.yaml"))
    assert judging.asked == []
    assert "root: elsewhere" in job.store.files.read(f"tune/data/{path}").decode()


def test_tune_is_no_stage_of_the_workflow() -> None:
    assert "tune" in STAGES
    assert "tune" not in (Path(__file__).parents[2] / "jobs" / "workflow.py").read_text()
