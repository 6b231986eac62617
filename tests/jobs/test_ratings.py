"""Ratings, from the log to the lists: by configuration alone."""

import json
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession
from support.submitting import run_here, setting

from recommender.constants import WEIGHT


def write_ratings(path: Path) -> Path:
    """Write half stars: visitors and items of two tastes."""
    random = np.random.default_rng(5)
    rows = ["user,item,rating,kind,at"]
    for visitor in range(60):
        for item in random.choice(40, 15, replace=False):
            liked = visitor % 2 == item % 2
            stars = random.integers(7, 11) / 2 if liked else random.integers(1, 5) / 2
            rows.append(f"{visitor},{item},{stars},rating,{12 * 10**11 + len(rows)}")
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.mark.slow
def test_ratings_are_trained_judged_and_served(spark: SparkSession, tmp_path: Path) -> None:
    names = {"visitorid": "user", "itemid": "item", "event": "kind", "timestamp": "at", "weight": "rating"}
    config = {
        "stage1.data_loader.event_filename": str(write_ratings(tmp_path / "ratings.csv")),
        "stage1.data_loader.columns": json.dumps(names),
        "stage1.score_events.score_map": "{rating: 1}",
        "stage1.group_scores.aggregate": "last",
        "stage1.score_filter.min_score": "0.5",
        "stage1.holdout.min_score": "3.5",
        "stage2.als": "{implicit_prefs: false, rank: 4, max_iter: 5}",
        "stage2.evaluator.replicates": "10",
        "stage3.recommend": "{k: 5, fill_with_popular: false}",
    }
    settings = setting(*(f"{name}={value}" for name, value in config.items()))
    done = run_here("workflow", "--root", str(tmp_path / "out"), "--override-gate", "a test", *settings)
    assert done.code == 0, done.err
    assert "warning" not in done.out
    assert "rank 4, regParam 0.1, explicit" in done.out
    assert "left out: items with rating" in done.out
    (folder,) = (tmp_path / "out" / "stage3" / "data").iterdir()
    lists = spark.read.parquet(f"{folder}/recommendations").toPandas()
    liked = lists[lists.visitorid % 2 == lists.itemid % 2]
    assert len(liked) > 0.9 * len(lists)
    assert liked.score.between(2, 6).all()  # what the visitor would rate it with
    (prepared,) = (tmp_path / "out" / "stage1" / "data").iterdir()
    held = spark.read.parquet(f"{prepared}/holdout").toPandas()
    assert held.score.min() >= 3.5
    assert WEIGHT not in held.columns
