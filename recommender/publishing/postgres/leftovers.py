"""Drop tables in a PostgreSQL that nobody needs: old versions, and loads that died.

Each is dropped in a transaction of its own, with a short wait for its lock: what a reader still holds is dropped by a
later publication.
"""

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import sql

from recommender.publishing.postgres.versions import PARTS, POINTERS, SHOWN, VERSIONS, Versions

_LOCK_TIMEOUT = "1s"
# What a channel has shown among its last stays, and so does what was loaded and not shown yet, for a day.
_OLD = """SELECT table_name FROM {versions}
WHERE view_name = %(view)s
    AND table_name NOT IN (
        SELECT table_name FROM (
            SELECT table_name, row_number() OVER (PARTITION BY channel ORDER BY shown_at DESC) AS place
            FROM {shown} WHERE view_name = %(view)s
        ) AS numbered WHERE place <= %(keep)s)
    AND (NOT ready OR table_name IN (SELECT table_name FROM {shown}) OR begun_at < now() - interval '1 day')
ORDER BY begun_at"""
_UNFINISHED = "SELECT NOT ready, begun_at < now() - interval '1 day' FROM {versions} WHERE table_name = %s"


def drop_leftovers(connection: psycopg.Connection[Any], versions: Versions, keep: int) -> list[str]:
    """Drop what nobody needs, and return the tables that are gone; the last `keep` versions of each channel stay."""
    query = sql.SQL(_OLD).format(versions=versions.table(VERSIONS), shown=versions.table(SHOWN))
    with versions.translating():
        found = connection.execute(query, {"view": versions.view, "keep": keep}).fetchall()
    return list(_dropped(connection, versions, [str(row[0]) for row in found]))


def _dropped(connection: psycopg.Connection[Any], versions: Versions, tables: list[str]) -> Iterator[str]:
    for table in tables:
        try:
            with connection.transaction():
                if _is_dead(connection, versions, table):
                    connection.execute("SELECT set_config('lock_timeout', %s, true)", [_LOCK_TIMEOUT])
                    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(versions.table(table)))
                    for book in (PARTS, SHOWN, VERSIONS):
                        forget = sql.SQL("DELETE FROM {} WHERE table_name = %s").format(versions.table(book))
                        connection.execute(forget, [table])
                    yield table
        except psycopg.Error:  # somebody reads it, or another publisher drops it
            if connection.closed:
                return


def _is_dead(connection: psycopg.Connection[Any], versions: Versions, table: str) -> bool:
    """Return whether nobody is loading a table, and whether no channel names it by now."""
    lock = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))"
    row = connection.execute(lock, [versions.lock_name(table)]).fetchone()
    is_free = bool(row and row[0])
    query = sql.SQL(_UNFINISHED).format(versions=versions.table(VERSIONS))
    state = connection.execute(query, [table]).fetchone()
    named = sql.SQL("SELECT 1 FROM {} WHERE table_name = %s").format(versions.table(POINTERS))
    if state is None or connection.execute(named, [table]).fetchone():
        return False
    is_unfinished, is_old = state
    return is_free or (is_unfinished and is_old)
