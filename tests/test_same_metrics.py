"""One configuration has the same metrics on any kind of cluster, from the log to the verdict."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession
from support.clusters import on_cluster

from recommender.stage1.main import Stage1
from recommender.stage2.main import Stage2
from recommender.tables.parquet import read_table

KINDS = np.array(["view", "view", "view", "addtocart", "transaction"])
FIRST = {"train_test_split": {"train_percentile": 70}, "holdout": {"last_events": 3}}
SECOND = {"als": {"rank": 4, "max_iter": 4}, "evaluator": {"cutoffs": [1, 10], "replicates": 40}}


def write_log(path: Path) -> None:
    random = np.random.default_rng(3)
    visitors = random.zipf(1.3, 4000) % 300
    items = (visitors * 7 + random.zipf(1.5, 4000)) % 90  # visitors differ in their taste
    times = 1_400_000_000_000 + random.integers(0, 10**10, 4000)  # ms, within some 116 days
    rows = zip(times, visitors, KINDS[random.integers(0, len(KINDS), 4000)], items, strict=True)
    path.write_text("timestamp,visitorid,event,itemid\n" + "".join(f"{t},{v},{e},{i}\n" for t, v, e, i in rows))


def judged(spark: SparkSession, log: str) -> list[Any]:
    """Return the metrics of all models, and the verdict, of the stages 1 and 2."""
    with tempfile.TemporaryDirectory() as folder:
        first = Stage1({"data_loader": {"event_filename": log, "file_format": "csv"}, **FIRST})
        data = first.execute_persist(f"{folder}/1")
        names = [table for stage, table in Stage2.INPUTS.values() if stage == "stage1"]
        tables = {name: read_table(f"{folder}/1/{name}", data[name].schema) for name in names}
        second = Stage2(SECOND)
        made = second.execute_persist(f"{folder}/2", **tables)
        rows = read_table(f"{folder}/2/metrics", made["metrics"].schema).orderBy("model", "metric", "k").collect()
        assert second.verdict is not None
        return [*map(list, rows), second.verdict.blessed]


@pytest.mark.slow
@pytest.mark.job
def test_a_configuration_has_the_same_metrics_on_any_cluster(spark: SparkSession, tmp_path: Path) -> None:
    log = tmp_path / "events.csv"
    write_log(log)
    *expected, blessed = judged(spark, str(log))
    assert len(expected) == 4 * 11 * 2
    assert max(row[3] for row in expected if row[:3] == ["als", "ndcg", 10]) > 0.05
    *found, found_blessed = on_cluster("local-cluster[2,1,1024]", judged, str(log))
    assert found_blessed == blessed
    for one, other in zip(found, expected, strict=True):
        assert one[:3] == other[:3]
        assert one[3:] == pytest.approx(other[3:], abs=1e-6, nan_ok=True), one[:3]
