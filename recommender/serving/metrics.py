"""What the service counts, for Prometheus; prometheus_client adds up the workers, also those that have ended.

Example usage:
>>> metrics = Metrics()
>>> metrics.answered("/v1/status", 200, 0.003)
>>> metrics.from_source("popular").inc()
>>> b'recommender_answers_total{source="popular"} 1.0' in metrics.exposition(Versions(), uptime=3.0)
True
"""

import os
import resource
import time
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from recommender.serving.versions import Versions

FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's variable; the workers count in files there
_PROC: Final = Path("/proc")
BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The metrics of a worker."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = self._counter("requests", "Requests answered", "route", "status")
        self._seconds = Histogram(
            "recommender_request_duration_seconds",
            "Seconds from the request to the end of its answer",
            ["route"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._sources = self._counter("answers", "Lists by where they came from", "source")
        self.rejected = self._counter("rejected", "Requests that were not answered, by the id of the problem", "id")
        self.in_flight = 0
        self._in_flight = self._gauge("requests_in_flight", "Requests that are being answered", "livesum")
        self._failures = self._counter("reload_failures", "Versions that could not be loaded, by all workers")
        self._ready = self._gauge("ready", "Whether every worker serves a version", "livemin")
        self._version = self._gauge("version", "Number of the version that is served", "livemax")
        self._age = self._gauge("version_age_seconds", "Age of the version that is served", "mostrecent")
        self._workers = self._gauge("workers", "Processes that answer", "livesum")
        self._uptime = self._gauge("uptime_seconds", "Age of the service", "mostrecent")
        self._memory = self._gauge("process_resident_memory_bytes", "Memory, with the mapped files", "livesum")
        self._cpu = self._counter("process_cpu_seconds", "CPU time")
        self._used = 0.0
        self._counted_failures = 0
        self._of_route = lru_cache(1000)(lambda route, status: self._requests.labels(route, str(status)))
        self._seconds_of = lru_cache(1000)(self._seconds.labels)
        self.from_source = lru_cache(10)(self._sources.labels)
        self._workers.set(1)
        _forget_ended_workers()

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._of_route(route, status).inc()
        self._seconds_of(route).observe(seconds)

    def update(self, versions: Versions) -> None:
        """Set what is not counted by requests."""
        current, _ = versions.both()
        self._ready.set(versions.is_ready)
        self._in_flight.set(self.in_flight)
        if current:
            self._version.set(current.number)
        self._failures.inc(versions.failures - self._counted_failures)
        self._counted_failures = versions.failures
        usage = resource.getrusage(resource.RUSAGE_SELF)
        used = usage.ru_utime + usage.ru_stime
        self._cpu.inc(used - self._used)
        self._used = used
        if (_PROC / "self").exists():
            pages = int((_PROC / "self" / "statm").read_text().split()[1])
            self._memory.set(pages * resource.getpagesize())

    def exposition(self, versions: Versions, uptime: float) -> bytes:
        """Return the metrics of all workers as Prometheus reads them."""
        self.update(versions)
        self._uptime.set(uptime)
        current, _ = versions.both()
        found = age(current.snapshot.manifest.created_at) if current else None
        if found is not None:
            self._age.set(found)
        registry = self._registry
        if FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"recommender_{name}", text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, mode: Any) -> Gauge:
        return Gauge(f"recommender_{name}", text, registry=self._registry, multiprocess_mode=mode)


def age(created_at: str) -> float | None:
    """Return the seconds since a time, None if it cannot be read."""
    try:
        created = datetime.fromisoformat(created_at)
    except ValueError:
        return None
    if created.tzinfo is None:
        created = created.replace(tzinfo=timezone.utc)
    return round(time.time() - created.timestamp(), 3)


def _forget_ended_workers() -> None:
    """Leave out the gauges of workers that have ended; their counters stay."""
    if FOLDER not in os.environ or not (_PROC / "self").exists():
        return
    for path in Path(os.environ[FOLDER]).glob("gauge_live*_*.db"):
        process = int(path.stem.rsplit("_", 1)[1])
        if not (_PROC / str(process)).exists():
            mark_process_dead(process)  # type: ignore[no-untyped-call]
