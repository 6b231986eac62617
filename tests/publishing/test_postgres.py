"""Versions in a real PostgreSQL: loaded aside, shown at once, and kept apart."""

import time

import psycopg
import pytest
from support.postgres import Postgres
from support.shop import contents, deliver, fact, load, reader, rows, tables, target, version

from recommender.errors import ConflictError, DataQualityError, InputError, StorageError, TransientError
from recommender.publishing.postgres.versions import Contents, copy_part
from recommender.publishing.postgres.view import PostgresTarget

VIEW = "SELECT count(*), min(itemid), max(itemid) FROM shop.recommendations"


def test_a_version_is_shown_by_the_view(server: Postgres) -> None:
    deliver(target(server), 7)
    query = "SELECT visitorid, rank, itemid, score, source FROM shop.recommendations WHERE visitorid = 3 ORDER BY rank"
    assert server.sql(query).splitlines() == ["3|1|7|1.5|als", "3|2|7|0.75|als", "3|3|7|0.5|als"]


def test_the_next_version_takes_its_place_under_the_same_name(server: Postgres) -> None:
    shop = target(server)
    deliver(shop, 1)
    server.sql("GRANT SELECT ON shop.recommendations TO reader")
    with reader(server) as connection:
        assert connection.execute(VIEW).fetchone() == (15, 1, 1)
        deliver(shop, 2)
        assert connection.execute(VIEW).fetchone() == (15, 2, 2)  # the grant on the view has stayed


def test_a_version_that_is_there_is_not_loaded_again(server: Postgres) -> None:
    shop = target(server)
    assert not shop.has(version(1))
    load(shop, version(1), rows(1))
    assert shop.has(version(1))
    assert shop.position("live") == 0  # nobody sees it


def test_a_version_that_is_shown_already_is_not_moved_to_again(server: Postgres) -> None:
    shop = target(server)
    deliver(shop, 1)
    assert shop.show(version(1), "live", 1) == 1
    assert shop.position("live") == 1


def test_channels_have_views_of_their_own(server: Postgres) -> None:
    shop = target(server)
    deliver(shop, 1)
    deliver(shop, 2, "candidate")
    assert server.sql("SELECT min(itemid) FROM shop.recommendations") == "1"
    assert server.sql("SELECT min(itemid) FROM shop.recommendations_candidate") == "2"


def test_a_candidate_is_promoted_and_rolled_back_by_moving_the_pointer(server: Postgres) -> None:
    shop = target(server)
    deliver(shop, 1)
    deliver(shop, 2, "candidate")
    assert shop.show(version(2), "live", 1) == 2
    assert server.sql("SELECT min(itemid) FROM shop.recommendations") == "2"
    assert shop.show(version(1), "live", 2) == 3
    assert server.sql("SELECT min(itemid) FROM shop.recommendations") == "1"


def test_grants_and_constraints_of_the_current_table_are_taken_along(server: Postgres) -> None:
    shop = target(server)
    deliver(shop, 1)
    (first,) = tables(server)
    server.sql(f"GRANT SELECT, UPDATE ON shop.{first} TO reader; GRANT SELECT ON shop.{first} TO PUBLIC")
    server.sql(f"ALTER TABLE shop.{first} ADD CONSTRAINT good_rank CHECK (rank < 100)")
    deliver(shop, 2)
    second = next(table for table in tables(server) if table != first)
    acl = fact(server, "relacl::text FROM pg_class WHERE oid =", second)
    assert "reader=rw/" in acl
    assert ",=r/" in acl
    assert fact(server, "conname FROM pg_constraint WHERE contype = 'c' AND conrelid =", second) == "good_rank"
    assert fact(server, "count(*) FROM pg_index WHERE indisprimary AND indrelid =", second) == "1"
    assert fact(server, "reltuples::int FROM pg_class WHERE oid =", second) == "15"  # analysed


