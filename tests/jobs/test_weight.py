"""What a run costs beside the time that it takes: the jobs and the queries of each stage, so that none comes unseen."""

from collections.abc import Iterator
from typing import Any

import pytest
from pyspark.sql import SparkSession
from support.submitting import run_here, setting

from recommender.run.config import WORKFLOW

# stage -> the most jobs, and the most queries of SQL; ALS alone has 25 jobs.
BUDGET = {"stage1": (20, 21), "stage2": (50, 23), "stage3": (14, 11), "stage4": (12, 11)}


def spent(spark: SparkSession) -> tuple[int, int]:
    """Return how many jobs and queries there were so far."""
    context = spark._jsc.sc()  # type: ignore[attr-defined]
    context.listenerBus().waitUntilEmpty()
    known = spark._jsparkSession.sharedState().statusStore().executionsList()  # type: ignore[attr-defined]
    return context.dagScheduler().numTotalJobs(), known.last().executionId() + 1 if known.size() else 0


@pytest.fixture(scope="module")
def costs(spark: SparkSession, events: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Return what each stage spends of a small log, with the configuration that users begin with."""
    root, source = tmp_path_factory.mktemp("weight"), setting(f"stage1.data_loader.event_filename={events}")
    found = {}
    for stage in WORKFLOW:
        before = spent(spark)
        done = run_here(stage, "--root", str(root), *source)
        assert done.code == 0, done.err
        found[stage] = tuple(now - then for now, then in zip(spent(spark), before, strict=True))
    return found


@pytest.mark.parametrize("stage", WORKFLOW)
def test_a_stage_stays_within_its_budget(costs: dict[str, Any], stage: str) -> None:
    print(stage, costs[stage], "of", BUDGET[stage])
    assert all(cost <= most for cost, most in zip(costs[stage], BUDGET[stage], strict=True)), costs
