"""A view in a PostgreSQL as a place that versions are delivered to; see docs/publishing.md."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from recommender.publishing.postgres.database import Database
from recommender.publishing.postgres.leftovers import drop_leftovers
from recommender.publishing.postgres.pointer import LIVE, Pointer
from recommender.publishing.postgres.versions import Column, Contents, Versions
from recommender.publishing.target import Version, not_delivered

_COLUMNS = (("visitorid", "id"), ("rank", "integer"), ("itemid", "id"), ("score", "real"), ("source", "text"))
_KEY = ("visitorid", "rank")
_HELD = "held"


class PostgresTarget:
    """A view that shows the version which a channel names.

    Init parameters:
        settings: url, login, schema, view, keep_versions, lock_timeout (seconds), tries; see the step Postgres.
            visitorid and itemid: the types of the ids in PostgreSQL, bigint or text.
        environ: where the login comes from; None: the environment.
    """

    def __init__(self, settings: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> None:
        self.settings = settings
        self.database = Database(settings["url"], settings["login"])
        self.login = self.database.secrets(environ)
        types = {"visitorid": settings["visitorid"], "itemid": settings["itemid"]}
        columns = [Column(name, types.get(name, type_)) for name, type_ in _COLUMNS]
        self.versions = Versions(self.database, settings["schema"], settings["view"], columns, _KEY)
        self._connection: psycopg.Connection[Any] | None = None

    def connection(self) -> psycopg.Connection[Any]:
        """Return the publisher's connection; the tables that say which versions there are are made with it."""
        if self._connection is None or self._connection.closed:
            self._connection = self.database.connect(self.login)
            self.versions.prepare(self._connection)
        return self._connection

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def position(self, channel: str) -> int:
        return self._pointer(channel).position(self.connection()).number

    def named(self, channel: str) -> str:
        return self._pointer(channel).position(self.connection()).attempt

    def has(self, version: Version) -> bool:
        return self.versions.ready(self.connection(), version) is not None

    def shown(self, channel: str) -> str | None:
        """Return the table that a channel names, or that the channel live names; None before the first."""
        found = [self._pointer(name).position(self.connection()) for name in (channel, LIVE)]
        return next((position.table for position in found if position.table), None)

    def load(self, version: Version, channel: str, send: Callable[[str], Contents]) -> None:
        """Load a version where nobody sees it.

        Args:
            channel: it is meant for; constraints and grants are those of the version that it names now.
            send: fills the table of that name, by `copy_part`, and returns what it has sent.
        """
        connection, like = self.connection(), self.shown(channel)
        table = self.versions.begin(connection, version, like)
        self.versions.finish(connection, table, send(table), like)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other publishers from moving a channel there, while the context is open."""
        lock = [self.versions.lock_name(f"{self.settings['view']}/{_HELD}")]
        connection = self.connection()
        patience = f"{self.settings['lock_timeout'] * self.settings['tries'] * 1000:.0f}ms"
        with self.versions.translating():
            connection.execute("SELECT set_config('lock_timeout', %s, false)", [patience])
            connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", lock)
        try:
            yield
        finally:
            with suppress(psycopg.Error):  # it ends with the connection too
                connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", lock)

    def show(self, version: Version, channel: str, expected: int) -> int:
        table = self.versions.ready(self.connection(), version)
        if table is None:
            where = f"{self.settings['schema']}.{self.settings['view']} at {self.database.host}"
            raise not_delivered(f"{where} has not run {version.run} any more")
        return self._pointer(channel).move(self.connection(), version, table, expected)

    def clean_up(self) -> None:
        """Drop the versions that nobody needs, and the tables of loads that died."""
        drop_leftovers(self.connection(), self.versions, self.settings["keep_versions"])

    def _pointer(self, channel: str) -> Pointer:
        return Pointer(self.versions, channel, self.settings["lock_timeout"], self.settings["tries"])
