"""Which version a view of a PostgreSQL shows: moved in one transaction, by whoever comes first.

The transaction compares the pointer's number with the one that the publisher has seen, moves it, and replaces the view,
whose name and grants stay. A reader's query meets the old version or the new one, never both: it locks the view, which
is not replaced meanwhile.
"""

import secrets as random
import time
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from recommender.errors import InputError
from recommender.publishing.postgres.database import conflict
from recommender.publishing.postgres.versions import POINTERS, SHOWN, Versions
from recommender.publishing.target import Version

LIVE: Final = "live"
_PAUSE = 0.2  # seconds in which those are let through that have queued behind a try


@dataclass(frozen=True)
class Position:
    """Where a channel stands: the number of its last move, 0 before the first; the attempt and the table it names."""

    number: int = 0
    attempt: str = ""
    table: str = ""
    token: str = ""


@dataclass(frozen=True)
class Pointer:
    """The pointer of one channel."""

    versions: Versions  # that it chooses from
    channel: str  # another than live has a view with its name at the end
    lock_timeout: float = 3.0  # seconds to wait for whoever uses the view
    tries: int = 5  # how often to wait so long

    @property
    def view(self) -> str:
        """Name of the view that shows what the channel names."""
        return self.versions.view if self.channel == LIVE else f"{self.versions.view}_{self.channel}"

    def position(self, connection: psycopg.Connection[Any]) -> Position:
        """Return where the channel stands."""
        with self.versions.translating():
            return self._found(connection, "")

    def move(self, connection: psycopg.Connection[Any], version: Version, table: str, expected: int) -> int:
        """Let the channel name a table, and its view show it; return the number of this move.

        Nothing is moved if the number of its last move is not `expected`, as the publisher has seen it.

        Raises:
            ConflictError: another publisher was first. TransientError: the view is locked, or the database is gone.
            InputError: the view has other columns or types.
        """
        token = random.token_hex(16)
        for left in reversed(range(self.tries)):
            try:
                return self._moved(connection, version, table, expected, token)
            except psycopg.errors.LockNotAvailable as error:
                if not left:
                    raise self._explained(error) from None
                time.sleep(_PAUSE)
            except psycopg.Error as error:
                raise self._explained(error) from None
        raise AssertionError

    def _moved(
        self, connection: psycopg.Connection[Any], version: Version, table: str, expected: int, token: str
    ) -> int:
        with connection.transaction():
            connection.execute("SELECT set_config('lock_timeout', %s, true)", [f"{self.lock_timeout * 1000:.0f}ms"])
            self.versions.lock_for_transaction(connection, self.versions.view)
            found = self._found(connection, "FOR UPDATE")
            if found.token == token:
                return found.number
            if found.number != expected:
                raise conflict(expected, found.number, f"the view {self.versions.schema}.{self.view}")
            if found.table == table:
                return found.number
            self._check_columns(connection, table)
            self._write(connection, version, table, expected + 1, token)
        return expected + 1

    def _found(self, connection: psycopg.Connection[Any], lock: str) -> Position:
        query = sql.SQL("SELECT number, attempt, table_name, token FROM {} WHERE view_name = %s AND channel = %s {}")
        composed = query.format(self.versions.table(POINTERS), sql.SQL(lock))
        row = connection.execute(composed, [self.versions.view, self.channel]).fetchone()
        return Position(*row) if row else Position()

    def _write(
        self, connection: psycopg.Connection[Any], version: Version, table: str, number: int, token: str
    ) -> None:
        """Move the pointer, and replace the view; the view comes last, as it is what others wait for."""
        pointer = sql.SQL(
            """INSERT INTO {} (view_name, channel, number, table_name, attempt, run, token)
            VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (view_name, channel) DO UPDATE SET number = excluded.number,
            table_name = excluded.table_name, attempt = excluded.attempt, run = excluded.run, token = excluded.token,
            moved_at = now()"""
        ).format(self.versions.table(POINTERS))
        facts = [self.versions.view, self.channel, number, table, version.attempt, version.run, token]
        connection.execute(pointer, facts)
        shown = sql.SQL(
            """INSERT INTO {} (view_name, channel, table_name) VALUES (%s, %s, %s)
            ON CONFLICT (view_name, channel, table_name) DO UPDATE SET shown_at = now()"""
        ).format(self.versions.table(SHOWN))
        connection.execute(shown, [self.versions.view, self.channel, table])
        names = sql.SQL(", ").join(sql.Identifier(column.name) for column in self.versions.columns)
        view = sql.SQL("CREATE OR REPLACE VIEW {} {} AS SELECT {} FROM {}")
        options = self._options(connection)
        connection.execute(view.format(self.versions.table(self.view), options, names, self.versions.table(table)))

    def _options(self, connection: psycopg.Connection[Any]) -> sql.Composable:
        """Return the view's options, such as security_barrier, which would be lost when it is replaced."""
        query = """SELECT split_part(option, '=', 1), substr(option, strpos(option, '=') + 1)
            FROM pg_class, unnest(reloptions) AS option
            WHERE pg_class.oid = to_regclass(quote_ident(%s) || '.' || quote_ident(%s))"""
        found = connection.execute(query, [self.versions.schema, self.view]).fetchall()
        options = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value)) for name, value in found]
        return sql.SQL("WITH ({})").format(sql.SQL(", ").join(options)) if options else sql.SQL("")

    def _check_columns(self, connection: psycopg.Connection[Any], table: str) -> None:
        """Refuse what the readers of the view would stumble over."""
        shown = self.versions.types(connection, self.view)
        given = self.versions.types(connection, table)
        if shown and shown != given:
            differing = ", ".join(name for name in {**shown, **given} if shown.get(name) != given.get(name))
            sentence = f"the view {self.versions.schema}.{self.view} has another type or number of {differing}"
            raise InputError("TARGET_SCHEMA", f"{sentence}; drop the view, or set another stage4.postgres.view")

    def _explained(self, error: psycopg.Error) -> Exception:
        return self.versions.database.explained(error, f"the view {self.versions.schema}.{self.view}")
