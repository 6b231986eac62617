"""Attempts become visible by a commit, and only then."""

import json
import os
from pathlib import Path

import pytest

from recommender.errors import ConflictError, StorageError
from recommender.store import Store, new_run_id, run_id_mistake


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "root"))


def write(store: Store, text: str, run: str = "monday") -> int:
    attempt = store.begin("stage1", run)
    Path(attempt.path, "part").write_text(text)
    return store.commit(attempt, {"text": text}).number


def test_nothing_is_visible_before_the_commit(store: Store) -> None:
    store.begin("stage1", "monday")
    assert store.latest("stage1") is None


def test_the_newest_commit_is_read(store: Store) -> None:
    assert [write(store, "old"), write(store, "new")] == [1, 2]
    newest = store.latest("stage1")
    assert newest is not None
    assert Path(newest.path, "part").read_text() == "new"
    assert (newest.number, newest.record["text"], newest.record["run"]) == (2, "new", "monday")


def test_an_older_commit_can_be_read_by_its_number(store: Store) -> None:
    write(store, "old")
    write(store, "new")
    older = store.commit_number("stage1", 1)
    assert older is not None
    assert Path(older.path, "part").read_text() == "old"
    assert store.commit_number("stage1", 3) is None


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"STORAGE_DENIED --root .*file is no folder: File exists"):
        Store(str(tmp_path / "file")).check()


def test_a_commit_lists_its_files_with_their_sizes(store: Store) -> None:
    write(store, "12345")
    newest = store.latest("stage1")
    assert newest is not None
    assert newest.record["files"] == {"part": 5}


def test_an_attempt_that_failed_leaves_no_output(store: Store) -> None:
    store.discard(store.begin("stage1", "monday"))
    assert list(store.root.rglob("*")) == []


def test_an_attempt_that_failed_leaves_the_old_result(store: Store) -> None:
    write(store, "old")
    failed = store.begin("stage1", "tuesday")
    Path(failed.path, "part").write_text("half")
    store.discard(failed)
    newest = store.latest("stage1")
    assert newest is not None
    assert Path(newest.path, "part").read_text() == "old"


def test_of_two_writers_one_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write(store, "old")
    slow = store.begin("stage1", "slow")
    seen = store.latest("stage1")
    write(store, "fast")
    monkeypatch.setattr(store, "latest", lambda _: seen)
    with pytest.raises(ConflictError, match=r"COMMIT_CONFLICT .*2\.json was written by another run meanwhile"):
        store.commit(slow, {})


def test_a_commit_is_never_half_there(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = store.begin("stage1", "monday")

    def die(*_: object) -> None:
        raise OSError("no more")

    monkeypatch.setattr(os, "link", die)
    with pytest.raises(OSError, match="no more"):
        store.commit(attempt, {})
    assert store.latest("stage1") is None
    assert list((store.root / "stage1" / "commits").iterdir()) == []


def test_a_channel_names_the_published_attempt(store: Store) -> None:
    write(store, "first")
    write(store, "second")
    newest = store.latest("stage1")
    assert newest is not None
    store.publish("live", newest)
    record = json.loads((store.root / "channels" / "live" / f"{1:020d}.json").read_text())
    assert record["attempt"] == newest.record["attempt"]


def test_a_file_uri_is_a_root(tmp_path: Path) -> None:
    assert Store(f"file:{tmp_path}").root == tmp_path


def test_a_root_that_is_no_folder_is_refused() -> None:
    with pytest.raises(StorageError, match="STORAGE_SCHEME --root s3a://shop: only folders are supported so far"):
        Store("s3a://shop")


def test_a_root_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"STORAGE_DENIED .* cannot be written: Not a directory"):
        Store(str(tmp_path / "file")).begin("stage1", "monday")


def test_run_ids_are_given_once_and_sort_by_time() -> None:
    ids = [new_run_id() for _ in range(50)]
    assert ids == sorted(set(ids))
    assert not any(run_id_mistake(run_id) for run_id in ids)


@pytest.mark.parametrize("run_id", ["", "../x", "run:1", "a*", "-a", "x" * 65])
def test_a_run_id_that_is_no_name_is_refused(run_id: str) -> None:
    assert run_id_mistake(run_id) == "RUN_ID must match [A-Za-z0-9][A-Za-z0-9_-]{0,63}"
