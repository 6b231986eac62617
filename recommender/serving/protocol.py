"""HTTP on a connection, with bounds that hold before a request is there: on its head, and on who does not read.

What the rest of the service bounds it can only bound when it is called; so a connection that sends nothing, or a line
without end, or does not take its answer, is closed here.
"""

from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from recommender.serving.settings import LARGEST_HEAD

_SECONDS = 10.0
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
    b"connection: close\r\n\r\n%b"
)
_BODY = b'{"error":{"id":"HEAD_TOO_LARGE","sentence":"the first line and headers must have at most %d bytes"}}'


class BoundedProtocol(HttpToolsProtocol):
    """A connection whose requests must come in time and size."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = True
        self._head_bytes = 0
        self._head_timer: TimerHandle | None = None
        self._body_timer: TimerHandle | None = None
        self._write_timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin to wait for a first request."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(_SECONDS, self._abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if not self._in_head:
            return
        if self._head_bytes > LARGEST_HEAD and not self.transport.is_closing():
            body = _BODY % LARGEST_HEAD
            self.transport.write(_TOO_LARGE % (len(body), body))
            self.transport.close()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(_SECONDS, self._abort)

    def on_message_begin(self) -> None:
        """Begin to read a head."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End to read a head."""
        self._in_head, self._head_bytes = False, 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        self._body_timer = self.loop.call_later(_SECONDS, self._abort)  # also of a body that nobody reads
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End to read a request."""
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None
        super().on_message_complete()

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

    def _cancel(self) -> None:
        for timer in (self._head_timer, self._body_timer, self._write_timer):
            if timer is not None:
                timer.cancel()

    def _abort(self) -> None:
        self.transport.abort()
