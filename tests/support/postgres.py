"""A real PostgreSQL for tests: started on loopback in a folder of its own, and ended with its whole group."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
DRIVER = Path("/usr/share/java/postgresql.jar")
USER, PASSWORD = "reco", "s3cret-of-the-test"


def missing() -> str:
    """Return why no server can be started here; nothing if one can."""
    if not PROGRAMS:
        return "no PostgreSQL in /usr/lib/postgresql: .ci/run installs it"
    if os.getuid() == 0 and (not _has_user() or not shutil.which("runuser")):
        return "PostgreSQL does not run as root, and there is no user postgres"
    return ""


def missing_for_jdbc() -> str:
    """Return why none can be read by Spark here; nothing if one can."""
    no_driver = "" if DRIVER.exists() else f"no JDBC driver {DRIVER}: .ci/run installs libpostgresql-jdbc-java"
    return missing() or no_driver


def _has_user() -> bool:
    return any(user.pw_name == "postgres" for user in pwd.getpwall())


@dataclass
class Postgres:
    """A server.

    Attributes:
        folder: where it keeps everything.
        port: of 127.0.0.1.
    """

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """URL of JDBC."""
        return f"jdbc:postgresql://127.0.0.1:{self.port}/postgres"

    def sql(self, text: str) -> str:
        """Run statements, and return what they print, unaligned."""
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", "postgres"]
        command = [PROGRAMS[-1] / "psql", *where, "-v", "ON_ERROR_STOP=1", "-qAt", "-c", text]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder}/run -c fsync=off"
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-w", "-l", f"{self.folder}/log", "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: fast, or immediate, as if it were killed."""
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-m", mode, "-w", "stop")

    def initialise(self) -> None:
        """Make its files."""
        for path in (self.folder, self.folder / "run"):
            path.mkdir(exist_ok=True)
        (self.folder / "pw").write_text(PASSWORD)
        if os.getuid() == 0:
            for path in (self.folder, self.folder / "run", self.folder / "pw"):
                shutil.chown(path, "postgres")
        login = ["-U", USER, f"--pwfile={self.folder}/pw", "-A", "scram-sha-256"]
        self._run("initdb", "-D", f"{self.folder}/data", *login, "-E", "UTF8", "--locale=C.UTF-8")

    def _run(self, program: str, *arguments: str) -> None:
        as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        command = [*as_user, str(PROGRAMS[-1] / program), *arguments]
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextmanager
def running(folder: Path) -> Iterator[Postgres]:
    """Return a new server with its files in a new folder; both are gone in the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = Postgres(folder, free.getsockname()[1])
    server.initialise()
    server.start()
    try:
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)
