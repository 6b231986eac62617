"""Serve a published version over HTTP: recommendations, reasons, similar items, and a page to look at them."""

import argparse
import logging
import os
from typing import Any

from recommender.errors import ConfigError, Mistake
from recommender.settings.redaction import remember

_PACKAGES = ("fastapi", "httptools", "prometheus_client", "pyarrow", "uvicorn")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_LONGEST_DRAIN = 60.0  # seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
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
        "--effective-after",
        type=_seconds(0, 3600),
        default=10.0,
        metavar="S",
        help="seconds after its publication at which all workers change to a version (default: 10)",
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="requests must bring a token of this file, a line each: TOKEN [recommend,history,metrics]; "
        "or RECOMMENDER_TOKEN",
    )
    parser.add_argument(
        "--drain",
        type=_seconds(0, _LONGEST_DRAIN),
        default=1.0,
        metavar="S",
        help="answering while no longer ready, when told to end (default: 1)",
    )
    parser.add_argument(
        "--hidden-file", metavar="FILE", help="ids of items that no list has, a line each; read again with every look"
    )
    parser.add_argument("--log-format", choices=("text", "json"), default="text", help="of the log (default: text)")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    parser.add_argument("--access-log", action="store_true", help="log every request, without ids of visitors")
    parser.add_argument("--no-explorer", action="store_true", help="do not serve the page at /")
    parser.add_argument("--no-history", action="store_true", help="serve no histories, explanations or random visitors")


def run(options: argparse.Namespace) -> int:
    """Serve until a signal ends the process; return the exit code.

    Raises:
        ConfigError: an argument is wrong, or a package is missing. ArtifactError: the snapshot is damaged.
        StorageError: the root cannot be reached.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a worker has one thread that computes
    _need_packages()
    from recommender.serving.logs import configure_logs  # noqa: PLC0415 - an extra; no other command needs it
    from recommender.serving.server import serve  # noqa: PLC0415
    from recommender.serving.settings import Settings  # noqa: PLC0415

    configure_logs(options.log_format, options.log_level)
    settings = Settings(
        root=options.root,
        channel=options.channel,
        snapshot=options.snapshot,
        hidden_file=options.hidden_file,
        poll=options.poll,
        effective_after=options.effective_after,
        workers=options.workers,
        token=_token(options),
        token_file=options.token_file,
        drain_seconds=options.drain,
        log_format=options.log_format,
        log_level=options.log_level,
        access_log=options.access_log,
        explorer=not options.no_explorer,
        history=not options.no_history,
    )
    if options.host not in _LOOPBACK and not (settings.token or settings.token_file):
        sentence = "anybody who reaches %s can ask for any visitor; see --token-file"
        logging.getLogger("recommender.serving").warning(sentence, options.host)
    return serve(settings, options.host, options.port)


def _need_packages() -> None:
    from importlib.util import find_spec  # noqa: PLC0415

    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        sentence = f"serve needs {', '.join(missing)}; install the extra: pip install 'recommender[serve]'"
        raise ConfigError(Mistake("PACKAGE_MISSING", "", sentence))


def _token(options: argparse.Namespace) -> str | None:
    """Return the token of the environment, if any, and check the file of tokens; a wrong one is a ConfigError."""
    from recommender.serving.auth import Tokens  # noqa: PLC0415

    token = None if options.token_file else os.environ.get("RECOMMENDER_TOKEN")
    for word in Tokens(token, options.token_file).words():
        remember(word)
    return token


def _whole(least: int, most: int) -> Any:
    def number(value: str) -> int:
        if not value.isdecimal() or not least <= int(value) <= most:
            raise argparse.ArgumentTypeError(f"{value!r} is not a whole number from {least} to {most}")
        return int(value)

    return number


def _seconds(least: float, most: float) -> Any:
    def seconds(value: str) -> float:
        try:
            given = float(value)
        except ValueError:
            given = float("nan")
        if not least <= given <= most:
            raise argparse.ArgumentTypeError(f"{value!r} is not a number of seconds from {least:g} to {most:g}")
        return given

    return seconds
