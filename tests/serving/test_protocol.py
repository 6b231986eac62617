"""No connection stays open without a bound, whatever its client does; on a server in this process, with short times."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")
uvicorn = pytest.importorskip("uvicorn", reason="the extra serve is not installed")

from recommender.serving import protocol
from recommender.serving.protocol import BoundedProtocol

KEPT = 1  # seconds for which an idle connection is kept
HEAD = b"GET /%d HTTP/1.1\r\nhost: x\r\n%b\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer as many bytes as the path says."""
    size = int(scope["path"][1:])
    headers = [(b"content-length", b"%d" % size)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"." * size})


class Patient(BoundedProtocol):
    """A connection that is never told that its client does not read."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=1 << 30)


Client = Callable[[int, set[Any]], Coroutine[Any, Any, None]]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that serves while a client runs, which is given the port and the connections that are open."""
    monkeypatch.setattr(protocol, "_SECONDS", 1.0)

    async def serving(client: Client, http: type[BoundedProtocol]) -> None:
        config = uvicorn.Config(
            app, port=0, http=http, ws="none", lifespan="off", log_config=None, timeout_keep_alive=KEPT
        )
        server = uvicorn.Server(config)
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup()
        try:
            await client(server.servers[0].sockets[0].getsockname()[1], server.server_state.connections)
            assert not server.server_state.connections
        finally:
            await server.shutdown()

    return lambda client, http=BoundedProtocol: asyncio.run(serving(client, http))


LATE = [
    (b"content-length: 1\r\n", b"x"),
    (b"transfer-encoding: chunked\r\n", b"0\r\n\r\n"),
    (b"", b"\r\n"),  # an empty line before a request that does not come
]


@pytest.mark.parametrize(("header", "rest"), LATE)
def test_what_comes_after_the_answer_does_not_keep_a_connection(served: Any, header: bytes, rest: bytes) -> None:
    async def client(port: int, connections: set[Any]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD % (5, header))
        await reader.readuntil(b".....")
        await asyncio.sleep(KEPT / 2)
        writer.write(rest)
        began = time.monotonic()
        with suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 10) == b""
        assert KEPT / 2 < time.monotonic() - began < 3 * KEPT
        writer.close()
        await asyncio.sleep(0.1)

    served(client)


def test_a_connection_that_is_used_again_and_again_is_kept(served: Any) -> None:
    async def client(port: int, connections: set[Any]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for turn in range(6):
            writer.write(HEAD % (5, b"content-length: 2\r\n"))
            await asyncio.sleep(0.1)
            writer.write(b"ab")
            await reader.readuntil(b".....")
            await asyncio.sleep(0.6 * KEPT if turn % 2 else 0)
        writer.close()
        await asyncio.sleep(0.1)

    served(client)


@pytest.mark.parametrize("header", [b"", b"connection: close\r\n"])
def test_a_client_that_does_not_read_is_closed(served: Any, header: bytes) -> None:
    """Also where so little waits in the process that nobody is told to pause."""

    async def client(port: int, connections: set[Any]) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(HEAD % (30_000_000, header))  # more than the system takes
        await asyncio.sleep(KEPT / 2)
        (connection,) = connections
        assert connection.transport.get_write_buffer_size() > 0
        await asyncio.sleep(KEPT / 2 + 2)
        assert not connections
        writer.transport.abort()

    served(client, Patient)
