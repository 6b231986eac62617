"""What a session is started with follows from the machine and from the size of the inputs."""

import os

import pytest
from pyspark import SparkConf

from recommender.spark.session import OF_SMALL, _settings

MB = 2**20


def settings(size: int | None, master: str = "local[2]") -> dict[str, str]:
    return _settings(SparkConf(loadDefaults=False).setMaster(master), size)


@pytest.mark.parametrize(("size", "partitions"), [(0, 1), (1, 1), (2 * MB, 1), (2 * MB + 1, 2)])
def test_small_inputs_are_planned_once_and_cut_by_their_size(size: int, partitions: int) -> None:
    found = settings(size)
    assert found.items() >= OF_SMALL.items()
    assert found["spark.sql.shuffle.partitions"] == found["spark.sql.files.minPartitionNum"] == str(partitions)


def test_small_inputs_are_never_cut_into_more_parts_than_large_ones() -> None:
    assert int(settings(16 * MB)["spark.sql.shuffle.partitions"]) <= 4 * (os.cpu_count() or 1)


@pytest.mark.parametrize("size", [None, 16 * MB + 1, 10**12])
def test_others_keep_adaptive_execution(size: int | None) -> None:
    found = settings(size)
    assert not OF_SMALL.keys() & found.keys()
    assert found["spark.sql.shuffle.partitions"] == str(4 * (os.cpu_count() or 1))


def test_a_cluster_is_left_as_it_is() -> None:
    found = settings(0, "spark://host:7077")
    assert not {"spark.sql.shuffle.partitions", *OF_SMALL} & found.keys()
