"""A PostgreSQL that versions are delivered to: how it is reached, and what its errors mean.

Messages name the host, the table and the kind of error, never a row's values or a login.

Example usage:
>>> Database("postgresql://db.example:5432/shop").host
'db.example:5432'
>>> print(Database("postgresql://db/shop").explained(psycopg.errors.LockNotAvailable("canceling"), "recommendations"))
TARGET_LOCKED recommendations at db is locked by somebody who does not let go; end that session, and start again
"""

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from recommender.errors import (
    ConflictError,
    DataQualityError,
    InputError,
    RecommenderError,
    StorageError,
    TransientError,
)
from recommender.settings.redaction import remember

WAITS: Final = [1.0, 4.0, 15.0]  # seconds before the 2nd, 3rd and 4th try to reach the database
_CONNECT_TIMEOUT = 10  # seconds

_Made = Callable[[str, str], RecommenderError]
# The beginning of an SQLSTATE, and what it means; of several the first.
_MEANINGS: Sequence[tuple[str, _Made, str]] = (
    ("55P03", TransientError, "TARGET_LOCKED"),
    ("23", DataQualityError, "TARGET_CONSTRAINT"),
    ("22", DataQualityError, "TARGET_VALUE"),
    ("28", TransientError, "TARGET_REFUSED"),
    ("42501", StorageError, "TARGET_DENIED"),
    ("42P16", InputError, "TARGET_SCHEMA"),
    ("3F000", InputError, "TARGET_MISSING"),
    ("3D000", InputError, "TARGET_MISSING"),
    ("53100", StorageError, "TARGET_FULL"),
    ("40", TransientError, "TARGET_BUSY"),
    ("53", TransientError, "TARGET_BUSY"),
    ("08", TransientError, "TARGET_DOWN"),
    ("57014", TransientError, "TARGET_CANCELLED"),
    ("57", TransientError, "TARGET_DOWN"),
)
# The end of a sentence that begins with the table or view.
_SENTENCES = {
    "TARGET_LOCKED": "is locked by somebody who does not let go; end that session, and start again",
    "TARGET_CONSTRAINT": "breaks the constraint {constraint}; the live version stays",
    "TARGET_VALUE": "has a value that the database does not take; the live version stays",
    "TARGET_REFUSED": "refuses the login; see the environment variables {login}_USER and {login}_PASSWORD",
    "TARGET_DENIED": "may not be written by the user in {login}_USER; see docs/publishing.md for what it needs",
    "TARGET_SCHEMA": "has other columns or types than before; drop the view, or give another name",
    "TARGET_MISSING": "cannot be found; see stage4.postgres.url and stage4.postgres.schema",
    "TARGET_FULL": "cannot be written: the disk of the database is full",
    "TARGET_BUSY": "was changed at the same time, or has no room for one more; start it again to go on",
    "TARGET_CANCELLED": "was not written: the database ended it, by a timeout or by somebody; start it again to go on",
    "TARGET_DOWN": "cannot be reached, or the connection broke; start it again to go on",
}
_REFUSED = re.compile(
    r"authentication failed|no password supplied|role \"[^\"]*\" does not exist|no pg_hba\.conf entry"
)
_NO_DATABASE = re.compile(r"database \"[^\"]*\" does not exist")


@dataclass(frozen=True)
class Database:
    """How a database is reached."""

    url: str  # postgresql://host:port/database, without a login
    login: str = "POSTGRES"  # the environment variables <login>_USER and <login>_PASSWORD hold the login

    @property
    def host(self) -> str:
        """Host and port, for people."""
        found = re.search(r"//(?:[^/?@]*@)?([^/?]+)", self.url)
        return found[1] if found else "the local database"

    def secrets(self, environ: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the login from the environment; it is hidden wherever it would be shown."""
        environ = os.environ if environ is None else environ  # as a default it would travel to the workers
        found = {key: environ.get(f"{self.login}_{key.upper()}", "") for key in ("user", "password")}
        remember(found["password"])
        return {key: value for key, value in found.items() if value}

    def connect(self, secrets: Mapping[str, str], waits: Sequence[float] | None = None) -> psycopg.Connection[Any]:
        """Return a connection in which each statement is a transaction, unless one is begun.

        Args:
            waits: seconds before each further try, where the database does not answer.

        Raises:
            TransientError: it does not answer (TARGET_DOWN), or refuses the login (TARGET_REFUSED, one try).
            InputError: the URL is wrong, or the database does not exist.
        """
        for wait in (*(WAITS if waits is None else waits), None):
            try:
                return psycopg.connect(
                    self.url,
                    autocommit=True,
                    connect_timeout=_CONNECT_TIMEOUT,
                    application_name="recommender",
                    client_encoding="UTF8",  # whatever the database or the environment says
                    **secrets,  # type: ignore[arg-type]
                )
            except psycopg.ProgrammingError:
                sentence = (
                    f"stage4.postgres.url is not a URL of PostgreSQL ({self.host}); write postgresql://host/database"
                )
                raise InputError("TARGET_URL", sentence) from None
            except psycopg.Error as error:
                ours = self.explained(error, "the database")
                if ours.id != "TARGET_DOWN" or wait is None:
                    raise ours from None  # libpq's own text may show what is in the URL
                time.sleep(wait)
        raise AssertionError

    def explained(self, error: psycopg.Error, what: str) -> RecommenderError:
        """Return the error of ours that one of the database's is, about a table or view."""
        state = error.sqlstate or _state(error)
        facts = {"login": self.login, "constraint": error.diag.constraint_name or "of its table"}
        for beginning, made, id_ in _MEANINGS:
            if state.startswith(beginning):
                return made(id_, f"{what} at {self.host} {_SENTENCES[id_].format(**facts)}")
        sentence = f"{what} at {self.host} cannot be written: SQLSTATE {state}, {type(error).__name__}"
        return StorageError("TARGET_FAILED", f"{sentence}; the log of the database says more")


def _state(error: psycopg.Error) -> str:
    """Return the SQLSTATE of an error that has none: of a connection that was never made, or is broken."""
    text = str(error)
    if _REFUSED.search(text):
        return "28000"
    if _NO_DATABASE.search(text):
        return "3D000"
    return "08000" if isinstance(error, psycopg.OperationalError) else "XX000"


def name(*parts: str) -> sql.Composed:
    """Return a qualified name, each part quoted.

    >>> name("shop", 'odd"name').as_string(None)
    '"shop"."odd""name"'
    """
    return sql.SQL(".").join(map(sql.Identifier, parts))


def conflict(expected: int, found: int, what: str) -> ConflictError:
    """Return the error of who comes second."""
    sentence = f"expected {expected} found {found}: another run has moved {what} meanwhile"
    return ConflictError("COMMIT_CONFLICT", f"{sentence}; its result stands, start this run again")
