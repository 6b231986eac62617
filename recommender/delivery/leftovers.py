"""What nobody needs of a table's versions in a PostgreSQL: old ones, and those of loads that died.

Each is dropped in a transaction of its own, with a short wait for its lock: what a reader still holds is dropped by a
later publication.
"""

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import sql

from recommender.delivery.versions import PARTS, POINTERS, VERSIONS, Versions

_LOCK_TIMEOUT = "1s"
# What is named by a channel, or was shown among the last, stays; so does what was loaded and not shown yet, for a day.
_OLD = """SELECT table_name FROM (
    SELECT table_name, ready, shown_at, begun_at,
        row_number() OVER (ORDER BY shown_at DESC NULLS LAST) AS place FROM {versions} WHERE view_name = %(view)s
) AS numbered
WHERE table_name NOT IN (SELECT table_name FROM {pointers} WHERE view_name = %(view)s) AND CASE
    WHEN NOT ready THEN true
    WHEN shown_at IS NULL THEN begun_at < now() - interval '1 day'
    ELSE place > %(keep)s END
ORDER BY begun_at"""
_UNFINISHED = "SELECT NOT ready, begun_at < now() - interval '1 day' FROM {versions} WHERE table_name = %s"


def drop_leftovers(connection: psycopg.Connection[Any], versions: Versions, keep: int) -> list[str]:
    """Drop what nobody needs, and return the tables that are gone.

    Args:
        connection: of a publisher.
        versions: those of one table.
        keep: how many versions stay that were shown last, those that a channel names among them.
    """
    books = {"versions": versions.table(VERSIONS), "pointers": versions.table(POINTERS)}
    with versions.told():
        found = connection.execute(sql.SQL(_OLD).format(**books), {"view": versions.view, "keep": keep}).fetchall()
    return list(_dropped(connection, versions, [str(row[0]) for row in found]))


def _dropped(connection: psycopg.Connection[Any], versions: Versions, tables: list[str]) -> Iterator[str]:
    for table in tables:
        try:
            with connection.transaction():
                if _is_dead(connection, versions, table):
                    connection.execute("SELECT set_config('lock_timeout', %s, true)", [_LOCK_TIMEOUT])
                    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(versions.table(table)))
                    for book in (PARTS, VERSIONS):
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
