"""What is written comes back; what is no snapshot is not written."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from support.literal_snapshot import Shop

from recommender.snapshot.layout import MANIFEST, visitors_schema
from recommender.snapshot.write import (
    History,
    Lists,
    arrow_bytes,
    factors_table,
    items_by_id_table,
    items_table,
    ranking_table,
    similar_items_table,
    visitors_table,
    write,
)


def back(table: pa.Table) -> pa.Table:
    return pa.ipc.open_file(pa.BufferReader(arrow_bytes(table))).read_all()


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 9), st.floats(-1, 1, width=32), st.integers(0, 2)), max_size=4)),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_visitors_come_back_as_they_were(rows: list[list[tuple[int, float, int]]], strings: bool) -> None:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    flat = [value for row in rows for value in row]
    item, score, third = (np.array([row[n] for row in flat], dtype=float) for n in range(3))
    ids = pa.array([f"v{n:04}" if strings else n for n in range(len(rows))], pa.string() if strings else pa.int64())
    lists = Lists(offsets, item.astype(int), score, third.astype(int))
    history = History(offsets, item.astype(int), third.astype(int), score, item.astype(int))
    read = back(visitors_table(ids, lists, history))
    assert read.schema.equals(visitors_schema("string" if strings else "long"))
    assert read["item"].to_pylist() == [[row[0] for row in own] for own in rows]
    assert read["score"].to_pylist() == [[row[1] for row in own] for own in rows]
    assert read["source"].to_pylist() == read["history_event"].to_pylist() == [[row[2] for row in own] for own in rows]
    assert read["history_timestamp"].to_pylist() == read["history_item"].to_pylist()


def test_items_are_in_the_order_of_their_ids_by_bytes() -> None:
    ids = ["zebra", "Zebra", "äpfel", "apfel", "\U0001f34e", "\uffee"]
    order = items_by_id_table(pa.array(ids))["item"].to_pylist()
    assert [ids[row] for row in order] == sorted(ids, key=str.encode)


def test_an_item_without_factors_has_none() -> None:
    factors = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)
    read = back(factors_table(np.array([3, 1]), factors, count=5))
    assert read["features"].to_pylist() == [None, [3.0, 4.0], None, [1.0, 2.0], None]


def test_only_what_is_allowed_is_ranked_and_the_largest_norm_is_first() -> None:
    factors = np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 1.0], [9.0, 9.0]], dtype=np.float32)
    allowed = np.array([True, False, True, True, False, True])
    read = back(ranking_table(np.array([5, 3, 2, 4]), factors, allowed))
    assert read["item"].to_pylist() == [5, 2, 3]
    assert read["norm"].to_pylist() == [5.0, 1.0, 1.0]


def test_an_item_may_have_nothing_similar() -> None:
    read = back(similar_items_table(3, np.array([0, 0, 2]), np.array([1, 2, 0]), np.array([0.5, 0.25, 0.5])))
    assert read.to_pylist() == [
        {"item": [1, 2], "similarity": [0.5, 0.25]},
        {"item": [], "similarity": []},
        {"item": [0], "similarity": [0.5]},
    ]


def test_an_id_must_not_be_null() -> None:
    with pytest.raises(ValueError, match="column itemid must not have nulls, got 1"):
        items_table(pa.array([1, None]), np.zeros(2), np.ones(2, dtype=bool))


def test_a_file_is_written_once_and_described(tmp_path: Path) -> None:
    facts = write(tmp_path, "visitors/a", b"content")
    assert facts == {"bytes": 7, "sha256": hashlib.sha256(b"content").hexdigest()}
    with pytest.raises(FileExistsError):
        write(tmp_path, "visitors/a", b"other")


def test_the_manifest_lists_every_other_file(tmp_path: Path) -> None:
    manifest = Shop().write(tmp_path)
    found = {path.relative_to(tmp_path).as_posix(): path for path in tmp_path.rglob("*") if path.is_file()}
    assert set(found) - {MANIFEST} == set(manifest.files)
    for name, facts in manifest.files.items():
        assert facts.sha256 == hashlib.sha256(found[name].read_bytes()).hexdigest()
    assert json.loads(found[MANIFEST].read_bytes())["format"] == 1
