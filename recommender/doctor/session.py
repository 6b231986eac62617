"""Whether Spark starts, its workers have the packages and reach the root, and the catalog has the tables.

Example usage:
>>> [finding.level for finding in workers(spark)], [finding.level for finding in catalog(spark, ["no.such_table"])]
(['ok'], ['error'])
"""

import sys
from collections.abc import Sequence

import pyarrow as pa
from pyspark.sql import SparkSession, functions as F

from recommender.doctor.finding import Finding, error, ok
from recommender.spark.blocks import map_blocks, pack
from recommender.spark.cluster import cores
from recommender.spark.errors import explained, reason_of


def workers(spark: SparkSession) -> list[Finding]:
    """Run a few tasks, and compare their Python with this one's."""
    here = sys.version_info[1]

    def looked(rows: pa.Table) -> pa.Table:  # noqa: ARG001 - any row starts a task
        import numpy as np  # noqa: PLC0415 - on the worker
        import pandas as pd  # noqa: PLC0415

        is_same = bool(np.__version__ and pd.__version__) and sys.version_info[1] == here
        return pa.table({"other": pa.array([int(not is_same)], pa.int64())})

    tasks = 2 * cores(spark)
    try:
        found = map_blocks(pack(spark.range(0, tasks, 1, tasks), "rows"), looked, "other long")
        row = found.agg(F.sum("other")).first()
    except Exception as reason:  # noqa: BLE001 - whatever Spark raises
        ours = explained(reason)
        said = ours.sentence if ours else reason_of(reason)
        return [error("workers", f"tasks fail: {said}", "install numpy, pandas and pyarrow where the workers run")]
    if row and row[0]:
        remedy = "let PYSPARK_PYTHON name the same version of Python on the driver and on the workers"
        return [error("workers", f"{row[0]} of {tasks} tasks ran with another version of Python", remedy)]
    return [ok("workers", f"{tasks} tasks ran, with the version of Python that runs here")]


def catalog(spark: SparkSession, tables: Sequence[str]) -> list[Finding]:
    """Look for the tables that are read."""
    findings = []
    for table in tables:
        try:
            columns = spark.table(table).columns
        except Exception as reason:  # noqa: BLE001 - whatever Spark raises
            said = f"{table} cannot be read: {reason_of(reason)}"
            findings.append(
                error("catalog", said, "see data_loader.table, and spark.sql.catalog in spark-defaults.conf")
            )
        else:
            findings.append(ok("catalog", f"{table} has {len(columns)} columns"))
    return findings
