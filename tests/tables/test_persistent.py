"""Steps whose result is stored offer persist and execute_persist, as the seed asks."""

from pathlib import Path

import pytest
from chispa import assert_df_equality
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from recommender.stage1.steps import ColumnEncoder, TrainTestSplit
from recommender.stage2.steps import AlsFitter, PopularityModel


def test_a_table_is_stored_and_returned(spark: SparkSession, tmp_path: Path) -> None:
    scores = spark.createDataFrame([(0, 3, 2.0)], "visitor_index int, item_index int, score float")
    returned = PopularityModel().execute_persist(f"{tmp_path}/popularity", scores)
    assert_df_equality(spark.read.parquet(f"{tmp_path}/popularity"), returned, ignore_nullable=True)


def test_both_parts_of_a_split_are_stored(spark: SparkSession, tmp_path: Path) -> None:
    rows = spark.range(10).withColumnRenamed("id", "visitorid")
    TrainTestSplit(train_percentile=50).execute_persist(f"{tmp_path}/split", rows)
    assert spark.read.parquet(f"{tmp_path}/split/train").count() == 5
    assert spark.read.parquet(f"{tmp_path}/split/test").count() == 5


def test_a_model_is_stored_as_mllib_does(spark: SparkSession, tmp_path: Path) -> None:
    scores = spark.createDataFrame([(0, 3, 2.0)], "visitor_index int, item_index int, score float")
    AlsFitter(rank=2, max_iter=1).execute_persist(f"{tmp_path}/model", scores)
    assert spark.read.parquet(f"{tmp_path}/model/itemFactors").columns == ["id", "features"]


def test_nothing_is_overwritten(spark: SparkSession, tmp_path: Path) -> None:
    rows = spark.createDataFrame([("a",)], "itemid string")
    ColumnEncoder().execute_persist(f"{tmp_path}/items", rows)
    with pytest.raises(AnalysisException, match="PATH_ALREADY_EXISTS"):
        ColumnEncoder().execute_persist(f"{tmp_path}/items", rows)
