"""The bounds of the service, and what the command line sets."""

import time
from dataclasses import dataclass, field
from typing import Final, Literal

MOST_ITEMS: Final = 1000  # of a list
MOST_VISITORS: Final = 1000  # of a batch
MOST_EVENTS: Final = 1000  # of a request
LONGEST_ID: Final = 256  # characters
LONGEST_FILTER: Final = 1024  # characters
LARGEST_BODY: Final = 64 * 1024  # bytes


@dataclass(frozen=True)
class Settings:
    """How the service answers; each worker gets a copy.

    Attributes:
        root, channel: the channel to follow. snapshot: a folder to serve instead; None: the channel.
        hidden_file: ids of items that no list has, a line each, beside those of the store; None: no file.
        poll: seconds between two looks at the channel.
        effective_after: seconds after its publication at which a version takes effect, in all workers at once.
        workers: number of processes.
        token: that requests must bring, None: no token. token_file: tokens with scopes; see ``auth``.
        request_seconds: how long a computed list may take. waiting: how many may wait for it, per worker.
        drain_seconds: how long a worker still answers after SIGTERM, while it reports that it is not ready.
        log_format, log_level: of the log on stderr. access_log: log every request.
        explorer: serve the page. history: serve histories and explanations.
        started: seconds since the epoch.
    """

    root: str = "output"
    channel: str = "live"
    snapshot: str | None = None
    hidden_file: str | None = None
    poll: float = 5.0
    effective_after: float = 10.0
    workers: int = 1
    token: str | None = None
    token_file: str | None = None
    request_seconds: float = 5.0
    waiting: int = 64
    drain_seconds: float = 1.0
    log_format: Literal["text", "json"] = "text"
    log_level: str = "info"
    access_log: bool = False
    explorer: bool = True
    history: bool = True
    started: float = field(default_factory=time.time)
