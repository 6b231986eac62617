"""A publisher in a process of its own, for tests that kill it: python -m support.publisher PORT NUMBER HOW.

HOW is where it stops and waits for its death: load, grants, move, or never. It prints "there" when it is there. With
"index" it loads a million rows, and builds their index with little memory, so that there is time to kill it meanwhile.
"""

import sys
import time
from pathlib import Path
from typing import Any

import psycopg

from recommender.publishing.postgres import versions
from recommender.publishing.postgres.pointer import Pointer
from support import postgres, shop


def wait(*_: Any, **__: Any) -> Any:
    print("there", flush=True)
    time.sleep(600)


def main(port: int, number: int, how: str) -> None:
    to = shop.target(postgres.Postgres(Path(), port))
    if how == "load":

        def endless() -> Any:
            yield shop.csv(shop.rows(number)[:7])
            wait()

        def send(table: str) -> Any:
            versions.copy_part(to.database, to.login, "shop", table, 0, iter([shop.csv(shop.rows(number)[7:])]))
            versions.copy_part(to.database, to.login, "shop", table, 1, endless())

        to.load(shop.version(number), "live", send)
    elif how == "index":
        many = f"SELECT v, 1, {number}, 0.5, 'als' FROM generate_series(1, 1000000) AS v"  # noqa: S608 - a number

        def generate(table: str) -> versions.Contents:
            to.connection().execute(f'INSERT INTO shop."{table}" {many}')
            to.connection().execute("SET maintenance_work_mem = '1MB'")
            print("there", flush=True)
            return to.versions.contents(to.connection(), table)

        to.load(shop.version(number), "live", generate)
    elif how == "grants":
        versions.Versions._grants = wait  # type: ignore[method-assign] - comes after the index, before it is ready
    elif how == "move":
        write = Pointer._write

        def written(*given: Any) -> None:
            write(*given)
            wait()

        Pointer._write = written  # type: ignore[method-assign]
    shop.deliver(to, number)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    except psycopg.Error as error:
        sys.exit(f"{type(error).__name__}: {error}")
