"""A version is delivered everywhere, and then named: whatever fails before, the channel stays."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "store"))

from literal_store import open_store, result

from recommender.delivery.target import Version
from recommender.errors import ConflictError, InputError, TransientError
from recommender.publication import move, publish
from recommender.store import Channels, Commit, Store


class Place:
    """A place in memory; it fails where a test wants it to."""

    def __init__(self, name: str, log: list[str], fails_at: str = "") -> None:
        self.name = name
        self.settings = {"place": name}
        self.target = self
        self.there: set[str] = set()
        self.named: list[str] = []
        self.fails_at = fails_at
        self._log = log

    def position(self, channel: str) -> int:  # noqa: ARG002
        return len(self.named)

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
        assert expected == len(self.named) or self.named[-1] == version.run
        if not self.named or self.named[-1] != version.run:
            self.named.append(version.run)
        return len(self.named)

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


def named(store: Store) -> str | None:
    current = Channels(store).current("live")
    return current.run_id if current else None


def test_all_places_have_it_before_any_shows_it_and_all_show_it_before_the_channel_names_it(
    store: Store, commit: Commit, places: list[Place], log: list[str]
) -> None:
    publication = publish(store, "live", commit, places)
    loads, holds = ["load one", "load other"], ["hold one", "hold other"]
    ends = ["let go other", "let go one", "clean up one", "clean up other", "close one", "close other"]
    assert log == [*loads, *holds, "show one", "show other", *ends]
    assert publication is not None
    assert publication.record["delivered"] == {"one": {"place": "one"}, "other": {"place": "other"}}


def test_a_channel_is_told_without_places_too(store: Store, commit: Commit) -> None:
    publication = publish(store, "live", commit)
    assert publication is not None
    assert "delivered" not in publication.record


@pytest.mark.parametrize("step", ["load", "show"])
def test_a_place_that_fails_keeps_the_channel_and_the_next_run_goes_on(
    store: Store, commit: Commit, places: list[Place], log: list[str], step: str
) -> None:
    places[1].fails_at = step
    with pytest.raises(TransientError):
        publish(store, "live", commit, places)
    assert named(store) is None
    places[1].fails_at = ""
    log.clear()
    publish(store, "live", commit, places)
    assert "load one" not in log  # it has it
    assert named(store) == "monday"
    assert [place.named for place in places] == [["monday"], ["monday"]]


def test_a_clean_up_that_fails_is_left_to_the_next(store: Store, commit: Commit, places: list[Place]) -> None:
    places[0].fails_at = "clean up"
    publish(store, "live", commit, places)
    assert named(store) == "monday"


def test_what_was_named_before_is_not_delivered_again(
    store: Store, commit: Commit, places: list[Place], log: list[str]
) -> None:
    publish(store, "live", commit, places)
    log.clear()
    assert publish(store, "live", commit, places) is None
    assert log == []


def test_53_who_finds_the_channel_moved_moves_nothing(store: Store, commit: Commit, places: list[Place]) -> None:
    other = result(store, "stage4", "tuesday")
    load = places[1].load

    def meanwhile(version: Version, channel: str) -> None:
        load(version, channel)
        publish(store, "live", other)

    places[1].load = meanwhile  # type: ignore[method-assign]
    with pytest.raises(ConflictError, match="COMMIT_CONFLICT expected 0 found 1: channel live was moved meanwhile"):
        publish(store, "live", commit, places)
    assert named(store) == "tuesday"
    assert [place.named for place in places] == [[], []]


def test_a_version_that_is_not_everywhere_is_moved_nowhere(store: Store, commit: Commit, places: list[Place]) -> None:
    places[0].there.add(commit.attempt)
    positions = dict.fromkeys(("one", "other"), 0)
    targets: dict[str, Any] = {place.name: place for place in places}
    with pytest.raises(InputError, match="VERSION_NOT_DELIVERED run monday is not in other any more, and nothing was"):
        move(store, "live", commit, targets, positions=positions, expected=0, action="rollback")
    assert places[0].named == []


def test_a_result_that_was_made_the_newest_again_is_named_once(store: Store, commit: Commit) -> None:
    publish(store, "live", commit)
    publish(store, "live", result(store, "stage4", "tuesday"))
    again = Commit("stage4", 3, {**commit.record, "reused": 1})
    assert publish(store, "live", again) is not None
    assert publish(store, "live", again) is None
