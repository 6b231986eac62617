"""AlsFitter, with either solver."""

import argparse

from fitting import contend
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import SparkSession
from spark_fits import factors, scores

from recommender.spark.session import start_session
from recommender.stage2.steps import AlsFitter
from recommender.tables.factor_model import FactorModel


def fit(spark: SparkSession, options: argparse.Namespace) -> ALSModel | FactorModel:
    """Fit, with the blocks that the step chooses unless they are given."""
    step = AlsFitter(
        rank=options.rank,
        max_iter=options.iterations,
        alpha=options.alpha,
        reg_param=options.reg_param,
        num_user_blocks=options.blocks,
        num_item_blocks=options.blocks,
        solver="blocks" if options.method else "mllib",
        method=options.method,
        checkpoint_interval=-1,
    )
    return step.execute(scores(spark, options.folder))


if __name__ == "__main__":
    contend(lambda: start_session("fit"), fit, factors)
