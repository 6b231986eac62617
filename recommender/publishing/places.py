"""Open the places that a channel's record names, to move their channels as well: by promote and rollback.

Example usage:
>>> with open_places({"table": {"table": "shop.recommendations"}}) as places:
...     places["table"].position("live")
0
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recommender.errors import InputError
from recommender.publishing.folder import FolderTarget
from recommender.publishing.publication import move
from recommender.publishing.target import Target, Version
from recommender.store import Commit, Hadoop, Publication, Store

if TYPE_CHECKING:
    from recommender.publishing.postgres.view import PostgresTarget


@dataclass
class Unpointed:
    """A place without channels, such as a table partitioned by version: the store's own channel names the version."""

    settings: Mapping[str, Any]  # that open the place again

    def position(self, channel: str) -> int:  # noqa: ARG002
        """Return 0: nothing is moved there."""
        return 0

    def named(self, channel: str) -> None:
        """Return None: nothing is moved there."""

    def has(self, version: Version) -> bool:  # noqa: ARG002
        """Return True: what the record names was delivered, and is not looked at."""
        return True

    def held(self) -> AbstractContextManager[None]:
        """Do nothing."""
        return nullcontext()

    def show(self, version: Version, channel: str, expected: int) -> int:  # noqa: ARG002
        """Do nothing."""
        return expected

    def clean_up(self) -> None:
        """Do nothing: versions that nobody needs are dropped by who owns the table."""

    def close(self) -> None:
        """Do nothing."""


@contextmanager
def open_places(delivered: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Target]]:
    """Return the places, by the names of the steps that deliver to them, and close them in the end.

    Raises:
        InputError: what it takes to reach one is not installed.
    """
    places = {name: _opened(name, settings) for name, settings in delivered.items()}
    try:
        yield places
    finally:
        for place in places.values():
            place.close()


def move_in_places(
    store: Store,
    channel: str,
    commit: Commit,
    delivered: Mapping[str, Mapping[str, Any]],
    *,
    expected: int,
    action: str,
    more: Mapping[str, Any],
) -> Publication:
    """Let a channel name a commit, in the places that it was delivered to and in the store; see `move`."""
    with open_places(delivered) as targets:
        positions = {name: target.position(channel) for name, target in targets.items()}
        return move(store, channel, commit, targets, positions=positions, expected=expected, action=action, more=more)


def _opened(name: str, settings: Mapping[str, Any]) -> Target:
    if name == "postgres":
        return open_postgres(settings)
    return open_folder(settings) if "path" in settings else Unpointed(settings)


def open_folder(settings: Mapping[str, Any]) -> FolderTarget:
    """Return a folder, wherever it is."""

    def gateway() -> Hadoop | None:
        from recommender.spark.session import hadoop  # noqa: PLC0415 - starts a JVM, which most paths do without

        return hadoop()

    return FolderTarget(settings, gateway)


def open_postgres(settings: Mapping[str, Any]) -> "PostgresTarget":
    """Return a view in a PostgreSQL; raise an InputError if psycopg is not installed."""
    try:
        from recommender.publishing.postgres.view import PostgresTarget  # noqa: PLC0415 - psycopg is an extra
    except ImportError:
        sentence = "stage4.postgres needs psycopg, on the driver and on the workers; install recommender[postgres]"
        raise InputError("TARGET_DRIVER", sentence) from None
    return PostgresTarget(settings)
