"""What a run decides to do, and what it leaves when it fails."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession, functions as F

from recommender.errors import ArtifactError, ConflictError, DataQualityError, GateError, InputError, StorageError
from recommender.run.runner import HIDDEN, Outcome, Progress, Runner
from recommender.settings.step import Steps, step
from recommender.spark.cluster import has_checkpoint_folder
from recommender.spark.row_counts import StepRows
from recommender.stage import Previous, Stage
from recommender.store import Channels, Commit, Hidden, Store, digest, open_files
from recommender.store.log import Log


@step
class Numbers:
    """Some numbers in a row."""

    count: int = 3
    in_shards: bool = True

    def execute(self) -> DataFrame:
        number = F.col("id")
        return SparkSession.active().range(self.count).select(number.cast("int").alias("item_index"), "id")


class FirstSteps(Steps):
    numbers: Numbers


class First(Stage):
    """A stage that reads nothing."""

    NAME = "first"
    steps: FirstSteps

    def execute(self) -> dict[str, DataFrame]:
        rows = self.steps.numbers.execute()
        return {"popularity": rows.select("item_index", F.col("id").cast("double").alias("score"))}

    def report(self, rows: Mapping[str, int]) -> list[StepRows]:
        return [StepRows("numbers", None, rows["popularity"])]


class Second(First):
    """A stage that reads the first, and works in shards of one row."""

    NAME = "second"
    INPUTS: ClassVar[Mapping[str, tuple[str, str]]] = {"rows": ("stage1", "popularity")}

    def shards(self, inputs: Mapping[str, Any]) -> int:
        return inputs["rows"].count() if self.steps.numbers.in_shards else 1

    def execute(self, rows: DataFrame, shard: tuple[int, int] = (0, 1)) -> dict[str, DataFrame]:  # type: ignore[override]
        number, of = shard
        Second.computed.append(number)
        if number == Second.dies_in:
            raise DataQualityError("TEST_DEATH", "as the test wants it")
        return {"popularity": rows.where(F.col("item_index") % of == number)}

    computed: ClassVar[list[int]] = []
    dies_in: ClassVar[int | None] = None


@step
class Long(Numbers):
    """A step that cuts its lineage."""

    needs_checkpoints: ClassVar[bool] = True
    seen: ClassVar[list[str]] = []
    dies: ClassVar[bool] = False

    def execute(self) -> DataFrame:
        rows = super().execute().checkpoint()
        Long.seen = sorted(path.parts[-2] for path in Long.root.glob("stage1/data/*/_checkpoints/*"))
        if Long.dies:
            raise DataQualityError("TEST_DEATH", "as the test wants it")
        return rows

    root: ClassVar[Path]


class ThirdSteps(Steps):
    numbers: Long


class Third(First):
    """A stage with such a step."""

    steps: ThirdSteps


class Comparing(First):
    """A stage that compares its result with the one that is live."""

    seen: ClassVar[list[int | None]] = []

    def compares(self) -> list[str]:
        return ["popularity"]

    def execute(self, live: Previous | None, not_compared: str) -> dict[str, DataFrame]:  # type: ignore[override]
        Comparing.seen.append(live and live.tables["popularity"].count())
        self.why = not_compared
        return super().execute()

    def details(self) -> dict[str, Any]:
        return {"not_compared": self.why}


class Hiding(First):
    """A stage that leaves hidden items out."""

    LEAVES_HIDDEN_OUT: ClassVar[bool] = True

    def details(self) -> dict[str, Any]:
        return {"hidden": self.context.hidden}


class Lossy(First):
    """A stage whose storage loses what a task has written."""

    def persist(self, path: str, data: Mapping[str, Any], part: str = "") -> None:
        super().persist(path, data, part)
        next(Path(path.removeprefix("file://"), "popularity").glob("part-*")).unlink()


class Job:
    """Runs stages on one store, each call as a process of its own would."""

    def __init__(self, root: Path, spark: SparkSession) -> None:
        self.root = root
        self.store = Store(open_files(str(root), hadoop=lambda: None))
        self.started = 0
        self._spark = spark

    def start(self) -> SparkSession:
        self.started += 1
        return self._spark

    def run(
        self,
        name: str,
        stage: Stage,
        run: str | None = None,
        *,
        force: bool = False,
        meanwhile: Any = None,
        override: str | None = None,
    ) -> Outcome:
        where = Progress(run=run or "unnamed")
        runner = Runner(
            self.store,
            self.start,
            where,
            named=run is not None,
            force=force,
            failure=lambda error: {"id": str(error)},
            override=override,
        )
        runner.pin({name: stage})
        if meanwhile:
            meanwhile()
        return runner.run(name, stage)

    def first(self, count: int = 3, run: str | None = None, **more: Any) -> Outcome:
        return self.run("stage1", First({"numbers": {"count": count}}), run, **more)

    def second(self, run: str | None = None, **more: Any) -> Outcome:
        return self.run("stage2", Second({}), run, **more)

    def rows(self, commit: Commit) -> list[int]:
        paths = [self.root / commit.stage / "data" / path for path in commit.files()]
        return sorted(row["item_index"] for path in paths for row in pq.ParquetFile(path).read().to_pylist())


@pytest.fixture
def job(tmp_path: Path, spark: SparkSession) -> Job:
    Second.computed, Second.dies_in = [], None
    return Job(tmp_path / "out", spark)


def test_a_record_tells_what_was_made_from_what(job: Job) -> None:
    first, second = job.first().commit, job.second().commit
    assert second.record["upstream"] == {"stage1": 1}
    assert first.record["config"] == {"numbers": {"count": 3, "in_shards": True}}
    assert first.record["contents"]["popularity"]["rows"] == 3
    assert first.record["steps"] == [{"step": "numbers", "rows_in": None, "rows_out": 3, "note": ""}]
    assert sum(facts["rows"] for facts in first.files().values()) == 3


def test_a_named_run_that_is_finished_is_not_done_again(job: Job) -> None:
    done = job.first(run="monday")
    job.started = 0
    again = job.first(run="monday")
    assert again.commit == done.commit
    assert again.skipped == "ALREADY_COMMITTED: run monday has committed it as commit 1"
    assert job.started == 0


def test_a_run_s_name_stands_for_one_result(job: Job) -> None:
    job.first(run="monday")
    text = "RUN_ID_REUSED run monday has committed stage1 with another config.numbers.count; take another --run-id"
    with pytest.raises(ConflictError, match=text):
        job.first(4, run="monday")


def test_a_finished_run_whose_files_are_damaged_is_told(job: Job) -> None:
    done = job.first(run="monday")
    (job.root / "stage1" / "data" / next(iter(done.commit.files()))).unlink()
    with pytest.raises(ArtifactError, match="ARTIFACT_CORRUPT missing part-"):
        job.first(run="monday")


def test_what_has_not_changed_is_not_done_again(job: Job) -> None:
    job.first()
    job.started = 0
    assert job.first().skipped == "nothing has changed since run unnamed, commit 1; --force runs it"
    assert job.started == 0


def test_what_has_not_changed_is_done_again_when_forced(job: Job) -> None:
    one, other = job.first().commit, job.first(force=True).commit
    assert other.number == 2
    assert one.record["contents"] == other.record["contents"]


def test_an_earlier_result_becomes_the_newest_without_work(job: Job) -> None:
    old = job.first(3).commit
    job.first(4)
    job.started = 0
    again = job.first(3)
    assert job.started == 0
    assert again.skipped == "the same as run unnamed, commit 1: now commit 3"
    assert (again.commit.number, again.commit.attempt) == (3, old.attempt)
    assert job.store.latest("stage1") == again.commit


def test_a_stage_follows_a_changed_one(job: Job) -> None:
    job.first(3)
    job.second()
    job.first(4)
    assert job.rows(job.second().commit) == [0, 1, 2, 3]


def test_a_stage_whose_input_was_not_made_is_told(job: Job) -> None:
    with pytest.raises(InputError, match="UPSTREAM_NOT_COMMITTED stage1 has no committed result below"):
        job.second()


def test_a_table_that_an_older_program_did_not_make_is_told(job: Job) -> None:
    class Newer(Second):
        INPUTS: ClassVar[Mapping[str, tuple[str, str]]] = {"rows": ("stage1", "segment_metrics")}

    job.run("stage1", First({}))
    with pytest.raises(InputError, match=r"UPSTREAM_OUTDATED stage1 commit 1 has no table segment_metrics: an older"):
        job.run("stage2", Newer({}))


def test_what_is_read_is_chosen_once(job: Job) -> None:
    job.first(3)
    outcome = job.second(meanwhile=lambda: job.first(5))
    assert job.rows(outcome.commit) == [0, 1, 2]
    assert outcome.commit.record["upstream"] == {"stage1": 1}


def test_a_named_run_reads_its_own_results(job: Job) -> None:
    job.first(3, run="monday")
    job.first(5, run="tuesday")
    assert job.rows(job.second(run="monday").commit) == [0, 1, 2]


def test_a_named_run_is_finished_also_when_others_have_gone_on(job: Job) -> None:
    job.first(3, run="other")
    job.second(run="monday")
    job.first(5, run="tuesday")
    assert job.second(run="monday").skipped.startswith("ALREADY_COMMITTED")


def test_a_failure_leaves_a_note_and_the_old_result(job: Job) -> None:
    job.first()
    old = job.second().commit
    Second.dies_in = 0
    with pytest.raises(DataQualityError, match="TEST_DEATH"):
        job.second(force=True)
    assert job.store.latest("stage2") == old
    (note,) = (job.root / "stage2" / "data").glob("*/_FAILED.json")
    assert json.loads(note.read_text())["id"] == "TEST_DEATH as the test wants it"
    assert sorted(path.name for path in note.parent.iterdir()) == ["_ATTEMPT.json", "_FAILED.json"]


def test_a_stage_that_died_in_a_shard_goes_on_there(job: Job) -> None:
    job.first()
    Second.dies_in = 2
    with pytest.raises(DataQualityError, match="TEST_DEATH"):
        job.second()
    assert Second.computed == [0, 1, 2]
    Second.computed, Second.dies_in = [], None
    commit = job.second().commit
    assert Second.computed == [2]
    assert job.rows(commit) == [0, 1, 2]
    assert len({path.split("/")[0] for path in commit.files()}) == 2
    assert commit.record["steps"] == [{"step": "numbers", "rows_in": None, "rows_out": 3, "note": ""}]
    assert list((job.root / "stage2").glob("shards/*/*")) == []


def test_shards_make_the_same_table(job: Job) -> None:
    job.first()
    cut = job.second().commit
    whole = job.run("stage2", Second({"numbers": {"in_shards": False}})).commit
    assert cut.record["contents"] == whole.record["contents"]


def test_a_damaged_shard_is_done_again(job: Job) -> None:
    job.first()
    Second.dies_in = 2
    with pytest.raises(DataQualityError, match="TEST_DEATH"):
        job.second()
    next(job.root.glob("stage2/data/*/popularity/shard-00001/part-*")).unlink()
    Second.computed, Second.dies_in = [], None
    assert job.rows(job.second().commit) == [0, 1, 2]
    assert Second.computed == [1, 2]


@pytest.mark.parametrize("dies", [False, True])
def test_checkpoints_are_in_the_attempt_s_folder_while_the_stage_runs(
    job: Job, spark: SparkSession, monkeypatch: pytest.MonkeyPatch, dies: bool
) -> None:
    monkeypatch.setattr(Long, "root", job.root, raising=False)
    monkeypatch.setattr(Long, "dies", dies)
    if dies:
        with pytest.raises(DataQualityError, match="TEST_DEATH"):
            job.run("stage1", Third({}))
    else:
        commit = job.run("stage1", Third({})).commit
        assert job.rows(commit) == [0, 1, 2]
    assert Long.seen == ["_checkpoints"]
    assert list(job.root.rglob("_checkpoints")) == []
    assert not has_checkpoint_folder(spark)


def test_a_stage_is_computed_again_when_other_items_are_hidden(job: Job) -> None:
    hidden = Hidden(job.store)
    first = job.run("stage1", Hiding({}), "monday")
    hidden.hide(["7"], "recalled")
    second = job.run("stage1", Hiding({}))
    assert (second.commit.number, second.commit.record["hidden"]) == (2, ["7"])
    assert second.commit.record["versions"] == {HIDDEN: digest(["7"])}
    assert job.run("stage1", Hiding({})).skipped
    # A run that is tried again keeps what it has made.
    assert job.run("stage1", Hiding({}), "monday").commit.number == first.commit.number
    hidden.unhide(["7"])
    assert job.run("stage1", Hiding({})).skipped == "the same as run monday, commit 1: now commit 3"
    assert job.run("stage1", First({})).commit.record["versions"] == {}


def test_sample_events_are_made_once(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def runner() -> Runner:
        where = Progress(run="unnamed")
        return Runner(job.store, job.start, where, named=False, force=False, failure=lambda error: {"id": str(error)})

    one = runner().sample()
    job.started = 0
    assert runner().sample() == one
    assert job.started == 0
    looks = iter([None, job.store.latest("sample")])
    monkeypatch.setattr(Store, "latest", lambda *_: next(looks))
    monkeypatch.setattr(Log, "newest_number", lambda _: 0)  # two runs began at the same moment
    assert runner().sample() == one


def test_a_stage_compares_with_its_own_result_that_is_live(job: Job) -> None:
    Comparing.seen = []
    first = job.run("stage4", Comparing({"numbers": {"count": 3}})).commit
    job.run("stage4", Comparing({"numbers": {"count": 4}}))  # nothing is live
    Channels(job.store).publish("live", first)
    job.run("stage4", Comparing({"numbers": {"count": 5}}))
    assert Comparing.seen == [None, None, 3]


def test_what_is_compared_with_does_not_make_another_result(job: Job) -> None:
    first = job.run("stage4", Comparing({})).commit
    Channels(job.store).publish("live", first)
    assert job.run("stage4", Comparing({})).skipped.startswith("nothing has changed")


def test_a_live_result_that_is_damaged_is_replaced_for_a_reason_only(job: Job) -> None:
    first = job.run("stage4", Comparing({"numbers": {"count": 3}})).commit
    Channels(job.store).publish("live", first)
    (job.root / "stage4" / "data" / next(iter(first.files()))).unlink()
    Comparing.seen = []
    with pytest.raises(
        GateError, match=r"^NOT_COMPARED not compared with the live version: missing part-.*--override-gate"
    ):
        job.run("stage4", Comparing({"numbers": {"count": 4}}))
    assert job.store.latest("stage4") == first
    record = job.run("stage4", Comparing({"numbers": {"count": 4}}), override="the disk died").commit.record
    assert Comparing.seen == [None, None]
    assert record["not_compared"].startswith("not compared with the live version: missing part-")
    assert record["gate_overridden"]["id"] == "NOT_COMPARED"


def test_rows_that_storage_has_lost_are_noticed_and_nothing_is_committed(job: Job) -> None:
    with pytest.raises(
        StorageError, match=r"AUDIT_ROWS of 3 rows of popularity that were written, \d can be read back"
    ):
        job.run("stage1", Lossy({}))
    assert job.store.latest("stage1") is None
