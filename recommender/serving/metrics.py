"""What the service counts, for Prometheus: requests and their durations by route, and the sources of answers.

Each process counts in its own row of the shared memory, and whichever is asked adds the rows up. A process that takes
the place of one that died goes on with its numbers, so that no counter falls.

Example usage:
>>> counters = Counters(Shared(1, Counters.SIZE), worker=0)
>>> counters.answered("/v1/status", 200, 0.003)
>>> counters.from_source("popular")
>>> b'recommender_answers_total{source="popular"} 1.0' in counters.exposition({})
True
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from recommender.serving.answers import SOURCES
from recommender.serving.shared import Shared

OTHER: Final = "other"
PUBLISHED_ROUTE: Final = "/v1/visitors/{visitorid}/recommendations"
SIMILAR_ROUTE: Final = "/v1/items/{itemid}/similar"
ROUTES: Final = (
    PUBLISHED_ROUTE,
    "/v1/recommendations",
    SIMILAR_ROUTE,
    "/v1/visitors/{visitorid}/explain/{itemid}",
    "/v1/visitors/{visitorid}/history",
    "/v1/visitors/random",
    "/v1/status",
    "/livez",
    "/readyz",
    "/metrics",
    OTHER,
)
STATUSES: Final = (200, 304, 400, 401, 404, 405, 408, 409, 413, 422, 431, 500, 503, 0)  # 0: any other
BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_OF_A_ROUTE: Final = len(BUCKETS) + 2  # and what is slower, and the sum of the seconds


class Counters:
    """The counters of one process.

    Init parameters:
        shared: memory with `SIZE` numbers for each process.
        worker: number of this one.
    """

    SIZE: ClassVar[int] = len(ROUTES) * (len(STATUSES) + _OF_A_ROUTE) + len(SOURCES)

    def __init__(self, shared: Shared, worker: int) -> None:
        self._shared = shared
        self._row = shared.row(worker)
        self._routes = {route: number for number, route in enumerate(ROUTES)}
        self._statuses = {status: number for number, status in enumerate(STATUSES)}
        self._sources = {source: _SOURCES + number for number, source in enumerate(SOURCES)}

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        number = self._routes.get(route, len(ROUTES) - 1)
        code = self._statuses.get(status, len(STATUSES) - 1)
        times = _TIMES + number * _OF_A_ROUTE
        self._row[number * len(STATUSES) + code] += 1
        self._row[times + bisect_left(BUCKETS, seconds)] += 1
        self._row[times + len(BUCKETS) + 1] += seconds

    def from_source(self, source: str) -> None:
        """Count where a list came from."""
        self._row[self._sources[source]] += 1

    def exposition(self, state: Mapping[str, Any]) -> bytes:
        """Return all counters as Prometheus reads them, with what the status says."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collected(self._shared.sums(), state))
        return generate_latest(registry)


_TIMES: Final = len(ROUTES) * len(STATUSES)
_SOURCES: Final = _TIMES + len(ROUTES) * _OF_A_ROUTE


class _Collected(Collector):
    """Numbers that were added up, with their names."""

    def __init__(self, sums: list[float], state: Mapping[str, Any]) -> None:
        self._sums, self._state = sums, state

    def collect(self) -> Iterable[Metric]:
        """Return the metrics."""
        yield self._requests()
        yield self._durations()
        answers = CounterMetricFamily("recommender_answers", "Lists by where they came from", labels=["source"])
        for number, source in enumerate(SOURCES):
            answers.add_metric([source], self._sums[_SOURCES + number])
        yield answers
        failures = CounterMetricFamily("recommender_reload_failures", "Versions that could not be taken over")
        failures.add_metric([], self._state.get("failures", 0))
        yield failures
        for name, text in _GAUGES.items():
            value = self._state.get(name)
            if value is not None:
                yield GaugeMetricFamily(f"recommender_{name}", text, value=float(value))

    def _requests(self) -> Metric:
        requests = CounterMetricFamily("recommender_requests", "Requests answered", labels=["route", "status"])
        for place, value in enumerate(self._sums[:_TIMES]):
            route, status = divmod(place, len(STATUSES))
            if value:
                requests.add_metric([ROUTES[route], str(STATUSES[status] or OTHER)], value)
        return requests

    def _durations(self) -> Metric:
        text = "Seconds from the request to the end of its answer"
        durations = HistogramMetricFamily("recommender_request_duration_seconds", text, labels=["route"])
        for number, route in enumerate(ROUTES):
            start = _TIMES + number * _OF_A_ROUTE
            counts, seconds = self._sums[start : start + _OF_A_ROUTE - 1], self._sums[start + _OF_A_ROUTE - 1]
            if any(counts):
                totals = [sum(counts[: place + 1]) for place in range(len(counts))]
                buckets = list(zip([*map(str, BUCKETS), "+Inf"], totals, strict=True))
                durations.add_metric([route], buckets, seconds)
        return durations


_GAUGES: Final = {
    "ready": "Whether a version is served",
    "version": "Number of the version that is served",
    "version_age_seconds": "Age of the version that is served",
    "workers": "Processes that answer",
    "uptime_seconds": "Age of the service",
}
