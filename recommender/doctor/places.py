"""Whether the places fit that a run reads from and writes to: the root, databases, the catalog.

Example usage:
>>> import tempfile
>>> [finding.level for finding in root(f"{tempfile.mkdtemp()}/out", lambda: None)]
['ok']
"""

import os
import re
import shutil
import tempfile
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from recommender.doctor.finding import Finding, error, ok, warning
from recommender.errors import RecommenderError
from recommender.spark.launch import spark_defaults, spark_home
from recommender.store import Hadoop, open_files
from recommender.terminal.text import size

_LITTLE_SPACE = 2**30
_MOST_SKEW = 60.0  # seconds


def root(place: str, hadoop: Callable[[], Hadoop | None], *, asked: bool = False) -> list[Finding]:
    """Look whether the root can be written, and whether a name there is taken only once.

    Args:
        place: the root.
        hadoop: returns the gateway to a JVM.
        asked: whether a JVM may be started for a root that is not on a disk.
    """
    scheme, colon, rest = place.partition(":")
    if colon and scheme != "file":
        if not asked:
            return [warning("root", f"{place} was not looked at: that needs a JVM", "doctor --spark looks at it")]
        return [_created(place, hadoop)]
    path = Path("/", rest.lstrip("/")) if colon else Path(place)
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    try:
        probe = tempfile.mkdtemp(prefix=".doctor-", dir=there)
    except OSError as reason:
        found = f"{there} cannot be written: {reason.strerror}"
        return [error("root", found, "give this user the right to write there, or take another --root")]
    try:
        return [_created(probe, hadoop, shown=place), *_disk(Path(probe), place)]
    finally:
        shutil.rmtree(probe, ignore_errors=True)


def _created(place: str, hadoop: Callable[[], Hadoop | None], shown: str = "") -> Finding:
    """Create a file twice: the second time must be refused."""
    shown = shown or place
    try:
        files, name = open_files(place, hadoop), f".doctor-{uuid.uuid4().hex}/probe"
        is_new, is_new_again = files.create(name, b"first"), files.create(name, b"second")
        skew = abs(files.modified(name) - time.time())
        files.delete(name.split("/", 1)[0])
    except (RecommenderError, OSError) as reason:
        said = reason.sentence if isinstance(reason, RecommenderError) else str(reason)
        return error("root", f"{shown} cannot be written: {said}", "correct the rights or the credentials, or --root")
    if not is_new or is_new_again:
        return error("root", f"{shown}: a name can be taken twice", "take a root on another file system")
    if skew > _MOST_SKEW:
        said = f"the clock of {shown} differs from this machine's by {skew:.0f} s"
        return warning("root", said, "let both keep the time by NTP: gc and leases compare times")
    return ok("root", f"{shown} can be written, and a name is taken only once")


def _disk(probe: Path, shown: str) -> Iterator[Finding]:
    """Look at links and space of a disk."""
    (probe / "one").write_bytes(b"")
    try:
        os.link(probe / "one", probe / "two")
    except OSError:
        said = f"{shown} is on a file system without links: two runs at once are not told apart"
        yield warning("root", said, "let the scheduler run one job per stage")
    free = shutil.disk_usage(probe).free
    if free < _LITTLE_SPACE:
        yield warning("root", f"{size(free)} free in {shown}", "free some: python -m recommender gc, or a larger disk")


def log(files: str, hadoop: Callable[[], Hadoop | None], *, asked: bool = False) -> list[Finding]:
    """Look whether the files of the log are there, and whether this user may read them.

    Args:
        files: file, folder or glob, as data_loader.event_filename has it.
        hadoop: returns the gateway to a JVM.
        asked: whether a JVM may be started for files that are not on a disk.
    """
    from recommender.run.preflight import listed  # noqa: PLC0415 - needs pyspark

    scheme, colon, _ = files.partition(":")
    on_disk = not colon or scheme == "file"
    try:
        found = dict(listed(files, hadoop if asked else lambda: None))
    except (RecommenderError, OSError) as reason:
        said = reason.sentence if isinstance(reason, RecommenderError) else str(reason)
        return [error("log", f"{files} cannot be looked at: {said}", "see data_loader.event_filename")]
    closed = [path for path in found if on_disk and Path(path).exists() and not os.access(path, os.R_OK)]
    if closed:
        return [error("log", f"{closed[0]} cannot be read", "give this user the right to read it")]
    if found:
        return [ok("log", f"{len(found):,} files, {size(sum(bytes_ for bytes_, _ in found.values()))}")]
    if not asked and not on_disk:
        return [warning("log", f"{files} was not looked at: that needs a JVM", "doctor --spark looks at it")]
    said, remedy = f"{files} does not exist, or has no files", "correct data_loader.event_filename"
    if asked:
        return [error("log", said, remedy)]
    return [warning("log", f"{said} on this machine", f"{remedy}; doctor --spark looks on the cluster too")]


