"""Versions are followed: a good one takes effect at its moment, a bad one leaves the one before."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.literal_snapshot import Shop
from support.published import commit, publish, snapshot_of, store_at

from recommender.errors import ArtifactError, RecommenderError
from recommender.serving import answers, follower as following
from recommender.serving.follower import Follower, open_version
from recommender.serving.problems import RequestError
from recommender.serving.sources import Folder, Found, channel_of
from recommender.serving.versions import Versions
from recommender.store import Attempt, Channels, Hidden


class Worker:
    """The follower of a channel, and the versions that it holds; versions take effect at once."""

    def __init__(self, root: Path, retry: float = 0.0, effective_after: float = 0.0) -> None:
        self.tried = list[int]()
        self.clock = 0.0
        self.versions = Versions(lambda: following.time.time() + self.clock)
        source = channel_of(str(root), "live")
        self.follower = Follower(source, self.versions, effective_after, retry, self._open)

    def _open(self, found: Found) -> Any:
        self.tried.append(found.number)
        return open_version(found)

    def look(self) -> int:
        """Look at the channel; return the number of the version that is served."""
        self.follower.look()
        return self.serves

    @property
    def serves(self) -> int:
        current, _ = self.versions.both()
        return current.number if current else 0

    @property
    def error(self) -> str | None:
        """Return what the status says of the last version."""
        assert self.versions.last_reload is not None
        error: str | None = self.versions.last_reload["error"]
        return error


@pytest.fixture
def root(tmp_path: Path) -> Path:
    publish(tmp_path, "monday")
    return tmp_path


def test_versions_are_followed_and_the_one_before_is_kept(root: Path) -> None:
    worker = Worker(root)
    assert worker.look() == 1
    publish(root, "tuesday", seed=2)
    assert worker.look() == 2
    publish(root, "wednesday", seed=3)
    assert worker.look() == 3
    assert (worker.versions.previous().number, worker.tried) == (2, [1, 2, 3])
    assert (worker.versions.failures, worker.error) == (0, None)


def test_a_channel_is_followed_from_factors_to_neighbours_and_back(root: Path) -> None:
    worker, sources = Worker(root), []
    item = str(Shop().itemids[int(np.flatnonzero(Shop(neighbours=True).known)[0])])
    request = answers.Request(3, None, [(item, "view")])
    for number, run in enumerate(("tuesday", "wednesday", "thursday"), 2):
        publish(root, run, neighbours=run == "wednesday")
        assert worker.look() == number
        sources.append(answers.computed(worker.versions.current(), request)["source"])
    assert sources == ["fold_in", "item_to_item", "fold_in"]
    assert answers.computed(worker.versions.previous(), request)["source"] == "item_to_item"
    assert worker.versions.failures == 0


def test_a_version_takes_effect_at_the_same_moment_in_all_workers(root: Path) -> None:
    workers = [Worker(root, effective_after=10.0) for _ in range(3)]
    assert [worker.look() for worker in workers] == [1, 1, 1]  # the first one at once
    publish(root, "tuesday", seed=2)
    assert [worker.look() for worker in workers[:2]] == [1, 1]
    for worker in workers:
        worker.clock = 9.0
    assert [worker.serves for worker in workers] == [1, 1, 1]
    for worker in workers:
        worker.clock = 10.0
    assert [worker.serves for worker in workers] == [2, 2, 1]  # the last one has not loaded it
    assert workers[2].look() == 2


def test_a_client_is_answered_from_the_version_that_it_has_seen_or_a_newer_one(root: Path) -> None:
    worker = Worker(root, effective_after=10.0)
    worker.look()
    publish(root, "tuesday", seed=2)
    with pytest.raises(RequestError, match="VERSION_BEHIND this worker has version 1 and not yet 2"):
        worker.versions.current(2)
    worker.look()
    assert worker.versions.current().number == worker.versions.current(1).number == 1
    assert worker.versions.current(2).number == 2  # loaded, and in effect for this client
    assert worker.serves == 1


def test_a_publisher_whose_clock_is_ahead_does_not_delay_its_version(root: Path, monkeypatch: Any) -> None:
    worker = Worker(root, effective_after=10.0)
    worker.look()
    monkeypatch.setattr("recommender.store.channels.now", lambda: "2099-01-01T00:00:00.000+00:00")
    publish(root, "tuesday", seed=2)
    worker.look()
    worker.clock = 11.0
    assert worker.serves == 2


def test_nothing_is_done_while_nothing_is_published(root: Path) -> None:
    worker = Worker(root)
    worker.look()
    worker.look()
    assert worker.tried == [1]
    empty = Worker(root / "elsewhere")
    assert (empty.look(), empty.tried, empty.follower.error) == (0, [], None)


def test_a_rollback_is_followed(root: Path) -> None:
    worker = Worker(root)
    worker.look()
    publish(root, "tuesday", seed=2)
    worker.look()
    Channels(store_at(root)).rollback("live")
    assert worker.look() == 3
    assert worker.versions.current().shown["run"] == "monday"


def test_a_record_that_is_older_than_the_one_that_is_served_is_not_followed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(root)
    source = worker.follower._source
    old = next(source.newest_first())
    publish(root, "tuesday", seed=2)
    assert worker.look() == 2
    with monkeypatch.context() as patched:
        patched.setattr(type(source), "newest_first", lambda _: iter([old]))  # a network share that is behind
        for _ in range(3):
            worker.look()
    assert (worker.serves, worker.tried, worker.versions.failures) == (2, [2], 1)
    assert str(worker.follower.error).startswith("CHANNEL_BEHIND the channel shows record 1 after record 2; it is")
    worker.look()
    assert worker.follower.error is None


def test_a_channel_that_was_made_anew_is_followed_after_a_while(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(root, "tuesday", seed=2)
    worker = Worker(root)
    worker.look()
    shutil.rmtree(root / "channels")
    publish(root, "wednesday", seed=3)
    worker.look()
    assert (worker.serves, worker.tried) == (2, [2])
    now = following.time.monotonic()
    monkeypatch.setattr(following.time, "monotonic", lambda: now + 601)
    assert worker.look() == 1
    assert (worker.tried, worker.follower.error) == ([2, 1], None)


@pytest.mark.parametrize("name", ["factors.arrow", "visitors/part-00001.arrow", "manifest.json", "items.arrow"])
@pytest.mark.parametrize("how", ["flip", "cut", "delete"])
def test_a_damaged_version_leaves_the_old_one_serving(root: Path, name: str, how: str) -> None:
    worker = Worker(root)
    worker.look()
    path = snapshot_of(root, publish(root, "tuesday", seed=2)) / name
    content = path.read_bytes()
    changed = {"flip": content[:300] + bytes([content[300] ^ 1]) + content[301:], "cut": content[:-9]}
    path.write_bytes(changed[how]) if how in changed else path.unlink()
    assert worker.look() == 1
    assert worker.versions.failures == 1
    assert str(worker.error).split(" ")[0] in {"ARTIFACT_CORRUPT", "SNAPSHOT_MISSING"}
    publish(root, "wednesday", seed=3)
    assert worker.look() == 3
    assert (worker.versions.failures, worker.error) == (1, None)


def test_hidden_items_are_followed_and_stay_hidden_in_the_next_version(root: Path) -> None:
    worker, hidden = Worker(root), Hidden(store_at(root))
    worker.look()
    itemid = worker.versions.current().snapshot.items.ids.text(3)
    hidden.hide([itemid], "recalled")
    worker.look()
    assert worker.versions.current().hidden.tolist() == [3]
    publish(root, "tuesday")
    worker.look()
    assert worker.versions.current().number == 2
    assert worker.versions.current().hidden.tolist() == worker.versions.previous().hidden.tolist() == [3]
    hidden.unhide([itemid])
    worker.look()
    assert worker.versions.current().hidden.tolist() == worker.versions.previous().hidden.tolist() == []


def test_a_file_of_hidden_items_is_followed_too(root: Path, tmp_path: Path) -> None:
    file, versions = tmp_path / "sold-out", Versions()
    follower = Follower(channel_of(str(root), "live"), versions, retry=0.0, hidden_file=str(file))
    follower.look()
    assert str(follower.error).startswith(f"HIDDEN_FILE {file} cannot be read: No such file")
    assert versions.newest is None  # nobody knows what is hidden
    file.write_text("")
    follower.look()
    itemids = [versions.current().snapshot.items.ids.text(row) for row in (2, 5)]
    file.write_text(f"{itemids[0]}\n\nnone\n")
    Hidden(store_at(root)).hide([itemids[1]], "recalled")
    follower.look()
    assert versions.current().hidden.tolist() == [2, 5]
    file.unlink()
    follower.look()
    assert versions.current().hidden.tolist() == [2, 5]


def test_a_new_worker_takes_the_version_before_one_that_is_damaged(root: Path) -> None:
    path = snapshot_of(root, publish(root, "tuesday", seed=2)) / "items.arrow"
    content = path.read_bytes()
    path.write_bytes(b"")
    worker = Worker(root)
    assert worker.look() == 1
    assert (worker.tried, str(worker.error).split(" ")[0]) == ([2, 1], "ARTIFACT_CORRUPT")
    path.write_bytes(content)
    assert (worker.look(), worker.error, worker.follower.error) == (2, None, None)


def test_a_damaged_record_leaves_the_old_version_serving(root: Path) -> None:
    worker = Worker(root)
    worker.look()
    publish(root, "tuesday", seed=2)
    record = root / "channels" / "live" / f"{2:020}.json"
    record.write_bytes(record.read_bytes()[:-20])
    for _ in range(3):
        worker.look()
    assert (worker.serves, worker.versions.failures) == (1, 1)
    assert "00002.json is damaged" in str(worker.error)
    assert Worker(root).look() == 0  # a damaged record is never answered by an older one


def test_a_channel_that_can_be_read_again_is_no_failure_any_more(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(root)
    worker.look()

    def lost(*_: object) -> Any:
        raise OSError("the disk does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(type(worker.follower._source), "newest_first", lost)
        worker.look()
    assert "the disk does not answer" in str(worker.error)
    worker.look()
    assert (worker.serves, worker.versions.failures, worker.error) == (1, 1, None)
    assert worker.follower.error is None


def test_a_version_that_failed_is_tried_again_less_and_less_often(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(following.time, "monotonic", lambda: clock[0])
    worker = Worker(root, retry=5.0)
    part = snapshot_of(root, next(Channels(store_at(root)).history("live"))) / "items.arrow"
    content = part.read_bytes()
    part.write_bytes(content[:-1])
    tries = []
    for second in range(100):
        clock[0] = 100.0 + second
        before = worker.versions.failures
        worker.look()
        if worker.versions.failures > before:
            tries.append(second)
    assert tries == [0, 5, 15, 35, 75]
    part.write_bytes(content)
    clock[0] = 1000.0
    assert worker.look() == 1


def test_a_run_without_a_snapshot_is_told(root: Path) -> None:
    store = store_at(root)
    attempt = store.begin("stage4", "tuesday")
    Channels(store).publish("live", store.commit(attempt, {"files": {}}))
    with pytest.raises(ArtifactError, match="SNAPSHOT_MISSING run tuesday was published to channel live without"):
        next(channel_of(str(root), "live").newest_first())


def test_a_run_whose_record_has_expired_is_told(root: Path) -> None:
    store = store_at(root)
    made = commit(root, "tuesday", seed=2)
    Channels(store).publish("live", made)
    store.expire(made)
    with pytest.raises(ArtifactError, match="VERSION_EXPIRED channel live names run tuesday, whose record has expired"):
        next(channel_of(str(root), "live").newest_first())


def test_what_a_later_run_has_found_again_is_served(root: Path) -> None:
    store = store_at(root)
    old = commit(root, "tuesday", seed=2)
    parent = store.begin("stage4", "friday").parent
    again = store.commit(Attempt("stage4", "friday", old.attempt, "", parent), {"files": old.files(), "reused": 1})
    Channels(store).publish("live", again)
    worker = Worker(root)
    assert (again.run_id, worker.look(), worker.follower.error) == ("friday", 2, None)


def test_the_snapshot_of_another_run_is_not_served(root: Path) -> None:
    store = store_at(root)
    attempt = store.begin("stage4", "tuesday")
    folder = root / "stage4" / "data" / attempt.id / "snapshot"
    Shop(run="friday").write(folder)
    manifest = f"{attempt.id}/snapshot/manifest.json"
    facts = {"bytes": 1, "sha256": store.files.sha256(f"stage4/data/{manifest}")}
    Channels(store).publish("live", store.commit(attempt, {"files": {manifest: facts}}))
    worker = Worker(root)
    worker.look()
    assert "is of run friday, not of run tuesday" in str(worker.error)


def test_a_folder_is_served_as_it_is(tmp_path: Path) -> None:
    Shop().write(tmp_path)
    versions = Versions()
    Follower(Folder(tmp_path), versions).look()
    assert versions.current().number == 0


@pytest.mark.parametrize("root", ["hdfs://namenode/shop", "s3a://bucket/shop"])
def test_a_root_that_python_does_not_reach_is_told(root: str) -> None:
    match = (
        f"STORAGE_SCHEME root {root}: snapshots are mapped into memory, and need a path that is mounted here; mount it"
    )
    with pytest.raises(RecommenderError, match=match):
        channel_of(root, "live")
