"""What is synced, and when: a power cut leaves nothing in a record that is not on the disk."""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.literal_store import open_store

from recommender.errors import ArtifactError
from recommender.publishing.folder import FolderTarget
from recommender.publishing.target import Version
from recommender.store import Shards, Store


class Disk:
    """A disk that loses what was not synced, files and names, when its power is cut."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.steps: list[str] = []
        self._kept: dict[Path, set[str]] = {}  # folder -> names that are durable
        self._content: dict[int, bytes] = {}  # inode -> durable content

    def fsync(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        facts = os.fstat(descriptor)
        if stat.S_ISDIR(facts.st_mode):
            self._kept[path] = {entry.name for entry in path.iterdir()}
            self.steps.append(f"sync {path.relative_to(self.root) if path != self.root else '.'}/")
        else:
            self._content[facts.st_ino] = path.read_bytes()
            self.steps.append(f"sync {_name(path)}")

    def cut(self) -> None:
        """Cut the power."""
        for path in sorted(self.root.rglob("*"), reverse=True):  # what is in a folder comes before it
            if path.name not in self._kept.get(path.parent, set()):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            elif path.is_file():
                path.write_bytes(self._content.get(path.stat().st_ino, b""))


def _name(path: Path) -> str:
    return "temporary" if path.name.startswith(".temporary-") else path.name


@contextmanager
def spied(disk: Disk) -> Iterator[None]:
    link = os.link

    def linked(source: Path, target: Path) -> None:
        link(source, target)
        disk.steps.append(f"link {target.name}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", disk.fsync)
        patch.setattr(os, "link", linked)
        yield


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path)
    with spied(disk):
        yield disk


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def write_as_spark_does(root: Path, path: str) -> None:
    """Write without a sync."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(b"rows")


def test_a_file_gets_its_name_when_its_content_is_durable_and_the_name_is_durable_then(
    store: Store, disk: Disk
) -> None:
    store.files.create("channels/live/1.json", b"record")
    store.files.create("channels/live/2.json", b"record")
    second = disk.steps.index("link 2.json")
    assert disk.steps[:3] == ["sync temporary", "link 1.json", "sync channels/live/"]
    assert disk.steps[3 : second - 1] == ["sync channels/", "sync ./"]  # folders that are new have names too
    assert disk.steps[second - 1 :] == ["sync temporary", "link 2.json", "sync channels/live/"]


def test_a_commit_survives_a_power_cut_with_all_that_it_lists(store: Store, disk: Disk, tmp_path: Path) -> None:
    attempt = store.begin("stage1", "monday")
    path = f"{attempt.id}/scores/part-0.parquet"
    write_as_spark_does(tmp_path, f"stage1/data/{path}")
    commit = store.commit(attempt, {"files": {path: {"bytes": 4}}})
    disk.cut()
    assert store.latest("stage1") == commit
    store.check(commit)
    last = disk.steps[disk.steps.index("sync part-0.parquet") :]
    above = ["scores", "", "..", "../.."]
    assert last[1:5] == [f"sync {os.path.normpath(f'stage1/data/{attempt.id}/{each}')}/" for each in above]
    assert last.index("link 00000000000000000001.json") > last.index("sync stage1/data/")


def test_without_its_sync_a_commit_would_list_an_empty_file(
    store: Store, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recommender.store.store.sync_listed", lambda *_: None)
    attempt = store.begin("stage1", "monday")
    path = f"{attempt.id}/scores/part-0.parquet"
    write_as_spark_does(tmp_path, f"stage1/data/{path}")
    commit = store.commit(attempt, {"files": {path: {"bytes": 4}}})
    disk.cut()
    with pytest.raises(ArtifactError, match="ARTIFACT_CORRUPT"):
        store.check(commit)


def test_a_shard_and_a_delivered_version_survive_a_power_cut(store: Store, disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "csv").mkdir()
    attempt = store.begin("stage3", "monday")
    path = f"{attempt.id}/recommendations/shard-00000/part-0.parquet"
    write_as_spark_does(tmp_path, f"stage3/data/{path}")
    Shards(store, "stage3", "ab" * 32).finish(0, 2, attempt.id, {"files": {path: {"bytes": 4}}})
    target = FolderTarget({"path": str(tmp_path / "csv"), "format": "csv", "keep_versions": 2})
    version = Version("stage4", 1, "5ee8" * 8, "monday")
    folder = target.folder(version)
    write_as_spark_does(tmp_path / "csv", f"{folder}/part-0.csv")
    target.finish(version, folder)
    disk.cut()
    assert Shards(store, "stage3", "ab" * 32).finished(0, 2) is not None
    assert target.has(version)


def test_a_file_that_is_gone_before_its_commit_is_damage(store: Store) -> None:
    attempt = store.begin("stage1", "monday")
    with pytest.raises(ArtifactError, match=r"ARTIFACT_CORRUPT missing .*part-0: it was written, and is gone"):
        store.commit(attempt, {"files": {f"{attempt.id}/part-0": {"bytes": 4}}})
