"""Run the workflow and a search on one kind of Spark after the other, and compare the tables that they store.

tests/conformance.sh makes the environments and starts this. It prints the table of docs/platforms.md.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from support.same_results import TOLERANCE, differences
from support.submitting import JOBS, LIGHT, setting, write_events

ROOT = JOBS.parent
MODEL = ("stage2.als.rank=4", "stage2.als.max_iter=2", "stage2.evaluator.replicates=50")
SEARCH = ("tune.tuner.trials=2", "tune.tuner.rank=[2]", "tune.tuner.max_iter=[2]", "tune.validation.share=0.3")
CONNECT_PORT, MASTER_PORT, WEB_PORT = 15_102, 7_177, 18_180
_PATIENCE = 180  # seconds until a server is ready
_VERSIONS = """
import sys, numpy, pandas, pyarrow, pyspark
python = ".".join(map(str, sys.version_info[:2]))
print(pyspark.__version__, python, numpy.__version__, pandas.__version__, pyarrow.__version__, sep=" | ")
"""
_SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"
_ON_CORES = ("--master", "local[2]")
_ON_EXECUTORS = ("--conf", "spark.executor.memory=1g")
_NOT_TRIED = """
Not tried, as there was no account and no cluster of several machines: Databricks, EMR, Dataproc, Kubernetes, YARN, and
storage other than a disk. Spark's standalone master does not offer `--deploy-mode cluster` to Python."""
Variables = dict[str, str]


@dataclass(frozen=True)
class Row:
    """A kind of Spark.

    Attributes:
        where: as the table shows it.
        environment: folder of the Python environment, below the checkout.
        options: of spark-submit.
        remote: of Spark Connect; then the job is started by Python.
        servers: starts what the job needs, given SPARK_HOME, a folder for logs, and variables.
        installed: whether the package is installed from its wheel, and the job's file lies elsewhere.
        java: the Java; None: the machine's.
    """

    where: str
    environment: str = ".venv-dev"
    options: tuple[str, ...] = _ON_CORES
    remote: str = ""
    servers: Callable[[str, Path, Variables], AbstractContextManager[None]] = lambda *_: nullcontext()
    installed: bool = False
    java: str | None = None


@contextmanager
def _started(
    commands: Sequence[Sequence[str]], log: Path, ready: Callable[[str], bool], variables: Variables
) -> Iterator[None]:
    """Start servers, wait until their log says that they are ready, and end them at last."""
    with log.open("w") as out:
        running = [subprocess.Popen(each, stdout=out, stderr=out, env=variables, cwd=log.parent) for each in commands]
    try:
        deadline = time.monotonic() + _PATIENCE
        while not ready(log.read_text()):
            if time.monotonic() > deadline or any(process.poll() is not None for process in running):
                raise RuntimeError(f"the servers are not ready: {log.read_text()[-2000:]}")
            time.sleep(0.2)
        yield
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            process.wait()


def connect_server(home: str, folder: Path, variables: Variables) -> AbstractContextManager[None]:
    """Start a server of Spark Connect."""
    own = {"spark.connect.grpc.binding.address": "127.0.0.1", "spark.connect.grpc.binding.port": str(CONNECT_PORT)}
    options = [word for key, value in own.items() for word in ("--conf", f"{key}={value}")]
    command = [f"{home}/bin/spark-submit", *_ON_CORES, "--class", _SERVER, *options, "spark-internal"]
    return _started([command], folder / "server.log", lambda log: "Connect server started" in log, variables)


def standalone(home: str, folder: Path, variables: Variables) -> AbstractContextManager[None]:
    """Start a master with two workers."""
    program, place = f"{home}/bin/spark-class", "org.apache.spark.deploy"
    at = ["--host", "127.0.0.1"]
    master = [program, f"{place}.master.Master", *at, "--port", str(MASTER_PORT), "--webui-port", str(WEB_PORT)]
    worker = [program, f"{place}.worker.Worker", *at, "--cores", "1", "--memory", "1g"]
    workers = [
        [*worker, "--webui-port", str(WEB_PORT + n), "--work-dir", str(folder / f"worker{n}"), master_url()]
        for n in (1, 2)
    ]
    small = {**variables, "SPARK_DAEMON_MEMORY": "256m"}
    return _started([master, *workers], folder / "cluster.log", lambda log: log.count("Registering worker") == 2, small)


def master_url() -> str:
    """Return the address of the standalone master."""
    return f"spark://127.0.0.1:{MASTER_PORT}"


