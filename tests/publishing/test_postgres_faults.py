"""Publishers that die, race, or meet readers, on a real PostgreSQL."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from support.postgres import PASSWORD, USER, Postgres
from support.shop import PLACES, deliver, load, reader, rows, tables, target, url, version

from recommender.errors import ConflictError, InputError, TransientError
from recommender.publishing.postgres import database as databases
from recommender.publishing.postgres.database import Database

ROOT = Path(__file__).resolve().parents[2]
LIVE = "SELECT min(itemid) FROM shop.recommendations"


@pytest.fixture
def published(server: Postgres) -> Postgres:
    """Return the server with the version 1 live, which the reader may see."""
    deliver(target(server), 1)
    server.sql("GRANT SELECT ON shop.recommendations TO reader")
    return server


def begin(server: Postgres, number: int, how: str) -> "subprocess.Popen[str]":
    program = [sys.executable, "-m", "support.publisher", str(server.port), str(number), how]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    return subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.parametrize("how", ["load", "index", "grants"])
def test_55_a_publisher_that_is_killed_before_it_is_ready_leaves_the_old_version(published: Postgres, how: str) -> None:
    (old,) = tables(published)
    died(begin(published, 2, how), (lambda: in_index(published)) if how == "index" else None)
    assert published.sql(LIVE) == "1"
    assert published.sql("SELECT has_table_privilege('reader', 'shop.recommendations', 'SELECT')") == "t"
    assert len(tables(published)) == 2  # an orphan is left
    wait_until_alone(published)
    deliver(target(published), 2)
    assert published.sql(LIVE) == "2"
    assert sorted(table.split("_")[1] for table in tables(published)) == sorted(version(n).short for n in (1, 2))
    assert old in tables(published)
    assert published.sql("SELECT count(*) FROM shop.recommendations") == str(5 * PLACES)


def test_56_a_publisher_that_is_killed_inside_the_transaction_leaves_the_old_version(published: Postgres) -> None:
    died(begin(published, 2, "move"))
    wait_until_alone(published)
    assert published.sql(LIVE) == "1"
    assert target(published).position("live") == 1
    deliver(target(published), 2)
    assert published.sql(LIVE) == "2"
    assert target(published).position("live") == 2


def died(publisher: "subprocess.Popen[str]", then: Callable[[], None] | None = None) -> None:
    """Wait until a publisher is where it shall die, or what comes then has come, and kill it."""
    assert publisher.stdout is not None
    assert publisher.stdout.readline() == "there\n"
    if then is not None:
        then()
    publisher.kill()
    publisher.wait()
    publisher.stdout.close()


def in_index(server: Postgres) -> None:
    """Wait until somebody builds an index."""
    deadline = time.monotonic() + 60
    while server.sql("SELECT count(*) FROM pg_stat_progress_create_index") == "0":
        assert time.monotonic() < deadline


def wait_until_alone(server: Postgres) -> None:
    """Wait until the server has noticed that a client is gone."""
    deadline = time.monotonic() + 30
    others = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'recommender' AND state <> 'idle'"
    while server.sql(others) != "0":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_53_of_two_publishers_that_race_one_wins_and_the_other_is_told(published: Postgres) -> None:
    outcomes: Counter[str] = Counter()
    for round_ in range(1, 11):
        shops = [target(published), target(published)]
        numbers = [round_ * 2, round_ * 2 + 1]
        barrier = threading.Barrier(2)
        for shop, number in zip(shops, numbers, strict=True):
            load(shop, version(number), rows(number))
        seen = [shop.position("live") for shop in shops]

        def publish(
            which: int, shops: list[object], numbers: list[int], seen: list[int], at: threading.Barrier
        ) -> None:
            at.wait()
            try:
                with shops[which].held():  # type: ignore[attr-defined]
                    shops[which].show(version(numbers[which]), "live", seen[which])  # type: ignore[attr-defined]
                outcomes["won"] += 1
            except ConflictError as error:
                told = f"COMMIT_CONFLICT expected {seen[which]} found {seen[which] + 1}" in str(error)
                outcomes["told" if told else str(error)] += 1

        threads = [threading.Thread(target=publish, args=(n, shops, numbers, seen, barrier)) for n in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for shop in shops:
            shop.close()
    assert outcomes == {"won": 10, "told": 10}
    assert target(published).position("live") == 11


class Reader(threading.Thread):
    """Reads the view in a loop, and notes what it has seen."""

    def __init__(self, server: Postgres) -> None:
        super().__init__()
        self._connection = reader(server)
        self.ending = threading.Event()
        self.seen: list[int] = []
        self.wrong: list[object] = []

    def run(self) -> None:
        query = "SELECT count(*), min(itemid), max(itemid) FROM shop.recommendations"
        with self._connection:
            while not self.ending.is_set():
                try:
                    count, least, most = self._connection.execute(query, prepare=True).fetchone() or (0, 0, 0)
                except psycopg.Error as error:
                    self.wrong.append(error)
                    continue
                self.seen.append(least)
                if (count, least) != (20 * PLACES, most):
                    self.wrong.append((count, least, most))


@pytest.fixture
def readers(published: Postgres) -> Iterator[list[Reader]]:
    deliver(target(published), 100, visitors=20)
    started = [Reader(published) for _ in range(2)]
    for each in started:
        each.start()
    yield started
    for each in started:
        each.ending.set()
        each.join()


def test_readers_see_one_version_per_query_and_no_error_while_versions_swap(
    published: Postgres, readers: list[Reader]
) -> None:
    shop = target(published)
    for number in range(101, 201):
        deliver(shop, number, visitors=20)
    for each in readers:
        each.ending.set()
        each.join()
        assert each.wrong == []
        assert each.seen == sorted(each.seen)  # none is older than one that was seen before
        assert len(set(each.seen)) > 20


def test_a_wrong_password_is_told_once_and_without_it(server: Postgres) -> None:
    wrong = Database(url(server))
    with pytest.raises(TransientError, match=r"TARGET_REFUSED the database at 127.0.0.1:") as raised:
        wrong.connect({"user": USER, "password": "not-the-password"}, waits=[60.0])
    assert "POSTGRES_USER and POSTGRES_PASSWORD" in str(raised.value)
    assert "not-the-password" not in str(raised.value)


def test_a_database_that_is_down_is_tried_again_and_then_told(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(databases.time, "sleep", waited.append)
    with pytest.raises(TransientError, match=r"TARGET_DOWN the database at 127.0.0.1:1 cannot be reached"):
        Database("postgresql://127.0.0.1:1/shop").connect({})
    assert waited == databases.WAITS


@pytest.mark.parametrize(
    ("end", "error"), [("/nowhere", "TARGET_MISSING the database at"), ("/postgres?nonsense=1", "TARGET_URL")]
)
def test_a_url_that_leads_nowhere_is_told(server: Postgres, end: str, error: str) -> None:
    there = Database(url(server).replace("/postgres", end))
    with pytest.raises(InputError, match=error):
        there.connect({"user": USER, "password": PASSWORD})


def test_a_schema_that_is_not_there_is_told(server: Postgres) -> None:
    with pytest.raises(InputError, match=r"TARGET_MISSING nowhere.recommendations at"):
        target(server, schema="nowhere").position("live")
