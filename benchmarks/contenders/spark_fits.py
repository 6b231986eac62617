"""What the contenders of benchmarks/fit.py that fit on Spark have in common."""

import tempfile
from pathlib import Path

from fitting import Fitted
from measuring import matrix
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import DataFrame, SparkSession

from recommender.tables.factor_model import FactorModel


def scores(spark: SparkSession, folder: Path) -> DataFrame:
    """Return the pairs with a score of 1 each."""
    return spark.read.parquet(str(folder / "history")).selectExpr("visitor_index", "item_index", "1F score")


def factors(model: ALSModel | FactorModel) -> Fitted:
    """Return the factors of a model."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model")
        return matrix(Path(folder, "model", "userFactors")), matrix(Path(folder, "model", "itemFactors"))
