"""The service as a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx

REPOSITORY = Path(__file__).resolve().parent.parent.parent
_LISTENING = re.compile(r"listening on http://127\.0\.0\.1:(\d+)")


class Running:
    """A service that was started, and its log."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        command = [sys.executable, "-m", "recommender", "serve", "--port", "0", *arguments]
        self.process = subprocess.Popen(
            command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )
        self.log: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = int(self.logged(_LISTENING)[1])
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._reader.join(30)  # workers whose first process was killed end by themselves
        if self.process.stderr:
            self.process.stderr.close()

    def logged(self, pattern: re.Pattern[str], seconds: float = 40) -> re.Match[str]:
        """Wait for a line of the log."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = next((match for line in list(self.log) if (match := pattern.search(line))), None)
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"no {pattern.pattern} in the log:\n" + "\n".join(self.log))

    def ready(self, number: int | None = None, seconds: float = 40) -> dict[str, Any]:
        """Wait until the service is ready, or serves a version; return its status."""
        until, status = time.monotonic() + seconds, {}
        while time.monotonic() < until:
            status = self.status()
            if status["ready"] and (number is None or status["version"]["number"] == number):
                return status
            time.sleep(0.05)
        raise AssertionError(f"not ready: {status}\n" + "\n".join(self.log))

    def status(self) -> dict[str, Any]:
        """Return the status, also while a worker is replaced."""
        for _ in range(50):
            try:
                status: dict[str, Any] = self.client.get("/v1/status").json()
            except httpx.TransportError:
                time.sleep(0.2)
            else:
                return status
        raise AssertionError("no answer\n" + "\n".join(self.log))

    def workers(self) -> list[int]:
        """Return the processes that answer."""
        process = self.process.pid
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        return [int(each) for each in children if is_worker(each)]

    def end(self, seconds: float = 10) -> int:
        """Tell the service to end; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


class Load:
    """A process that asks a service in a loop; see ``load.py``."""

    def __init__(self, service: Running, seconds: float, threads: int, *paths: str) -> None:
        words = [sys.executable, str(Path(__file__).parent / "load.py"), str(service.port), str(seconds), str(threads)]
        self._process = subprocess.Popen([*words, *paths], stdout=subprocess.PIPE, text=True)

    def result(self) -> dict[str, Any]:
        """Return what was seen, when it has ended."""
        told, _ = self._process.communicate(timeout=60)
        result: dict[str, Any] = json.loads(told)
        return result


def is_worker(process: str) -> bool:
    """Return whether a child of the first process is a worker, not what keeps its books."""
    try:
        return b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


def is_alive(process: int) -> bool:
    """Return whether a process runs."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
