"""How busy Spark is, what it spends and what it loses. Over Spark Connect, Spark 4 reports the running tasks only.

Example usage:
>>> effort = Effort()
>>> spark.range(10).count()
10
>>> sorted(effort.spent()), effort.spent()["jobs"] > 0, running_tasks()
(['jobs', 'lost', 'memory'], True, None)
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from recommender.spark.java import Py4JError, SparkContext
from recommender.spark.session import is_connect

_heard: dict[str | None, tuple[int, int]] = {}  # query that runs over Spark Connect -> its tasks done, of how many


def listen(spark: SparkSession) -> None:
    """Let a session of Spark Connect report the progress of its queries, if it can."""
    if is_connect() and hasattr(spark, "registerProgressHandler"):
        spark.registerProgressHandler(_hear)  # type: ignore[arg-type]  # a function will do


def _hear(stages: Iterable[Any] | None, inflight_tasks: int, operation_id: str | None, done: bool) -> None:  # noqa: ARG001
    """Take a report of Spark Connect."""
    _heard.pop(operation_id, None)
    known = [stage for stage in stages or () if not stage.done]
    if known and not done:
        _heard[operation_id] = _summed((stage.num_completed_tasks, stage.num_tasks) for stage in known)


def _summed(stages: Iterable[tuple[int, int]]) -> tuple[int, int]:
    done, of_all = zip(*stages, strict=True)
    return sum(done), sum(of_all)


def running_tasks() -> tuple[int, int] | None:
    """Return how many tasks of the running stages are done, and how many there are; None between two jobs."""
    queries = list(_heard.values())
    if queries:
        return _summed(queries)
    context = _context()
    try:
        tracker = context.statusTracker() if context else None
        found = [tracker.getStageInfo(number) for number in tracker.getActiveStageIds()] if tracker else []
    except (Py4JError, OSError):  # the JVM is gone, or busy with its end
        return None
    stages = [(stage.numCompletedTasks, stage.numTasks) for stage in found if stage]
    return _summed(stages) if stages else None


class Effort:
    """What Spark spends on a piece of work, from the moment when this is made; nothing is known over Spark Connect."""

    def __init__(self) -> None:
        self._jobs, self._lost = _jobs(), _lost()
        with suppress(Py4JError, OSError):
            if _context():
                Path(f"/proc/{_process()}/clear_refs").write_text("5")  # the kernel forgets the highest use so far

    def spent(self) -> dict[str, Any]:
        """Return jobs, memory (most bytes of Spark's process) and lost (executors, failed tasks), as far as known."""
        found: dict[str, Any] = {}
        jobs, lost = _jobs(), _lost()
        if jobs is not None and self._jobs is not None:
            found["jobs"] = jobs - self._jobs
        if lost is not None and self._lost is not None:
            found["lost"] = {key: number - self._lost[key] for key, number in lost.items()}
        with suppress(Py4JError, OSError):
            status = Path(f"/proc/{_process()}/status").read_text() if _context() else ""
            highest = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
            if highest:
                found["memory"] = 1024 * int(highest[1])
        return found


def _context() -> Any:
    """Return the context of a classic session, None if there is none."""
    return None if is_connect() else SparkContext._active_spark_context


def _jobs() -> int | None:
    """Return how many jobs have begun in this session; None without a context."""
    context = _context()
    try:
        return int(context._jsc.sc().dagScheduler().numTotalJobs()) if context else None
    except (Py4JError, OSError):
        return None


def _lost() -> dict[str, int] | None:
    """Return how many executors this session has lost, and how many tasks have failed; None without a context.

    Executors that Spark itself has let go, because they were idle, are not lost.
    """
    context = _context()
    try:
        if not context:
            return None
        summaries = context._jsc.sc().statusStore().executorList(False)
        executors = [summaries.apply(n) for n in range(summaries.size())]
        reasons = [each.removeReason() for each in executors if not each.isActive()]
        let_go = sum(reason.isDefined() and reason.get().startswith("Executor killed by driver") for reason in reasons)
        return {"executors": len(reasons) - let_go, "tasks": sum(each.failedTasks() for each in executors)}
    except (Py4JError, OSError):
        return None


def _process() -> int:
    """Return the id of the process that the JVM is."""
    return int(SparkContext._jvm.java.lang.ProcessHandle.current().pid())  # type: ignore[union-attr]
