"""Start jobs as users do: real processes, from another folder, without PYTHONPATH; and end them as machines do."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JOBS = Path(__file__).resolve().parent.parent.parent / "jobs"
SUBMIT = Path(sys.executable).parent / "spark-submit"
_HIDDEN = {"PYTHONPATH", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON", "SPARK_HOME", "EVENTS_PATH"}


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
    return {**kept, "PATH": f"{SUBMIT.parent}:{kept['PATH']}"}


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
