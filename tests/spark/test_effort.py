"""How busy Spark is, and what it spends."""

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from recommender.spark import effort
from recommender.spark.effort import Effort, running_tasks

pytestmark = pytest.mark.usefixtures("spark")


def test_jobs_are_counted_from_the_beginning_of_a_piece_of_work(spark: SparkSession) -> None:
    measured = Effort()
    assert measured.spent()["jobs"] == 0
    spark.range(0, 10, 1, 1).write.format("noop").mode("overwrite").save()  # a job without exchanges
    assert measured.spent()["jobs"] == 1
    assert Effort().spent()["jobs"] == 0
    assert measured.spent()["memory"] > 50 * 2**20  # no JVM is smaller


def test_failed_tasks_are_counted(spark: SparkSession) -> None:
    measured = Effort()
    with pytest.raises(PySparkException):
        spark.range(1).selectExpr("raise_error('on purpose')").collect()
    deadline = time.monotonic() + 20
    while not measured.spent()["lost"]["tasks"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert measured.spent()["lost"] == {"executors": 0, "tasks": 1}


def test_tasks_are_counted_while_they_run(spark: SparkSession) -> None:
    slow = spark.range(0, 4, 1, 4).selectExpr("reflect('java.lang.Thread', 'sleep', 700L + id) IS NULL AS slept")
    thread = threading.Thread(target=slow.collect)
    thread.start()
    found = None
    while thread.is_alive() and found is None:
        found = running_tasks()
        time.sleep(0.05)
    thread.join()
    assert found is not None
    assert found[1] == 4
    assert 0 <= found[0] < 4


def test_a_session_of_spark_connect_reports_its_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effort, "is_connect", lambda: True)
    handlers: list[Any] = []
    effort.listen(SimpleNamespace(registerProgressHandler=handlers.append))  # type: ignore[arg-type]
    (hear,) = handlers
    stages = [
        SimpleNamespace(num_completed_tasks=done, num_tasks=8, done=done == 8)  # the first is done
        for done in (8, 3, 1)
    ]
    hear(stages=stages, inflight_tasks=2, operation_id="a", done=False)
    hear(stages=stages[:2], inflight_tasks=2, operation_id="b", done=False)
    assert running_tasks() == (3 + 1 + 3, 24)
    hear(stages=stages, inflight_tasks=0, operation_id="a", done=True)
    assert running_tasks() == (3, 8)
    hear(stages=[], inflight_tasks=0, operation_id="b", done=False)
    assert running_tasks() is None


def test_without_a_context_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effort, "is_connect", lambda: True)
    assert running_tasks() is None
    assert Effort().spent() == {}
