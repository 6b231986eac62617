"""The versions of a table in a PostgreSQL: each in a table of its own, which nobody sees before it is complete.

    recommender_versions    a row per version: its table, its attempt, and whether it is ready
    recommender_parts       a row per part of a table that was copied, written with it: a part is there once
    recommender_pointers    a row per channel: the version that its view shows
    recommender_shown       a row per channel and version that it has shown

A table is named by the beginning of the attempt's id and by a random word, so that what is left of a load that died
is never written to again. While a version is loaded its loader holds an advisory lock, which ends with the loader: a
loader whose lock is free is dead.
"""

import secrets as random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from recommender.errors import StorageError
from recommender.publishing.postgres.database import Database, name
from recommender.publishing.target import Version

VERSIONS: Final = "recommender_versions"
POINTERS: Final = "recommender_pointers"
PARTS: Final = "recommender_parts"
SHOWN: Final = "recommender_shown"
_BOOKS = f"""
CREATE TABLE IF NOT EXISTS {{schema}}.{VERSIONS} (view_name text NOT NULL, table_name text PRIMARY KEY,
    attempt text NOT NULL, run text NOT NULL, rows bigint, ready boolean NOT NULL DEFAULT false,
    begun_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS {{schema}}.{PARTS} (table_name text, part int, rows bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (table_name, part));
CREATE TABLE IF NOT EXISTS {{schema}}.{POINTERS} (view_name text, channel text, number bigint NOT NULL,
    table_name text NOT NULL, attempt text NOT NULL, run text NOT NULL, moved_at timestamptz NOT NULL DEFAULT now(),
    token text NOT NULL, PRIMARY KEY (view_name, channel));
CREATE TABLE IF NOT EXISTS {{schema}}.{SHOWN} (view_name text, channel text, table_name text,
    shown_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (view_name, channel, table_name));
"""
# The same in any order of the rows, and here as in Spark; see PostgresTarget.
_CHECKSUM = """SELECT count(*),
    coalesce(sum(('x' || substr(md5({text}), 1, 8))::bit(32)::bigint), 0)::text,
    coalesce(sum({scaled}), 0)::text FROM {table}"""


@dataclass(frozen=True)
class Contents:
    """The contents of a table: rows, and two sums over them, one of hashes and one of scaled numbers."""

    rows: int
    hashed: str
    summed: str


@dataclass(frozen=True)
class Column:
    """A column of the table: its name, and its type in PostgreSQL."""

    name: str
    type: str


