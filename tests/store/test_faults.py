"""A run on a storage that dies at one operation after the other: readers see the old result or the new one."""

import hashlib
import io
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession, functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from recommender.errors import RecommenderError
from recommender.publishing.publication import publish
from recommender.run.runner import Progress, Runner
from recommender.settings.step import Steps, step
from recommender.spark.row_counts import StepRows
from recommender.spark.session import hadoop
from recommender.stage import Stage
from recommender.stage4.main import Stage4
from recommender.store import Channels, Commit, Store, clean_up, open_files
from recommender.tables import schemas
from recommender.tables.parquet import as_stored

KINDS = ["hdfs", "s3a"]
KEPT = 2  # attempts, after a clean-up: the new one, and the one that a rollback would take
BEFORE, AFTER = False, True  # dies before the operation, or after it and before its answer
TINY_STEPS = {  # of a plan for three rows, most of the time goes into making it fast
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.shuffle.partitions": "1",
}
INPUTS = {
    "recommendations": "visitorid long, rank int, itemid long, score float, source string",
    "interactions": "visitor_index int, item_index int, event string, score float, last_timestamp long",
    "visitors": "visitorid long, visitor_index int, events long, score double, trained boolean",
    "items": "itemid long, item_index int, events long, score double, last_timestamp long, last_trained long",
}
LISTS_ALONE = {"snapshot": {"enabled": False}, "release_diff": {"enabled": False}}
Tables = Mapping[str, list[dict[str, Any]]]


@step
class Numbers:
    """Some numbers in a row, as both tables of `Counting`."""

    first: int = 0

    def execute(self) -> DataFrame:
        number = F.col("id")
        rows = SparkSession.active().range(self.first, self.first + 3, 1, numPartitions=1)
        return rows.select(*(number.alias(name) for name in schemas.columns("scores")))

    def expected(self) -> Tables:
        numbers = range(self.first, self.first + 3)
        return {
            "popularity": [{"item_index": n, "score": float(n)} for n in numbers],
            "scores": [{"visitor_index": n, "item_index": n, "score": float(n), "last_timestamp": n} for n in numbers],
        }


class CountingSteps(Steps):
    numbers: Numbers


class Counting(Stage):
    """A stage with nothing to do, and two tables to write."""

    NAME = "count"
    steps: CountingSteps

    def execute(self) -> dict[str, DataFrame]:
        rows = self.steps.numbers.execute()
        return {table: as_stored(table, rows) for table in ("popularity", "scores")}

    def report(self, rows: Mapping[str, int]) -> list[StepRows]:
        return [StepRows("numbers", None, rows["scores"])]


@dataclass(frozen=True)
class Scenario:
    """A store that holds an older result of a stage, and a run that makes a newer one."""

    folder: Path
    stage: str
    build: Callable[[], Stage]
    old: Tables
    new: Tables


def explained(error: BaseException) -> Mapping[str, Any]:
    return {"id": "TEST"}


class Point:
    """A copy of a scenario's store, where a run dies."""

    def __init__(self, scenario: Scenario, spark: SparkSession, folder: Path, kind: str) -> None:
        self.folder = Path(shutil.copytree(scenario.folder, folder))
        self._scenario = scenario
        self._spark = spark
        self._kind = kind

    def run(self, writer: str) -> Exception | None:
        """Run, publish and clean up, and return what it ended with."""
        store = Store(open_files(f"{self._kind}://{writer}{self.folder}", hadoop))
        where = Progress(run="new")
        stage = {self._scenario.stage: self._scenario.build()}
        runner = Runner(store, lambda: self._spark, where, named=True, force=False, failure=explained)
        try:
            runner.pin(stage)
            commit = runner.run(*next(iter(stage.items()))).commit
            publish(store, "live", commit)
            clean_up(store, older_than=0, keep=1)
        except (RecommenderError, Py4JJavaError, PySparkException) as error:
            return error
        return None

    def seen(self) -> str:
        """Return the run whose result is the newest; all of it, and of what the channel names, must be there."""
        store = Store(open_files(str(self.folder), lambda: None))
        newest = store.latest(self._scenario.stage)
        publication = Channels(store).current("live")
        assert newest is not None
        assert publication is not None
        published = Channels(store).commit(publication)
        assert published is not None
        for commit in (newest, published):
            store.check(commit)
            assert self._read(commit) == {"old": self._scenario.old, "new": self._scenario.new}[commit.run_id]
        return newest.run_id

    def attempts(self) -> int:
        """Return how many attempts have left something."""
        return len(list((self.folder / self._scenario.stage / "data").iterdir()))

    def _read(self, commit: Commit) -> Tables:
        """Return the rows of exactly the files that a commit lists, by another reader than Spark."""
        found: dict[str, list[dict[str, Any]]] = {}
        for path in commit.files():
            rows = pq.ParquetFile(self.folder / self._scenario.stage / "data" / path).read().to_pylist()
            found.setdefault(path.split("/")[1], []).extend(rows)
        return {table: sorted(rows, key=lambda row: tuple(row.values())) for table, rows in found.items()}