def test_a_publisher_needs_the_rights_that_are_documented_and_no_more(server: Postgres) -> None:
    server.sql("CREATE ROLE publisher LOGIN PASSWORD 'publisher'")
    server.sql("CREATE SCHEMA lists AUTHORIZATION publisher")
    server.sql("GRANT USAGE ON SCHEMA lists TO reader")
    login = {"POSTGRES_USER": "publisher", "POSTGRES_PASSWORD": "publisher"}
    shop = PostgresTarget({**target(server).settings, "schema": "lists"}, login)
    for number in (1, 2, 3):
        deliver(shop, number)
        shop.connection().execute("GRANT SELECT ON lists.recommendations TO reader")
    with reader(server) as connection:
        assert connection.execute("SELECT min(itemid) FROM lists.recommendations").fetchone() == (3,)
    shop.close()
    server.sql("DROP SCHEMA lists CASCADE")
    server.sql("DROP ROLE publisher")


def test_options_and_grants_of_the_view_stay(server: Postgres) -> None:
    shop = target(server)
    deliver(shop, 1)
    server.sql("ALTER VIEW shop.recommendations SET (security_barrier = true)")
    server.sql("GRANT SELECT ON shop.recommendations TO reader")
    deliver(shop, 2)
    assert fact(server, "reloptions::text FROM pg_class WHERE oid =", "recommendations") == "{security_barrier=true}"
    assert "reader=r/" in fact(server, "relacl::text FROM pg_class WHERE oid =", "recommendations")
    assert server.sql("SELECT min(itemid) FROM shop.recommendations") == "2"


def test_a_statement_that_the_database_ends_is_told_as_that(server: Postgres) -> None:
    shop = target(server)
    deliver(shop, 1)
    connection = shop.connection()
    connection.execute("SET statement_timeout = 200")
    with pytest.raises(TransientError, match="TARGET_CANCELLED"), shop.versions.translating():
        connection.execute("SELECT pg_sleep(5)")


