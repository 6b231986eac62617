"""The service as an ASGI application, and what a worker of uvicorn starts.

Example usage:
>>> settings = Settings()
>>> app = create_app(settings, recommender_of(settings))
"""

import asyncio
import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import FrameType
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from recommender import __version__
from recommender.serving import models
from recommender.serving.archive import Archive
from recommender.serving.auth import Tokens
from recommender.serving.computing import Computer, give_way
from recommender.serving.follower import Follower
from recommender.serving.handlers import Recommender
from recommender.serving.logs import configure_logs
from recommender.serving.metrics import Metrics
from recommender.serving.middleware import BodyLimit, FirstRoutes, Observe
from recommender.serving.operations import add_operations
from recommender.serving.pages import add_pages
from recommender.serving.problems import RequestError, internal, invalid, too_large
from recommender.serving.routes import add_routes, fast_routes
from recommender.serving.settings import LARGEST_BODY, Settings
from recommender.serving.sources import source_of
from recommender.serving.versions import Versions

_STARTUP: Final = 10.0  # seconds that a worker waits for its first version before it accepts requests
_TICK: Final = 0.5  # seconds between two looks at the files, the parent and the clock
_SWITCH: Final = 0.0005  # seconds until a thread that loads or computes gives way
_NICE: Final = 10

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_worker(settings: Settings) -> ASGIApp:
    """Return the application of a worker, which follows the channel once it is started."""
    configure_logs(settings.log_format, settings.log_level)
    sys.setswitchinterval(_SWITCH)
    recommender = recommender_of(settings)
    follower = Follower(
        source_of(settings),
        recommender.versions,
        settings.effective_after,
        settings.poll,
        hidden_file=settings.hidden_file,
    )
    looked = threading.Event()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        threading.Thread(target=_follow, args=(follower, recommender, settings.poll, looked), daemon=True).start()
        await asyncio.to_thread(looked.wait, _STARTUP)
        _drain_before_the_end(recommender.versions, settings.drain_seconds)
        gc.freeze()  # what is there now stays, and need not be looked at again and again
        yield

    return create_app(settings, recommender, lifespan)


def recommender_of(settings: Settings) -> Recommender:
    """Return what answers the requests, without a version yet."""
    tokens = Tokens(settings.token, settings.token_file)
    versions = Versions()
    archive = Archive(source_of(settings), versions) if settings.explorer else None
    return Recommender(versions, Metrics(), Computer(settings.waiting, settings.request_seconds), tokens, archive)


def create_app(settings: Settings, recommender: Recommender, lifespan: Lifespan | None = None) -> ASGIApp:
    """Return the application.

    Args:
        settings: the bounds. recommender: answers the requests. lifespan: what runs beside them.
    """
    api = FastAPI(
        title="recommender",
        version=__version__,
        description="Recommendations of a published version. Slashes in ids are percent-encoded.",
        openapi_tags=_TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: to_camel(route.name),
        lifespan=lifespan,
    )
    add_routes(api, recommender, with_history=settings.history)
    add_operations(api, recommender, settings)
    add_pages(api, explorer=settings.explorer)
    _add_problems(api, recommender)
    _describe_problems(api)
    api.add_middleware(BodyLimit, most=LARGEST_BODY)
    # FastAPI traces what passes it, if OpenTelemetry is configured, as its SDK is by variables.
    is_traced = any(name.startswith("OTEL_") for name in os.environ)
    app = FirstRoutes([] if is_traced else fast_routes(recommender), api)
    return Observe(app, recommender.metrics, recommender.versions, access_log=settings.access_log)


def _add_problems(api: FastAPI, recommender: Recommender) -> None:
    """Answer what fails with problem details."""
    problem = recommender.refused

    async def refused(_: Request, error: Any) -> Response:
        return problem(error)

    async def not_valid(_: Request, error: Any) -> Response:
        return problem(invalid(error.errors()))

    async def broken(_: Request, __: Exception) -> Response:
        return problem(internal())

    async def http(_: Request, error: Any) -> Response:
        if error.status_code == 413:  # noqa: PLR2004
            return problem(too_large(LARGEST_BODY))
        id_, sentence = _OF_HTTP.get(error.status_code, ("REQUEST_FAILED", str(error.detail)))
        response = problem(RequestError(error.status_code, id_, sentence))
        response.headers.update(error.headers or {})
        return response

    api.add_exception_handler(RequestError, refused)
    api.add_exception_handler(RequestValidationError, not_valid)
    api.add_exception_handler(HTTPException, http)
    api.add_exception_handler(Exception, broken)


def _describe_problems(api: FastAPI) -> None:
    """Add the model of problem details, which every operation refers to, to the description."""
    description = api.openapi()
    description["components"]["schemas"]["Problem"] = models.Problem.model_json_schema()


_TAGS: Final = [
    {"name": "recommendations", "description": "Lists for visitors."},
    {"name": "items", "description": "Similar, popular and given items."},
    {"name": "histories", "description": "What visitors did, and why they get an item."},
    {"name": "operations", "description": "Status, probes and metrics."},
]
_OF_HTTP: Final = {
    400: ("BODY_UNREADABLE", "the body cannot be read"),
    404: ("NOT_FOUND", "there is nothing here; see /docs"),
    405: ("METHOD_NOT_ALLOWED", "this method is not for this path; see /docs"),
}


def _follow(follower: Follower, recommender: Recommender, poll: float, looked: threading.Event) -> None:
    """Look at the channel, the tokens and the parent process, until this process ends."""
    give_way(_NICE)
    parent, due = multiprocessing.parent_process(), 0.0
    while parent is None or parent.is_alive():
        if time.monotonic() >= due:
            follower.look()
            looked.set()
            due = time.monotonic() + poll
        recommender.tokens.read_again()
        recommender.metrics.update(recommender.versions)
        time.sleep(min(poll, _TICK))
    os.kill(os.getpid(), signal.SIGTERM)  # nobody would replace or end this worker any more


def _drain_before_the_end(versions: Versions, seconds: float) -> None:
    """Let the first SIGTERM only take the readiness away, and end some seconds later, or at the second one."""
    end: Any = signal.getsignal(signal.SIGTERM)

    def drain(number: int, frame: FrameType | None) -> None:
        if versions.draining:
            end(number, frame)
            return
        versions.draining = True
        threading.Timer(seconds, end, (number, frame)).start()

    signal.signal(signal.SIGTERM, drain)
