"""An evaluation is the same, to the last bit, on any kind of cluster."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from recommender.stage2.steps import RankingEvaluator

ROOT = Path(__file__).resolve().parents[2]
MASTERS = ("local[1]", "local[2]", "local-cluster[2,1,1024]", "connect")

# Prints an evaluation that was made on one kind of cluster.
PROGRAM = """
import json, sys
sys.path[:0] = [sys.argv[2], sys.argv[2] + "/tests/evaluation"]
from pyspark.sql import SparkSession
from test_clusters import evaluation
builder = SparkSession.builder
if sys.argv[1] == "connect":
    session = builder.remote("local[2]").getOrCreate()
else:
    settings = {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "3", "spark.executor.memory": "1g"}
    session = builder.master(sys.argv[1]).config(map=settings).getOrCreate()
print(json.dumps(evaluation(session)))
"""


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
def test_an_evaluation_is_the_same_on_any_cluster(spark: SparkSession) -> None:
    expected = json.loads(json.dumps(evaluation(spark)))
    assert [len(table) for table in expected] == [2 * 10 * 2, 3 * 2 * 6 * 2, 2 * 6 * 2]
    environment = {
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PATH": "/usr/bin:/bin",
        "HOME": str(Path.home()),
    }
    for master in MASTERS:
        command = [sys.executable, "-c", PROGRAM, master, str(ROOT)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, f"{master}: {done.stderr[-2000:]}"
        assert json.loads(done.stdout.splitlines()[-1]) == expected, master
