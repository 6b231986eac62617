"""Attempts become visible by a commit, and only then."""

import errno
import json
import os
from pathlib import Path

import pytest

from recommender.errors import ArtifactError, ConfigError, ConflictError, StorageError
from recommender.store import Attempt, Commit, Store, new_run_id, open_files, run_id_mistake, seal


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def store(root: Path) -> Store:
    return Store(open_files(str(root), hadoop=lambda: None))


def write(store: Store, attempt: Attempt, text: str) -> Commit:
    name = f"{attempt.id}/scores/part-0.parquet"
    store.files.create(f"stage1/data/{name}", text.encode())
    return store.commit(attempt, {"files": {name: {"bytes": len(text)}}, "text": text})


def result(store: Store, text: str, run: str = "monday") -> Commit:
    return write(store, store.begin("stage1", run), text)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def no_links(*_: object) -> None:
    raise OSError(errno.EOPNOTSUPP, "not supported")


def test_nothing_is_visible_before_the_commit(store: Store) -> None:
    store.begin("stage1", "monday")
    assert store.latest("stage1") is None


def test_the_newest_commit_is_read(store: Store) -> None:
    assert [result(store, "old").number, result(store, "new", "tuesday").number] == [1, 2]
    newest = store.latest("stage1")
    assert newest is not None
    assert (newest.number, newest.record["text"], newest.run_id) == (2, "new", "tuesday")
    assert [commit.number for commit in store.commits("stage1")] == [2, 1]


def test_an_older_commit_can_be_read_by_its_number_or_run(store: Store) -> None:
    result(store, "old")
    result(store, "new", "tuesday")
    by_number, by_run = store.commit_number("stage1", 1), store.of_run("stage1", "monday")
    assert by_number == by_run
    assert by_number is not None
    assert by_number.record["text"] == "old"
    assert store.commit_number("stage1", 3) is None
    assert store.of_run("stage1", "wednesday") is None


def test_of_two_writers_one_is_told(store: Store) -> None:
    slow = store.begin("stage1", "slow")
    result(store, "fast")
    with pytest.raises(ConflictError, match=r"COMMIT_CONFLICT expected 0 found 1: another run has committed stage1"):
        write(store, slow, "slow")
    newest = store.latest("stage1")
    assert newest is not None
    assert newest.record["text"] == "fast"


def test_a_number_that_a_clean_up_has_freed_is_not_taken(store: Store) -> None:
    slow = store.begin("stage1", "slow")
    commits = [result(store, text) for text in ("first", "second")]
    store.expire(commits[0])
    with pytest.raises(ConflictError, match=r"COMMIT_CONFLICT expected 0 found 2"):
        write(store, slow, "slow")
    assert store.latest("stage1") == commits[1]