def write_version(store: Store, stage: str, run: str, tables: Mapping[str, pa.Table], /, **record: Any) -> Commit:
    """Commit tables that Spark has not written."""
    attempt = store.begin(stage, run)
    files = {}
    for table, rows in tables.items():
        content = io.BytesIO()
        pq.write_table(rows, content)
        path = f"{attempt.id}/{table}/part-0.parquet"
        store.files.create(f"{stage}/data/{path}", content.getvalue())
        seal = hashlib.sha256(content.getvalue()).hexdigest()
        files[path] = {"bytes": len(content.getvalue()), "sha256": seal, "rows": rows.num_rows}
    return store.commit(attempt, {"files": files, **record})


def write_old_versions(store: Store, stage: str, tables: Mapping[str, pa.Table]) -> None:
    """Commit and publish a version for the clean-up, and the one that readers have."""
    for run in ("oldest", "old"):
        publish(store, "live", write_version(store, stage, run, tables))


@pytest.fixture(scope="module", autouse=True)
def quick_plans(spark: SparkSession) -> Iterator[None]:
    before = {key: spark.conf.get(key) for key in TINY_STEPS}
    for key, value in TINY_STEPS.items():
        spark.conf.set(key, value)
    yield
    for key, value in before.items():
        spark.conf.set(key, str(value))


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    folder = tmp_path_factory.mktemp("counting")
    old, new = Numbers(first=0).expected(), Numbers(first=100).expected()
    tables = {name: pa.Table.from_pylist(rows) for name, rows in old.items()}
    write_old_versions(Store(open_files(str(folder), lambda: None)), "count", tables)
    return Scenario(folder, "count", lambda: Counting({"numbers": {"first": 100}}), old, new)


def lists(score: float) -> list[dict[str, Any]]:
    """Return what is recommended to two visitors."""
    return [
        {"visitorid": visitor, "rank": rank, "itemid": 500 + rank, "score": score / rank, "source": "als"}
        for visitor in (70, 71)
        for rank in (1, 2)
    ]


