"""A step that a user writes has its own line in the report, and falsifies no other."""

import re
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession, functions as F

from recommender.errors import ConfigError, DataQualityError
from recommender.run.config import parse_config
from recommender.spark.row_counts import RowCounter, StepRows
from recommender.stage1.evaluation_split import EvaluationSplit, Parts
from recommender.stage1.event_kinds import EventKinds
from recommender.stage1.event_log import EventLog
from recommender.stage1.main import Stage1
from recommender.stage1.own_events import OwnEvents
from recommender.stage1.scoring import Scoring
from recommender.stage1.steps import ScoreEvents

README = Path(__file__).resolve().parents[2] / "README.md"
HOUR = 3_600_000
EVENTS = 240

Lines = dict[str, tuple[int | None, int | None]]


class Without:
    """Keep the events but those whose times leave a rest."""

    def __init__(self, rest: int, divisor: int = 4, time: str = "timestamp") -> None:
        self._rest, self._divisor, self._time = rest, divisor, time

    def execute(self, rows: DataFrame) -> DataFrame:
        return rows.where(F.col(self._time) % self._divisor != self._rest)


HALF = Without(1, 2)


def write_log(folder: Path) -> str:
    """Write as many events by night as by day, and as many of even times as of odd ones, of 24 visitors."""
    rows = (
        f"{10**12 // (24 * HOUR) * 24 * HOUR + (n % 2 * 12 + 1) * HOUR + n // 2},{n % 24},view,{n % 7}"
        for n in range(EVENTS)
    )
    path = folder / "events.csv"
    path.write_text("\n".join(["timestamp,visitorid,event,itemid", *rows]) + "\n")
    return str(path)


@pytest.fixture
def log(tmp_path: Path) -> str:
    return write_log(tmp_path)


def reported(stage: Stage1, path: Path) -> list[StepRows]:
    stage.execute_persist(str(path))
    return stage.report(stage.counter.rows())


def lines_of(steps: list[StepRows]) -> Lines:
    return {line.step: (line.rows_in, line.rows_out) for line in steps}


