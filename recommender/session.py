"""The Spark session of a job: what the submitter configured stays, and what was left open gets a sensible value.

This is the only module that looks at a classic Spark context, and only to read its configuration; where there is none
(Spark Connect, a session that the platform started) the steps work all the same.
"""

import os

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession
from pyspark.sql.utils import is_remote

_BEFORE_START = {
    "spark.log.level": "WARN",
    "spark.ui.showConsoleProgress": "false",  # the job has a progress line of its own
    "spark.executorEnv.OPENBLAS_NUM_THREADS": "1",  # a task has one core
}
_AFTER_START = {
    "spark.sql.session.timeZone": "UTC",
}
_LOCAL_PARTITIONS_PER_CORE = 4


def start_session(name: str) -> SparkSession:
    """Return the session of this process, or start one.

    A setting that spark-submit, spark-defaults.conf or the platform has made is never changed.
    """
    builder = SparkSession.builder
    if not is_remote() and SparkSession.getActiveSession() is None:
        SparkContext._ensure_initialized()  # SparkConf reads what was submitted only through the JVM
        submitted = SparkConf()
        if not submitted.contains("spark.app.name") or submitted.get("spark.app.name", "").endswith(".py"):
            builder = builder.appName(name)  # spark-submit puts the file's name where no --name was given
        for key, value in _before_start(submitted).items():
            if not submitted.contains(key):
                builder = builder.config(key, value)
    spark = builder.getOrCreate()
    made = {row["key"] for row in spark.sql("SET").toLocalIterator()}
    for key, value in _AFTER_START.items():
        if key not in made:
            spark.conf.set(key, value)
    return spark


def _before_start(submitted: SparkConf) -> dict[str, str]:
    """Return the settings for what is left open."""
    settings = dict(_BEFORE_START)
    master = submitted.get("spark.master", "local[*]") or ""
    if master.startswith("local"):
        # Spark's 200 partitions are made for clusters; on one machine they are 200 small tasks.
        settings["spark.sql.shuffle.partitions"] = str(_LOCAL_PARTITIONS_PER_CORE * (os.cpu_count() or 1))
    return settings
