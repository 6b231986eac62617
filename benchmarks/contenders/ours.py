"""TopKRecommender, with the items of the history excluded."""

from pathlib import Path

import numpy as np
from measuring import Lists, contend, count
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession, functions as F

from recommender.spark.session import start_session
from recommender.steps.top_k_recommender import TopKRecommender


def recommended(spark: SparkSession, folder: Path, k: int, ids: list[int] | None = None) -> DataFrame:
    """Return the lists of all visitors, or of some."""
    visitors = spark.read.parquet(str(folder / "model" / "userFactors")).select(
        F.col("id").alias("visitor_index"), F.lit("als").alias("source"), "features"
    )
    if ids:
        visitors = visitors.where(F.col("visitor_index").isin(ids))
    return TopKRecommender(k=k, exclude_events=["transaction"], fill_with_popular=False).execute(
        visitors,
        spark.read.parquet(str(folder / "model" / "itemFactors")),
        spark.createDataFrame([], "item_index int, score double"),
        spark.read.parquet(str(folder / "history")),
        visitor_count=len(ids) if ids else count(folder / "model" / "userFactors"),
    )


def rank(spark: SparkSession, folder: Path, k: int) -> None:
    """Rank everybody."""
    recommended(spark, folder, k).write.format("noop").mode("overwrite").save()


def lists(spark: SparkSession, folder: Path, k: int, ids: NDArray[np.int32]) -> Lists:
    """Return some lists."""
    rows = recommended(spark, folder, k, ids.tolist()).toPandas()
    items, scores = np.full((len(ids), k), -1), np.full((len(ids), k), np.nan)
    places = np.searchsorted(ids, rows["visitor_index"]), rows["rank"] - 1
    items[places], scores[places] = rows["item_index"], rows["score"]
    return items, scores


if __name__ == "__main__":
    contend(lambda: start_session("topk"), rank, lists)
