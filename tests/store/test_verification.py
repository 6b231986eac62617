"""Damage is found wherever it is."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.literal_store import file_of, open_store, record_of, result

from recommender.store import Channels, Store, verify


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def flipped(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]


def damages(store: Store, *, quick: bool = False) -> list[str]:
    return [damage.what for damage in verify(store, quick=quick)[2]]


def test_what_is_as_it_was_written_is_counted(store: Store) -> None:
    result(store, "stage1", "monday", "12345")
    result(store, "stage2", "monday", "123")
    assert verify(store) == (2, 8, [])


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda content: content[:-1], "has 4 bytes, not 5"),
        (flipped, "its content does not match its hash"),
    ],
)
def test_a_changed_file_is_found(store: Store, tmp_path: Path, damage: Callable[[bytes], bytes], what: str) -> None:
    file = file_of(tmp_path, result(store, "stage1", "monday", "12345"))
    file.write_bytes(damage(file.read_bytes()))
    assert damages(store) == [what]


def test_a_missing_file_is_found_also_of_an_old_commit(store: Store, tmp_path: Path) -> None:
    file_of(tmp_path, result(store, "stage1", "monday")).unlink()
    result(store, "stage1", "tuesday")
    assert damages(store) == ["missing"]
    assert damages(store, quick=True) == ["missing"]


def test_a_quick_look_compares_sizes_only(store: Store, tmp_path: Path) -> None:
    file = file_of(tmp_path, result(store, "stage1", "monday"))
    file.write_bytes(flipped(file.read_bytes()))
    assert damages(store, quick=True) == []


def test_a_damaged_record_is_found_and_the_others_are_still_looked_at(store: Store, tmp_path: Path) -> None:
    record = record_of(tmp_path, result(store, "stage1", "monday"))
    record.write_bytes(record.read_bytes()[:50])
    file_of(tmp_path, result(store, "stage2", "monday")).unlink()
    assert damages(store) == ["the record does not match its hash", "missing"]


def test_a_damaged_channel_is_found(store: Store, tmp_path: Path) -> None:
    Channels(store).publish("live", result(store, "stage4", "monday"))
    (record,) = (tmp_path / "channels" / "live").iterdir()
    record.write_text("{}")
    assert damages(store) == ["the record does not match its hash"]


def test_a_record_that_is_gone_is_found_if_a_channel_needs_it(store: Store, tmp_path: Path) -> None:
    prepared = result(store, "stage1", "monday")
    named = result(store, "stage4", "monday", upstream={"stage1": prepared.number})
    forgotten = result(store, "stage4", "tuesday")
    Channels(store).publish("live", named)
    record_of(tmp_path, forgotten).unlink()
    assert damages(store) == []
    record_of(tmp_path, prepared).unlink()
    assert damages(store) == ["missing: channel live needs run monday"]
    record_of(tmp_path, named).unlink()
    assert damages(store) == ["missing: channel live needs run monday"]


def test_a_record_of_another_attempt_than_the_channel_names_is_found(store: Store, tmp_path: Path) -> None:
    named = result(store, "stage4", "monday")
    Channels(store).publish("live", named)
    record_of(tmp_path, named).unlink()
    result(store, "stage4", "tuesday")
    assert damages(store) == ["is of another attempt than the one that channel live names"]
