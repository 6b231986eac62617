"""The service under load: answers per second, how long they take, memory, the time to start and to change the version.

    python benchmarks/serve.py                                    # 1 million visitors, 235,000 items, rank 64
    python benchmarks/serve.py --visitors 10000 --items 5000 --seconds 5 --keep /tmp/served

The service gets one core, and the load, which is a process of its own, another. Requests are due at times that do not
depend on the answers (Poisson), and a latency is counted from when the request was due; see serve_load.py. The visitors
that are asked for, and the events that lists are computed from, are by chance.

Oryx 2's figures are those that its authors publish for its serving layer (oryx.io, "Performance"; a 32-core Xeon of
2.3 GHz, of which one request uses all): they are of another machine, and are here to say what is usual. To stand beside
them: --items 1000000 --rank 50.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
from serve_data import CATEGORIES, EVENTS, generated, itemid, visitorid
from serve_load import Measured, arrivals, closed_loop, get, open_loop, post

from recommender.store import Channels, Store, open_files

PUBLISHED, FOLDED, SIMILAR = "published list", "fold-in, whole catalogue", "similar items"
BOOSTED = "fold-in, a category boosted, two items of each"
FILTERED = "fold-in, a category in stock below a price"
MANY = 32  # connections
HISTORY = 10  # events of a list that is computed
HEAD = (
    "| what | asked per s | answers per s | p50 ms | p99 ms | p99.9 ms | CPU ms each | failed |\n"
    "|---|---|---|---|---|---|---|---|"
)
ORYX = (
    "| Oryx 2, published: 50 features, 1 million items, exact | | 70 | 28 | | | on 32 cores | |\n"
    "| Oryx 2, published: 50 features, 1 million items, LSH 0.3 | | 437 | 7 | | | on 32 cores | |"
)


class Service:
    """The service on one core, and what it says of itself."""

    def __init__(self, root: Path, core: int) -> None:
        command = [sys.executable, "-m", "recommender", "serve", "--root", str(root), "--port", "0", "--poll", "0.1"]
        started = time.perf_counter()
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {core})  # what is started inherits it
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        os.sched_setaffinity(0, cores)
        assert self.process.stderr is not None
        line = next(line for line in self.process.stderr if "listening on" in line)
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        self.port = int(line.rsplit(":", 1)[1])
        while not self._ready():
            time.sleep(0.005)
        self.seconds_to_ready = time.perf_counter() - started

    def _ready(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/readyz") as answer:
                return bool(answer.status == 200)  # noqa: PLR2004
        except OSError:
            return False

    def asked(self, path: str) -> Any:
        """Return an answer."""
        with urlopen(f"http://127.0.0.1:{self.port}{path}") as answer:
            return json.loads(answer.read())

    def megabytes(self) -> list[dict[str, float]]:
        """Return the memory of the first process and of the one that answers: their own, and the mapped files'."""
        parent = self.process.pid
        found = []
        for process in [str(parent), *self._workers()]:
            status = Path(f"/proc/{process}/status").read_text()
            lines = dict(line.split(":", 1) for line in status.splitlines())
            found.append({name: int(lines[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile")})
        return found

    def _workers(self) -> list[str]:
        """Return the processes that answer: not the one that keeps multiprocessing's books."""
        parent = self.process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [each for each in children if b"resource_tracker" not in Path(f"/proc/{each}/cmdline").read_bytes()]

    def cpu(self) -> float:
        """Return the CPU seconds that the service has used: they hardly depend on what else the machine does."""
        stats = (Path(f"/proc/{process}/stat").read_text() for process in [str(self.process.pid), *self._workers()])
        ticks = sum(sum(map(int, stat.rsplit(")", 1)[1].split()[11:13])) for stat in stats)
        return ticks / os.sysconf("SC_CLK_TCK")

    def end(self) -> float:
        """End it; return the seconds that takes."""
        started = time.perf_counter()
        self.process.terminate()
        self.process.wait()
        return time.perf_counter() - started


def publish(root: Path, snapshot: Path) -> None:
    """Publish a snapshot, as stage 4 does; its files are linked, not copied."""
    store = Store(open_files(str(root), lambda: None))
    attempt = store.begin("stage4", json.loads((snapshot / "manifest.json").read_bytes())["run"])
    folder = root / "stage4" / "data" / attempt.id / "snapshot"
    shutil.copytree(snapshot, folder, copy_function=os.link)
    manifest = f"{attempt.id}/snapshot/manifest.json"
    facts = {"bytes": 0, "sha256": store.files.sha256(f"stage4/data/{manifest}")}
    Channels(store).publish("live", store.commit(attempt, {"files": {manifest: facts}}))


def row(name: str, asked: float | None, measured: Measured, kind: str, cpu: float | None = None) -> str:
    """Return a row of the table; `cpu`: the seconds that all of the answers took, None if others were among them."""
    ms = 1000 * np.array(measured.seconds.get(kind, [np.nan]))
    p50, p99, p999 = np.percentile(ms, [50, 99, 99.9])
    rate = len(ms) / measured.duration
    wanted = f"{asked:,.0f}" if asked else "as fast as it can"
    each = f"{1000 * cpu / len(ms):.3f}" if cpu is not None else ""
    return f"| {name} | {wanted} | {rate:,.0f} | {p50:.2f} | {p99:.2f} | {p999:.2f} | {each} | {measured.failed} |"


class Requests:
    """Requests by chance."""

    def __init__(self, visitors: int, items: int) -> None:
        self._visitors, self._items = visitors, items
        self._random = random.Random(1)  # noqa: S311

    def published(self) -> bytes:
        """Ask for what is published for a visitor."""
        return get(f"/v1/visitors/{visitorid(self._random.randrange(self._visitors))}/recommendations?k=10")

    def filtered(self) -> bytes:
        """Ask for a list that is computed, of a category, in stock, below a price."""
        limits = (
            f"category:c{self._random.randrange(CATEGORIES)},in_stock:true,price<{self._random.randrange(20, 60, 5)}"
        )
        return self.folded(filter=limits)

    def boosted(self) -> bytes:
        """Ask for a list that is computed, with a category boosted and at most two items of each."""
        return self.folded(boost=f"category:c{self._random.randrange(CATEGORIES)}*1.5", max_per="category:2")

    def folded(self, **more: str) -> bytes:
        """Ask for a list that is computed."""
        chosen = [self._random.randrange(self._items) for _ in range(HISTORY)]
        events = [{"itemid": itemid(item), "event": self._random.choice(EVENTS)} for item in chosen]
        return post("/v1/recommendations", json.dumps({"events": events, "k": 10, **more}).encode())

    def similar(self) -> bytes:
        """Ask for the items that are like one."""
        return get(f"/v1/items/{itemid(self._random.randrange(self._items))}/similar?k=10")


def measure(service: Service, requests: Requests, seconds: float, rate: float, fold_rate: float) -> None:
    """Print a row for each kind of load."""
    streams: dict[str, tuple[Callable[[], bytes], float]] = {
        PUBLISHED: (requests.published, rate),
        FOLDED: (requests.folded, fold_rate),
        FILTERED: (requests.filtered, fold_rate),
        BOOSTED: (requests.boosted, fold_rate),
        SIMILAR: (requests.similar, rate),
    }
    late: list[float] = []
    print(HEAD)
    for kind, (make, wanted) in streams.items():
        before = service.cpu()
        measured = open_loop(service.port, [(kind, arrivals(wanted, seconds), make)], MANY)
        late += measured.late if kind == PUBLISHED else []
        print(row(kind, wanted, measured, kind, service.cpu() - before), flush=True)
    half = [
        (PUBLISHED, arrivals(rate / 2, seconds), requests.published),
        (FOLDED, arrivals(fold_rate / 2, seconds, seed=2), requests.folded),
    ]
    mixed = open_loop(service.port, half, MANY)
    print(row(f"{PUBLISHED}, and beside it", rate / 2, mixed, PUBLISHED))
    print(row(f"... {FOLDED}", fold_rate / 2, mixed, FOLDED), flush=True)
    for kind, (make, _) in streams.items():
        before, at_once = service.cpu(), 4 if kind in {FOLDED, FILTERED, BOOSTED} else MANY
        measured = closed_loop(service.port, kind, make, seconds / 2, at_once)
        print(row(f"{kind}, {at_once} at once", None, measured, kind, service.cpu() - before), flush=True)
    print(ORYX)
    p50, p99 = np.percentile(1000 * np.array(late), [50, 99])
    print(f"\nThe load itself was late by {p50:.2f} ms (median), {p99:.2f} ms (p99), which is part of the latencies.")


def swap(service: Service, root: Path, snapshot: Path, requests: Requests, rate: float) -> None:
    """Print how long a new version takes, and what that does to the answers."""
    before = service.asked("/v1/status")["version"]["number"]
    pid = os.fork()
    if not pid:
        time.sleep(2)
        publish(root, snapshot)
        os._exit(0)
    started = time.perf_counter()
    measured = open_loop(service.port, [(PUBLISHED, arrivals(rate, 12), requests.published)], MANY)
    os.waitpid(pid, 0)
    while service.asked("/v1/status")["version"]["number"] == before and time.perf_counter() - started < 60:  # noqa: PLR2004
        time.sleep(0.05)
    status = service.asked("/v1/status")
    published = next((root / "channels" / "live").glob(f"*{before + 1}.json"))
    at = json.loads(published.read_text())["at"]
    print(f"\nA new version, published under load at {at}, answered from {status['last_reload']['at']} on:")
    print(f"{HEAD}\n{row(f'{PUBLISHED}, while it is loaded', rate, measured, PUBLISHED)}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visitors", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=235_000)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each load")
    parser.add_argument("--rate", type=float, default=2000.0, help="requests per second for what is published")
    parser.add_argument("--fold-rate", type=float, default=50.0, help="for what is computed")
    parser.add_argument("--equal-norms", action="store_true", help="nothing can be spared in a search: the worst case")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="make the snapshot there, or take the one there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.keep and options.keep.parent) as folder:
        run(options, options.keep or Path(folder) / "made", Path(folder) / "root")


def run(options: argparse.Namespace, snapshot: Path, root: Path) -> None:
    """Make what is missing, start the service, and measure."""
    if not (snapshot / "manifest.json").exists():
        started = time.perf_counter()
        generated(snapshot, options.visitors, options.items, options.rank, equal_norms=options.equal_norms)
        print(f"made in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    size = sum(path.stat().st_size for path in snapshot.rglob("*") if path.is_file()) / 1e6
    publish(root, snapshot)
    cores = sorted(os.sched_getaffinity(0))
    service = Service(root, cores[0])
    os.sched_setaffinity(0, {cores[-1]})
    requests = Requests(options.visitors, options.items)
    print(f"{options.visitors:,} visitors, {options.items:,} items, rank {options.rank}: {size:,.0f} MB in files")
    print(f"ready {service.seconds_to_ready:.2f} s after the start, with all hashes compared\n")
    try:
        measure(service, requests, options.seconds, options.rate, options.fold_rate)
        swap(service, root, snapshot, requests, options.rate / 2)
        first, *others = service.megabytes()
        told = ", ".join(
            f"{each['RssAnon']:.0f} MB of its own and {each['RssFile']:.0f} MB of files" for each in others
        )
        print(f"\nMemory: the first process {first['RssAnon']:.0f} MB; the one that answers {told}, two versions.")
    finally:
        print(f"It ended {service.end():.2f} s after it was told to.")


if __name__ == "__main__":
    main()
