"""A root that the workers do not reach is refused before anything is computed."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from recommender.errors import StorageError
from recommender.run import reach
from recommender.run.reach import check_reach
from recommender.store import Attempt, Store, open_files


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    return Store(open_files(str(tmp_path / "root"), lambda: None)).begin("stage1", "monday")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the session for one whose tasks run on other machines, and do not wait long for a file."""
    monkeypatch.setattr(reach, "_is_one_machine", lambda _: False)
    monkeypatch.setattr(reach.misses, "__defaults__", (0.0,))


def test_a_root_that_all_tasks_reach_is_accepted(spark: SparkSession, attempt: Attempt, cluster: None) -> None:
    check_reach(spark, attempt)


def test_a_root_that_tasks_do_not_reach_is_refused(
    spark: SparkSession, attempt: Attempt, cluster: None, tmp_path: Path
) -> None:
    (tmp_path / "root").rename(tmp_path / "elsewhere")  # as another machine sees it
    with pytest.raises(StorageError) as error:
        check_reach(spark, attempt)
    assert str(error.value) == (
        f"STORAGE_NOT_SHARED root {tmp_path}/root: 4 tasks do not find there what was written here, so it is not a "
        "shared folder; use a folder or a URI that all workers reach, see --root"
    )


@pytest.mark.parametrize("url", ["hdfs://host/root/stage1/data/a", "dbfs:/Volumes/a/b/c/stage1/data/a"])
def test_a_root_that_is_not_a_disk_is_not_tried(spark: SparkSession, cluster: None, url: str) -> None:
    check_reach(spark, Attempt("stage1", "monday", "a", url, 0))


def test_one_machine_is_not_tried(spark: SparkSession, attempt: Attempt, tmp_path: Path) -> None:
    (tmp_path / "root").rename(tmp_path / "elsewhere")
    check_reach(spark, attempt)
