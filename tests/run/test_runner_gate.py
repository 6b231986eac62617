"""What the verdict on a model lets a run do, and which model it is compared with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pyspark.sql import DataFrame, SparkSession, functions as F

from recommender.errors import ArtifactError, GateError
from recommender.publishing.publication import publish
from recommender.run.runner import Outcome, Progress, Runner
from recommender.settings.step import Steps, step
from recommender.spark.row_counts import StepRows
from recommender.stage import Previous, Stage
from recommender.store import Channels, Store, open_files


@step
class Numbers:
    """Some numbers in a row, of one numbering or another."""

    count: int = 3
    numbering: str = "one"
    good: bool = True

    def execute(self) -> DataFrame:
        return SparkSession.active().range(self.count).select(F.col("id").cast("int").alias("item_index"), "id")


class PrepareSteps(Steps):
    numbers: Numbers


class Prepare(Stage):
    NAME = "prepare"
    steps: PrepareSteps

    def execute(self, **_: Any) -> dict[str, DataFrame]:
        rows = self.steps.numbers.execute()
        return {"popularity": rows.select("item_index", F.col("id").cast("double").alias("score"))}

    def report(self, rows: Mapping[str, int]) -> list[StepRows]:
        return [StepRows("numbers", None, rows["popularity"])]

    def details(self) -> dict[str, Any]:
        return {"numbering": self.steps.numbers.numbering}


class Train(Prepare):
    NAME = "train"
    INPUTS: ClassVar[Mapping[str, tuple[str, str]]] = {"rows": ("stage1", "popularity")}
    GOES_ON_FROM = "live"
    REMEDY = "roll back"
    compared: ClassVar[list[Previous | None]] = []
    reason: ClassVar[str] = ""

    def continues(self) -> Sequence[str]:
        return ["popularity"]

    def execute(  # type: ignore[override]
        self, rows: DataFrame, previous: Previous | None, not_compared: str
    ) -> dict[str, DataFrame]:
        Train.reason = not_compared
        Train.compared.append(previous)
        return {"popularity": rows}

    def details(self) -> dict[str, Any]:
        good = self.steps.numbers.good
        reasons = [] if good else [{"id": "NOT_BLESSED", "sentence": "ndcg@10 0.1 < 0.2"}]
        return {"blessed": good, "gate": {"reasons": reasons}}


class Expose(Prepare):
    NAME = "expose"
    INPUTS: ClassVar[Mapping[str, tuple[str, str]]] = {"rows": ("stage1", "popularity")}
    GATED_BY = "stage2"

    def details(self) -> dict[str, Any]:
        return {}


class Job:
    """Runs all stages, or some, on one store; each call is a process of its own."""

    def __init__(self, root: Path, spark: SparkSession) -> None:
        self.root = root
        self.store = Store(open_files(str(root), hadoop=lambda: None))
        self._spark = spark
        self.started = 0

    def start(self) -> SparkSession:
        self.started += 1
        return self._spark

    def run(
        self, *stages: str, run: str | None = None, override: str | None = None, force: bool = False, **numbers: Any
    ) -> dict[str, Outcome]:
        classes = {"stage1": Prepare, "stage2": Train, "stage4": Expose}
        built = {name: classes[name]({"numbers": numbers}) for name in stages or classes}
        where = Progress(run=run or "unnamed")
        runner = Runner(
            self.store, self.start, where, named=bool(run), force=force, failure=lambda _: {}, override=override
        )
        runner.pin(built)
        outcomes = {}
        for name, stage in built.items():
            outcomes[name] = runner.run(name, stage)
            if name == "stage4":
                publish(self.store, "live", outcomes[name].commit)
            runner.check_gate(name)
        return outcomes

    def live(self) -> int | None:
        current = Channels(self.store).current("live")
        return int(current.record["commit"]) if current else None


@pytest.fixture
def job(tmp_path: Path, spark: SparkSession) -> Job:
    Train.compared = []
    return Job(tmp_path / "out", spark)


def test_what_is_blessed_is_published(job: Job) -> None:
    record = job.run()["stage4"].commit.record
    assert job.live() == 1
    assert record["upstream"] == {"stage1": 1, "stage2": 1}
    assert "gate_overridden" not in record


def test_37_what_is_not_blessed_ends_the_run_and_is_kept(job: Job) -> None:
    job.run()
    with pytest.raises(GateError, match=r"^NOT_BLESSED ndcg@10 0.1 < 0.2; the model is kept as commit 2 of stage2"):
        job.run(count=4, good=False)
    assert job.live() == 1
    kept = job.store.latest("stage2")
    assert kept is not None
    assert kept.record["blessed"] is False


def test_37_a_stage_of_its_own_refuses_before_spark_starts(job: Job) -> None:
    job.run("stage1", "stage2", good=False)
    job.started = 0
    with pytest.raises(GateError, match="NOT_BLESSED"):
        job.run("stage4")
    assert (job.started, job.live()) == (0, None)


def test_who_overrides_the_gate_is_in_the_record(job: Job) -> None:
    record = job.run(good=False, override="a new market")["stage4"].commit.record
    assert job.live() == 1
    assert record["gate_overridden"]["reason"] == "a new market"
    assert record["gate_overridden"]["sentence"] == "ndcg@10 0.1 < 0.2"


def test_a_named_run_that_was_published_over_the_gate_is_finished(job: Job) -> None:
    job.run(run="monday", good=False, override="a new market")
    outcomes = job.run(run="monday", good=False)
    assert [outcome.skipped.split(":")[0] for outcome in outcomes.values()] == ["ALREADY_COMMITTED"] * 3


def test_a_candidate_is_compared_with_what_is_live_not_with_what_is_newest(job: Job) -> None:
    job.run(count=3)
    with pytest.raises(GateError):
        job.run(count=4, good=False)
    job.run(count=5)
    assert [None if each is None else each.tables["popularity"].count() for each in Train.compared] == [None, 3, 3]
    assert Train.compared[-1] is not None
    assert Train.compared[-1].record["run"] == "unnamed"


def test_a_model_of_another_numbering_is_not_compared(job: Job) -> None:
    job.run(count=3)
    job.run(count=4, numbering="another")
    assert Train.compared == [None, None]
    assert Train.reason == "not compared with the live version: its visitors and items are numbered otherwise"


def test_what_has_not_changed_is_not_judged_again_though_it_is_live_now(job: Job) -> None:
    job.run()
    job.started = 0
    assert job.run()["stage2"].skipped.startswith("nothing has changed")
    assert job.started == 0


def test_an_earlier_model_is_judged_beside_the_one_that_is_live_now(job: Job) -> None:
    job.run(count=3)
    job.run(count=4)
    job.run(count=3)
    assert [None if each is None else each.tables["popularity"].count() for each in Train.compared] == [None, 3, 4]


def test_a_damaged_live_model_is_told_with_what_to_do(job: Job) -> None:
    done = job.run()["stage2"].commit
    (job.root / "stage2" / "data" / next(iter(done.files()))).write_bytes(b"nothing")
    with pytest.raises(ArtifactError, match=r"^ARTIFACT_CORRUPT .*; roll back$"):
        job.run(count=4)
