"""The files of a snapshot from rows as a worker has them, read as the service reads them."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from recommender.serving.version import Version
from recommender.snapshot.layout import part_name
from recommender.snapshot.manifest import Manifest
from recommender.snapshot.visitor_files import item_files, visitor_file

PLACE = pa.list_(
    pa.struct([("rank", pa.int32()), ("item_index", pa.int32()), ("score", pa.float32()), ("source", pa.int8())])
)
EVENT = pa.list_(
    pa.struct([("before", pa.int64()), ("item_index", pa.int32()), ("event", pa.int8()), ("score", pa.float32())])
)
SIMILAR = pa.list_(pa.struct([("rank", pa.int32()), ("similar_item_index", pa.int32()), ("similarity", pa.float32())]))
LISTS = {7: [(2, 0.75, 0), (0, 0.5, 2)], 9: [(1, 3.0, 2)]}
HISTORIES = {7: [(1, 0, 1.0, 30), (2, 1, 5.0, 20)], 8: [(0, 0, 2.0, 10)]}
FACTORS = {0: [1.0, 0.0], 1: [0.6, 0.8], 2: [0.8, 0.6]}
SETTINGS: dict[str, Any] = {
    "run": "monday",
    "number": 3,
    "created_at": "2026-11-25T01:00:00.000+00:00",
    "id_types": {"visitorid": "long", "itemid": "string"},
    "rank": 2,
    "solver": {"implicit_prefs": True, "alpha": 1.0, "reg_param": 0.1, "nonnegative": False},
    "score_map": {"view": 1.0, "transaction": 5.0},
    "events": ["view", "transaction"],
    "exclude_events": ["transaction"],
    "fill_with_popular": True,
    "k": 2,
    "counts": {"visitors": 3, "items": 4, "lists": 2},
}


def visitors(ids: list[int]) -> pa.Table:
    places = [
        [{"rank": n, "item_index": i, "score": s, "source": o} for n, (i, s, o) in enumerate(LISTS[v])]
        if v in LISTS
        else None
        for v in ids
    ]
    events = [
        [{"before": -t, "item_index": i, "event": e, "score": s} for i, e, s, t in HISTORIES[v]]
        if v in HISTORIES
        else None
        for v in ids
    ]
    batches = [
        pa.table({"visitorid": pa.array([v]), "list": pa.array([p], PLACE), "history": pa.array([e], EVENT)})
        for v, p, e in zip(ids, places, events, strict=True)
    ]
    return pa.concat_tables(batches)  # as they come to a worker: in several batches


def items(gains: list[float | None]) -> pa.Table:
    similar = [[{"rank": 1, "similar_item_index": 2, "similarity": 0.5}], None, None, None]
    return pa.table(
        {
            "itemid": ["tea", "jam", "bun", "new"],
            "item_index": pa.array(range(4), pa.int32()),
            "popularity": pa.array([2.0, 9.0, None, -1.0]),
            "features": pa.array([FACTORS.get(n) for n in range(4)], pa.list_(pa.float32())),
            "similar": pa.array(similar, SIMILAR),
            "gain": pa.array(gains, pa.float32()),
            "allowed": pa.array([True, None, True, True]),
            "title": pa.array(["Tea", None, "<b>", None], pa.string()),
            "picture": pa.array([None] * 4, pa.string()),
        }
    )


def opened(folder: Path, gains: list[float | None], **more: Any) -> Version:
    contents = {part_name(n): visitor_file(visitors(ids))[2] for n, ids in enumerate([[7], [8, 9]])}
    contents |= dict(item_files(items(gains)))
    files = {path: {"bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for path, c in contents.items()}
    for path, content in contents.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(content)
    manifest = Manifest.model_validate({**SETTINGS, "files": files, **more})
    return Version.open(folder, manifest, 3)


@pytest.fixture
def version(tmp_path: Path) -> Version:
    golden = [{"visitorid": 7, "item": ["bun", "tea"]}, {"visitorid": 9, "item": ["jam"]}]
    return opened(tmp_path, [None] * 4, golden=golden)


def test_a_part_says_how_many_visitors_and_lists_it_has() -> None:
    assert visitor_file(visitors([7, 8, 9]))[:2] == (3, 2)


def test_lists_are_those_that_are_published(version: Version) -> None:
    for visitor in (7, 8, 9):
        place = version.snapshot.visitors.find(str(visitor))
        assert place is not None
        found = version.snapshot.visitors.published(place)
        listed = LISTS.get(visitor, [])
        assert list(zip(found.item.tolist(), found.score.tolist(), found.source.tolist(), strict=True)) == listed


def test_histories_are_the_newest_first(version: Version) -> None:
    for visitor in (7, 8, 9):
        place = version.snapshot.visitors.find(str(visitor))
        assert place is not None
        did = version.snapshot.visitors.history(place)
        columns = (did.item, did.event, did.score, did.timestamp)
        assert list(zip(*(each.tolist() for each in columns), strict=True)) == HISTORIES.get(visitor, [])


def test_items_have_what_is_known_of_them(version: Version) -> None:
    catalogue = version.snapshot.items
    assert [catalogue.titles[n] for n in range(4)] == ["Tea", None, "<b>", None]
    assert [index.tolist() for index in catalogue.popular] == [[0], [2.0]]  # jam may not be recommended
    assert catalogue.find("jam") == 1
    assert catalogue.similar.values[0].tolist() == [2]


def test_only_what_has_factors_and_is_allowed_is_ranked(version: Version) -> None:
    assert sorted(version.snapshot.model.ranked.indexes.tolist()) == [0, 2]
    assert version.snapshot.model.known.tolist() == [True, True, True, False]


def test_what_popularity_adds_is_one_more_factor(tmp_path: Path) -> None:
    version = opened(tmp_path, [0.5, 0.25, None, None], blend={"c": 0.5})
    ranked = version.snapshot.model.ranked
    rows = np.asarray(ranked.factors, dtype=np.float64).round(3)
    blended = dict(zip(ranked.indexes.tolist(), rows.tolist(), strict=True))
    assert blended == {0: [1.0, 0.0, 0.5], 2: [0.8, 0.6, 0.0]}


def test_indexes_with_gaps_are_refused() -> None:
    with pytest.raises(ValueError, match="the indexes of 3 items are not 0 to 2"):
        list(item_files(items([None] * 4).slice(1)))
