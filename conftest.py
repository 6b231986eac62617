"""The one Spark session that all tests and doctests share."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Workers run "python3" from PATH unless they are told.
os.environ["PYSPARK_PYTHON"] = sys.executable
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    session = (
        SparkSession.builder.master("local[2]")
        .appName("recommender tests")
        .config("spark.log.level", "ERROR")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
        .getOrCreate()
    )
    yield session
    session.stop()


@pytest.fixture(autouse=True)
def doctest_session(request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]) -> None:
    """Give doctests of modules that work on DataFrames their `spark`."""
    if type(request.node).__name__ == "DoctestItem" and "pyspark" in Path(request.node.path).read_text():
        doctest_namespace["spark"] = request.getfixturevalue("spark")
