"""MLlib's own recommendForAllUsers, which excludes nothing; with --some N recommendForUserSubset, of the first N."""

import argparse
import sys
from functools import partial
from pathlib import Path

from measuring import contend
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import SparkSession, functions as F


def rank(_: SparkSession, folder: Path, k: int, some: int = 0) -> None:
    """Rank everybody, or some."""
    model = ALSModel.load(str(folder / "model"))
    if some:
        visitors = model.userFactors.where(F.col("id") < some).select(F.col("id").alias(model.getUserCol()))
        lists = model.recommendForUserSubset(visitors, k)
    else:
        lists = model.recommendForAllUsers(k)
    lists.write.format("noop").mode("overwrite").save()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--some", type=int, default=0)
    options, sys.argv[1:] = parser.parse_known_args()
    contend(SparkSession.builder.getOrCreate, partial(rank, some=options.some))