ROWS = {
    "4.3": Row("spark-submit, `local[2]`"),
    "connect": Row("Spark Connect, `local[2]`", remote="local[2]"),
    "server": Row("Spark Connect, a server (`sc://`)", remote=f"sc://127.0.0.1:{CONNECT_PORT}", servers=connect_server),
    "4.1": Row("spark-submit, `local[2]`", ".venv-spark41"),
    "4.0": Row("spark-submit, `local[2]`", ".venv-spark40"),
    "3.5": Row("spark-submit, `local[2]`", ".venv-spark35"),
    "local-cluster": Row("`local-cluster[2,1,1024]`", options=("--master", "local-cluster[2,1,1024]", *_ON_EXECUTORS)),
    "standalone": Row(
        "a standalone master, two workers",
        options=("--master", master_url(), "--conf", "spark.executor.memory=512m"),
        servers=standalone,
    ),
    "wheel": Row("the wheel, from another folder", ".venv-wheel", installed=True),
    "java21": Row("the Java that is fetched", java=os.environ.get("FETCHED_JAVA")),
}


def variables_of(row: Row, python: Path) -> Variables:
    """Return the environment of a user who has activated nothing."""
    kept = {name: os.environ[name] for name in ("HOME", "JAVA_HOME", "LC_ALL", "LANG", "TMPDIR") if name in os.environ}
    own = {
        "PATH": os.environ["PATH"],
        "PYSPARK_PYTHON": str(python),
        "PYSPARK_DRIVER_PYTHON": str(python),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_HOME": _printed(python, "import os, pyspark; print(os.path.dirname(pyspark.__file__))"),
        "SPARK_SUBMIT_OPTS": "-XX:TieredStopAtLevel=1 -Xss4m -XX:+UseSerialGC",
    }
    return kept | own | ({"JAVA_HOME": row.java} if row.java else {})


def run_row(row: Row, folder: Path, arguments: Sequence[str], jobs: Sequence[str] = ("workflow", "tune")) -> Path:
    """Run jobs on a kind of Spark and return the root of their results.

    Args:
        row: the kind.
        folder: a new one, for the root and the logs.
        arguments: of each job.
        jobs: their names.

    Raises:
        RuntimeError: a job has failed.
    """
    python, root, files = ROOT / row.environment / "bin" / "python", folder / "out", JOBS
    folder.mkdir()
    if row.installed:
        files = Path(shutil.copytree(JOBS, folder / "jobs"))
        shutil.copytree(ROOT / "conf", folder / "conf")
    variables = variables_of(row, python)
    home = variables["SPARK_HOME"]
    start = [str(python)] if row.remote else [f"{home}/bin/spark-submit", *LIGHT[:2], *row.options]
    with row.servers(home, folder, variables), (folder / "log").open("w") as log:
        for job in jobs:
            command = [*start, str(files / f"{job}.py"), "--root", str(root), *arguments]
            remote = {"SPARK_REMOTE": row.remote} if row.remote else {}
            if subprocess.run(
                command, cwd=folder, env=variables | remote, stdout=log, stderr=log, check=False
            ).returncode:
                raise RuntimeError(f"{job} has failed: {(folder / 'log').read_text()[-3000:]}")
    return root


def versions(row: Row) -> str:
    """Return the versions of Spark, Python, numpy, pandas, pyarrow and Java as cells of the table."""
    python = ROOT / row.environment / "bin" / "python"
    java = f"{row.java or os.environ['JAVA_HOME']}/bin/java"
    shown = subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stderr
    return f"{_printed(python, _VERSIONS)} | {shown.split(chr(34))[1].split('.')[0]}"


def _printed(python: Path, program: str) -> str:
    return subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def verdict(reference: Path, root: Path) -> tuple[str, bool]:
    """Return how many tables are equal, as a cell of the table, and whether all are."""
    number, near, different = differences(reference, root)
    if different:
        return "; ".join(different), False
    if near:
        return f"{number - len(near)} equal, {len(near)} within {TOLERANCE:g} ({', '.join(near)})", True
    return f"all {number} equal", True


def main(names: Sequence[str]) -> int:
    """Run the rows of these names, after the first one, which they are compared with; return 1 if one differs."""
    reference, failed = None, False
    print("| where | Spark | Python | numpy | pandas | pyarrow | Java | tables | seconds |\n|" + "---|" * 9)
    with tempfile.TemporaryDirectory(prefix="conformance") as place:
        events = write_events(Path(place) / "events.csv.gz")
        arguments = setting(f"stage1.data_loader.event_filename={events}", *MODEL, *SEARCH)
        for name in dict.fromkeys(["4.3", *names]):
            row, started = ROWS[name], time.monotonic()
            try:
                root = run_row(row, Path(place) / name, arguments)
                reference = reference or root
                cell, is_equal = verdict(reference, root)
            except RuntimeError as error:
                print(error, file=sys.stderr)
                cell, is_equal = "failed", False
            failed |= not is_equal
            seconds = f"{time.monotonic() - started:.0f}"
            print("|", row.where, "|", versions(row), "|", cell, "|", seconds, "|", flush=True)
            if reference is None:
                return 1
    print(_NOT_TRIED)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
