"""Ask a service at given times, whatever it does, and measure from the time at which each request was due.

An answer that is late makes the ones behind it late, as it would for visitors who come when they like: a load that
waits for each answer before it asks again would hide that. One thread, plain sockets, and naps that are shorter than
what is measured; by how much a request was sent too late is told (`late`).
"""

import heapq
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

_NAP = 0.00005  # seconds between two looks at the connections, while requests are due
_PATIENCE = 10.0  # seconds after the last request


@dataclass
class Measured:
    """What was measured: seconds from due to answered and from due to sent, by kind of request; and what went wrong."""

    seconds: dict[str, list[float]]
    late: list[float]
    failed: int
    duration: float

    def rate(self) -> float:
        """Return the answers per second."""
        return sum(map(len, self.seconds.values())) / self.duration


@dataclass
class _Connection:
    """A connection, what is asked on it, and what has come."""

    socket: socket.socket
    kind: str = ""
    due: float = 0.0
    came: bytes = b""


def get(path: str) -> bytes:
    """Return a request."""
    return f"GET {path} HTTP/1.1\r\nHost: service\r\n\r\n".encode()


def post(path: str, body: bytes) -> bytes:
    """Return a request with a JSON body."""
    head = f"POST {path} HTTP/1.1\r\nHost: service\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def arrivals(rate: float, seconds: float, seed: int = 1) -> np.ndarray:
    """Return the times of requests that do not know of each other (Poisson)."""
    gaps = np.random.default_rng(seed).exponential(1 / rate, int(rate * seconds * 1.2) + 50)
    times = np.cumsum(gaps)
    return times[times < seconds]


def open_loop(port: int, streams: Sequence[tuple[str, np.ndarray, Callable[[], bytes]]], connections: int) -> Measured:
    """Send requests when they are due.

    Args:
        port: of the service.
        streams: kind, times in seconds from now, and what makes a request.
        connections: that are kept open.
    """
    due = list(heapq.merge(*([(at, kind, make()) for at in times] for kind, times, make in streams)))
    return _Loop(port, connections).run(due)


def closed_loop(port: int, kind: str, make: Callable[[], bytes], seconds: float, connections: int) -> Measured:
    """Ask again on each connection as soon as it was answered: as much as the service can do."""
    return _Loop(port, connections).run_closed(kind, make, seconds)


class _Loop:
    """Connections, and what is done with them."""

    def __init__(self, port: int, connections: int) -> None:
        self._poll = select.epoll()
        self._all: dict[int, _Connection] = {}
        self._free: deque[_Connection] = deque()
        for _ in range(connections):
            end = socket.create_connection(("127.0.0.1", port))
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.setblocking(False)
            connection = _Connection(end)
            self._all[end.fileno()] = connection
            self._free.append(connection)
            self._poll.register(end, select.EPOLLIN)
        self._measured = Measured({}, [], 0, 0.0)

    def run(self, due: list[tuple[float, str, bytes]]) -> Measured:
        begin, place, waiting = time.perf_counter() + 0.05, 0, deque[tuple[float, str, bytes]]()
        last = due[-1][0] + _PATIENCE
        while True:
            now = time.perf_counter() - begin
            while place < len(due) and due[place][0] <= now:
                waiting.append(due[place])
                place += 1
            while waiting and self._free:
                at, kind, request = waiting.popleft()
                self._send(self._free.popleft(), begin + at, kind, request)
            idle = len(self._free) == len(self._all)
            if (place == len(due) and not waiting and idle) or now > last:
                break
            if not self._receive(0):
                time.sleep(_NAP)
        self._measured.failed += len(self._all) - len(self._free) + len(waiting)
        return self._end(due[-1][0])

    def run_closed(self, kind: str, make: Callable[[], bytes], seconds: float) -> Measured:
        begin = time.perf_counter()
        while time.perf_counter() - begin < seconds:
            while self._free:
                self._send(self._free.popleft(), time.perf_counter(), kind, make())
            self._receive(1)
        return self._end(time.perf_counter() - begin)

    def _end(self, duration: float) -> Measured:
        for connection in self._all.values():
            connection.socket.close()
        self._poll.close()
        self._measured.duration = duration
        return self._measured

    def _send(self, connection: _Connection, due: float, kind: str, request: bytes) -> None:
        connection.kind, connection.due, connection.came = kind, due, b""
        connection.socket.sendall(request)
        self._measured.late.append(time.perf_counter() - due)

    def _receive(self, seconds: float) -> int:
        """Take what has come within some seconds; return on how many connections."""
        ready = self._poll.poll(seconds)
        for number, _ in ready:
            connection = self._all[number]
            connection.came += connection.socket.recv(1 << 18)
            head, end, body = connection.came.partition(b"\r\n\r\n")
            if not end or len(body) < int(head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0]):
                continue
            if head.startswith(b"HTTP/1.1 200 "):
                taken = time.perf_counter() - connection.due
                self._measured.seconds.setdefault(connection.kind, []).append(taken)
            else:
                self._measured.failed += 1
            self._free.append(connection)
        return len(ready)
