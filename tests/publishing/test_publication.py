"""A version is delivered everywhere, and then named: whatever fails before, the channel stays."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.literal_store import open_store, result

from recommender.errors import ConflictError, InputError, TransientError
from recommender.publishing.publication import Delivery, move, publish
from recommender.publishing.target import Version
from recommender.store import Channels, Commit, Publication, Store


class Place:
    """A place in memory; it fails where a test wants it to."""

    def __init__(self, name: str, log: list[str], fails_at: str = "") -> None:
        self.name = name
        self.settings = {"place": name}
        self.there: set[str] = set()
        self.moves: list[Version] = []
        self.fails_at = fails_at
        self._log = log

    def position(self, channel: str) -> int:  # noqa: ARG002
        return len(self.moves)

    def named(self, channel: str) -> str:  # noqa: ARG002
        return self.moves[-1].attempt if self.moves else ""

    def has(self, version: Version) -> bool:
        return version.attempt in self.there

    def load(self, version: Version, channel: str) -> None:  # noqa: ARG002
        self._do("load")
        self.there.add(version.attempt)

    @contextmanager
    def held(self) -> Iterator[None]:
        self._log.append(f"hold {self.name}")
        yield
        self._log.append(f"let go {self.name}")

    def show(self, version: Version, channel: str, expected: int) -> int:  # noqa: ARG002
        self._do("show")
        if expected != len(self.moves):
            raise ConflictError("COMMIT_CONFLICT", "somebody was first")
        if not self.moves or self.moves[-1].attempt != version.attempt:
            self.moves.append(version)
        return len(self.moves)

    @property
    def shown(self) -> list[str]:
        return [version.run for version in self.moves]

    def clean_up(self) -> None:
        self._do("clean up")

    def close(self) -> None:
        self._log.append(f"close {self.name}")

    def _do(self, what: str) -> None:
        self._log.append(f"{what} {self.name}")
        if self.fails_at == what:
            raise TransientError("TARGET_DOWN", "as the test wants it")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


@pytest.fixture
def commit(store: Store) -> Commit:
    return result(store, "stage4", "monday")


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def places(log: list[str]) -> list[Place]:
    return [Place("one", log), Place("other", log)]


def delivered(store: Store, channel: str, commit: Commit, places: Sequence[Place] = ()) -> Publication | None:
    return publish(store, channel, commit, [Delivery(place.name, place, place.load) for place in places])


def named(store: Store) -> str | None:
    current = Channels(store).current("live")
    return current.run_id if current else None


def test_all_places_have_it_before_any_shows_it_and_all_show_it_before_the_channel_names_it(
    store: Store, commit: Commit, places: list[Place], log: list[str]
) -> None:
    publication = delivered(store, "live", commit, places)
    loads, holds = ["load one", "load other"], ["hold one", "hold other"]
    ends = ["let go other", "let go one", "clean up one", "clean up other", "close one", "close other"]
    assert log == [*loads, *holds, "show one", "show other", *ends]
    assert publication is not None
    assert publication.record["delivered"] == {"one": {"place": "one"}, "other": {"place": "other"}}


def test_a_channel_is_told_without_places_too(store: Store, commit: Commit) -> None:
    publication = delivered(store, "live", commit)
    assert publication is not None
    assert "delivered" not in publication.record


@pytest.mark.parametrize("step", ["load", "show"])
def test_a_place_that_fails_keeps_the_channel_and_the_next_run_goes_on(
    store: Store, commit: Commit, places: list[Place], log: list[str], step: str
) -> None:
    places[1].fails_at = step
    with pytest.raises(TransientError):
        delivered(store, "live", commit, places)
    assert named(store) is None
    places[1].fails_at = ""
    log.clear()
    delivered(store, "live", commit, places)
    assert "load one" not in log  # it has it
    assert named(store) == "monday"
    assert [place.shown for place in places] == [["monday"], ["monday"]]


def test_a_clean_up_that_fails_is_left_to_the_next(store: Store, commit: Commit, places: list[Place]) -> None:
    places[0].fails_at = "clean up"
    delivered(store, "live", commit, places)
    assert named(store) == "monday"


def test_what_was_named_before_is_not_delivered_again(
    store: Store, commit: Commit, places: list[Place], log: list[str]
) -> None:
    delivered(store, "live", commit, places)
    log.clear()
    assert delivered(store, "live", commit, places) is None
    assert log == ["close one", "close other"]


def test_publishing_again_mends_a_place_that_names_another_version(
    store: Store, commit: Commit, places: list[Place], log: list[str]
) -> None:
    delivered(store, "live", commit, places)
    places[1].moves.append(Version("stage4", 9, "9" * 32, "somebody's"))
    assert delivered(store, "live", commit, places) is None
    assert [place.shown[-1] for place in places] == ["monday", "monday"]
    places[1].there.clear()  # the place has lost it
    log.clear()
    delivered(store, "live", commit, places)
    assert "load other" in log
    assert "load one" not in log


def test_a_late_run_mends_a_place_too(store: Store, commit: Commit, places: list[Place]) -> None:
    delivered(store, "live", commit, places)
    delivered(store, "live", result(store, "stage4", "tuesday"), places)
    places[0].moves.append(Version.of(commit))
    assert delivered(store, "live", commit, places) is None
    assert [place.shown[-1] for place in places] == ["tuesday", "tuesday"]


def test_a_place_that_has_shown_goes_back_if_a_later_one_fails(
    store: Store, commit: Commit, places: list[Place]
) -> None:
    delivered(store, "live", commit, places)
    places[1].fails_at = "show"
    with pytest.raises(TransientError):
        delivered(store, "live", result(store, "stage4", "tuesday"), places)
    assert named(store) == "monday"
    assert [place.shown for place in places] == [["monday", "tuesday", "monday"], ["monday"]]


def test_who_shows_last_looks_at_the_channel_once_more(store: Store, commit: Commit, places: list[Place]) -> None:
    """The interleaving that once left channel and place at two versions: there, a place without locks."""
    delivered(store, "live", commit, places)
    tuesday = result(store, "stage4", "tuesday")
    delivered(store, "live", tuesday, places)
    channels_publish, beaten = Channels.publish, []

    def meanwhile(self: Channels, channel: str, which: Commit, action: str = "publish", **more: Any) -> Any:
        if not beaten:
            beaten.append(True)
            for place in places:  # a rollback shows its version, and is too late for the channel
                place.moves.append(Version.of(commit))
        return channels_publish(self, channel, which, action, **more)

    wednesday = result(store, "stage4", "wednesday")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Channels, "publish", meanwhile)
        delivered(store, "live", wednesday, places)
    assert [place.shown[-1] for place in places] == ["wednesday", "wednesday"]


def test_a_publisher_waits_for_another_that_holds_the_channel(
    store: Store, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recommender.store.channels.PATIENCE", 0.0)
    held = r"LOCKED .*channel-live is held by another process; wait until it has ended"
    with Channels(store).held("live"), pytest.raises(ConflictError, match=held):
        delivered(store, "live", commit)
    assert delivered(store, "live", commit) is not None


def test_53_who_finds_the_channel_moved_moves_nothing(store: Store, commit: Commit, places: list[Place]) -> None:
    other = result(store, "stage4", "tuesday")
    load = places[1].load

    def meanwhile(version: Version, channel: str) -> None:
        load(version, channel)
        delivered(store, "live", other)

    places[1].load = meanwhile  # type: ignore[method-assign]
    with pytest.raises(ConflictError, match="COMMIT_CONFLICT expected 0 found 1: channel live was moved meanwhile"):
        delivered(store, "live", commit, places)
    assert named(store) == "tuesday"
    assert [place.shown for place in places] == [[], []]


def test_a_version_that_is_not_everywhere_is_moved_nowhere(store: Store, commit: Commit, places: list[Place]) -> None:
    places[0].there.add(commit.attempt)
    positions = dict.fromkeys(("one", "other"), 0)
    targets: dict[str, Any] = {place.name: place for place in places}
    with pytest.raises(InputError, match="VERSION_NOT_DELIVERED run monday is not in other any more, and nothing was"):
        move(store, "live", commit, targets, positions=positions, expected=0, action="rollback")
    assert places[0].shown == []


def test_a_result_that_was_made_the_newest_again_is_named_once(store: Store, commit: Commit) -> None:
    delivered(store, "live", commit)
    delivered(store, "live", result(store, "stage4", "tuesday"))
    again = Commit("stage4", 3, {**commit.record, "reused": 1})
    assert delivered(store, "live", again) is not None
    assert delivered(store, "live", again) is None


def test_a_rollback_cleans_up_nothing(store: Store, commit: Commit, places: list[Place], log: list[str]) -> None:
    for each in (commit, result(store, "stage4", "tuesday")):
        delivered(store, "live", each, places)
    log.clear()
    targets: dict[str, Any] = {place.name: place for place in places}
    positions = {place.name: place.position("live") for place in places}
    move(store, "live", commit, targets, positions=positions, expected=2, action="rollback")
    assert [place.shown[-1] for place in places] == ["monday", "monday"]
    assert not [each for each in log if each.startswith("clean up")]
