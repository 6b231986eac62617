"""Start jobs: in this process, or as users do, in real ones that can be ended as machines end them.

A job that runs in the test's process uses the session that all tests share, which takes a fraction of the time.
Only what a process shows (its exit code, its last line, a signal, a kill, the settings it was given) starts one.
"""

import contextlib
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recommender.run.config import WORKFLOW
from recommender.run.job import run_job
from recommender.store import Store, open_files
from support.java import QUICK_JAVA

JOBS = Path(__file__).resolve().parent.parent.parent / "jobs"
SUBMIT = Path(sys.executable).parent / "spark-submit"
_HIDDEN = {"PYTHONPATH", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON", "SPARK_HOME", "EVENTS_PATH"}
_LIGHT = (
    "spark.ui.enabled=false",
    "spark.sql.adaptive.enabled=false",
    "spark.sql.shuffle.partitions=2",
    "spark.sql.codegen.wholeStage=false",
    "spark.sql.codegen.factoryMode=NO_CODEGEN",
)
LIGHT = tuple(word for setting in _LIGHT for word in ("--conf", setting))
CANARY = "canary-5up3r-53cr3t"  # a secret, which no output may hold


@dataclass
class Done:
    """How a process ended."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        return self.err.strip().splitlines()[-1]


def environment() -> dict[str, str]:
    """Return the environment of a user who has activated nothing but the PATH."""
    kept = {name: value for name, value in os.environ.items() if name not in _HIDDEN}
    return {**kept, "PATH": f"{SUBMIT.parent}:{kept['PATH']}", "SPARK_SUBMIT_OPTS": QUICK_JAVA}


def script(job: str) -> str:
    return str(JOBS / f"{job}.py")


def submitted(job: str, *arguments: str, options: Sequence[str] = LIGHT) -> list[str]:
    """Return the command line of a real process."""
    return [str(SUBMIT), *options, script(job), *arguments]


def setting(*values: str) -> list[str]:
    """Return the arguments that override parameters."""
    return [word for value in values for word in ("--set", value)]


def run_here(job: str, *arguments: str) -> Done:
    """Run a job in this process, in the session that is active if it needs one."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = run_job(WORKFLOW if job == "workflow" else [job], script(job), arguments)
        except SystemExit as end:  # --help
            code = int(end.code or 0)
    return Done(code, out.getvalue(), err.getvalue())


def run(program: list[str], folder: Path, **more: Any) -> Done:
    done = subprocess.run(
        program, cwd=folder, env=environment(), capture_output=True, text=True, timeout=600, check=False, **more
    )
    return Done(done.returncode, done.stdout, done.stderr)


class Running:
    """A job that is running in a process group of its own."""

    def __init__(self, program: list[str], folder: Path) -> None:
        self._out, self._err = (folder / f"{time.monotonic_ns()}.{name}" for name in ("out", "err"))
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                program, cwd=folder, env=environment(), stdout=out, stderr=err, start_new_session=True
            )

    def wait_for(self, condition: Callable[[], object], seconds: float = 300) -> None:
        """Look very often; a job that ends before the condition holds fails the test."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self._err.read_text()[-2000:]
            assert time.monotonic() < deadline, "nothing happened"
            time.sleep(0.002)

    def said(self) -> str:
        """Return what is on stderr so far."""
        return self._err.read_text()

    def kill(self) -> Done:
        """Kill the job with all its processes, as the machine's death would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        return self.done()

    def terminate(self, number: int = signal.SIGTERM, *, all_processes: bool = False) -> Done:
        """Tell the process that was started to end, or all of its processes."""
        if all_processes:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        return self.done()

    def done(self) -> Done:
        code = self.process.wait(timeout=600)
        return Done(code, self._out.read_text(), self._err.read_text())


def write_events(path: Path, number: int = 3000) -> Path:
    """Write events in which visitors of one half like one half of the items."""
    lines = ["timestamp,visitorid,event,itemid,transactionid"]
    for i in range(number):
        visitor = i % 150
        item = (i // 150 * 7 + visitor) % 20 + 20 * (visitor % 2)
        lines.append(f"{1430622000000 + i * 1000},{visitor},{('view', 'addtocart', 'transaction')[i % 7 % 3]},{item},")
    with gzip.open(path, "wt") as file:
        file.write("\n".join(lines) + "\n")
    return path


def commits(root: Path, stage: str) -> list[Path]:
    return sorted((root / stage / "commits").glob("[0-9]*.json"))


def record(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def failed(root: Path, stage: str) -> list[dict[str, Any]]:
    return [record(path) for path in (root / stage / "data").glob("*/_FAILED.json")]


def attempts(root: Path, stage: str) -> list[Path]:
    return sorted((root / stage / "data").glob("*/_ATTEMPT.json"))


def store(root: Path) -> Store:
    return Store(open_files(str(root), hadoop=lambda: None))


def newest(root: Path, stage: str) -> str:
    """Return the attempt of the newest commit, whose files are all as the record says."""
    commit = store(root).latest(stage)
    assert commit is not None
    store(root).check(commit)
    return commit.attempt


def live(root: Path) -> list[str]:
    """Return the runs that the channel live has named."""
    return [record(path)["run"] for path in sorted((root / "channels" / "live").glob("[0-9]*.json"))]


def is_error(done: Done, code: int, *texts: str) -> bool:
    """Return whether a job ended with a code, and said why in its last line, without a trace."""
    assert done.last.startswith("RECOMMENDER_ERROR "), done.err[-2000:]
    assert "Traceback" not in done.err
    return done.code == code and all(text in done.last for text in texts)
