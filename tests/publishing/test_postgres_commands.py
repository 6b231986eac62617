"""promote and rollback move the view of a real PostgreSQL, without Spark."""

from pathlib import Path
from typing import Any

import pytest
from support.literal_store import open_store, result
from support.postgres import PASSWORD, USER, Postgres
from support.shop import load, rows, target

from recommender.__main__ import main
from recommender.publishing.publication import move
from recommender.publishing.target import Version
from recommender.store import Channels, Store

LIVE = "SELECT min(itemid) FROM shop.recommendations"


def name(store: Store, server: Postgres, channel: str, run: str, item: int) -> None:
    """Commit a version, deliver it, and let a channel name it."""
    judged = result(store, "stage2", run, blessed=True, metrics=[])
    commit = result(store, "stage4", run, run, upstream={"stage2": judged.number})
    shop = target(server)
    load(shop, Version.of(commit), rows(item), channel=channel)
    positions = {"postgres": shop.position(channel)}
    move(store, channel, commit, {"postgres": shop}, positions=positions, expected=Channels(store).position(channel))
    shop.close()


@pytest.fixture
def store(server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("POSTGRES_USER", USER)
    monkeypatch.setenv("POSTGRES_PASSWORD", PASSWORD)
    store = open_store(tmp_path)
    name(store, server, "live", "monday", 1)
    name(store, server, "candidate", "tuesday", 2)
    return store


def command(store: Store, *words: str) -> int:
    return main([*words, "--root", store.files.root])


def test_a_promotion_and_a_rollback_move_the_view(store: Store, server: Postgres) -> None:
    assert server.sql(LIVE) == "1"
    assert command(store, "promote", "candidate", "live") == 0
    assert server.sql(LIVE) == "2"
    assert command(store, "rollback", "live") == 0
    assert server.sql(LIVE) == "1"
    assert server.sql("SELECT number, run FROM shop.recommender_pointers WHERE channel = 'live'") == "3|monday"


def test_records_have_no_login(store: Store, tmp_path: Path, server: Postgres) -> None:
    command(store, "promote", "candidate", "live")
    records = [path.read_text() for path in tmp_path.rglob("*.json")]
    assert any(f"127.0.0.1:{server.port}" in record for record in records)
    assert not any(PASSWORD in record or f'"{USER}"' in record for record in records)


def test_a_view_that_is_locked_keeps_the_channel(
    store: Store, server: Postgres, capsys: pytest.CaptureFixture[str]
) -> None:
    import psycopg

    shop: Any = target(server)
    with psycopg.connect(shop.settings["url"], **shop.login) as holder:
        holder.execute("SELECT * FROM shop.recommendations LIMIT 1")
        assert command(store, "promote", "candidate", "live") == 18
    assert "RECOMMENDER_ERROR TARGET_LOCKED command=promote" in capsys.readouterr().err
    current = Channels(store).current("live")
    assert current is not None
    assert (current.run_id, server.sql(LIVE)) == ("monday", "1")
    assert command(store, "promote", "candidate", "live") == 0


def test_somebody_who_moves_the_channel_between_is_told_of(
    store: Store, server: Postgres, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from recommender.publishing import places

    opened = places.open_places

    def meanwhile(delivered: Any) -> Any:
        name(store, server, "live", "wednesday", 3)
        return opened(delivered)

    monkeypatch.setattr(places, "open_places", meanwhile)
    assert command(store, "promote", "candidate", "live") == 15
    assert "COMMIT_CONFLICT command=promote: expected 1 found 2: channel live was moved" in capsys.readouterr().err
    assert server.sql(LIVE) == "3"  # the store and the view name the same
