"""Serve a published version over HTTP: recommendations, reasons, similar items, and a page to look at them."""

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import Any

from recommender.errors import ConfigError, Mistake
from recommender.settings.redaction import remember

_PACKAGES = ("fastapi", "httptools", "prometheus_client", "pyarrow", "uvicorn")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_OTHER_FILES = 256  # those of three versions, and what an interpreter has open
_LONGEST_DRAIN = 3.0  # seconds: what is being answered then still has time, within ten


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes."""
    parser.add_argument(
        "--root", metavar="FOLDER", default="output", help="where the stages store their results (default: output)"
    )
    parser.add_argument("--channel", default="live", help="the channel of the store that is followed (default: live)")
    parser.add_argument("--snapshot", metavar="FOLDER", help="serve this snapshot, and no channel")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine)")
    parser.add_argument("--port", type=_whole(0, 65535), default=8000, help="port; 0: any that is free (default: 8000)")
    parser.add_argument("--workers", type=_whole(1, 256), default=1, help="processes that answer (default: 1)")
    parser.add_argument(
        "--poll", type=_seconds(0.05, 3600), default=5.0, metavar="S", help="between looks at the channel (default: 5)"
    )
    parser.add_argument(
        "--token-file", metavar="FILE", help="requests must bring the token in it; or RECOMMENDER_TOKEN"
    )
    parser.add_argument(
        "--connections", type=_whole(1, 100_000), default=1000, metavar="N", help="open per worker (default: 1000)"
    )
    parser.add_argument(
        "--drain",
        type=_seconds(0, _LONGEST_DRAIN),
        default=1.0,
        metavar="S",
        help="answering while no longer ready, when told to end (default: 1)",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until told to end; return the exit code.

    Raises:
        ConfigError: an argument is wrong, or a package is missing. ArtifactError: the snapshot is damaged.
        StorageError: the root cannot be reached.
    """
    # A worker has one thread that computes, and the process that forks the workers has no thread but its first.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")
    _need_packages()
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(process)d %(message)s"
    )
    from recommender.serving.settings import Settings  # noqa: PLC0415
    from recommender.serving.sources import Folder, Source, channel_of  # noqa: PLC0415
    from recommender.serving.supervisor import Supervisor, listening  # noqa: PLC0415
    from recommender.snapshot.checks import read_manifest  # noqa: PLC0415 - an extra; no other command needs it

    source: Source
    if options.snapshot:
        folder = Path(options.snapshot).absolute()
        read_manifest(folder)
        source = Folder(folder)
    else:
        source = channel_of(options.root, options.channel)
    settings = Settings(token=_token(options), connections=options.connections, drain_seconds=options.drain)
    listener = listening(options.host, options.port)
    _open_files(options.connections)
    log = logging.getLogger("recommender.serving")
    if options.host not in _LOOPBACK and settings.token is None:
        log.warning("anybody who reaches %s can ask for any visitor; see --token-file", options.host)
    host, port = listener.getsockname()[:2]
    log.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)
    return Supervisor(source, listener, settings, options.workers, options.poll).run()


def _open_files(connections: int) -> None:
    """Let a process open as many files as it needs.

    Raises:
        ConfigError: the system does not allow that.
    """
    import resource  # noqa: PLC0415 - only where processes can be forked

    needed = connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY != hard < needed:
        sentence = f"--connections {connections} needs {needed} open files, and {hard} are allowed; see ulimit -n"
        raise ConfigError(Mistake("CFG_ARGUMENT", "--connections", sentence))
    if resource.RLIM_INFINITY != soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _need_packages() -> None:
    from importlib.util import find_spec  # noqa: PLC0415

    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        sentence = f"serve needs {', '.join(missing)}; install the extra: pip install 'recommender[serve]'"
        raise ConfigError(Mistake("PACKAGE_MISSING", "", sentence))


def _token(options: argparse.Namespace) -> str | None:
    """Return the token that requests must bring, None for none."""
    if not options.token_file:
        token = os.environ.get("RECOMMENDER_TOKEN")
    else:
        try:
            token = Path(options.token_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise ConfigError(Mistake("TOKEN_FILE", "", f"{options.token_file} cannot be read: {reason}")) from error
    if token is None:
        return None
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(Mistake("TOKEN_FILE", "", "the token must be one word of ASCII characters; see --token-file"))
    remember(token)
    return token


def _whole(least: int, most: int) -> Any:
    def number(value: str) -> int:
        if not value.isdecimal() or not least <= int(value) <= most:
            raise argparse.ArgumentTypeError(f"{value!r} is no whole number, {least} to {most}")
        return int(value)

    return number


def _seconds(least: float, most: float) -> Any:
    def seconds(value: str) -> float:
        try:
            given = float(value)
        except ValueError:
            given = float("nan")
        if not least <= given <= most:
            raise argparse.ArgumentTypeError(f"{value!r} is no number of seconds, {least:g} to {most:g}")
        return given

    return seconds
