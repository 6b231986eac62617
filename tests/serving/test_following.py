"""Versions are followed: a good one is taken over by all at once, a bad one leaves the one before."""

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.literal_snapshot import Shop
from support.published import commit, publish, snapshot_of, store_at

from recommender.errors import ArtifactError, RecommenderError
from recommender.serving import follower as following
from recommender.serving.follower import Follower, checked
from recommender.serving.shared import Shared
from recommender.serving.sources import Folder, Found, channel_of
from recommender.store import Attempt, Channels

LOG = logging.getLogger("recommender.serving")


class Following:
    """A follower of a channel, and what it has told two workers."""

    def __init__(self, root: Path, retry: float = 0.0) -> None:
        self.shared, self.told = Shared(2, 1), list[dict[str, Any]]()
        source = channel_of(str(root), "live")
        self.follower = Follower(source, self.shared, self._tell, LOG, self._check, retry)
        self.going_on = True
        for worker in (0, 1):
            assert self.follower.joined(worker) == []

    def _check(self, found: Found) -> bool:
        return all(self.going_on for _ in checked(found))

    def _tell(self, message: Mapping[str, Any]) -> None:
        self.told.append(dict(message))

    @property
    def loads(self) -> list[int]:
        """Return the numbers of the channel's records that workers were told to load."""
        return [message["record"] for message in self.told if "load" in message]

    def look(self, *ready: int) -> None:
        """Look at the channel; then some workers are ready."""
        self.follower.look()
        candidate = self.follower.candidate
        for worker in ready:
            assert candidate is not None
            self.follower.ready(worker, candidate.number)

    @property
    def serves(self) -> int:
        """Return the number of the record that is served."""
        assert (self.follower.active.number if self.follower.active else 0) == self.shared.active
        return self.follower.active.found.number if self.follower.active else 0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    publish(tmp_path, "monday")
    return tmp_path


def test_a_version_answers_when_all_workers_have_loaded_it(root: Path) -> None:
    service = Following(root)
    service.look(0)
    assert (service.serves, service.loads) == (0, [1])
    service.follower.ready(1, 1)
    assert service.serves == 1
    publish(root, "tuesday", seed=2)
    service.look(1)
    assert (service.serves, service.loads) == (1, [1, 2])
    service.look()
    service.follower.ready(0, 2)
    assert (service.serves, service.shared.previous) == (2, 1)
    publish(root, "wednesday", seed=3)
    service.look(0, 1)
    assert (service.serves, service.shared.previous) == (3, 2)
    assert {"drop": 1} in service.told
    assert service.follower.state.last_reload is not None
    assert (service.follower.state.failures, service.follower.state.last_reload["error"]) == (0, None)


def test_a_worker_that_was_ready_for_an_earlier_candidate_is_waited_for(root: Path) -> None:
    service = Following(root)
    service.look(0, 1)
    publish(root, "tuesday", seed=2)
    service.look()
    earlier = service.follower.candidate
    assert earlier is not None
    service.follower.failed(earlier.number, ArtifactError("ARTIFACT_CORRUPT", "as the test wants it"))
    service.look()  # it is tried again, as another candidate
    assert service.follower.candidate is not None
    assert service.follower.candidate.number != earlier.number
    service.follower.ready(0, earlier.number)  # late
    service.follower.ready(1, service.follower.candidate.number)
    assert service.serves == 1
    service.follower.ready(0, service.follower.candidate.number)
    assert service.serves == 2


def test_nothing_is_done_while_nothing_is_published(root: Path) -> None:
    service = Following(root)
    service.look(0, 1)
    told = len(service.told)
    service.look()
    assert len(service.told) == told
    empty = Following(root / "elsewhere")
    empty.look()
    assert (empty.serves, empty.told, empty.follower.error) == (0, [], None)


def test_a_rollback_is_followed(root: Path) -> None:
    service = Following(root)
    service.look(0, 1)
    publish(root, "tuesday", seed=2)
    service.look(0, 1)
    Channels(store_at(root)).rollback("live")
    service.look(0, 1)
    assert service.serves == 3
    assert service.follower.active is not None
    assert service.follower.active.found.run == "monday"


def test_a_record_that_is_older_than_the_one_that_is_served_is_not_followed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Following(root)
    source = service.follower._source
    old = source.newest()
    publish(root, "tuesday", seed=2)
    service.look(0, 1)
    assert service.serves == 2
    with monkeypatch.context() as patched:
        patched.setattr(type(source), "newest", lambda _: old)  # a network share whose listing is behind
        for _ in range(3):
            service.look()
    assert (service.serves, service.loads, service.follower.state.failures) == (2, [2], 1)
    assert str(service.follower.error).startswith("CHANNEL_BEHIND the channel shows record 1 after record 2; it is")
    service.look()
    assert service.follower.error is None


