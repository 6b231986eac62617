import tempfile
from collections.abc import Iterator
from pathlib import Path

import postgres
import pytest


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


@pytest.fixture
def server(database: postgres.Postgres) -> postgres.Postgres:
    """Return the server with an empty schema shop, which the reader may look into."""
    database.sql("DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop; GRANT USAGE ON SCHEMA shop TO reader")
    return database
