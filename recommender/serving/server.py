"""Start the service: uvicorn, whose supervisor starts the workers, replaces those that die, and ends them in order."""

import functools
import logging
import os
import socket
import tempfile
from typing import Final

import uvicorn
from uvicorn.supervisors import Multiprocess

from recommender.errors import ConfigError, Mistake, RecommenderError
from recommender.serving.follower import open_version
from recommender.serving.settings import Settings
from recommender.serving.sources import Folder, ids_in, source_of
from recommender.serving.worker import create_worker

_KEEP_ALIVE: Final = 75  # seconds; longer than proxies keep an idle connection, so that they are the ones to close it
_FINISH: Final = 6  # seconds for the answers that are being written
_BACKLOG: Final = 2048
_log = logging.getLogger("recommender.serving")


def serve(settings: Settings, host: str, port: int) -> int:
    """Serve until a signal ends the process; return the exit code.

    Raises:
        ConfigError: the address is taken, or the root or the channel does not exist.
        StorageError: the root cannot be reached. ArtifactError: the snapshot is damaged.
    """
    source = source_of(settings)
    with listening(host, port) as listener, tempfile.TemporaryDirectory(prefix="recommender-metrics-") as folder:
        source.check()
        ids_in(settings.hidden_file)
        if isinstance(source, Folder):
            open_version(next(source.newest_first()))
        host, port = listener.getsockname()[:2]
        _log.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        supervisor = Multiprocess(_config(settings), [listener])
        supervisor.run()
    if any(process.exitcode == uvicorn.config.STARTUP_FAILURE for process in supervisor.processes):
        raise RecommenderError("INTERNAL", "a worker could not start; the log has the details")
    return 0


def _config(settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        functools.partial(create_worker, settings),
        factory=True,
        workers=settings.workers,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_FINISH,
    )


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that is bound, and listens once a worker does; port 0 takes one that is free.

    Raises:
        ConfigError: that is not possible.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        sentence = f"cannot listen on {host} port {port}: {reason}; choose another --host or --port"
        raise ConfigError(Mistake("CANNOT_LISTEN", "", sentence)) from error
