"""What every stage does: it stores and counts, shows what it is doing, and ends several actions as one would end."""

import threading
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from recommender.settings.step import Steps
from recommender.stage import Context, Stage, side_by_side


class NoSteps(Steps):
    """Nothing to configure."""


class Counting(Stage):
    """A stage that stores the items below three."""

    NAME = "count"
    steps: NoSteps

    def execute(self, rows: DataFrame) -> dict[str, DataFrame]:  # type: ignore[override]
        self.announce("counting")
        self.warn(f"the version is {self.context.versions['shop.items']}")
        return {"popularity": rows.where("item_index < 3")}

    def documents(self) -> dict[str, str]:
        return {"note.txt": f"{self.counter.rows()['popularity']} items"}


def test_a_stage_takes_what_surrounds_it_and_returns_one_result(spark: SparkSession, tmp_path: Path) -> None:
    announced, warned = list[str](), list[str]()
    context = Context(announced.append, warned.append, {"shop.items": "7"})
    rows = spark.range(9).selectExpr("cast(id AS int) AS item_index", "cast(id AS double) AS score")
    result = Counting({}).execute_persist(str(tmp_path), context=context, rows=rows)
    assert sorted(row.item_index for row in result["popularity"].collect()) == [0, 1, 2]
    assert result.rows == {"popularity": 3}
    assert result.documents == {"note.txt": "3 items"}
    assert announced == ["counting", "writing popularity"]
    assert warned == ["the version is 7"]


def test_all_are_done() -> None:
    done: set[int] = set()
    side_by_side([lambda number=number: done.add(number) for number in range(7)])  # type: ignore[misc]
    assert done == set(range(7))


def test_an_error_is_told_when_what_runs_has_ended_and_nothing_more_is_begun() -> None:
    begun, ended, failed = [], [], threading.Event()

    def fail() -> None:
        failed.set()
        raise OSError("the disk is full")

    def work() -> None:
        begun.append(1)
        failed.wait()
        ended.append(1)

    with pytest.raises(OSError, match="the disk is full"):
        side_by_side([work, fail, *[work] * 20])
    assert len(begun) == len(ended) < 20
