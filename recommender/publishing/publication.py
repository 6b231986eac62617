"""Publish a version: deliver it wherever it is wanted, then name it in a channel, by one record.

    load where it is missing, seen by nobody -> hold the channel and the places -> show it in each
    -> the channel's record -> look at each place once more -> clean up

Whatever fails or dies before the record, the channel stays what it was, and a second run goes on where it was. Where a
file system has no locks, two publishers may show their versions in turns: the channel's record decides which counts,
and each of them looks afterwards whether the places name it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from recommender.errors import ConflictError, RecommenderError
from recommender.publishing.target import Target, Version, not_delivered
from recommender.store import Channels, Commit, Publication, Store

_TRIES: Final = 5  # of settling: others may be settling the same places


@dataclass(frozen=True)
class Delivery:
    """A place, by the name of the step that delivers there, and what loads a version there, where nobody sees it."""

    name: str
    target: Target
    load: Callable[[Version, str], None]


def publish(
    store: Store, channel: str, commit: Commit, places: Sequence[Delivery] = (), announce: Callable[[str], object] = str
) -> Publication | None:
    """Let a channel name a commit, and deliver it before, if it is newer than all that were published to it.

    So neither a second run nor a late one undoes a rollback, or takes the place of what a later run has published. A
    place that names another version than the channel is mended: its publisher died, or somebody moved it by hand.

    Returns:
        The channel's new record, None if the channel was not moved.

    Raises:
        RecommenderError: a place does not take it, or another publisher was first; the channel stays.
    """
    channels = Channels(store)
    current = channels.current(channel)
    seen = current.number if current else 0  # who moves it from now on is noticed
    is_current = current is not None and current.record["attempt"] == commit.attempt
    try:
        if is_current or commit.number <= channels.newest_published(channel):
            _mend(channels, channel, places, announce, is_current)
            return None
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


def _mend(
    channels: Channels, channel: str, places: Sequence[Delivery], announce: Callable[[str], object], is_current: bool
) -> None:
    """Let the places name what the channel names; a version that is missing there is loaded if it is at hand."""
    current = channels.current(channel)
    if current is None:
        return
    delivered = [place for place in places if place.name in current.record.get("delivered", {})]
    wrong = [place for place in delivered if differs(place.target, channel, current)]
    if not wrong:
        return
    if is_current:
        _loaded(channel, _version(current), wrong, announce)
    with _held(channels, channel, {place.name: place.target for place in wrong}) as targets:
        settle(channels, channel, targets)


def differs(target: Target, channel: str, current: Publication) -> bool:
    """Return whether a place names another version than its channel, or lacks files of it."""
    named = target.named(channel)
    return named is not None and (named != current.record["attempt"] or not target.has(_version(current)))


def settle(channels: Channels, channel: str, targets: Mapping[str, Target]) -> None:
    """Let places name what the channel names, as far as they have it.

    Every publisher does so after its record, or after it was refused: whoever shows a version last in a place looks at
    the channel once more.
    """
    for _ in range(_TRIES):
        current = channels.current(channel)
        delivered = current.record.get("delivered", {}) if current else {}
        wrong = [
            target
            for name, target in targets.items()
            if current and name in delivered and target.named(channel) not in {None, current.record["attempt"]}
        ]
        for target in wrong:
            with suppress(ConflictError):  # another publisher settles it at the same time
                if current and target.has(_version(current)):
                    target.show(_version(current), channel, target.position(channel))
        if not wrong:
            return


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

    Where this fails after a place has shown the version, that place goes back to what the channel names.

    Args:
        positions: number of the channel's last move in each of the places, as it was when this publisher began.
        expected: number of the channel's newest record then.
        action: publish, promote or rollback.
        more: what the record says besides.

    Raises:
        InputError: a place does not have the version any more; nothing was moved. ConflictError: another publisher was
            first.
    """
    channels, version = Channels(store), Version.of(commit)
    _check_there(targets, version)
    shown: dict[str, Target] = {}
    with _held(channels, channel, targets) as ordered:
        channels.check(channel, expected)
        delivered = {name: dict(target.settings) for name, target in targets.items()}
        record = {**more, **({"delivered": delivered} if delivered else {})}
        try:
            for name, target in ordered.items():
                shown[name] = target
                target.show(version, channel, positions[name])
            publication = channels.publish(channel, commit, action, expected=expected, more=record)
        except Exception:
            with suppress(RecommenderError):  # the first error counts; the next publication mends it
                settle(channels, channel, shown)
            raise
        settle(channels, channel, ordered)
    for target in targets.values() if action != "rollback" else ():  # who goes back may want to go back further
        with suppress(RecommenderError):  # the next publication cleans up
            target.clean_up()
    return publication


@contextmanager
def _held(channels: Channels, channel: str, targets: Mapping[str, Target]) -> Iterator[dict[str, Target]]:
    """Hold a channel, and the places by their names: all publishers in one order, so that none waits for another."""
    with ExitStack() as held:
        held.enter_context(channels.held(channel))
        ordered = {name: targets[name] for name in sorted(targets)}
        for target in ordered.values():
            held.enter_context(target.held())
        yield ordered


def _version(current: Publication) -> Version:
    record = current.record
    return Version(record["stage"], record["commit"], record["attempt"], record["run"])


def _check_there(targets: Mapping[str, Target], version: Version) -> None:
    missing = ", ".join(name for name, target in targets.items() if not target.has(version))
    if missing:
        raise not_delivered(f"run {version.run} is not in {missing} any more, and nothing was moved")