@dataclass(frozen=True)
class Versions:
    """The versions of one table."""

    database: Database
    schema: str  # it is there already
    view: str  # name of the view that shows the live one
    columns: Sequence[Column]  # of the table, in order
    key: Sequence[str]  # the columns that identify a row

    def table(self, table: str) -> sql.Composed:
        """Return the qualified name of a table in the schema."""
        return name(self.schema, table)

    @contextmanager
    def translating(self, what: str = "") -> Iterator[None]:
        """Turn the database's errors into ours."""
        try:
            yield
        except psycopg.Error as error:
            raise self.database.explained(error, what or f"{self.schema}.{self.view}") from None

    def prepare(self, connection: psycopg.Connection[Any]) -> None:
        """Make the tables that say which versions there are."""
        with self.translating(), connection.transaction():
            self.lock_for_transaction(connection, "books")
            connection.execute(sql.SQL(_BOOKS).format(schema=sql.Identifier(self.schema)))

    def lock_for_transaction(self, connection: psycopg.Connection[Any], what: str) -> None:
        """Wait until nobody else does the same to this view."""
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [self.lock_name(what)])

    def lock_name(self, what: str) -> str:
        """Return what the advisory lock of something is called."""
        return f"recommender/{self.schema}/{what}"

    def ready(self, connection: psycopg.Connection[Any], version: Version) -> str | None:
        """Return the table of a version that is complete, None if there is none."""
        query = """SELECT table_name FROM {versions} AS one WHERE view_name = %s AND attempt = %s AND ready
            AND to_regclass(quote_ident(%s) || '.' || quote_ident(table_name)) IS NOT NULL
            ORDER BY (SELECT max(shown_at) FROM {shown} AS each WHERE each.table_name = one.table_name)
            DESC NULLS LAST, begun_at LIMIT 1"""
        composed = sql.SQL(query).format(versions=self.table(VERSIONS), shown=self.table(SHOWN))
        with self.translating():
            row = connection.execute(composed, [self.view, version.attempt, self.schema]).fetchone()
        return None if row is None else str(row[0])

    def begin(self, connection: psycopg.Connection[Any], version: Version, like: str | None) -> str:
        """Make an empty table for a version, and hold the lock that says that it is being loaded.

        Args:
            connection: holds the lock as long as it is open.
            like: the table that is shown now, whose CHECK constraints and comments are taken along; None for none.
        """
        table = f"{self.view}_{version.short}_{random.token_hex(4)}"
        with self.translating(f"{self.schema}.{table}"), connection.transaction():
            connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [self.lock_name(table)])
            insert = sql.SQL("INSERT INTO {} (view_name, table_name, attempt, run) VALUES (%s, %s, %s, %s)")
            connection.execute(insert.format(self.table(VERSIONS)), [self.view, table, version.attempt, version.run])
            self._create(connection, table, like)
        return table

    def finish(self, connection: psycopg.Connection[Any], table: str, expected: Contents, like: str | None) -> None:
        """Compare the rows with those that were sent, build the index, copy the grants, and call the version ready.

        Args:
            like: the table whose grants are copied; None for none.

        Raises:
            StorageError: rows are missing or differ. DataQualityError: they break a constraint.
        """
        target = self.table(table)
        with self.translating(f"{self.schema}.{table}"):
            found = self.contents(connection, table)
            if found != expected:
                what = "have other contents" if found.rows == expected.rows else f"are {found.rows:,}"
                sentence = f"of {expected.rows:,} rows that were sent to {self.schema}.{table} at {self.database.host}"
                raise StorageError("AUDIT_ROWS", f"{sentence}, those that are there {what}; start the run again")
            key = sql.SQL(", ").join(map(sql.Identifier, self.key))
            connection.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(target, key))
            for statement in self._grants(connection, table, like):
                connection.execute(statement)
            connection.execute(sql.SQL("ANALYZE {}").format(target))
            with connection.transaction():
                done = sql.SQL("UPDATE {} SET ready = true, rows = %s WHERE table_name = %s")
                connection.execute(done.format(self.table(VERSIONS)), [expected.rows, table])
                forget = sql.SQL("DELETE FROM {} WHERE table_name = %s")
                connection.execute(forget.format(self.table(PARTS)), [table])

    def contents(self, connection: psycopg.Connection[Any], table: str) -> Contents:
        """Return what a table holds."""
        text, scaled = checked(self.columns)
        query = sql.SQL(_CHECKSUM).format(text=sql.SQL(text), scaled=sql.SQL(scaled), table=self.table(table))
        row = connection.execute(query).fetchone()
        return Contents(*row) if row else Contents(0, "0", "0")

    def _create(self, connection: psycopg.Connection[Any], table: str, like: str | None) -> None:
        kinds = {column.name: column.type for column in self.columns}
        if like is not None and self.types(connection, like) == kinds:
            body = sql.SQL("(LIKE {} INCLUDING CONSTRAINTS INCLUDING COMMENTS INCLUDING STORAGE)").format(
                self.table(like)
            )
        else:
            columns = (sql.SQL("{} {} NOT NULL").format(sql.Identifier(c.name), sql.SQL(c.type)) for c in self.columns)
            body = sql.SQL("({})").format(sql.SQL(", ").join(columns))
        connection.execute(sql.SQL("CREATE TABLE {} {}").format(self.table(table), body))

    def types(self, connection: psycopg.Connection[Any], table: str) -> dict[str, str]:
        """Return name -> type of the columns of a table or view, in order; nothing if there is none."""
        query = """SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
            WHERE attrelid = to_regclass(quote_ident(%s) || '.' || quote_ident(%s)) AND attnum > 0
            AND NOT attisdropped ORDER BY attnum"""
        return dict(connection.execute(query, [self.schema, table]).fetchall())

    def _grants(self, connection: psycopg.Connection[Any], table: str, like: str | None) -> list[sql.Composed]:
        query = """SELECT rolname, privilege_type, is_grantable FROM pg_class, aclexplode(relacl)
            LEFT JOIN pg_roles ON pg_roles.oid = grantee
            WHERE pg_class.oid = to_regclass(quote_ident(%s) || '.' || quote_ident(%s)) AND grantee <> relowner"""
        rows = connection.execute(query, [self.schema, like]).fetchall() if like else []
        return [
            sql.SQL("GRANT {} ON {} TO {} {}").format(
                sql.SQL(privilege),
                self.table(table),
                sql.SQL("PUBLIC") if role is None else sql.Identifier(role),
                sql.SQL("WITH GRANT OPTION" if grantable else ""),
            )
            for role, privilege, grantable in rows
        ]


def checked(columns: Sequence[Column]) -> tuple[str, str]:
    """Return two expressions of PostgreSQL's: a text of a row, and a whole number made of its approximate numbers.

    >>> checked([Column("visitorid", "bigint"), Column("score", "real")])[0]
    "concat_ws('|', cast(visitorid as text))"
    """
    exact = [column.name for column in columns if column.type != "real"]
    texts = ", ".join(f"cast({column} as text)" for column in exact)
    scaled = [
        f"cast(floor(cast({c.name} as double precision) * 1048576) as bigint)" for c in columns if c.type == "real"
    ]
    return f"concat_ws('|', {texts})", " + ".join(scaled) or "0"


def copy_part(
    database: Database, login: Mapping[str, str], schema: str, table: str, part: int, chunks: Iterator[bytes]
) -> int:
    """Copy a part of a version, once: a second try that comes after the first finds it there. Return its rows.

    The chunks are its rows in PostgreSQL's CSV; errors are those of `Database.explained`.
    """
    columns = sql.SQL("INSERT INTO {} (table_name, part) VALUES (%s, %s) ON CONFLICT DO NOTHING")
    try:
        with database.connect(login) as connection, connection.transaction(), connection.cursor() as cursor:
            if cursor.execute(columns.format(name(schema, PARTS)), [table, part]).rowcount == 0:
                return 0
            with cursor.copy(sql.SQL("COPY {} FROM STDIN (FORMAT csv)").format(name(schema, table))) as copy:
                for chunk in chunks:
                    copy.write(chunk)
            rows = cursor.rowcount
            counted = sql.SQL("UPDATE {} SET rows = %s WHERE table_name = %s AND part = %s")
            cursor.execute(counted.format(name(schema, PARTS)), [rows, table, part])
        return rows
    except psycopg.Error as error:
        raise database.explained(error, f"{schema}.{table}") from None
