"""An id keeps its index for ever: over runs on growing logs, and on any kind of cluster."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from support.clusters import on_cluster

from recommender.stage import Previous
from recommender.stage1.main import Stage1
from recommender.stage1.steps import column_encoder

IDS = [2**33 + 7 * n for n in range(60)]


def write_log(path: Path, visitors: int) -> None:
    """Write events of the first visitors of all, in an order of its own for each number of them."""
    order = random.Random(visitors)  # noqa: S311 - no secret
    pairs = [(IDS[v * 7 % visitors], IDS[order.randrange(visitors)] + 1) for v in range(visitors) for _ in range(3)]
    order.shuffle(pairs)
    rows = [f"{1430622000000 + n},{visitor},transaction,{item}\n" for n, (visitor, item) in enumerate(pairs)]
    path.write_text("timestamp,visitorid,event,itemid\n" + "".join(rows))


def run(spark: SparkSession, path: Path, out: Path, previous: Previous | None, **config: Any) -> Previous:
    """Run stage 1, and return what the next run would go on from."""
    of_1970 = {"event_validator": {"earliest": None}}
    stage = Stage1({"data_loader": {"event_filename": str(path)}, **of_1970, **config})
    stage.execute_persist(str(out), previous=previous)
    tables = {name: spark.read.parquet(f"{out}/{name}") for name in ("visitors", "items")}
    return Previous({"contents": {name: {"rows": rows.count()} for name, rows in tables.items()}}, tables)


def indexes(previous: Previous) -> dict[str, dict[int, int]]:
    return {name: {row[0]: row[1] for row in rows.collect()} for name, rows in previous.tables.items()}


def runs_on(spark: SparkSession, folder: Path, *sizes: int) -> list[dict[str, dict[int, int]]]:
    """Return the indexes after each run on growing logs; a later one lacks ids of the first."""
    previous: Previous | None = None
    grows = {"max_new_visitors": None, "max_new_items": None}
    found = []
    for number, visitors in enumerate(sizes):
        log = folder / f"{number}.csv"
        write_log(log, visitors)
        previous = run(spark, log, folder / f"out{number}", previous, drift=grows)
        found.append(indexes(previous))
    return found


@contextmanager
def in_buckets() -> Iterator[list[list[int]]]:
    """Number few ids in buckets, as millions are; return the buckets' bounds of each numbering."""
    found: list[list[int]] = []
    bounds = column_encoder._bounds

    def noted(sample: Sequence[Any], buckets: int) -> Sequence[Any]:
        chosen = bounds(sample, buckets)
        found.append(list(chosen))
        return chosen

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column_encoder, "_IDS_PER_BUCKET", 4)
        patch.setattr(column_encoder, "_IDS_PER_SAMPLE", 2)
        patch.setattr(column_encoder, "_bounds", noted)
        yield found


def three_runs_in_buckets(spark: SparkSession, folder: str) -> list[Any]:
    """Return the indexes after each of three runs that number in buckets, and the bounds of these."""
    with in_buckets() as bounds:
        return [runs_on(spark, Path(folder), 15, 40, 60), bounds]


def check(runs: list[dict[str, dict[int, int]]]) -> None:
    for earlier, later in pairwise(runs):
        for table, before in earlier.items():
            assert before.items() <= later[table].items()
            assert len(before) < len(later[table])
    for tables in runs:
        for table in tables.values():
            assert sorted(table.values()) == list(range(len(table)))


def test_indexes_never_move_and_have_no_gaps(spark: SparkSession, tmp_path: Path) -> None:
    check(runs_on(spark, tmp_path, 15, 60))


@pytest.mark.slow  # test_same_metrics.py compares all of it by default
def test_indexes_are_the_same_on_any_cluster(tmp_path: Path) -> None:
    found = []
    for master in ("local[1]", "local[2]", "local-cluster[2,1,1024]"):
        folder = tmp_path / str(len(found))
        folder.mkdir()
        found.append(on_cluster(master, three_runs_in_buckets, str(folder)))
    assert found[0] == found[1] == found[2]
    runs, bounds = found[0]
    assert len(bounds) == 6  # of the visitors and the items of each run
    assert all(bounds), "all ids were in one bucket"
    check(runs)


def test_numbers_may_start_afresh(spark: SparkSession, tmp_path: Path) -> None:
    write_log(tmp_path / "log.csv", 5)
    visitors = spark.createDataFrame([(IDS[0], 0), (IDS[59], 1)], "visitorid long, visitor_index int")
    items = spark.createDataFrame([(IDS[59] + 1, 0)], "itemid long, item_index int")
    previous = Previous({"contents": {"visitors": {"rows": 2}, "items": {"rows": 1}}}, {"visitors": visitors})
    stage = Stage1({"encode_itemids": {"start_afresh": True}})
    assert stage.continues() == ["visitors"]
    afresh = {"encode_itemids": {"start_afresh": True}}
    found = indexes(run(spark, tmp_path / "log.csv", tmp_path / "out", previous, **afresh))
    assert found["visitors"][IDS[59]] == 1
    assert IDS[59] + 1 not in found["items"]
    gone = spark.read.parquet(f"{tmp_path}/out/visitors").where(f"visitorid = {IDS[59]}").collect()
    assert [(row.events, row.score, row.trained) for row in gone] == [(0, 0.0, False)]
    del items