def driver(url: str, name: str | None, environ: Mapping[str, str]) -> list[Finding]:
    """Look for the JDBC driver of a database.

    Args:
        url: of the database.
        name: class of the driver, None if unknown.
        environ: the environment variables.
    """
    kind = url.split(":")[1] if url.count(":") else url
    given = f"{environ.get('PYSPARK_SUBMIT_ARGS', '')} {spark_defaults(environ)}"
    if re.search(r"--packages|spark\.jars\.packages", given):
        return [ok("jdbc driver", "Spark fetches packages; whether the driver is one of them was not looked at")]
    if name is None:
        return [
            warning("jdbc driver", f"the class of the driver for {kind} is not known", "set data_loader.jdbc_driver")
        ]
    jars = list(_jars(given, environ))
    if any(_has(jar, name) for jar in jars):
        return [ok("jdbc driver", f"{name} is there")]
    remedy = "give spark-submit --jars FILE.jar or --packages, or add them to PYSPARK_SUBMIT_ARGS"
    return [error("jdbc driver", f"{name} is in none of the {len(jars)} jars that Spark would load", remedy)]


def _jars(given: str, environ: Mapping[str, str]) -> Iterator[Path]:
    for match in re.finditer(r"(?:--jars[ =]|spark\.jars[\s=]+|--driver-class-path[ =]|ClassPath[\s=]+)(\S+)", given):
        yield from (Path(jar.removeprefix("file://")) for jar in re.split("[,:](?!//)", match[1]) if jar)
    home = spark_home(environ)
    yield from home.glob("jars/*.jar") if home else ()


def _has(jar: Path, name: str) -> bool:
    try:
        with zipfile.ZipFile(jar) as archive:
            return f"{name.replace('.', '/')}.class" in archive.NameToInfo
    except (OSError, zipfile.BadZipFile):
        return False


def login(check: str, prefix: str, environ: Mapping[str, str]) -> list[Finding]:
    """Look whether the environment has the login of a database."""
    missing = [name for name in (f"{prefix}_USER", f"{prefix}_PASSWORD") if not environ.get(name)]
    if missing:
        return [warning(check, f"{' and '.join(missing)} not set", "set them, unless the database needs no login")]
    return []


def postgres(settings: Mapping[str, Any], environ: Mapping[str, str]) -> list[Finding]:
    """Look whether the PostgreSQL that versions are delivered to answers, and what the user may do there.

    Args:
        settings: url, login and schema, as stage4.postgres has them.
        environ: where the login comes from.
    """
    if find_spec("psycopg") is None:
        return [error("postgresql", "psycopg is not installed", "pip install 'recommender[postgres]'")]
    from recommender.publishing.postgres.database import Database  # noqa: PLC0415 - psycopg is an extra

    database, schema = Database(settings["url"], settings["login"]), settings["schema"]
    findings = login("postgresql", settings["login"], environ)
    try:
        with database.connect(database.secrets(environ), waits=()) as connection:
            row = connection.execute(
                "SELECT to_regnamespace(quote_ident(%s)) IS NOT NULL, current_user::text", [schema]
            ).fetchone()
            is_there, user = row or (False, "")
            held = (
                is_there
                and connection.execute(
                    "SELECT has_schema_privilege(%s, 'CREATE'), has_schema_privilege(%s, 'USAGE')",
                    [schema, schema],
                ).fetchone()
            )
    except RecommenderError as reason:
        return [*findings, error("postgresql", reason.sentence, "see stage4.postgres, and docs/publishing.md")]
    except Exception as reason:  # noqa: BLE001 - whatever the database's own errors are
        said = f"{database.host} was not looked at: {type(reason).__name__}"
        return [*findings, error("postgresql", said, "see the log of the database")]
    if not is_there:
        said = f"{database.host} has no schema {schema}"
        return [*findings, error("postgresql", said, f'CREATE SCHEMA "{schema}" AUTHORIZATION "{user}"')]
    if not held or not all(held):
        said = f"user {user} may not create tables in the schema {schema} at {database.host}"
        return [*findings, error("postgresql", said, f'GRANT USAGE, CREATE ON SCHEMA "{schema}" TO "{user}"')]
    return [*findings, ok("postgresql", f"{database.host} answers, and {user} may create tables in {schema}")]
