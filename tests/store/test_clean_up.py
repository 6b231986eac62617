"""The clean-up removes what nobody needs, records before data, and nothing else."""

import os
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest
from support.literal_store import file_of, open_store, record_of, result

from recommender.errors import ArtifactError
from recommender.store import Attempt, Channels, Shards, Store, clean_up, removals

DAY = 86_400.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def later(days: float) -> float:
    return time.time() + days * DAY


def planned(store: Store, days: float, keep: int = 1) -> list[str]:
    """Return what would go in some days, if things go after 7."""
    return [removal.path for removal in removals(store, 7 * DAY, keep, clock=lambda: later(days))]


def clean(store: Store, days: float, keep: int = 1) -> None:
    clean_up(store, 7 * DAY, keep, clock=lambda: later(days))


def test_the_newest_commits_stay_for_ever(store: Store) -> None:
    commits = [result(store, "stage1", f"run-{n}") for n in range(4)]
    clean(store, days=100, keep=2)
    assert list(store.commits("stage1")) == [commits[3], commits[2]]


def test_what_was_the_newest_not_long_ago_stays(store: Store) -> None:
    result(store, "stage1", "old")
    result(store, "stage1", "new")
    assert planned(store, days=6.9) == []
    assert len(planned(store, days=7.1)) == 2


def test_what_was_the_newest_until_an_hour_ago_stays_however_old_it_is(store: Store) -> None:
    def at(hours: float) -> str:
        return datetime.fromtimestamp(time.time() - hours * 3600, timezone.utc).isoformat()

    result(store, "stage1", "oldest", committed_at=at(900))
    result(store, "stage1", "old", committed_at=at(500))
    result(store, "stage1", "new", committed_at=at(1))
    assert [path for path in planned(store, days=0) if "/commits/" in path] == [f"stage1/commits/{1:020d}.json"]


def test_a_folder_that_is_empty_may_be_that_of_an_attempt_that_begins(store: Store) -> None:
    Path(store.files.root, "stage1", "data", "5ee8" * 8).mkdir(parents=True)
    assert planned(store, days=6.9) == []
    assert planned(store, days=7.1) == [f"stage1/data/{'5ee8' * 8}"]


def test_a_record_goes_before_its_data(store: Store) -> None:
    old = result(store, "stage1", "old")
    result(store, "stage1", "new")
    assert planned(store, days=8) == [f"stage1/commits/{1:020d}.json", f"stage1/data/{old.attempt}"]


def test_what_a_channel_names_stays_and_the_version_before(store: Store) -> None:
    commits = [result(store, "stage4", f"run-{n}") for n in range(5)]
    for commit in commits[:3]:
        Channels(store).publish("live", commit)
    clean(store, days=100)
    assert list(store.commits("stage4")) == [commits[4], commits[2], commits[1]]
    Channels(store).rollback("live")


def test_what_a_second_rollback_would_name_stays(store: Store) -> None:
    commits = [result(store, "stage4", f"run-{n}") for n in range(4)]
    for commit in commits[:3]:
        Channels(store).publish("live", commit)
    Channels(store).rollback("live")
    clean(store, days=100)
    assert list(store.commits("stage4")) == [commits[3], commits[2], commits[1], commits[0]]
    assert Channels(store).rollback("live").run_id == "run-0"


def test_what_any_channel_names_stays(store: Store) -> None:
    commits = [result(store, "stage4", f"run-{n}") for n in range(6)]
    for channel, number in (("candidate", 0), ("candidate", 1), ("live", 2), ("candidate", 3)):
        Channels(store).publish(channel, commits[number])
    clean(store, days=100)
    assert list(store.commits("stage4")) == [commits[n] for n in (5, 3, 2, 1)]


def test_what_a_kept_commit_was_made_from_stays(store: Store) -> None:
    for n in range(3):
        result(store, "stage1", f"run-{n}")
    result(store, "stage2", "reader", upstream={"stage1": 2})
    clean(store, days=100)
    assert [commit.number for commit in store.commits("stage1")] == [3, 2]


def test_data_that_a_kept_commit_lists_stays_with_whatever_attempt_wrote_it(store: Store, tmp_path: Path) -> None:
    old = result(store, "stage3", "old")
    attempt = store.begin("stage3", "again")
    store.commit(attempt, {"files": old.record["files"], "upstream": {}})
    clean(store, days=100)
    assert [commit.number for commit in store.commits("stage3")] == [2]
    assert file_of(tmp_path, old).exists()


