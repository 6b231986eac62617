"""What every request passes: its id, the bound on its body, the counters, and the log."""

import itertools
import logging
import re
import secrets
import time
from collections.abc import Sequence
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recommender.serving.logs import REQUEST_ID
from recommender.serving.metrics import Metrics
from recommender.serving.problems import internal, problem_response, too_large
from recommender.serving.versions import Versions

OTHER: Final = "other"  # the route of what no path matches
_GIVEN_ID: Final = re.compile(r"[!-~]{1,128}")
_NO_SNIFF: Final = (b"x-content-type-options", b"nosniff")
_NO_STORE: Final = (b"cache-control", b"no-store")
_CLOSE: Final = (b"connection", b"close")
_PROCESS: Final = secrets.token_hex(6)
_numbers = itertools.count(1)
_log = logging.getLogger("recommender.serving")
_access_log = logging.getLogger("recommender.access")


class BodyLimit:
    """Refuse a body that is too long with 413, before it is read if its length is announced.

    Init parameters:
        app: the application. most: bytes.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["method"] == "GET":
            await self._app(scope, receive, send)
            return
        announced, read = Headers(scope=scope).get("content-length", ""), 0
        if announced.isdigit() and int(announced) > self._most:
            await problem_response(too_large(self._most))(scope, receive, send)
            return

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._most:
                raise HTTPException(413)
            return message

        await self._app(scope, limited, send)


class FirstRoutes:
    """Try some routes for GET before an application, and save what surrounds the application's own.

    Init parameters:
        routes: that are tried. app: what answers all other requests.
    """

    def __init__(self, routes: Sequence[Route], app: ASGIApp) -> None:
        self._routes, self._app = routes, app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and scope["method"] == "GET":
            for route in self._routes:
                match, found = route.matches(scope)
                if match is Match.FULL:
                    scope.update(found, route=route)
                    await route.handle(scope, receive, send)
                    return
        await self._app(scope, receive, send)


class Observe:
    """Give each request an id, count it and log it; the outermost part of the application.

    Init parameters:
        app: the application. metrics, versions: of the worker. access_log: log each request.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, versions: Versions, *, access_log: bool = False) -> None:
        self._app, self._metrics, self._versions, self._access_log = app, metrics, versions, access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0
        method = scope["method"]
        if method == "HEAD":
            scope = {**scope, "method": "GET"}  # the server leaves the body out
        request_id = _request_id(scope)
        REQUEST_ID.set(request_id)

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), _NO_SNIFF, (b"x-request-id", request_id.encode())]
                if not any(name == b"cache-control" for name, _ in headers):
                    headers.append(_NO_STORE)
                if self._versions.draining:
                    headers.append(_CLOSE)
                message["headers"] = headers
            await send(message)

        self._metrics.in_flight += 1
        try:
            await self._app(scope, receive, sending)
        except Exception:  # noqa: BLE001 - the boundary: the log has the details
            _log.exception("%s %s failed", method, _route(scope))
            if not status:
                await problem_response(internal())(scope, receive, sending)
        finally:
            self._metrics.in_flight -= 1
            seconds = time.perf_counter() - started
            self._metrics.answered(_route(scope), status, seconds)
            if self._access_log:
                _log_access(method, _route(scope), status, seconds)


def _request_id(scope: Scope) -> str:
    """Return the id that the request brings, or a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _GIVEN_ID.fullmatch(given) else f"{_PROCESS}-{next(_numbers):x}"


def _route(scope: Scope) -> str:
    """Return the path with the names of its parameters: ids of visitors are neither counted nor logged."""
    return str(getattr(scope.get("route"), "path_format", None) or OTHER)


def _log_access(method: str, route: str, status: int, seconds: float) -> None:
    fields: dict[str, Any] = {"method": method, "route": route, "status": status, "ms": round(1000 * seconds, 3)}
    _access_log.info("%s %s %d %.3f ms", method, route, status, 1000 * seconds, extra={"fields": fields})
