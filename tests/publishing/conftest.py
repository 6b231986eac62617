import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import postgres

from recommender.publishing.postgres.view import PostgresTarget


@pytest.fixture(scope="session")
def database() -> Iterator[postgres.Postgres]:
    """Return a server with a role that only reads."""
    if postgres.missing():
        pytest.skip(postgres.missing())
    folder = Path(tempfile.mkdtemp(prefix="recommender-postgres-"))
    folder.chmod(0o755)  # another user runs it, which may not look into pytest's folders
    with postgres.running(folder / "server") as running:
        running.sql("CREATE ROLE reader LOGIN PASSWORD 'reader'")
        yield running


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the connections of all targets that a test has made."""
    made: list[Any] = []
    begin = PostgresTarget.__init__

    def begun(self: Any, *given: Any) -> None:
        begin(self, *given)
        made.append(self)

    monkeypatch.setattr(PostgresTarget, "__init__", begun)
    yield
    for each in made:
        each.close()


@pytest.fixture
def server(database: postgres.Postgres) -> postgres.Postgres:
    """Return the server with an empty schema shop, which the reader may look into."""
    database.sql("DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop; GRANT USAGE ON SCHEMA shop TO reader")
    return database
