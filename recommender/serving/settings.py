"""The bounds of the service: what a request may ask for, and how long it may take."""

from dataclasses import dataclass
from typing import Final

MOST_ITEMS: Final = 1000  # of a list
MOST_EVENTS: Final = 1000  # of a request
LONGEST_ID: Final = 256  # characters
LARGEST_BODY: Final = 64 * 1024  # bytes
LARGEST_HEAD: Final = 32 * 1024  # bytes of a request's first line and headers


@dataclass(frozen=True)
class Settings:
    """How the service answers.

    Attributes:
        token: that requests to /v1 must bring; None: none.
        request_seconds: how long a list may be computed, and a body or the headers be on their way.
        waiting: how many lists may wait to be computed, per process.
        connections: that a process holds open at once.
        drain_seconds: how long a process goes on answering when it is told to end, while it says that it is not ready.
    """

    token: str | None = None
    request_seconds: float = 5.0
    waiting: int = 64
    connections: int = 1000
    drain_seconds: float = 1.0
