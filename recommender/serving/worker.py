"""One process that answers: an event loop with the application, and a thread that loads versions when it is told to."""

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import uvicorn

from recommender.errors import RecommenderError
from recommender.serving.app import create_app
from recommender.serving.aside import give_way
from recommender.serving.held import Held, State
from recommender.serving.links import Link
from recommender.serving.protocol import BoundedProtocol
from recommender.serving.settings import Settings
from recommender.serving.shared import Shared
from recommender.serving.version import Version
from recommender.snapshot.checks import read_manifest

_KEEP_ALIVE: Final = 75  # seconds; longer than proxies keep an idle connection, so that they are the ones to close
_FINISH: Final = 6  # seconds for the answers that are being written
_AGAIN: Final = 1.0  # seconds until what is served, and could not be loaded, is tried again
_SWITCH: Final = 0.0005  # seconds until a thread that loads or computes gives way


class _Server(uvicorn.Server):
    """A server that leaves signals to the worker."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing about signals."""
        yield


class Worker:
    """One process.

    Init parameters:
        number: of the worker. listener: the socket of the service. link: to the supervisor.
        shared: the memory of all processes. settings: the bounds.
        initial: how many versions it is told to load before it answers.
    """

    def __init__(
        self, number: int, listener: socket.socket, link: Link, shared: Shared, settings: Settings, initial: int
    ) -> None:
        self._listener, self._link, self._settings = listener, link, settings
        self.held = Held(shared)
        self._awaited = initial
        self._dropped: set[int] = set()
        self._server = _Server(_config(create_app(self.held, settings, number), settings))
        self._thread = ThreadPoolExecutor(1, "loading", give_way)
        self._started = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self) -> None:
        """Answer until told to end."""
        sys.setswitchinterval(_SWITCH)
        _run(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the supervisor decides
        loop.add_signal_handler(signal.SIGTERM, self._drain)
        loop.add_reader(self._link.fileno(), self._hear)
        self._start_if_ready()
        await self._started.wait()
        gc.freeze()  # what is there now stays, and need not be looked at again and again
        await self._server.serve(sockets=[self._listener])
        loop.remove_reader(self._link.fileno())

    def _hear(self) -> None:
        """Do what the supervisor says; end in order if it is gone."""
        messages = self._link.received()
        if messages is None:
            asyncio.get_running_loop().remove_reader(self._link.fileno())
            self._drain()
            return
        for message in messages:
            if "load" in message:
                self._begin(self._load(message))
            elif "drop" in message:
                self._dropped.add(message["drop"])  # it may still be on its way
                self.held.versions.pop(message["drop"], None)
            elif "state" in message:
                self.held.state = State(**message["state"])
                self._start_if_ready()  # another version may be active now
            elif "drain" in message:
                self._drain()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load(self, message: dict[str, Any]) -> None:
        """Load a version beside the requests, and say how that went.

        What is served already is tried until it succeeds, or another version, which this process has, takes its place.
        """
        number = message["load"]
        try:
            loop = asyncio.get_running_loop()
            version = await loop.run_in_executor(self._thread, _open, message)
        except RecommenderError as error:
            self._link.send({"failed": number, "id": error.id, "sentence": error.sentence})
        except Exception as error:  # noqa: BLE001 - the boundary: a version that breaks anything is not taken over
            reason = str(error).split("\n", 1)[0][:200]
            self._link.send({"failed": number, "id": "INTERNAL", "sentence": f"{type(error).__name__}: {reason}"})
        else:
            if number not in self._dropped:
                self.held.versions[number] = version
            self._link.send({"ready": number})
        self._awaited -= 1
        self._start_if_ready()
        if number == self.held.shared.active and number not in self.held.versions:
            await asyncio.sleep(_AGAIN)
            if number == self.held.shared.active and not self.held.draining:
                self._begin(self._load(message))

    def _start_if_ready(self) -> None:
        """Begin to answer once what it was told to load was tried, and what is served, if anything is, is there."""
        active = self.held.shared.active
        if self._awaited <= 0 and (not active or active in self.held.versions):
            self._started.set()

    def _drain(self) -> None:
        """Say that this process is not ready any more, answer what still comes, and end."""
        if self.held.draining:
            return
        self.held.draining = True
        self._begin(self._end())

    async def _end(self) -> None:
        if self._started.is_set():
            await asyncio.sleep(self._settings.drain_seconds)
        self._server.should_exit = True
        self._started.set()


def _open(message: dict[str, Any]) -> Version:
    folder = Path(message["folder"])
    return Version.open(folder, read_manifest(folder, message["sha256"]), message["record"])


def _config(app: Any, settings: Settings) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # the application logs what goes wrong, in one line
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=settings.connections,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_FINISH,
    )


def _run(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine, on the faster loop where it is installed."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)
