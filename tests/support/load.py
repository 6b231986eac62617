"""Ask a service in a loop, in a process of its own, and tell as JSON what was wrong with the answers.

    python load.py PORT SECONDS THREADS PATH [PATH ...]

Each thread is a client, which sends back the version that it has seen. A request that was refused a connection, whose
connection was closed before an answer began, or that a worker is not new enough for is counted apart: a client asks
again then. What must never be seen: another status than 200, an answer whose header and body name two versions, a
version older than one that the client was answered from before.
"""

import http.client
import json
import sys
import threading
import time
from collections import Counter
from typing import Any


class Seen:
    """What all threads have seen."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.newest = 0
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    def answered(self, before: int, status: int, header: str | None, body: bytes) -> int:
        """Note an answer, and return its version; `before` is the one that the client had seen before."""
        number, what = 0, ""
        if status != 200:
            what = f"status {status}: {body[:200]!r}"
        else:
            answer = json.loads(body)
            number, run = answer["version"]["number"], answer["version"]["run"]
            if header != str(number):
                what = f"header {header}, body {number}"
            elif number < before:
                what = f"version {number} after {before}"
            elif any(not item["title"].startswith(f"{run}:") for item in answer.get("items", ()) if item["title"]):
                what = f"an item of another version in one of {run}"
        with self.lock:
            self.counts["answers"] += 1
            self.counts[f"version {number}"] += 1
            self.newest = max(self.newest, number)
            if what:
                self.wrong.append(what)
        return number


def ask(port: int, until: float, paths: list[str], seen: Seen) -> None:
    """Ask until a time, on one connection while it is kept."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    turn = before = 0
    while time.monotonic() < until:
        turn += 1
        try:
            connection.request("GET", paths[turn % len(paths)], headers={"X-Recommender-Version": str(before)})
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            # A connection that is closed is that, whichever way the system tells it.
            kind = ConnectionResetError if isinstance(error, ConnectionResetError) else type(error)
            with seen.lock:
                seen.counts[kind.__name__] += 1
            time.sleep(0.01)
            continue
        if response.status == 503 and b"VERSION_BEHIND" in body:
            with seen.lock:
                seen.counts["behind"] += 1
            time.sleep(0.01)
            continue
        before = seen.answered(before, response.status, response.headers.get("x-recommender-version"), body)


def main(port: int, seconds: float, threads: int, paths: list[str]) -> dict[str, Any]:
    """Return what was seen."""
    seen, until = Seen(), time.monotonic() + seconds
    asking = [threading.Thread(target=ask, args=(port, until, paths, seen)) for _ in range(threads)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    return {"counts": dict(seen.counts), "wrong": seen.wrong[:10], "newest": seen.newest}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])))