def test_a_channel_that_was_made_anew_is_followed_after_a_while(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(root, "tuesday", seed=2)
    service = Following(root)
    service.look(0, 1)
    shutil.rmtree(root / "channels")
    publish(root, "wednesday", seed=3)
    service.look()
    assert (service.serves, service.loads) == (2, [2])
    now = following.time.monotonic()
    monkeypatch.setattr(following.time, "monotonic", lambda: now + 601)
    service.look(0, 1)
    assert (service.serves, service.loads, service.follower.error) == (1, [2, 1], None)


@pytest.mark.parametrize("name", ["factors.arrow", "visitors/part-00001.arrow", "manifest.json", "items.arrow"])
@pytest.mark.parametrize("how", ["flip", "cut", "delete"])
def test_a_damaged_version_leaves_the_old_one_serving(root: Path, name: str, how: str) -> None:
    service = Following(root)
    service.look(0, 1)
    path = snapshot_of(root, publish(root, "tuesday", seed=2)) / name
    content = path.read_bytes()
    changed = {"flip": content[:300] + bytes([content[300] ^ 1]) + content[301:], "cut": content[:-9]}
    path.write_bytes(changed[how]) if how in changed else path.unlink()
    service.look()
    state = service.follower.state
    assert (service.serves, service.loads, state.failures) == (1, [1], 1)
    assert state.last_reload is not None
    assert state.last_reload["error"].split(" ")[0] in {"ARTIFACT_CORRUPT", "SNAPSHOT_MISSING"}
    assert {"state": state.__dict__} in service.told
    publish(root, "wednesday", seed=3)
    service.look(0, 1)
    assert (service.serves, state.failures, state.last_reload["error"]) == (3, 1, None)


def test_a_damaged_record_leaves_the_old_version_serving(root: Path) -> None:
    service = Following(root)
    service.look(0, 1)
    publish(root, "tuesday", seed=2)
    record = root / "channels" / "live" / f"{2:020}.json"
    record.write_bytes(record.read_bytes()[:-20])
    for _ in range(3):
        service.look()
    state = service.follower.state
    assert (service.serves, state.failures) == (1, 1)
    assert state.last_reload is not None
    assert "00002.json is damaged" in state.last_reload["error"]


def test_a_channel_that_can_be_read_again_is_no_failure_any_more(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Following(root)
    service.look(0, 1)

    def lost(*_: object) -> Found:
        raise OSError("the disk does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(type(service.follower._source), "newest", lost)
        service.look()
    state = service.follower.state
    assert state.last_reload is not None
    assert "the disk does not answer" in state.last_reload["error"]
    service.look()
    assert (service.serves, state.failures, state.last_reload["error"]) == (1, 1, None)
    assert service.follower.error is None


def test_a_version_that_nobody_could_load_is_not_taken_over(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Following(root)
    service.look(0, 1)
    publish(root, "tuesday", seed=2)
    check = service.follower._check

    def checked_while_all_die(found: Found) -> bool:
        service.follower.left(0)
        service.follower.left(1)
        return check(found)

    with monkeypatch.context() as patched:
        patched.setattr(service.follower, "_check", checked_while_all_die)
        service.look()
    assert (service.serves, service.follower.candidate) == (1, None)
    assert [message["record"] for message in service.follower.joined(0)] == [1]
    service.look(0)
    assert service.serves == 2


def test_a_version_that_a_worker_cannot_load_is_dropped(root: Path) -> None:
    service = Following(root)
    service.look(0, 1)
    publish(root, "tuesday", seed=2)
    service.look(0)
    service.follower.failed(2, ArtifactError("GOLDEN_QUESTION", "wrong"))
    assert service.told[-2] == {"drop": 2}
    assert (service.serves, service.follower.state.failures) == (1, 1)
    service.follower.ready(1, 2)  # too late
    service.follower.failed(2, ArtifactError("GOLDEN_QUESTION", "wrong"))
    assert (service.serves, service.follower.state.failures) == (1, 1)


def test_a_worker_that_dies_while_it_loads_is_a_failure(root: Path) -> None:
    service = Following(root)
    service.look(0, 1)
    publish(root, "tuesday", seed=2)
    service.look(0)
    service.follower.left(1)
    assert service.serves == 1
    assert str(service.follower.error).startswith("ARTIFACT_CORRUPT a process died while it loaded")
    assert [message["record"] for message in service.follower.joined(1)] == [1]
    service.look(0, 1)
    assert service.serves == 2


def test_a_worker_that_dies_when_it_has_loaded_is_no_failure(root: Path) -> None:
    service = Following(root)
    service.look(0, 1)
    publish(root, "tuesday", seed=2)
    service.look(0)
    service.follower.left(0)
    assert [message["record"] for message in service.follower.joined(0)] == [1, 2]
    service.follower.ready(1, 2)
    assert service.serves == 1  # the new worker is not ready yet
    service.follower.ready(0, 2)
    assert service.serves == 2


def test_a_version_that_failed_is_tried_again_less_and_less_often(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(following.time, "monotonic", lambda: clock[0])
    service = Following(root, retry=5.0)
    part = snapshot_of(root, next(Channels(store_at(root)).history("live"))) / "items.arrow"
    content = part.read_bytes()
    part.write_bytes(content[:-1])
    tries = []
    for second in range(100):
        clock[0] = 100.0 + second
        before = service.follower.state.failures
        service.look()
        if service.follower.state.failures > before:
            tries.append(second)
    assert tries == [0, 5, 15, 35, 75]
    part.write_bytes(content)
    clock[0] = 1000.0
    service.look(0, 1)
    assert service.serves == 1


def test_a_version_that_is_not_loaded_in_time_is_given_up(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Following(root)
    service.look(0)
    now = following.time.monotonic()
    monkeypatch.setattr(following.time, "monotonic", lambda: now + 301)
    service.look()
    assert service.follower.candidate is None
    assert "could not be loaded in time" in str(service.follower.error)


def test_a_check_is_broken_off_when_the_service_is_told_to_end(root: Path) -> None:
    service = Following(root)
    service.going_on = False
    service.look()
    assert (service.loads, service.follower.error, service.follower.state.failures) == ([], None, 0)


def test_a_run_without_a_snapshot_is_told(root: Path) -> None:
    store = store_at(root)
    attempt = store.begin("stage4", "tuesday")
    Channels(store).publish("live", store.commit(attempt, {"files": {}}))
    with pytest.raises(ArtifactError, match="SNAPSHOT_MISSING run tuesday was published to channel live without"):
        channel_of(str(root), "live").newest()


def test_a_run_whose_record_has_expired_is_told(root: Path) -> None:
    store = store_at(root)
    made = commit(root, "tuesday", seed=2)
    Channels(store).publish("live", made)
    store.expire(made)
    with pytest.raises(ArtifactError, match="VERSION_EXPIRED channel live names run tuesday, whose record has expired"):
        channel_of(str(root), "live").newest()


def test_what_a_later_run_has_found_again_is_served(root: Path) -> None:
    store = store_at(root)
    old = commit(root, "tuesday", seed=2)
    parent = store.begin("stage4", "friday").parent
    again = store.commit(Attempt("stage4", "friday", old.attempt, "", parent), {"files": old.files(), "reused": 1})
    Channels(store).publish("live", again)
    service = Following(root)
    service.look(0, 1)
    assert (again.run_id, service.serves, service.follower.error) == ("friday", 2, None)


def test_the_snapshot_of_another_run_is_not_served(root: Path) -> None:
    store = store_at(root)
    attempt = store.begin("stage4", "tuesday")
    folder = root / "stage4" / "data" / attempt.id / "snapshot"
    Shop(run="friday").write(folder)
    manifest = f"{attempt.id}/snapshot/manifest.json"
    facts = {"bytes": 1, "sha256": store.files.sha256(f"stage4/data/{manifest}")}
    Channels(store).publish("live", store.commit(attempt, {"files": {manifest: facts}}))
    service = Following(root)
    service.look()
    assert "is of run friday, not of run tuesday" in str(service.follower.error)


def test_a_folder_is_served_as_it_is(tmp_path: Path) -> None:
    Shop().write(tmp_path)
    shared = Shared(1, 1)
    alone = Follower(Folder(tmp_path), shared, lambda _: None, LOG)
    alone.look()
    assert (shared.active, alone.candidate) == (0, None)  # nobody could say whether it is sound
    alone.joined(0)
    alone.look()
    alone.ready(0, 1)
    assert (shared.active, alone.state.channel) == (1, None)
    assert alone.active is not None
    assert alone.active.found.number == 0


@pytest.mark.parametrize("root", ["hdfs://namenode/shop", "s3a://bucket/shop"])
def test_a_root_that_python_does_not_reach_is_told(root: str) -> None:
    match = (
        f"STORAGE_SCHEME root {root}: snapshots are mapped into memory, and need a path that is mounted here; mount it"
    )
    with pytest.raises(RecommenderError, match=match):
        channel_of(root, "live")
