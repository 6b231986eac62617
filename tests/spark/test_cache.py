"""What a platform refuses to keep is written below a folder and read from there."""

from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession, functions as F
from support.serverless import refuse_to_keep

from recommender.ranking.fold_in import Solver
from recommender.spark.cache import Cache, kept_below, without_plan
from recommender.spark.cluster import has_checkpoint_folder
from recommender.stage1.steps import ScoreFilter
from recommender.stage2.block_als import BlockAls


@pytest.fixture
def refusing(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> SparkSession:
    refuse_to_keep(monkeypatch, spark)
    return spark


def by_chance(spark: SparkSession) -> DataFrame:
    """Return rows that are others each time they are computed."""
    return spark.range(3, numPartitions=1).select("id", F.expr("uuid()").alias("chance"))


def test_refused_rows_are_computed_once_and_read_from_the_folder(refusing: SparkSession, tmp_path: Path) -> None:
    cache = Cache()
    with kept_below(str(tmp_path / "kept")):
        for keep in (cache, lambda rows: without_plan(rows, is_reliable=False)):
            rows = keep(by_chance(refusing))
            assert rows.schema["id"].dataType == refusing.range(1).schema["id"].dataType
            assert rows.collect() == rows.collect()
    assert len(list((tmp_path / "kept").iterdir())) == 2
    cache.release()  # there is nothing that Spark would have to free


def test_refused_rows_are_computed_again_each_time_without_a_folder(refusing: SparkSession) -> None:
    rows = by_chance(refusing)
    assert Cache()(rows) is rows
    with pytest.raises(RuntimeError, match="NOT_SUPPORTED_WITH_SERVERLESS"):  # plans would grow without end
        without_plan(rows, is_reliable=False)


def test_other_errors_are_raised(spark: SparkSession, tmp_path: Path) -> None:
    wrong = spark.range(1).select(F.expr("raise_error('wrong')").alias("id"))
    with kept_below(str(tmp_path / "kept")), pytest.raises(Exception, match="wrong"):
        without_plan(wrong, is_reliable=False)
    assert not (tmp_path / "kept").exists()


def test_a_session_that_refuses_checkpoints_has_no_folder_for_them(refusing: SparkSession) -> None:
    assert not has_checkpoint_folder(refusing)


def test_steps_with_long_plans_find_the_same(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pairs = [(v, i, float(1 + (v * i) % 3)) for v in range(9) for i in range(7) if (v + i) % 3]
    scores = spark.createDataFrame(pairs, "visitor int, item int, score float").coalesce(1)
    log = scores.selectExpr("visitor AS visitorid", "item AS itemid", "double(score) AS score")

    def found() -> tuple[list[list[float]], int]:
        visitors, _ = BlockAls(rank=2, max_iter=2, solver=Solver(True, 1.0, 0.1)).fit(scores)
        core, _ = ScoreFilter(min_items_per_visitor=5, min_visitors_per_item=3).core(log)
        return [row.features for row in visitors.orderBy("id").collect()], core.count()

    factors, number = found()
    refuse_to_keep(monkeypatch, spark)
    with kept_below(str(tmp_path / "kept")):
        others, same_number = found()
    assert np.array_equal(np.array(others), np.array(factors))
    assert same_number == number
