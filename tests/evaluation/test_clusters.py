"""An evaluation is the same, to the last bit, on any kind of cluster."""

import json
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession
from support.clusters import MASTERS, on_cluster

from recommender.evaluation import METRICS, PER_VISITOR
from recommender.stage2.steps import RankingEvaluator


def evaluation(spark: SparkSession) -> list[Any]:
    random = np.random.default_rng(8)
    places = [
        (model, visitor, rank, int(item))
        for model in ("als", "popular")
        for visitor in range(200)
        for rank, item in enumerate(random.permutation(40)[:10], start=1)
    ]
    pairs = sorted({(int(v), int(i)) for v, i in random.integers([0, 0], [220, 40], size=(900, 2))})
    evaluator = RankingEvaluator(cutoffs=[5, 10], relevance="graded", replicates=50)
    found = evaluator.execute(
        spark.createDataFrame(places, "model string, visitor_index int, rank int, item_index int"),
        spark.createDataFrame(
            [(*pair, 1 / (1 + sum(pair))) for pair in pairs], "visitor_index int, item_index int, score float"
        ),
        ["als", "popular"],
        popularity=spark.createDataFrame([(n, 1 / (n + 3)) for n in range(38)], "item_index int, score double"),
        segments=spark.createDataFrame(
            [(n, [str(n % 3)]) for n in range(220)], "visitor_index int, segments array<string>"
        ),
    )
    rows = [sorted(map(list, table.collect()), key=str) for table in found]
    evaluator.release()
    return rows


@pytest.mark.job
@pytest.mark.slow  # test_same_metrics.py compares all of it by default
def test_an_evaluation_is_the_same_on_any_cluster(spark: SparkSession) -> None:
    expected = json.loads(json.dumps(evaluation(spark)))
    assert [len(table) for table in expected] == [
        2 * len(METRICS) * 2,
        3 * 2 * len(PER_VISITOR) * 2,
        2 * len(PER_VISITOR) * 2,
    ]
    for master in MASTERS:
        assert on_cluster(master, evaluation) == expected, master
