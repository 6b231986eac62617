"""A session that refuses what serverless compute of Databricks refuses."""

from typing import Any, NoReturn

import pytest
from pyspark.sql import SparkSession

REFUSED = ("cache", "persist", "unpersist", "checkpoint", "localCheckpoint")


def refuse_to_keep(monkeypatch: pytest.MonkeyPatch, spark: SparkSession) -> None:
    """Let the frames of a session refuse to be cached."""

    def refused(*_: Any, **__: Any) -> NoReturn:
        raise RuntimeError("[NOT_SUPPORTED_WITH_SERVERLESS] PERSIST TABLE is not supported on serverless compute.")

    for name in REFUSED:
        monkeypatch.setattr(type(spark.range(1)), name, refused)