def test_attempts_without_a_commit_go_when_they_are_old(store: Store, tmp_path: Path) -> None:
    orphan, failed = store.begin("stage1", "killed"), store.begin("stage1", "failed")
    store.fail(failed, {"id": "TEST"})
    assert planned(store, days=6.9) == []
    assert sorted(planned(store, days=7.1)) == sorted(f"stage1/data/{a.id}" for a in (orphan, failed))
    clean(store, days=7.1)
    assert list((tmp_path / "stage1" / "data").iterdir()) == []


def test_an_attempt_that_still_writes_stays(store: Store, tmp_path: Path) -> None:
    attempt = store.begin("stage1", "long")
    folder = tmp_path / "stage1" / "data" / attempt.id
    os.utime(folder / "_ATTEMPT.json", (time.time() - 9 * DAY,) * 2)
    deep = folder / "model" / "itemFactors" / "_temporary" / "0" / "task"
    deep.mkdir(parents=True)
    (deep / "part-0").write_text("just now")
    for path in (deep, *deep.parents):
        if path.is_relative_to(folder):
            os.utime(path, (time.time() - 9 * DAY,) * 2)
    assert planned(store, days=0) == []


def test_records_that_were_never_finished_go(store: Store, tmp_path: Path) -> None:
    result(store, "stage1", "monday")
    commit = result(store, "stage4", "monday")
    Channels(store).publish("live", commit)
    folders = ["stage1/commits", f"stage4/data/{commit.attempt}/snapshot", "channels/live"]
    for folder in folders:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / ".temporary-abc").write_text("half")
    assert planned(store, days=6) == []
    assert sorted(planned(store, days=8)) == sorted(f"{folder}/.temporary-abc" for folder in folders)
    clean(store, days=8)
    assert not list(tmp_path.rglob(".temporary-*"))
    store.check(commit)


def test_shards_that_nobody_went_on_with_go(store: Store) -> None:
    attempt = store.begin("stage3", "killed")
    Shards(store, "stage3", "ab" * 32).finish(0, 2, attempt.id, {"files": {}})
    assert planned(store, days=8) == [f"stage3/shards/{'ab' * 32}/{1:020d}.json", f"stage3/data/{attempt.id}"]


def test_what_is_not_ours_is_never_touched(store: Store, tmp_path: Path) -> None:
    result(store, "stage1", "monday")
    for path in ("photos/data/holiday/one.jpg", "photos/shards/x.jpg", "stage1/data/notes/today.txt", "readme.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("mine")
    assert planned(store, days=1000) == []


def test_a_clean_up_that_was_interrupted_is_finished_by_the_next(store: Store, tmp_path: Path) -> None:
    old = result(store, "stage1", "old")
    result(store, "stage1", "new")
    record_of(tmp_path, old).unlink()
    assert planned(store, days=8) == [f"stage1/data/{old.attempt}"]


def test_data_that_became_the_newest_meanwhile_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    old = result(store, "stage1", "old")
    result(store, "stage1", "new")
    delete = store.files.delete

    def beaten(path: str) -> None:
        delete(path)
        if "/commits/" in path:  # a run has made the old result the newest, by a record of its own
            store.commit(Attempt("stage1", "again", old.attempt, "", 2), {"files": dict(old.files()), "upstream": {}})

    monkeypatch.setattr(store.files, "delete", beaten)
    assert [removal.path for removal in clean_up(store, 7 * DAY, 1, clock=lambda: later(8))] == [
        f"stage1/commits/{1:020d}.json"
    ]
    newest = store.latest("stage1")
    assert newest is not None
    store.check(newest)


def test_nothing_goes_when_the_record_is_gone_that_a_channel_names(store: Store, tmp_path: Path) -> None:
    old, new = result(store, "stage4", "old"), result(store, "stage4", "new")
    Channels(store).publish("live", old)
    record_of(tmp_path, old).unlink()
    gone = r"ARTIFACT_CORRUPT missing record 1 of stage4, which channel live names \(run old\); nothing is deleted"
    with pytest.raises(ArtifactError, match=gone):
        clean(store, days=100)
    Channels(store).publish("live", new)
    clean(store, days=100)  # it may be gone back to when the record has been restored
    assert file_of(tmp_path, old).exists()
