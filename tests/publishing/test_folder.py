"""A folder with versions, for programs that know nothing of the store."""

import json
import os
import time
from pathlib import Path

import pytest
from support.shop import version

from recommender.errors import ConflictError, InputError, StorageError
from recommender.publishing.folder import FolderTarget


@pytest.fixture
def target(tmp_path: Path) -> FolderTarget:
    return FolderTarget({"path": str(tmp_path / "out"), "format": "csv", "keep_versions": 2})


def load(target: FolderTarget, number: int) -> str:
    folder = target.folder(version(number))
    target.files.create(f"{folder}/part-0.csv", f"rows of {number}".encode())
    target.files.create(f"{folder}/_SUCCESS", b"")
    target.finish(version(number), folder)
    return folder


def deliver(target: FolderTarget, number: int, channel: str = "live") -> None:
    if not target.has(version(number)):
        load(target, number)
    target.show(version(number), channel, target.position(channel))
    target.clean_up()


def test_a_record_of_the_channel_names_a_folder_and_its_files(target: FolderTarget, tmp_path: Path) -> None:
    folder = load(target, 7)
    assert target.current("live") is None  # complete, and not named
    assert target.show(version(7), "live", 0) == 1
    record = json.loads((tmp_path / "out/_channels/live/00000000000000000001.json").read_text())
    assert record["folder"] == folder
    assert record["run"] == "run-7"
    assert record["files"] == {f"{folder}/part-0.csv": 9}
    assert (tmp_path / "out" / folder / "part-0.csv").read_text() == "rows of 7"


def test_a_version_that_is_there_is_known_again(target: FolderTarget) -> None:
    assert not target.has(version(1))
    load(target, 1)
    assert target.has(version(1))


def test_a_version_that_lost_a_file_is_delivered_again(target: FolderTarget, tmp_path: Path) -> None:
    folder = load(target, 1)
    (tmp_path / "out" / folder / "part-0.csv").unlink()
    assert not target.has(version(1))
    assert load(target, 1) != folder
    assert target.has(version(1))


def test_a_version_whose_file_has_another_size_is_delivered_again(target: FolderTarget, tmp_path: Path) -> None:
    folder = load(target, 1)
    target.show(version(1), "live", 0)
    (tmp_path / "out" / folder / "part-0.csv").write_text("rows of another")
    assert not target.has(version(1))
    again = load(target, 1)
    assert target.has(version(1))
    assert target.named("live") == ""  # what the channel names is the damaged folder
    target.show(version(1), "live", 1)
    assert (target.current("live"), target.named("live")) == (again, version(1).attempt)


def test_nothing_is_no_version(target: FolderTarget) -> None:
    with pytest.raises(StorageError, match="AUDIT_ROWS nothing can be found in "):
        target.finish(version(1), target.folder(version(1)))


def test_a_version_that_is_named_is_not_named_again(target: FolderTarget) -> None:
    deliver(target, 1)
    assert target.show(version(1), "live", 1) == 1
    assert target.position("live") == 1


def test_53_of_two_publishers_one_is_told(target: FolderTarget) -> None:
    deliver(target, 1)
    load(target, 2)
    load(target, 3)
    target.show(version(2), "live", 1)
    with pytest.raises(ConflictError, match="COMMIT_CONFLICT expected 1 found 2: channel live of"):
        target.show(version(3), "live", 1)
    assert str(target.current("live")).startswith("recommendations/version=2_")


def test_a_version_that_is_not_there_cannot_be_named(target: FolderTarget) -> None:
    with pytest.raises(InputError, match=r"VERSION_NOT_DELIVERED .* has not run run-1 any more"):
        target.show(version(1), "live", 0)


def test_old_versions_go_and_those_that_a_channel_named_last_stay(
    target: FolderTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(target, 1, "candidate")
    for number in (2, 3, 4):
        deliver(target, number)
    assert len(target.files.names("recommendations")) == 4  # somebody may be reading the second
    monkeypatch.setattr("recommender.publishing.folder._READING", -1)
    target.clean_up()
    assert [target.has(version(number)) for number in (1, 2, 3, 4)] == [True, False, True, True]
    assert len(target.files.names("recommendations")) == 3


def test_what_was_not_finished_goes_when_it_is_a_day_old(target: FolderTarget, tmp_path: Path) -> None:
    folder = target.folder(version(1))
    target.files.create(f"{folder}/part-0.csv", b"half")
    deliver(target, 2)
    assert len(target.files.names("recommendations")) == 2  # somebody may be at it
    yesterday = time.time() - 90_000
    os.utime(tmp_path / "out" / folder / "part-0.csv", (yesterday, yesterday))
    deliver(target, 3)
    assert sorted(name[8:10] for name in target.files.names("recommendations")) == ["2_", "3_"]


def test_a_folder_that_is_empty_may_be_that_of_another_publisher(target: FolderTarget, tmp_path: Path) -> None:
    folder = target.folder(version(1))
    (tmp_path / "out" / folder).mkdir(parents=True)
    deliver(target, 2)
    assert len(target.files.names("recommendations")) == 2
    yesterday = time.time() - 90_000
    os.utime(tmp_path / "out" / folder, (yesterday, yesterday))
    target.clean_up()
    assert len(target.files.names("recommendations")) == 1