def as_the_readme_says(monkeypatch: pytest.MonkeyPatch, folder: Path) -> dict[str, Any]:
    """Write the README's step to its file, and return the README's configuration of stage 1."""
    page = README.read_text(encoding="utf-8")
    (section,) = re.findall(r"^## A step of your own\n(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    (code,) = re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    (text,) = re.findall(r"^```yaml\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    (folder / "my_shop.py").write_text(code)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "my_shop", raising=False)
    return parse_config(text).stage("stage1")


def test_the_step_of_the_readme_has_its_line_and_the_others_stay_right(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, log: str, tmp_path: Path
) -> None:
    stage = Stage1({"data_loader": {"event_filename": log}, **as_the_readme_says(monkeypatch, tmp_path)})
    steps = reported(stage, tmp_path / "out")
    assert [line.step for line in steps][:6] == [
        *("data_loader", "event_validator", "event_deduplicator", "event_cap", "night_filter", "train_test_split")
    ]
    chain = [(line.rows_in, line.rows_out) for line in steps[:7]]
    assert chain[3:5] == [(240, 240), (240, 120)]
    assert all(one[1] == other[0] for one, other in pairwise(chain)), chain
    found = lines_of(steps)
    assert found["encode_visitorids"][0] == 120
    train = found["train_test_split"][1]
    assert train is not None
    assert next(line for line in steps if line.step == "holdout").rows_in == 120 - train
    assert stage.log.profile["events"] == spark.read.parquet(f"{tmp_path}/out/visitors").agg(F.sum("events")).first()[0]  # type: ignore[index]


@pytest.mark.parametrize(
    ("execute", "error", "sentence"),
    [
        (
            lambda rows: rows.drop("itemid"),
            ConfigError,
            "CFG_STEP stage1.steps.mine must return itemid bigint, as it is",
        ),
        (
            lambda rows: rows.withColumn("itemid", F.col("itemid").cast("string")),
            ConfigError,
            "CFG_STEP stage1.steps.mine must return itemid bigint, as it is given it, but it returns itemid string",
        ),
        (lambda rows: rows["price"], ConfigError, "CFG_STEP stage1.steps.mine fails with "),
        (lambda _: None, ConfigError, "CFG_STEP stage1.steps.mine fails with "),
        (
            lambda rows: rows.withColumn("itemid", F.expr("cast(itemid / (timestamp - timestamp) AS bigint)")),
            ConfigError,
            "CFG_STEP stage1.steps (mine) fail on an event, with DIVIDE_BY_ZERO; the values of the event are left out",
        ),
        (lambda rows: rows.limit(0), DataQualityError, "NO_ROWS_AFTER stage1.steps (mine) in=4: no event is left"),
        (
            lambda rows: rows.withColumn("visitorid", F.expr("nullif(visitorid, 7)")),
            DataQualityError,
            "STEP_NULLS stage1.steps (mine) leave 1 of 4 events without a visitor, an item, a time or a kind; leave",
        ),
    ],
)
def test_a_step_that_returns_something_else_is_named(
    spark: SparkSession, execute: Any, error: type[Exception], sentence: str
) -> None:
    rows = [(n, 5 + n, "view", 3) for n in range(4)]
    events = spark.createDataFrame(rows, "timestamp long, visitorid long, event string, itemid long")
    own = OwnEvents({"mine": SimpleNamespace(execute=execute)}, as_it_is, EventKinds(ScoreEvents(), None))
    with pytest.raises(error, match=re.escape(sentence)):
        own.execute(events, given=4)


def as_it_is(_: str, rows: DataFrame, step: Any) -> DataFrame:
    made: DataFrame = step.execute(rows)
    return made


def test_a_kind_that_a_step_invents_is_reported(spark: SparkSession) -> None:
    rows = [(n, 5 + n, "view", 3) for n in range(4)]
    events = spark.createDataFrame(rows, "timestamp long, visitorid long, event string, itemid long")
    step = SimpleNamespace(execute=lambda rows: rows.withColumn("event", F.expr("if(visitorid = 5, 'hover', event)")))
    _, warnings = OwnEvents({"mine": step}, as_it_is, EventKinds(ScoreEvents(), None)).execute(events, 4)
    assert warnings[0].startswith("hover: 1 of 4 events has no weight and counts for nothing")


def test_a_step_that_is_called_without_run_falsifies_nothing(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, log: str, tmp_path: Path
) -> None:
    """Not even the lines of a step on the test events, which says where the holdout begins."""
    load, divide = EventLog.load, EvaluationSplit.divide

    def divided(self: EvaluationSplit, *given: Any) -> Parts:
        parts = divide(self, *given)
        return parts._replace(test=self.counter.through("of the test", Without(2, 8), parts.test))

    monkeypatch.setattr(EventLog, "load", lambda *given: HALF.execute(load(*given)))
    monkeypatch.setattr(EvaluationSplit, "divide", divided)
    found = lines_of(reported(Stage1({"data_loader": {"event_filename": log}}), tmp_path / "out"))
    split, own = found["train_test_split"], found["of the test"]
    assert (found["event_cap"], split[0]) == ((240, 240), 120)
    assert split[1] == found["group_scores"][0]
    assert spark.read.parquet(f"{tmp_path}/out/visitors").agg(F.sum("events")).first()[0] == 120  # type: ignore[index]
    assert split[1] is not None
    assert own[1] is not None
    assert own[0] == 120 - split[1]
    assert found["holdout"][0] == own[1]
    assert 0 < own[1] < own[0]


# the name of the step -> the lines that it stands between
PLACES = {
    "of the log": ("data_loader", "event_validator"),
    "of the events": ("event_deduplicator", "event_cap"),
    "of the training part": ("train_test_split", "group_scores"),
}


def in_every_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a step of a user's own between those of the stage, in four places."""
    validated, cap, divide, pairs = EventLog._validated, EventLog._not_too_many, EvaluationSplit.divide, Scoring.pairs

    def without_3(self: EventLog, read: DataFrame) -> Any:
        rows = validated(self, self.counter.through("of the log", Without(3), read))
        self._read.insert(0, read)
        return rows

    def without_2(self: EventLog, events: DataFrame) -> DataFrame:
        return cap(self, self.counter.through("of the events", Without(2), events))

    def without_1(self: EvaluationSplit, *given: Any) -> Parts:
        parts = divide(self, *given)
        return parts._replace(train=self.counter.through("of the training part", Without(1), parts.train))

    def without_0(self: Scoring, train: DataFrame) -> DataFrame:
        return self._counter.through("of the pairs", Without(0, 8, "last_timestamp"), pairs(self, train))

    for owner, name, own in (
        (EventLog, "_validated", without_3),
        (EventLog, "_not_too_many", without_2),
        (EvaluationSplit, "divide", without_1),
        (Scoring, "pairs", without_0),
    ):
        monkeypatch.setattr(owner, name, own)


@pytest.fixture(scope="module")
def everywhere(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> list[StepRows]:
    """Return the report of a run with a step in every place."""
    folder = tmp_path_factory.mktemp("everywhere")
    with pytest.MonkeyPatch.context() as patch:
        in_every_place(patch)
        return reported(Stage1({"data_loader": {"event_filename": write_log(folder)}}), folder / "out")


@pytest.mark.parametrize("own", PLACES)
def test_a_step_in_any_place_is_given_what_came_before_and_gives_what_comes_after(
    everywhere: list[StepRows], own: str
) -> None:
    names = [line.step for line in everywhere]
    place = names.index(own)
    assert (names[place - 1], names[place + 1]) == PLACES[own]
    above, line, below = everywhere[place - 1 : place + 2]
    assert (above.rows_out, line.rows_out) == (line.rows_in, below.rows_in)
    assert line.rows_in is not None
    assert line.rows_out is not None
    assert 0 < line.rows_out < line.rows_in


def test_a_step_on_the_pairs_stands_below_the_filter(everywhere: list[StepRows]) -> None:
    place = [line.step for line in everywhere].index("of the pairs")
    above, line = everywhere[place - 1 : place + 1]
    assert above.step == "score_filter"
    assert line.rows_in == above.rows_out
    assert line.rows_in is not None
    assert line.rows_out is not None
    assert 0 < line.rows_out < line.rows_in


def test_a_step_on_a_table_of_another_stage_stands_at_the_top(spark: SparkSession) -> None:
    counter = RowCounter(lambda rows: rows.cache())
    table = spark.range(8).withColumnRenamed("id", "timestamp")
    counter.came_out("", table)
    twice = counter.through("again", HALF, counter.through("half", HALF, table))
    unknown = counter.through("lost", HALF, spark.range(3).withColumnRenamed("id", "timestamp"))
    assert (twice.count(), unknown.count()) == (4, 2)
    lines = counter.with_own([StepRows("als", 4, None), StepRows("gate", None, None)])
    assert [(line.step, line.rows_in, line.rows_out) for line in lines] == [
        *(("half", 8, 4), ("again", 4, 4), ("als", 4, None), ("gate", None, None), ("lost", 3, 2))
    ]


def test_a_part_of_the_work_begins_without_the_steps_of_the_last(spark: SparkSession) -> None:
    counter = RowCounter(lambda rows: rows.cache())
    for rows in (8, 2):
        counter.begin()
        assert (
            counter.through("half", HALF, spark.range(rows).withColumnRenamed("id", "timestamp")).count() == rows // 2
        )
        assert counter.with_own([]) == [StepRows("half", rows, rows // 2)]
