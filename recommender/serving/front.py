"""What every request passes first: the token, the bounds on its body, the short way for most of them, the counters."""

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import quote, unquote

from recommender.serving.answers import Answer, to_json
from recommender.serving.api import refusal_response
from recommender.serving.held import Held
from recommender.serving.metrics import OTHER, Counters
from recommender.serving.refusals import RequestError, body_too_slow, too_large, unauthorized
from recommender.serving.settings import LARGEST_BODY, Settings
from recommender.serving.short import short_answer
from recommender.serving.version import Version

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_JSON: Final = (b"content-type", b"application/json")
_CLOSE: Final = (b"connection", b"close")
_NO_SNIFF: Final = (b"x-content-type-options", b"nosniff")
_LOG = logging.getLogger("recommender.serving")


class Front:
    """The outermost part of the service, an ASGI application.

    Init parameters:
        app: the routes. held: the versions. counters: of this process. settings: the bounds.
    """

    def __init__(self, app: App, held: Held, counters: Counters, settings: Settings) -> None:
        self._app, self._held, self._counters, self._settings = app, held, counters, settings
        self._token = None if settings.token is None else f"Bearer {settings.token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}  # the server, which keeps its own, leaves the body out
        path: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
        if b"%" in path:
            # A slash in an id is part of its segment, whatever is decoded before the path is matched.
            scope["path"] = "/".join(quote(unquote(part), safe=_BUT_SLASH) for part in path.decode("ascii").split("/"))
        if self._token is not None and not _is_open(scope["path"]) and not self._may(scope):
            status = await self._refuse(unauthorized(), scope, receive, send)
            self._counters.answered(OTHER, status, time.perf_counter() - started)
            return
        version = self._held.versions.get(self._held.shared.active)
        if version is not None and scope["method"] == "GET":
            try:
                found = short_answer(version, path, scope["query_string"])
            except Exception:  # noqa: BLE001 - the long way tells what is wrong
                found = None
            if found is not None:
                route, answer = found
                await self._send(version, answer, send)
                self._counters.answered(route, 200, time.perf_counter() - started)
                return
        status = await self._routed(scope, receive, send)
        route = getattr(scope.get("route"), "path", OTHER)
        self._counters.answered(route, status, time.perf_counter() - started)

    def _may(self, scope: Scope) -> bool:
        """Return whether a request has brought the token."""
        brought = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        return hmac.compare_digest(brought, self._token or b"")

    async def _send(self, version: Version, answer: Answer, send: Send) -> None:
        """Send an answer that was found by the short way."""
        body = to_json(answer)
        headers = [_JSON, (b"content-length", b"%d" % len(body)), (b"x-recommender-version", version.header), _NO_SNIFF]
        if self._held.draining:
            headers.append(_CLOSE)
        if "source" in answer:
            self._counters.from_source(answer["source"])
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _routed(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Answer the long way; return the status."""
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), _NO_SNIFF]
            await send(closing(message) if self._held.draining else message)

        try:
            body = b"" if scope["method"] == "GET" else await self._body(scope, receive)
            await self._app(scope, _replayed(body, receive), sending)
        except RequestError as refusal:
            status = await self._refuse(refusal, scope, receive, send)
        except Exception as error:  # noqa: BLE001 - the boundary: the caller has its answer, the log gets a line
            reason = str(error).split("\n", 1)[0][:200]
            route = getattr(scope.get("route"), "path", OTHER)
            _LOG.error("%s %s failed: %s: %s", scope["method"], route, type(error).__name__, reason)
        return status

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """Return the body of a request.

        Raises:
            RequestError: it is too large, or does not come.
        """
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not announced.isdigit() or int(announced) > LARGEST_BODY:
            raise too_large(LARGEST_BODY)
        try:
            return await asyncio.wait_for(_received(receive), self._settings.request_seconds)
        except asyncio.TimeoutError:
            raise body_too_slow(self._settings.request_seconds) from None

    async def _refuse(self, refusal: RequestError, scope: Scope, receive: Receive, send: Send) -> int:
        response = refusal_response(refusal)
        if refusal.status in _UNREAD:
            response.headers["Connection"] = "close"
        await response(scope, receive, send)
        return refusal.status


def closing(message: Message) -> Message:
    """Return a message that lets the connection be closed after the answer, if it begins one."""
    if message["type"] != "http.response.start":
        return message
    return {**message, "headers": [*message.get("headers", []), _CLOSE]}


PROBES: Final = frozenset({"/livez", "/readyz", "/metrics"})
_OPEN: Final = PROBES | {"/", "/docs", "/openapi.json"}


def _is_open(path: str) -> bool:
    """Return whether a path is for everybody, with a token or without."""
    return path in _OPEN or path.startswith("/static/")


_UNREAD: Final = {408, 413}  # the rest of the body is still on its way
_BUT_SLASH: Final = "".join(chr(code) for code in range(33, 127) if chr(code) not in "%/")


async def _received(receive: Receive) -> bytes:
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > LARGEST_BODY:
            raise too_large(LARGEST_BODY)
    return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a function that gives the body that was read, and then whatever comes."""
    given = False

    async def receiving() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return receiving
