"""A channel names one version, can go back, and is moved by one at a time."""

from pathlib import Path

import pytest
from support.literal_store import file_of, open_store, result

from recommender.errors import ArtifactError, ConfigError, ConflictError
from recommender.publishing.publication import publish
from recommender.store import Channels, Commit, Store
from recommender.store.log import Log


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


@pytest.fixture
def versions(store: Store) -> list[Commit]:
    commits = [result(store, "stage4", run, run) for run in ("first", "second", "third")]
    for commit in commits:
        Channels(store).publish("live", commit)
    return commits


def live(store: Store) -> str:
    current = Channels(store).current("live")
    assert current is not None
    return current.run_id


def test_the_newest_record_counts(store: Store, versions: list[Commit]) -> None:
    assert live(store) == "third"
    assert Channels(store).names() == ["live"]
    assert [p.number for p in Channels(store).history("live")] == [3, 2, 1]


def test_a_channel_without_records_names_nothing(store: Store) -> None:
    assert Channels(store).current("live") is None


def test_a_rollback_goes_to_the_version_before(store: Store, versions: list[Commit]) -> None:
    assert Channels(store).rollback("live").record["action"] == "rollback"
    assert live(store) == "second"


def test_a_second_rollback_goes_back_further(store: Store, versions: list[Commit]) -> None:
    Channels(store).rollback("live")
    Channels(store).rollback("live")
    assert live(store) == "first"
    with pytest.raises(ConfigError, match="VERSION_UNKNOWN channel live has not had an earlier version"):
        Channels(store).rollback("live")
    Channels(store).rollback("live", "third")
    Channels(store).rollback("live")
    assert live(store) == "first"  # before it was told to go to the third, it named the first


def test_what_was_rolled_back_from_is_not_before_what_came_next(store: Store, versions: list[Commit]) -> None:
    Channels(store).rollback("live")
    Channels(store).publish("live", result(store, "stage4", "fourth"))
    Channels(store).rollback("live")
    assert live(store) == "second"


def test_a_version_that_came_again_has_two_before_it(store: Store, versions: list[Commit]) -> None:
    Channels(store).publish("live", versions[0])
    Channels(store).rollback("live")
    assert live(store) == "third"


@pytest.mark.parametrize("to", ["1", "first"])
def test_a_rollback_goes_where_it_is_told(store: Store, versions: list[Commit], to: str) -> None:
    Channels(store).rollback("live", to)
    assert live(store) == "first"


def test_an_unknown_channel_is_told(store: Store, versions: list[Commit]) -> None:
    with pytest.raises(ConfigError, match="CHANNEL_UNKNOWN no channel test; there are live"):
        Channels(store).rollback("test")


def test_an_unknown_version_is_told(store: Store, versions: list[Commit]) -> None:
    with pytest.raises(
        ConfigError, match=r"VERSION_UNKNOWN channel live has not had a version 7; it had 3 \(run third\)"
    ):
        Channels(store).rollback("live", "7")


def test_there_is_no_way_back_from_the_first_version(store: Store) -> None:
    Channels(store).publish("live", result(store, "stage4", "only"))
    with pytest.raises(ConfigError, match="VERSION_UNKNOWN channel live has not had an earlier version"):
        Channels(store).rollback("live")


def test_a_version_that_has_expired_is_told(store: Store, versions: list[Commit]) -> None:
    store.expire(versions[0])
    with pytest.raises(ConfigError, match="VERSION_EXPIRED channel live cannot go back: the files of run first"):
        Channels(store).rollback("live", "first")


def test_a_damaged_version_is_not_gone_back_to(store: Store, versions: list[Commit], tmp_path: Path) -> None:
    file_of(tmp_path, versions[1]).unlink()
    with pytest.raises(ArtifactError, match="ARTIFACT_CORRUPT missing part-0"):
        Channels(store).rollback("live")
    assert live(store) == "third"


def test_of_two_who_move_a_channel_one_is_told(
    store: Store, versions: list[Commit], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Log, "newest_number", lambda _: 2)
    with pytest.raises(ConflictError, match="COMMIT_CONFLICT expected 2 found 2: channel live was moved meanwhile"):
        Channels(store).publish("live", versions[0])


def test_a_second_run_does_not_undo_a_rollback(store: Store, versions: list[Commit]) -> None:
    Channels(store).rollback("live")
    assert publish(store, "live", versions[2]) is None
    assert live(store) == "second"


def test_a_late_run_does_not_take_the_place_of_a_later_one(store: Store) -> None:
    monday, tuesday = (result(store, "stage4", run, run) for run in ("monday", "tuesday"))
    publish(store, "live", tuesday)
    assert publish(store, "live", monday) is None
    Channels(store).publish("live", monday, "rollback")
    assert publish(store, "live", tuesday) is None
    assert live(store) == "monday"


def test_a_publication_that_comes_while_another_looks_is_noticed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monday, tuesday = (result(store, "stage4", run, run) for run in ("monday", "tuesday"))
    look = Channels.newest_published

    def slow(channels: Channels, channel: str) -> int:
        found = look(channels, channel)
        monkeypatch.undo()
        publish(store, "live", tuesday)
        return found

    monkeypatch.setattr(Channels, "newest_published", slow)
    with pytest.raises(ConflictError, match="COMMIT_CONFLICT expected 0 found 1"):
        publish(store, "live", monday)
    assert live(store) == "tuesday"


def test_what_was_made_the_newest_again_and_rolled_back_from_stays_rolled_back(
    store: Store, versions: list[Commit]
) -> None:
    again = Commit("stage4", 4, {**versions[0].record, "reused": 1})
    assert publish(store, "live", again) is not None
    Channels(store).rollback("live")
    assert publish(store, "live", again) is None
    assert live(store) == "third"


def test_what_was_promoted_is_not_published_again(store: Store, versions: list[Commit]) -> None:
    fourth, fifth = (result(store, "stage4", run, run) for run in ("fourth", "fifth"))
    Channels(store).publish("live", fifth, "promote")
    assert publish(store, "live", fourth) is None


def test_a_run_that_was_not_published_is(store: Store, versions: list[Commit]) -> None:
    publish(store, "live", result(store, "stage4", "fourth"))
    assert live(store) == "fourth"


def test_a_record_has_the_user_and_the_host(
    store: Store, versions: list[Commit], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    monkeypatch.setattr("socket.gethostname", lambda: "night-1")
    assert Channels(store).rollback("live").record["by"] == {"user": "ada", "host": "night-1"}


def test_a_user_without_a_name_is_a_number(
    store: Store, versions: list[Commit], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 1001")

    monkeypatch.setattr("getpass.getuser", nameless)
    monkeypatch.setattr("os.getuid", lambda: 1001)
    assert Channels(store).rollback("live").record["by"]["user"] == "1001"
