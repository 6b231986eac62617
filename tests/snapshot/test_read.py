"""Visitors are found in whatever parts they lie."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from hypothesis import given, settings, strategies as st
from support.literal_snapshot import Shop

from recommender.snapshot.checks import read_manifest
from recommender.snapshot.layout import MANIFEST, part_name
from recommender.snapshot.read import Snapshot
from recommender.snapshot.write import arrow_bytes, write


def opened(shop: Shop, folder: Path) -> Snapshot:
    shop.write(folder)
    return Snapshot.open(folder, read_manifest(folder))


@given(st.integers(1, 20), st.integers(1, 6), st.booleans(), st.lists(st.text() | st.integers().map(str), max_size=5))
@settings(max_examples=30, deadline=None)
def test_a_visitor_is_found_as_in_a_dictionary(visitors: int, parts: int, strings: bool, others: list[str]) -> None:
    """Also with more parts than visitors, so that some are empty."""
    shop = Shop(visitors=visitors, parts=parts, strings=strings, items=8)
    rows = {str(visitorid): row for row, visitorid in enumerate(shop.visitorids)}
    with TemporaryDirectory() as folder:
        snapshot = opened(shop, Path(folder))
        assert len(snapshot.visitors) == visitors
        for text in [*rows, *others, "", "-1", "\udfff", "~"]:
            place = snapshot.visitors.find(text)
            assert (place is None) == (text not in rows)
            if place is not None:
                listed, did = snapshot.visitors.published(place), snapshot.visitors.history(place)
                assert listed.item.tolist() == [item for item, _, _ in shop.lists[rows[text]]]
                assert did.timestamp.tolist() == [at for _, _, _, at in shop.histories[rows[text]]]


def test_the_batches_of_a_file_are_parts_like_any_other(tmp_path: Path) -> None:
    """Who writes may write as much at a time as it likes."""
    shop = Shop(parts=1)
    tables = shop.tables()
    whole = tables.pop(part_name(0))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, whole.schema) as writer:
        writer.write_table(whole, max_chunksize=7)
    files = {path: write(tmp_path, path, arrow_bytes(table)) for path, table in tables.items()}
    files[part_name(0)] = write(tmp_path, part_name(0), sink.getvalue())
    write(tmp_path, MANIFEST, shop.manifest(files).sealed())
    snapshot = Snapshot.open(tmp_path, read_manifest(tmp_path))
    places = [snapshot.visitors.find(str(visitorid)) for visitorid in shop.visitorids]
    assert places == [(row // 7, row % 7) for row in range(40)]


def test_items_are_found_and_shown(tmp_path: Path) -> None:
    shop = Shop(strings=True)
    items = opened(shop, tmp_path).items
    for row, itemid in enumerate(shop.itemids):
        assert items.find(itemid) == row
        assert items.shown(row)["itemid"] == itemid
    assert items.find("") is None
    assert items.shown(2)["title"] == "<script>alert(1)</script>"
    assert items.shown(2)["picture"] is None
