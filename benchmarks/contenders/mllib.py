"""MLlib's own recommendForAllUsers, which excludes nothing."""

from pathlib import Path

from measuring import contend
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import SparkSession


def rank(_: SparkSession, folder: Path, k: int) -> None:
    """Rank everybody."""
    model = ALSModel.load(str(folder / "model"))
    model.recommendForAllUsers(k).write.format("noop").mode("overwrite").save()


if __name__ == "__main__":
    contend(SparkSession.builder.getOrCreate, rank)
