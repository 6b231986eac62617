"""What those who run the service ask for: its status, the probes and the metrics."""

import time
from typing import Any

from fastapi import Depends, FastAPI, Request, Response

from recommender.serving import models
from recommender.serving.answers import to_json
from recommender.serving.auth import METRICS, RECOMMEND
from recommender.serving.handlers import JSON, Recommender
from recommender.serving.metrics import age
from recommender.serving.problems import RequestError
from recommender.serving.routes import no_query, problems
from recommender.serving.settings import Settings


def add_operations(api: FastAPI, recommender: Recommender, settings: Settings) -> None:
    """Add /v1/status, /livez, /readyz and /metrics."""
    versions, metrics = recommender.versions, recommender.metrics

    @api.get(
        "/v1/status",
        response_model=models.Status,
        responses=problems(401, 403, 422),
        tags=["operations"],
        dependencies=[recommender.needs(RECOMMEND), Depends(no_query)],
    )
    async def get_status() -> Response:
        """Return the version, its age, counts and metrics, and how the last reload went."""
        found = status_of(recommender, settings)
        headers = {"X-Recommender-Version": str(found["version"]["number"])} if found["version"] else {}
        return Response(to_json(found), media_type=JSON, headers=headers)

    @api.get("/livez", response_model=models.Live, tags=["operations"])
    async def is_live() -> Response:
        """Answer; nothing is looked at."""
        return Response(b'{"live":true}', media_type=JSON)

    @api.get(
        "/readyz",
        response_model=models.Ready,
        responses=problems(503),
        tags=["operations"],
    )
    async def is_ready() -> Response:
        """Return whether requests are to be sent here: not before the first version, nor while ending."""
        if versions.draining:
            raise RequestError(503, "DRAINING", "the service is ending; ask another one")
        versions.current()
        return Response(b'{"ready":true}', media_type=JSON)

    @api.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **problems(401, 403)},
        tags=["operations"],
    )
    async def get_metrics(request: Request) -> Response:
        """Return the metrics of all workers, for Prometheus."""
        recommender.tokens.check(request.headers.get("authorization"), METRICS)
        content = metrics.exposition(versions, time.time() - settings.started)
        return Response(content, media_type="text/plain; version=0.0.4; charset=utf-8")


def status_of(recommender: Recommender, settings: Settings) -> dict[str, Any]:
    """Return what a worker knows of the service and its version."""
    versions = recommender.versions
    version, previous = versions.both()
    manifest = version.snapshot.manifest if version else None
    return {
        "ready": versions.is_ready,
        "draining": versions.draining,
        "version": version.shown if version else None,
        "previous": previous.shown if previous else None,
        "age_seconds": age(manifest.created_at) if manifest else None,
        "counts": manifest.counts.model_dump() if manifest else None,
        "metrics": manifest.metrics if manifest else [],
        "gate": manifest.gate if manifest else None,
        "channel": None if settings.snapshot else settings.channel,
        "last_reload": versions.last_reload,
        "failures": versions.failures,
        "hidden": len(versions.hidden),
        "event_kinds": sorted(version.weights, key=lambda kind: version.weights[kind]) if version else [],
        "attributes": version.filters.choices if version else {},
        "workers": settings.workers,
        "uptime_seconds": round(time.time() - settings.started, 3),
    }
