"""Whether the workers reach the root: tables are written by them, and the store looks at the files from here.

Example usage:
>>> misses(spark, __file__), misses(spark, "/no/such/file", patience=0) > 0
(0, True)
"""

import os
import time
from typing import Final

import pyarrow as pa
from pyspark.sql import SparkSession, functions as F

from recommender.errors import StorageError
from recommender.spark.blocks import map_blocks, pack
from recommender.spark.cluster import cores
from recommender.spark.session import is_connect
from recommender.store import Attempt
from recommender.store.store import ATTEMPT_FILE

_TASKS_PER_CORE: Final = 2
_PATIENCE: Final = 5.0  # seconds until a network share shows a new file to another machine


def check_reach(spark: SparkSession, attempt: Attempt) -> None:
    """Refuse a root on this machine's own disk if tasks run on other machines.

    Each of a few tasks looks for the file that the attempt begins with. A worker that gets none of them is not tried.

    Raises:
        StorageError: a task does not find it.
    """
    if not attempt.url.startswith("file://") or _is_one_machine(spark):
        return
    missed = misses(spark, f"{attempt.url.removeprefix('file://')}/{ATTEMPT_FILE}")
    if missed:
        place = attempt.url.removeprefix("file://").rpartition(f"/{attempt.stage}/")[0]
        sentence = f"root {place}: {missed} tasks do not find there what was written here, so it is not a shared folder"
        raise StorageError(
            "STORAGE_NOT_SHARED", f"{sentence}; use a folder or a URI that all workers reach, see --root"
        )


def misses(spark: SparkSession, path: str, patience: float = _PATIENCE) -> int:
    """Return how many of a few tasks do not find a file."""

    def missed(rows: pa.Table) -> pa.Table:  # noqa: ARG001 - any row starts a task
        end = time.monotonic() + patience
        while not os.access(path, os.F_OK) and time.monotonic() < end:
            time.sleep(0.2)
        return pa.table({"missed": pa.array([int(not os.access(path, os.F_OK))], pa.int64())})

    tasks = _TASKS_PER_CORE * cores(spark)
    found = map_blocks(pack(spark.range(0, tasks, 1, tasks), "rows"), missed, "missed long")
    row = found.agg(F.sum("missed")).first()
    return int(row[0]) if row else 0


def _is_one_machine(spark: SparkSession) -> bool:
    """Return whether all tasks run in a process of this machine."""
    master = spark.conf.get("spark.master", "") or ""
    return not is_connect() and master.partition("[")[0] == "local"
