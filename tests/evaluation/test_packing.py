"""Rows in cells: nothing is lost, what belongs together stays together, and counts are those of a count by hand."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from pyspark.sql import SparkSession

from recommender.evaluation import packing
from recommender.evaluation.packing import MEMBERS, PLACES, RECORDS, SCORED, SHOWN, packed_lists, packed_segments
from recommender.evaluation.task import Task

IDS = st.lists(st.integers(-(2**31), 2**31 - 1), max_size=60)


def scored(ids: list[int]) -> np.ndarray:
    return np.array([(one, float(place)) for place, one in enumerate(ids)], RECORDS[SCORED])


@settings(deadline=None)
@given(IDS, st.integers(1, 400))
def test_cells_can_be_cut_into_pieces_without_cutting_a_bucket_or_losing_a_record(ids: list[int], size: int) -> None:
    cells = pa.Table.from_batches([packing.to_cells(scored(ids), SCORED)]).sort_by("bucket")
    parts = list(packing.pieces(iter(cells.to_batches(max_chunksize=3)), size))
    buckets = [set(part["bucket"].to_pylist()) for part in parts]
    assert sum(map(len, buckets)) == len(set().union(*buckets))
    found = np.concatenate([packing.records(part, SCORED) for part in parts] or [scored([])])
    assert sorted(found.tolist()) == sorted(scored(ids).tolist())


def test_the_records_of_an_id_are_in_the_same_bucket_whoever_packs_them() -> None:
    one = packing.to_cells(scored([7, 8, 7]), SCORED)
    other = packing.to_cells(np.array([(7, 1, 1, 0)], RECORDS[PLACES]), PLACES)
    shared = set(one["bucket"].to_pylist()) & set(other["bucket"].to_pylist())
    assert len(shared) == 1


@pytest.mark.parametrize("held_at_once", [2**22, 3])
def test_every_item_is_counted_within_each_cut_off(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, held_at_once: int
) -> None:
    monkeypatch.setattr(packing, "_MOST_COUNTS", held_at_once)
    random = np.random.default_rng(3)
    rows = [
        (visitor, int(item), rank, model)
        for model in (0, 1)
        for visitor in range(20)
        for rank, item in enumerate(random.permutation(9)[:7], start=1)
    ]
    lists = spark.createDataFrame(rows, "visitor_index int, item_index int, rank int, model int").repartition(3)
    task = Task(("als", "popular"), (3, 7), ("coverage",))
    found: Counter[tuple[int, int, int]] = Counter()
    for row in packed_lists(lists, task).collect():
        assert row["kind"] == SHOWN
        for item, model, place, count in np.frombuffer(row["cell"], RECORDS[SHOWN]).tolist():
            found[model, item, task.places[place]] += count
    assert task.places == (1, 3, 7)
    assert found == Counter((model, item, 1 if rank == 1 else 3 if rank <= 3 else 7) for _, item, rank, model in rows)


def test_a_segment_has_its_visitors_and_one_without_a_name_is_none(spark: SparkSession) -> None:
    rows = [(1, ["new", "small"]), (2, ["new", None]), (3, None), (4, [])]
    segments = spark.createDataFrame(rows, "visitor_index int, segments array<string>")
    found = [
        (row["segment"], visitor)
        for row in packed_segments(segments).collect()
        for (visitor,) in np.frombuffer(row["cell"], RECORDS[MEMBERS]).tolist()
    ]
    assert sorted(found) == [("new", 1), ("new", 2), ("small", 1)]