def test_ids_are_sent_as_utf8_whatever_the_environment_says(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    assert target(server).connection().execute("SHOW client_encoding").fetchone() == ("UTF8",)


def test_a_part_that_is_copied_twice_is_there_once(server: Postgres) -> None:
    shop = target(server)

    def send(table: str) -> Contents:
        sent = [copy_part(shop.database, shop.login, "shop", table, 0, iter([b"1,1,2,0.5,als\n"])) for _ in range(2)]
        assert sent == [1, 0]
        return contents([(1, 1, 2, 0.5, "als")])

    shop.load(version(1), "live", send)
    assert shop.has(version(1))


def test_55_a_load_that_lacks_a_part_is_not_shown(server: Postgres) -> None:
    shop = target(server)
    deliver(shop, 1)

    def send(table: str) -> Contents:
        copy_part(shop.database, shop.login, "shop", table, 0, iter([b"1,1,2,0.5,als\n"]))
        return contents(rows(2))

    with pytest.raises(StorageError, match=r"AUDIT_ROWS of 15 rows that were sent to .*, those that are there are 1;"):
        shop.load(version(2), "live", send)
    assert not shop.has(version(2))
    assert server.sql("SELECT min(itemid) FROM shop.recommendations") == "1"


def test_other_contents_are_told_even_if_the_number_of_rows_is_right(server: Postgres) -> None:
    shop = target(server)

    def send(table: str) -> Contents:
        copy_part(shop.database, shop.login, "shop", table, 0, iter([b"1,1,2,0.5,als\n"]))
        return contents([(1, 1, 2, 0.25, "als")])

    with pytest.raises(StorageError, match=r"AUDIT_ROWS .* those that are there have other contents"):
        shop.load(version(1), "live", send)


def test_58_a_row_that_breaks_a_constraint_is_told_without_its_values(server: Postgres) -> None:
    shop = target(server)
    deliver(shop, 1)
    (first,) = tables(server)
    server.sql(f"ALTER TABLE shop.{first} ADD CONSTRAINT known_item CHECK (itemid < 4711)")
    with pytest.raises(DataQualityError) as raised:
        deliver(shop, 4711)
    assert raised.value.id == "TARGET_CONSTRAINT"
    assert "breaks the constraint known_item; the live version stays" in raised.value.sentence
    assert "4711" not in raised.value.sentence.replace(version(4711).short, "")
    assert server.sql("SELECT min(itemid) FROM shop.recommendations") == "1"


def test_58_a_place_that_is_there_twice_is_told(server: Postgres) -> None:
    with pytest.raises(DataQualityError, match=r"TARGET_CONSTRAINT .*_pkey; the live version stays") as raised:
        load(target(server), version(1), [*rows(1), (4, 1, 1, 0.5, "als")])
    assert "(4, 1)" not in str(raised.value)


def test_a_value_that_the_database_does_not_take_is_told_without_it(server: Postgres) -> None:
    with pytest.raises(DataQualityError, match=r"TARGET_VALUE shop.recommendations_") as raised:
        load(target(server), version(1), [("secret", 1, 1, 0.5, "als")])
    assert "secret" not in str(raised.value)


def test_53_of_two_publishers_one_is_told(server: Postgres) -> None:
    one, other = target(server), target(server)
    deliver(one, 1)
    seen = other.position("live")
    deliver(one, 2)
    load(other, version(3), rows(3))
    with (
        other.held(),
        pytest.raises(ConflictError, match="COMMIT_CONFLICT expected 1 found 2: another run has moved the"),
    ):
        other.show(version(3), "live", seen)
    assert server.sql("SELECT min(itemid) FROM shop.recommendations") == "2"


def test_57_a_view_that_is_locked_is_tried_again_and_then_told(server: Postgres) -> None:
    shop = target(server)
    deliver(shop, 1)
    load(shop, version(2), rows(2))
    with psycopg.connect(shop.settings["url"], **shop.login) as holder:
        holder.execute("SELECT * FROM shop.recommendations LIMIT 1")
        began = time.monotonic()
        with pytest.raises(TransientError, match=r"TARGET_LOCKED the view shop.recommendations at 127.0.0.1:"):
            shop.show(version(2), "live", 1)
        assert time.monotonic() - began > 3 * 0.3  # three tries
        assert shop.position("live") == 1
    assert shop.show(version(2), "live", 1) == 2


def test_old_versions_go_and_those_that_a_channel_names_stay(server: Postgres) -> None:
    shop = target(server)
    deliver(shop, 1, "candidate")
    for number in (2, 3, 4):
        deliver(shop, number)
    kept = {table.split("_")[1] for table in tables(server)}
    assert kept == {version(number).short for number in (1, 3, 4)}


def test_what_was_live_before_stays_however_many_candidates_came_between(server: Postgres) -> None:
    shop = target(server)
    for number in (1, 2):
        deliver(shop, number)
    for number in (3, 4, 5):
        deliver(shop, number, "candidate")
    shop.show(version(5), "live", shop.position("live"))
    shop.clean_up()
    kept = {table.split("_")[1] for table in tables(server)}
    assert kept == {version(number).short for number in (2, 4, 5)}
    assert shop.show(version(2), "live", shop.position("live")) == 4
    assert server.sql("SELECT min(itemid) FROM shop.recommendations") == "2"


def test_what_is_left_of_a_load_that_died_is_dropped_by_the_next(server: Postgres) -> None:
    dead, shop = target(server), target(server)
    dead.versions.begin(dead.connection(), version(1), None)
    deliver(shop, 2)
    assert len(tables(server)) == 2  # the loader of the other lives
    dead.close()
    deliver(shop, 3)
    assert {table.split("_")[1] for table in tables(server)} == {version(2).short, version(3).short}


def test_a_version_that_was_dropped_cannot_be_shown(server: Postgres) -> None:
    shop = target(server)
    for number in (1, 2, 3):
        deliver(shop, number)
    sentence = "VERSION_NOT_DELIVERED shop.recommendations at .* has not run run-1 any more; run stage4"
    with pytest.raises(InputError, match=sentence):
        shop.show(version(1), "live", 3)


def test_other_types_of_ids_are_not_shown_by_a_view_that_readers_know(server: Postgres) -> None:
    deliver(target(server), 1)
    texts = target(server, visitorid="text")
    load(texts, version(2), rows(2))
    with pytest.raises(
        InputError, match=r"TARGET_SCHEMA the view shop.recommendations has another type .* of visitorid"
    ):
        texts.show(version(2), "live", 1)


def test_names_are_quoted(server: Postgres) -> None:
    server.sql('DROP SCHEMA IF EXISTS "Odd ""schema" CASCADE; CREATE SCHEMA "Odd ""schema"')
    shop = target(server, view='re"co; DROP TABLE x; --', schema='Odd "schema')
    deliver(shop, 1)
    deliver(shop, 2)
    assert server.sql('SELECT min(itemid) FROM "Odd ""schema"."re""co; DROP TABLE x; --"') == "2"
