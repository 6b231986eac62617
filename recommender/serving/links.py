r"""Messages between the supervisor and its workers: lines of JSON; the end of a link tells that the other is gone.

Example usage:
>>> one, other = pair()
>>> one.send({"load": 1})
>>> one.send({"drop": 2})
>>> other.received()
[{'load': 1}, {'drop': 2}]
>>> one.close()
>>> other.received() is None
True
>>> other.close()
"""

import json
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any


class Link:
    """One end of a connection.

    Init parameters:
        end: a connected socket.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._rest = b""

    def fileno(self) -> int:
        """Return the descriptor, to wait for messages."""
        return self._end.fileno()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message; nothing happens if nobody is there any more."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._end.sendall(json.dumps(message).encode() + b"\n")

    def received(self) -> list[dict[str, Any]] | None:
        """Return the messages that have come, waiting for some; None if the other end is closed."""
        try:
            data = self._end.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """Close this end."""
        self._end.close()


def pair() -> tuple[Link, Link]:
    """Return the two ends of a connection."""
    one, other = socket.socketpair()
    return Link(one), Link(other)