@pytest.fixture(scope="module")
def exposing(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    """Return the real stage 4, with the commits of stages 1 and 3 that it reads."""
    folder = tmp_path_factory.mktemp("exposing")
    store = Store(open_files(str(folder), lambda: None))
    rows: Tables = {
        "recommendations": lists(4.0),
        "interactions": [{"visitor_index": 0, "item_index": 1, "event": "view", "score": 1.0, "last_timestamp": 9}],
        "visitors": [
            {"visitorid": 70 + n, "visitor_index": n, "events": 1, "score": 1.0, "trained": True} for n in (0, 1)
        ],
        "items": [
            {"itemid": 501 + n, "item_index": n, "events": 1, "score": 1.0, "last_timestamp": 9, "last_trained": 9}
            for n in (0, 1)
        ],
    }
    schemas = {name: spark.createDataFrame([], ddl).schema for name, ddl in INPUTS.items()}
    stages = {"stage1": ["interactions", "visitors", "items"], "stage3": ["recommendations"]}
    for stage, names in stages.items():
        tables = {name: arrow(rows[name], schemas[name]) for name in names}
        record = {"tables": {name: schemas[name].jsonValue() for name in names}, "events": 1}
        write_version(store, stage, "old", tables, **record, upstream={"stage1": 1} if stage == "stage3" else {})
    write_old_versions(store, "stage4", {"recommendations": arrow(lists(8.0), schemas["recommendations"])})
    return Scenario(
        folder, "stage4", lambda: Stage4(LISTS_ALONE), {"recommendations": lists(8.0)}, {"recommendations": lists(4.0)}
    )


def arrow(rows: list[dict[str, Any]], schema: StructType) -> pa.Table:
    return pa.Table.from_pylist(rows, to_arrow_schema(schema))


class Points:
    """The points of one scenario on one kind of storage."""

    def __init__(self, scenario: Scenario, spark: SparkSession, folder: Path, kind: str, faulty_files: Any) -> None:
        self._scenario = scenario
        self._spark = spark
        self._folder = folder
        self._kind = kind
        self._faulty_files = faulty_files

    def undisturbed(self) -> int:
        """Return how many operations a run takes that nothing disturbs."""
        point, writer = self._point(), uuid.uuid4().hex
        assert point.seen() == "old"
        assert point.run(writer) is None
        assert point.seen() == "new"
        return int(self._faulty_files.operations(writer))

    def check(self, operation: int, answer_lost: bool, again: bool) -> str:
        """Let a run die, and look at what it leaves; return what is seen then."""
        point, writer = self._point(), uuid.uuid4().hex
        self._faulty_files.die(writer, operation, answer_lost)
        assert point.run(writer) is not None
        assert self._faulty_files.operations(writer) >= operation
        seen = point.seen()
        if again:
            assert point.run(uuid.uuid4().hex) is None
            assert point.seen() == "new"
            assert point.attempts() == KEPT
        shutil.rmtree(point.folder)
        return seen

    def _point(self) -> Point:
        return Point(self._scenario, self._spark, self._folder / uuid.uuid4().hex, self._kind)


@pytest.fixture
def points(spark: SparkSession, faulty_files: Any, tmp_path: Path) -> Callable[[Scenario, str], Points]:
    return lambda scenario, kind: Points(scenario, spark, tmp_path, kind, faulty_files)


def check_all(points: Points, answer_lost: bool, every: int = 1, again_every: int = 1) -> None:
    """Let a run die at one operation after the other."""
    last = points.undisturbed()
    assert last > 20
    seen = {n: points.check(n, answer_lost, again=n % again_every == 0) for n in range(1, last + 1, every)}
    print(f"{last} operations, {len(seen)} points: {list(seen.values()).count('old')} times old")
    assert set(seen.values()) == {"old", "new"}
    assert list(seen.values()) == sorted(seen.values(), reverse=True)  # once it is new, it stays new


@pytest.mark.parametrize("kind", KINDS)
def test_whenever_the_storage_dies_the_old_or_the_new_result_is_there(
    points: Callable[[Scenario, str], Points], counting: Scenario, kind: str
) -> None:
    check_all(points(counting, kind), BEFORE, every=3, again_every=4)


@pytest.mark.parametrize("kind", KINDS)
def test_whenever_an_answer_is_lost_the_old_or_the_new_result_is_there(
    points: Callable[[Scenario, str], Points], counting: Scenario, kind: str
) -> None:
    check_all(points(counting, kind), AFTER, every=7, again_every=2)


@pytest.mark.slow
@pytest.mark.parametrize("answer_lost", [BEFORE, AFTER])
@pytest.mark.parametrize("kind", KINDS)
def test_after_a_death_at_any_operation_the_same_run_again_is_enough(
    points: Callable[[Scenario, str], Points], counting: Scenario, kind: str, answer_lost: bool
) -> None:
    check_all(points(counting, kind), answer_lost)


@pytest.mark.slow
@pytest.mark.parametrize("answer_lost", [BEFORE, AFTER])
@pytest.mark.parametrize("kind", KINDS)
def test_whenever_the_storage_dies_under_stage_4_the_same_run_again_is_enough(
    points: Callable[[Scenario, str], Points], exposing: Scenario, kind: str, answer_lost: bool
) -> None:
    check_all(points(exposing, kind), answer_lost)
