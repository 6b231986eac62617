"""A shop's database for tests: versions of three rows per visitor, loaded and shown as stage 4 does, without Spark."""

import hashlib
from collections.abc import Sequence
from typing import Any

import psycopg

from recommender.publishing.postgres.versions import Contents, copy_part
from recommender.publishing.postgres.view import PostgresTarget
from recommender.publishing.target import Version
from support import postgres

ENVIRONMENT = {"POSTGRES_USER": postgres.USER, "POSTGRES_PASSWORD": postgres.PASSWORD}
PLACES = 3


def url(server: postgres.Postgres) -> str:
    return f"postgresql://127.0.0.1:{server.port}/postgres"


def target(server: postgres.Postgres, view: str = "recommendations", **more: Any) -> PostgresTarget:
    settings = {
        "url": url(server),
        "login": "POSTGRES",
        "schema": "shop",
        "view": view,
        "keep_versions": 2,
        "lock_timeout": 0.3,
        "tries": 3,
        "visitorid": "bigint",
        "itemid": "bigint",
    }
    return PostgresTarget({**settings, **more}, ENVIRONMENT)


def version(number: int) -> Version:
    attempt = hashlib.sha256(str(number).encode()).hexdigest()[:32]
    return Version("stage4", number, attempt, f"run-{number}")


def rows(number: int, visitors: int = 5) -> list[tuple[int, int, int, float, str]]:
    """Return lists in which every row tells its version: the item is that of the version's number."""
    return [(v, place, number, 1.5 / place, "als") for v in range(visitors) for place in range(1, PLACES + 1)]


def contents(of: Sequence[Any]) -> Contents:
    """Return what PostgreSQL must find, computed another way."""
    texts = (f"{visitor}|{place}|{item}|{source}" for visitor, place, item, _, source in of)
    hashed = sum(int(hashlib.md5(text.encode()).hexdigest()[:8], 16) for text in texts)  # noqa: S324 - a checksum
    scaled = sum(int(float(psycopg_float(score)) * 1048576 // 1) for *_, score, _ in of)
    return Contents(len(of), str(hashed), str(scaled))


def psycopg_float(score: float) -> float:
    """Return a number as a float of four bytes has it."""
    import numpy as np

    return float(np.float32(score))


def csv(of: Sequence[Any]) -> bytes:
    return "".join(f'{v},{place},{item},{score},"{source}"\n' for v, place, item, score, source in of).encode()


def load(to: PostgresTarget, which: Version, of: Sequence[Any], *, parts: int = 2, channel: str = "live") -> None:
    def send(table: str) -> Contents:
        for part in range(parts):
            chunk = csv(of[part::parts])
            copy_part(to.database, to.login, to.settings["schema"], table, part, iter([chunk]))
        return contents(of)

    to.load(which, channel, send)


def deliver(to: PostgresTarget, number: int, channel: str = "live", visitors: int = 5) -> None:
    """Load a version and let a channel name it."""
    expected = to.position(channel)
    if not to.has(version(number)):
        load(to, version(number), rows(number, visitors), channel=channel)
    with to.held():
        to.show(version(number), channel, expected)
    to.clean_up()


def tables(server: postgres.Postgres) -> list[str]:
    query = "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
    return server.sql(f"{query} WHERE nspname = 'shop' AND relkind = 'r' AND relname LIKE '%\\_%\\_%'").split()


def fact(server: postgres.Postgres, what: str, table: str) -> str:
    """Return what PostgreSQL knows of a table in the schema shop."""
    return server.sql(f"SELECT {what} 'shop.{table}'::regclass")


def reader(server: postgres.Postgres) -> "psycopg.Connection[Any]":
    return psycopg.connect(url(server), user="reader", password="reader", autocommit=True)  # noqa: S106
