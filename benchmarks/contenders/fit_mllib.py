"""MLlib's ALS as it comes: ten blocks of visitors, ten of items."""

import argparse

from fitting import contend
from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import SparkSession
from spark_fits import factors, scores


def fit(spark: SparkSession, options: argparse.Namespace) -> ALSModel:
    """Fit with MLlib's defaults in all that is not asked for."""
    als = ALS(
        rank=options.rank,
        maxIter=options.iterations,
        alpha=options.alpha,
        regParam=options.reg_param,
        implicitPrefs=True,
        seed=0,
        userCol="visitor_index",
        itemCol="item_index",
        ratingCol="score",
    )
    return als.fit(scores(spark, options.folder))


if __name__ == "__main__":
    contend(SparkSession.builder.getOrCreate, fit, factors)
