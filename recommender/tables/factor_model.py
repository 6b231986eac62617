"""Factors that another solver than MLlib's has found, as a model that is stored as MLlib stores an ALSModel."""

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pyspark.sql import DataFrame

from recommender.tables.als_model import FACTORS, MODEL_CLASS

_DEFAULTS: Final = {  # of MLlib's parameters
    "blockSize": 4096,
    "coldStartStrategy": "nan",
    "itemCol": "item",
    "predictionCol": "prediction",
    "userCol": "user",
}


@dataclass(frozen=True)
class FactorModel:
    """The part of an ALSModel that the stages use.

    Init parameters:
        rank: number of factors.
        userFactors, itemFactors: id int, features array<float>, one row per visitor and per item.
        parameters: those of MLlib's parameters that the stored model has, by MLlib's names.
    """

    rank: int
    userFactors: DataFrame  # noqa: N815 - as MLlib names them
    itemFactors: DataFrame  # noqa: N815
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def save(self, path: str) -> None:
        """Write the model to a new folder, as MLlib writes an ALSModel."""
        spark = self.userFactors.sparkSession
        metadata = {
            "class": MODEL_CLASS,
            "timestamp": int(time.time() * 1000),
            "sparkVersion": spark.version,
            "uid": f"ALS_{uuid.uuid4().hex[:12]}",
            "paramMap": dict(self.parameters),
            "defaultParamMap": _DEFAULTS,
            "rank": self.rank,
        }
        line = spark.createDataFrame([(json.dumps(metadata),)], "value string").coalesce(1)
        line.write.mode("error").text(f"{path}/metadata")
        for name in FACTORS:
            getattr(self, name).write.mode("error").parquet(f"{path}/{name}")