def test_of_two_writers_one_is_told_also_at_the_last_moment(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = store.begin("stage1", "slow")
    link = os.link

    def beaten(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "link", link)
        result(store, "fast")
        link(source, target)

    monkeypatch.setattr(os, "link", beaten)
    with pytest.raises(ConflictError, match="COMMIT_CONFLICT expected 0 found 1"):
        store.commit(slow, {})


def test_a_commit_whose_answer_was_lost_is_ours(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def done_and_lost(source: Path, target: Path) -> None:
        link(source, target)
        raise OSError(errno.EIO, "connection lost")

    attempt = store.begin("stage1", "monday")
    monkeypatch.setattr(os, "link", done_and_lost)
    assert store.commit(attempt, {}).number == 1


def test_a_commit_that_fails_leaves_nothing(store: Store, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = store.begin("stage1", "monday")

    def die(*_: object) -> None:
        raise OSError(errno.EIO, "no more")

    monkeypatch.setattr(os, "link", die)
    with pytest.raises(StorageError, match=r"STORAGE_FAILED .* cannot be used: no more"):
        store.commit(attempt, {})
    assert store.latest("stage1") is None
    assert names(root / "stage1" / "commits") == []


def test_a_full_disk_leaves_no_half_a_file(store: Store, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="STORAGE_FULL"):
        store.files.create("channels/live/1.json", b"half")
    assert names(root / "channels" / "live") == []


def test_a_mount_without_links_serves_one_writer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", no_links)
    result(store, "old")
    assert store.files.create("stage1/commits/" + "1".zfill(20) + ".json", b"mine") is False
    newest = store.latest("stage1")
    assert newest is not None
    assert newest.record["text"] == "old"


def test_an_attempt_that_failed_leaves_a_note(store: Store, root: Path) -> None:
    attempt = store.begin("stage1", "monday")
    store.files.create(f"stage1/data/{attempt.id}/scores/part-0.parquet", b"half")
    store.fail(attempt, {"id": "TEST"})
    folder = root / "stage1" / "data" / attempt.id
    assert names(folder) == ["_ATTEMPT.json", "_FAILED.json"]
    note = json.loads((folder / "_FAILED.json").read_text())
    assert (note["id"], note["run"], note["stage"], note["attempt"]) == ("TEST", "monday", "stage1", attempt.id)


def test_an_attempt_that_failed_after_its_commit_loses_nothing(store: Store) -> None:
    attempt = store.begin("stage1", "monday")
    commit = write(store, attempt, "rows")
    store.fail(attempt, {"id": "TERMINATED"})
    store.check(commit)
    assert store.latest("stage1") == commit


def test_a_failed_attempt_keeps_what_it_is_told_to(store: Store, root: Path) -> None:
    attempt = store.begin("stage1", "monday")
    for table in ("scores", "quarantine"):
        store.files.create(f"stage1/data/{attempt.id}/{table}/part-0", b"rows")
    store.fail(attempt, {}, keep=["quarantine"])
    assert names(root / "stage1" / "data" / attempt.id) == ["_ATTEMPT.json", "_FAILED.json", "quarantine"]


@pytest.mark.parametrize("damage", [lambda content: content[:40], lambda content: content.replace(b"new", b"nex")])
def test_a_damaged_record_is_told_and_no_older_one_is_taken(store: Store, root: Path, damage: object) -> None:
    result(store, "old")
    result(store, "new")
    record = root / "stage1" / "commits" / f"{2:020d}.json"
    record.write_bytes(damage(record.read_bytes()))  # type: ignore[operator]
    with pytest.raises(ArtifactError, match=r"ARTIFACT_CORRUPT .*2\.json is damaged"):
        store.latest("stage1")


def test_a_record_of_another_format_is_refused(store: Store, root: Path) -> None:
    result(store, "old")
    record = root / "stage1" / "commits" / f"{1:020d}.json"
    assert json.loads(record.read_text())["format"] == 1
    newer = {key: value for key, value in json.loads(record.read_text()).items() if key != "sha256"}
    record.write_bytes(seal({**newer, "format": 2}))
    with pytest.raises(
        ArtifactError, match=r"FORMAT_UNKNOWN .*1\.json has format 2, and this program reads 1: use the"
    ):
        store.latest("stage1")
    record.write_bytes(seal({key: value for key, value in newer.items() if key != "format"}))
    newest = store.latest("stage1")  # as it was written before there were formats
    assert newest is not None
    assert newest.record["text"] == "old"


def test_a_file_that_is_no_record_is_none(store: Store, root: Path) -> None:
    result(store, "old")
    for name in ("²", "7", "1" * 19, "1" * 21, "latest"):
        (root / "stage1" / "commits" / f"{name}.json").write_text("{}")
    assert [commit.number for commit in store.commits("stage1")] == [1]


def test_a_run_is_found_without_reading_every_record(store: Store, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(45):
        attempt = store.begin("stage1", f"run-{number}")
        store.commit(attempt, {"files": {}, "fingerprint": f"mark-{number}"})
    assert names(root / "stage1" / "index") == [f"{40:020d}.json"]
    read: list[str] = []
    files_read = store.files.read
    monkeypatch.setattr(store.files, "read", lambda path: read.append(path) or files_read(path))  # type: ignore[func-returns-value]
    assert store.of_run("stage1", "nobody") is None
    assert len(read) == 6  # the index, and the records since
    found, same = store.of_run("stage1", "run-3"), store.of_fingerprint("stage1", "mark-3")
    assert found == same
    assert found is not None
    assert found.number == 4


def test_an_index_that_is_damaged_or_behind_hides_nothing(store: Store, root: Path) -> None:
    for number in range(20):
        result(store, str(number), f"run-{number}")
    index, record = (root / "stage1" / folder / f"{20:020d}.json" for folder in ("index", "commits"))
    record.unlink()  # as its damage asks for
    assert store.of_run("stage1", "run-19") is None
    result(store, "again", "another")
    found = store.of_run("stage1", "another")
    assert found is not None
    assert found.number == 20
    index.write_text("{")
    assert store.of_run("stage1", "run-3") is not None


def part(root: Path, commit: Commit) -> Path:
    return root / "stage1" / "data" / next(iter(commit.record["files"]))


def test_a_file_that_is_gone_is_told(store: Store, root: Path) -> None:
    commit = result(store, "rows")
    part(root, commit).unlink()
    with pytest.raises(ArtifactError, match=r"ARTIFACT_CORRUPT missing part-0\.parquet: .* is gone"):
        store.check(commit)


def test_a_file_of_another_size_is_told(store: Store, root: Path) -> None:
    commit = result(store, "rows")
    part(root, commit).write_text("row")
    with pytest.raises(ArtifactError, match=r"ARTIFACT_CORRUPT .*part-0\.parquet has 3 bytes, not 4"):
        store.check(commit)
    part(root, commit).write_text("rows and more")
    with pytest.raises(ArtifactError, match=r"ARTIFACT_CORRUPT .*part-0\.parquet has 13 bytes, not 4"):
        store.check(commit)


def test_rows_of_visitors_are_not_for_everybody(root: Path) -> None:
    private = Store(open_files(str(root), lambda: None, 0o640))
    commit = result(private, "rows")
    folder = root / "stage1" / "data" / commit.attempt
    assert [oct(path.stat().st_mode & 0o777) for path in (folder, part(root, commit))] == ["0o750", "0o640"]
    attempt = private.begin("stage4", "monday")  # what it makes is for other users
    assert (root / "stage4" / "data" / attempt.id).stat().st_mode & 0o005 == 0o005
    open_to_all = Store(open_files(str(root), lambda: None, 0o644))
    assert part(root, result(open_to_all, "rows")).stat().st_mode & 0o777 == 0o644


def test_a_foreign_file_does_not_matter(store: Store, root: Path) -> None:
    commit = result(store, "rows")
    part(root, commit).with_name("part-1.parquet").write_text("foreign")
    store.check(commit)
    assert [Path(url).name for url in store.urls(commit, "scores")] == ["part-0.parquet"]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (errno.ENOSPC, "STORAGE_FULL .* the disk is full; free some space"),
        (errno.EACCES, "STORAGE_DENIED .* cannot be written: Permission denied; see --root"),
        (errno.EROFS, "STORAGE_DENIED .* cannot be written: Read-only file system"),
        (errno.EIO, "STORAGE_FAILED .* cannot be used: Input/output error"),
    ],
)
def test_what_the_disk_says_is_told(store: Store, monkeypatch: pytest.MonkeyPatch, code: int, text: str) -> None:
    def failing(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(StorageError, match=text):
        store.begin("stage1", "monday")


def roots(root: str) -> str:
    return open_files(root, hadoop=lambda: None).url("x")


def test_roots_that_python_reaches(tmp_path: Path) -> None:
    assert roots(str(tmp_path)) == f"file://{tmp_path}/x"
    assert roots(f"file:{tmp_path}") == f"file://{tmp_path}/x"
    assert roots(f"file://{tmp_path}") == f"file://{tmp_path}/x"
    assert roots("/Volumes/shop/x") == "dbfs:/Volumes/shop/x/x"


@pytest.mark.parametrize(
    ("root", "text"),
    [
        ("ftp://host/x", "STORAGE_SCHEME root ftp://host/x: ftp: is not supported; use a path, file:, hdfs:"),
        ("s3a://shop/x", "STORAGE_SCHEME root s3a://shop/x: s3a: needs a JVM, and there is none here"),
        ("dbfs:/nowhere", "STORAGE_SCHEME root dbfs:/nowhere: dbfs: needs a JVM"),
    ],
)
def test_roots_that_cannot_be_reached_are_told(root: str, text: str) -> None:
    with pytest.raises(StorageError, match=text):
        roots(root)


def test_a_root_with_a_wildcard_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"CFG_VALUE root must not contain any of"):
        roots("/data/*")


def test_a_root_below_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"STORAGE_FAILED .*: Not a directory"):
        Store(open_files(str(tmp_path / "file"), hadoop=lambda: None)).begin("stage1", "monday")


def test_run_ids_are_given_once_and_sort_by_time() -> None:
    ids = [new_run_id() for _ in range(50)]
    assert ids == sorted(set(ids))
    assert not any(run_id_mistake(run_id) for run_id in ids)


@pytest.mark.parametrize("run_id", ["", "../x", "run:1", "a*", "-a", "x" * 65])
def test_a_run_id_that_is_no_name_is_refused(run_id: str) -> None:
    assert run_id_mistake(run_id) == "RUN_ID must match [A-Za-z0-9][A-Za-z0-9_-]{0,63}"
