"""The workflow gives the same tables wherever Spark runs. tests/conformance.sh tries many more places than these."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from support.clusters import on_cluster
from support.conformance import ROOT, ROWS, run_row
from support.same_results import differences
from support.serverless import refuse_to_keep
from support.submitting import JOBS, LIGHT, Done, live

pytestmark = pytest.mark.job


def in_a_notebook(spark: SparkSession, root: str, *overrides: str) -> dict[str, Any]:
    """Do what a user does in the notebook of a platform, whose session is there already."""
    from recommender import run_workflow

    for setting in LIGHT[3::2]:  # all but the first, which is not SQL's
        spark.conf.set(*setting.split("="))
    results = run_workflow(str(JOBS.parent / "conf" / "local.yaml"), root=root, overrides=overrides, run_id="notebook")
    lists = results["stage4"].tables["recommendations"]
    return {
        "session": type(lists.sparkSession).__module__,
        "first places": lists.where("rank = 1").count(),  # the session has not been stopped
    }


def test_a_notebook_s_session_over_spark_connect_makes_the_same_tables(
    finished: Path, settings: list[str], tmp_path: Path
) -> None:
    overrides = [each for each in settings if each != "--set"]
    found = on_cluster("connect", in_a_notebook, str(tmp_path), *overrides)
    assert found == {"session": "pyspark.sql.connect.session", "first places": 150}
    assert differences(finished, tmp_path) == (18, [], [])
    assert live(tmp_path) == ["notebook"]


def test_spark_35_with_the_oldest_packages_makes_the_same_tables(
    finished: Path, settings: list[str], tmp_path: Path
) -> None:
    if not (ROOT / ROWS["3.5"].environment / "bin" / "python").exists():
        pytest.skip("without .venv-spark35, which SPARK=3.5 tests/run.sh makes")
    oldest = replace(ROWS["3.5"], options=(*LIGHT, *ROWS["3.5"].options))
    number, near, different = differences(finished, run_row(oldest, tmp_path / "oldest", settings, ["workflow"]))
    assert (number, different) == (18, [])
    # The factors differ in their last bits, and so does what is computed from them.
    assert not [table for table in near if table.startswith("stage1") or "popularity" in table]


@pytest.mark.slow
def test_serverless_compute_which_caches_nothing_makes_the_same_tables(
    spark: SparkSession, call: Callable[..., Done], finished: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refuse_to_keep(monkeypatch, spark)
    done = call("workflow", tmp_path / "out")
    assert done.code == 0, done.err
    assert differences(finished, tmp_path / "out") == (18, [], [])
    assert not list((tmp_path / "out").rglob("_kept"))
