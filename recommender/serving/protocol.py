"""HTTP on a connection, with bounds that hold before a request is there: on heads, on who does not read, on how many.

What the rest of the service bounds it can only bound when it is called; so a connection that sends nothing, or a line
without end, or does not take its answer, is closed here. One connection too many gets one answer: that there are too
many, unless it is a probe.
"""

import re
from asyncio import TimerHandle, Transport
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from recommender.serving.api import refusal_response
from recommender.serving.front import PROBES, App, Message, Receive, Scope, Send, closing
from recommender.serving.refusals import crowded
from recommender.serving.settings import LARGEST_HEAD

_SECONDS = 10.0
_HEAD: Final = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
_TOO_LARGE: Final = (
    b"431 Request Header Fields Too Large",
    b'{"error":{"id":"HEAD_TOO_LARGE","sentence":"the first line and headers must have at most %d bytes"}}'
    % LARGEST_HEAD,
)
_UNREADABLE: Final = (
    b"400 Bad Request",
    b'{"error":{"id":"REQUEST_UNREADABLE","sentence":"this is no request of HTTP/1"}}',
)
# An offer to change to another protocol, which Java makes with every request: the parser would stop before the body.
_OFFER: Final = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)


class BoundedProtocol(HttpToolsProtocol):
    """A connection whose requests must come in time and size."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._most, self.limit_concurrency = self.limit_concurrency, None
        self._in_head = True
        self._is_between = True  # nothing of the next request has come
        self._head_bytes = 0
        self._is_too_large = False
        self._head_timer: TimerHandle | None = None
        self._body_timer: TimerHandle | None = None
        self._write_timer: TimerHandle | None = None
        self._close_timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin to wait for a first request."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(_SECONDS, self._abort)
        if self._most is not None and len(self.connections) > self._most:
            self.app = _Crowded(self.app)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        if self._in_head:
            self._head_bytes += len(data)
            self._is_between = False
            if b"pgrade" in data:
                head, end, rest = data.partition(b"\r\n\r\n")
                data = _OFFER.sub(b"", head) + end + rest
        super().data_received(data)
        if not self._in_head or self._is_between or self.transport.is_closing():
            return
        if self._head_bytes > LARGEST_HEAD:
            self._refuse(*_TOO_LARGE)
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(_SECONDS, self._abort)

    def on_message_begin(self) -> None:
        """Begin to read a head."""
        self._is_between = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End to read a head.

        Raises:
            ValueError: it is too large; what reads it then calls `send_400_response`.
        """
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > LARGEST_HEAD:
            self._is_too_large = True
            raise ValueError("the head is too large")
        self._in_head, self._head_bytes = False, 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        self._body_timer = self.loop.call_later(_SECONDS, self._abort)  # also of a body that nobody reads
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End to read a request; whatever comes next is a head, or an empty line before it."""
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None
        super().on_message_complete()
        self._in_head = self._is_between = True
        if self.cycle.response_complete and not self.transport.is_closing():  # it was answered before it was read
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """End to answer a request."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_later()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that is idle."""
        super().timeout_keep_alive_handler()
        self._abort_later()

    def pause_writing(self) -> None:
        """Begin to wait for the client to read."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(_SECONDS, self._abort)

    def resume_writing(self) -> None:
        """End to wait for the client."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Tell that what was sent is no request, or one that is not read, and close."""
        self._refuse(*(_TOO_LARGE if self._is_too_large else _UNREADABLE))

    def _refuse(self, status: bytes, body: bytes) -> None:
        if self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body:
            self.cycle.keep_alive = False  # a request before this one is being answered; that is the last answer
            return
        self.transport.write(_HEAD % (status, len(body), body))
        self.transport.close()
        self._abort_later()

    def _abort_later(self) -> None:
        """Close a connection, which waits for its client to read, also where that never happens."""
        if self._close_timer is None:
            self._close_timer = self.loop.call_later(_SECONDS, self._abort)

    def _cancel(self) -> None:
        for timer in (self._head_timer, self._body_timer, self._write_timer, self._close_timer):
            if timer is not None:
                timer.cancel()

    def _abort(self) -> None:
        self.transport.abort()


class _Crowded:
    """What answers on a connection that is one too many: probes are answered, others are sent elsewhere.

    Init parameters:
        app: the application.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and close."""

        async def sending(message: Message) -> None:
            await send(closing(message))

        if scope["path"] in PROBES:
            await self._app(scope, receive, sending)
        else:
            await refusal_response(crowded())(scope, receive, sending)
