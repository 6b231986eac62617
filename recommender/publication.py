"""Publish a version: deliver it wherever it is wanted, then name it in a channel, by one record.

    load where it is missing, seen by nobody -> hold the places -> show it in each -> the channel's record -> clean up

Whatever fails or dies before the record, the channel stays what it was, and a second run goes on where it was.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from types import MappingProxyType
from typing import Any, Protocol

from recommender.delivery.target import Target, Version, not_delivered
from recommender.errors import RecommenderError
from recommender.store import Channels, Commit, Publication, Store


class Delivery(Protocol):
    """A place, and how a version gets there."""

    @property
    def name(self) -> str:
        """Name of the step that delivers there."""

    @property
    def target(self) -> Target:
        """The place."""

    def load(self, version: Version, channel: str) -> None:
        """Load a version there, where nobody sees it."""


def publish(
    store: Store,
    channel: str,
    commit: Commit,
    places: Sequence[Delivery] = (),
    announce: Callable[[str], object] = str,
) -> Publication | None:
    """Let a channel name a commit, and deliver it before, if it is newer than all that were published to it.

    So neither a second run nor a late one undoes a rollback, or takes the place of what a later run has published.

    Args:
        store: the store.
        channel: its name.
        commit: what is published.
        places: where it is delivered to.
        announce: is told where it is being delivered to.

    Returns:
        The channel's new record, None where nothing was to be done.

    Raises:
        RecommenderError: a place does not take it, or another publisher was first; the channel stays.
    """
    channels = Channels(store)
    current = channels.current(channel)
    seen = current.number if current else 0  # who moves it from now on is noticed
    is_current = current is not None and current.record["attempt"] == commit.attempt
    if is_current or commit.number <= channels.newest_published(channel):
        return None
    try:
        targets, positions = _loaded(channel, Version.of(commit), places, announce)
        return move(store, channel, commit, targets, positions=positions, expected=seen)
    finally:
        for place in places:
            place.target.close()


def _loaded(
    channel: str, version: Version, places: Sequence[Delivery], announce: Callable[[str], object]
) -> tuple[dict[str, Target], dict[str, int]]:
    """Load a version where it is missing; return the places, and where the channel stood there before."""
    positions = {place.name: place.target.position(channel) for place in places}
    for place in places:
        if not place.target.has(version):
            announce(f"delivering to {place.name}")
            place.load(version, channel)
    return {place.name: place.target for place in places}, positions


def move(
    store: Store,
    channel: str,
    commit: Commit,
    targets: Mapping[str, Target],
    *,
    positions: Mapping[str, int],
    expected: int,
    action: str = "publish",
    more: Mapping[str, Any] = MappingProxyType({}),
) -> Publication:
    """Let a channel name a commit, in all places that have it and, last, in the store.

    Args:
        store: the store.
        channel: its name.
        commit: what is named.
        targets: the places, by name.
        positions: number of the channel's last move in each of them, as it was when this publisher began.
        expected: number of the channel's newest record then.
        action: publish, promote or rollback.
        more: what the record says besides.

    Raises:
        InputError: a place does not have the version any more; nothing was moved. ConflictError: another publisher was
            first.
    """
    channels, version = Channels(store), Version.of(commit)
    _check_there(targets, version)
    with ExitStack() as held:
        for target in targets.values():
            held.enter_context(target.held())
        channels.check(channel, expected)
        for name, target in targets.items():
            target.show(version, channel, positions[name])
        delivered = {name: dict(target.settings) for name, target in targets.items()}
        record = {**more, **({"delivered": delivered} if delivered else {})}
        publication = channels.publish(channel, commit, action, expected=expected, more=record)
    for target in targets.values() if action != "rollback" else ():  # who goes back may want to go back further
        with suppress(RecommenderError):  # the next publication cleans up
            target.clean_up()
    return publication


def _check_there(targets: Mapping[str, Target], version: Version) -> None:
    missing = ", ".join(name for name, target in targets.items() if not target.has(version))
    if missing:
        raise not_delivered(f"run {version.run} is not in {missing} any more, and nothing was moved")
