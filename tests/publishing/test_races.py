"""Publications, promotions and rollbacks that race: in the end the channel and all places name the same version."""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.literal_store import open_store, result
from support.postgres import PASSWORD, USER, Postgres
from support.shop import load, rows, target

from recommender.__main__ import main
from recommender.errors import ConflictError
from recommender.publishing.folder import FolderTarget
from recommender.publishing.postgres.view import PostgresTarget
from recommender.publishing.publication import publish
from recommender.publishing.target import Target, Version
from recommender.store import Channels, Commit, Store
from recommender.store.local_files import LocalFiles

RACES = [4, pytest.param(200, marks=pytest.mark.slow)]


@dataclass
class Place:
    """A place, and how it gets a version."""

    name: str
    target: Any
    item: int

    def load(self, version: Version, channel: str) -> None:
        if isinstance(self.target, PostgresTarget):
            load(self.target, version, rows(self.item, visitors=2), channel=channel)
        else:
            folder = self.target.folder(version)
            self.target.files.create(f"{folder}/part-0.csv", str(self.item).encode())
            self.target.finish(version, folder)


@dataclass
class Shop:
    """A store whose versions are delivered to a folder and to a PostgreSQL."""

    root: Path
    server: Postgres

    def store(self) -> Store:
        return open_store(self.root / "out")

    def targets(self) -> dict[str, Target]:
        settings = {"path": str(self.root / "csv"), "format": "csv", "keep_versions": 100}
        return {"csv": FolderTarget(settings), "postgres": target(self.server, keep_versions=100, lock_timeout=3.0)}

    def places(self, item: int) -> list[Place]:
        return [Place(name, opened, item) for name, opened in self.targets().items()]

    def made(self, number: int) -> Commit:
        store, run = self.store(), f"run-{number}"
        judged = result(store, "stage2", run, blessed=True, metrics=[])
        return result(store, "stage4", run, run, upstream={"stage2": judged.number})

    def named(self) -> set[str]:
        current = Channels(self.store()).current("live")
        assert current is not None
        targets = self.targets().values()
        named = {current.record["attempt"], *(str(each.named("live")) for each in targets)}
        for each in targets:
            each.close()  # a server has a hundred connections
        return named

    def command(self, *words: str) -> Any:
        return main([*words, "--root", str(self.root / "out")])


@pytest.fixture
def shop(tmp_path: Path, server: Postgres, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("POSTGRES_USER", USER)
    monkeypatch.setenv("POSTGRES_PASSWORD", PASSWORD)
    return Shop(tmp_path, server)


def race(*runners: Callable[[], Any]) -> Counter[str]:
    """Start all at once, and count how they ended."""
    ends: Counter[str] = Counter()
    barrier = threading.Barrier(len(runners))

    def run(runner: Callable[[], Any]) -> None:
        barrier.wait(30)
        try:
            code = runner()  # of a command; a record of a publication that has won
            ends["lost" if isinstance(code, int) and code else "won"] += 1
        except ConflictError:
            ends["lost"] += 1
        except Exception as error:  # noqa: BLE001 - the test says which
            ends[repr(error)] += 1

    threads = [threading.Thread(target=run, args=(runner,)) for runner in runners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return ends


@pytest.mark.parametrize("rounds", RACES)
@pytest.mark.parametrize("has_locks", [True, False])
def test_channel_and_places_agree_after_each_race(
    shop: Shop, rounds: int, has_locks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_locks:  # as on an object store: there, only the numbers of records decide
        monkeypatch.setattr(LocalFiles, "locked", lambda *_: nullcontext())
        monkeypatch.setattr(PostgresTarget, "held", lambda _: nullcontext())
    for first in (1, 2):
        publish(shop.store(), "live", shop.made(first), shop.places(first))
    ends: Counter[str] = Counter()
    for number in range(3, 2 * rounds + 3, 2):
        publish(shop.store(), "candidate", shop.made(number), shop.places(number))
        commit, places = shop.made(number + 1), shop.places(number + 1)
        ends += race(
            lambda commit=commit, places=places: publish(shop.store(), "live", commit, places),  # type: ignore[misc]
            lambda: shop.command("promote", "candidate", "live"),
            lambda: shop.command("rollback", "live"),
        )
        assert len(shop.named()) == 1, f"round {number // 2} left {shop.named()}"
    assert set(ends) <= {"won", "lost"}
    assert ends["won"] >= rounds
    assert shop.command("verify", "--quick") == 0


def test_a_split_is_reported_and_both_remedies_mend_it(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    commits = [shop.made(number) for number in (1, 2)]
    for number, commit in enumerate(commits, 1):
        publish(shop.store(), "live", commit, shop.places(number))
    for name in ("csv", "postgres"):
        there = shop.targets()[name]
        for remedy in (
            lambda: shop.command("rollback", "live", "run-2"),
            lambda: publish(shop.store(), "live", commits[1], shop.places(2)),
        ):
            there.show(Version.of(commits[0]), "live", there.position("live"))  # by a publisher that died then
            assert shop.command("verify") == 16
            told = capsys.readouterr().err
            assert f"PLACE_DIFFERS command=verify: {name} of channel live does not name run run-2, or lacks" in told
            assert "to mend it: start stage4 again as it was, or python -m recommender rollback live run-2" in told
            remedy()
            assert shop.named() == {commits[1].attempt}
            assert shop.command("verify") == 0
            capsys.readouterr()
