"""Commands that need no Spark: ``python -m recommender --help``."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn, Protocol

from recommender import __version__
from recommender.commands import serve
from recommender.errors import ConfigError, InputError, Mistake, RecommenderError
from recommender.settings.redaction import redacted
from recommender.store import Hadoop, Store, open_files
from recommender.terminal.text import visible

_INTERRUPTED = 130  # 128 + SIGINT


class _Command(Protocol):
    """The module of a command."""

    __doc__: str | None

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what the command takes."""

    def run(self, store: Store, options: argparse.Namespace) -> Any:
        """Do it, and return plain JSON types."""

    def text(self, result: Any) -> str:
        """Return what people read of a result."""


_COMMANDS = (
    *("runs", "show", "report", "diff", "log", "verify", "gc", "release", "promote", "rollback"),
    *("hide", "unhide", "hidden"),
)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are shown like all others."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(Mistake("CFG_ARGUMENT", "", f"{message}; see --help"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        if list(words[:1]) == ["serve"]:
            return _serve(words)
        options = _parser().parse_args(words)
        failure = _run(options)
    except RecommenderError as error:
        failure = error
    except KeyboardInterrupt:
        failure = RecommenderError("TERMINATED", "ended by SIGINT; start it again to go on")
        _tell(failure, words)
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the boundary: each gets line and code
        reason = str(error).strip().split("\n", 1)[0][:200]
        failure = RecommenderError("INTERNAL", f"{type(error).__name__}: {reason}")
    if failure is None:
        return 0
    _tell(failure, words)
    return failure.exit_code


def _tell(error: RecommenderError, words: Sequence[str]) -> None:
    """Write the last line on stderr; the command comes first, even if the arguments after it are wrong."""
    name = words[0] if words and words[0] in {*_COMMANDS, "schema", "init", "serve"} else "-"
    sys.stderr.write(redacted(f"RECOMMENDER_ERROR {error.id} command={name}: {visible(error.sentence)}\n"))


def _modules() -> dict[str, _Command]:
    """Return the commands that look at a store."""
    from recommender.commands import (  # noqa: PLC0415 - serve does without them
        diff,
        gc,
        hidden,
        hide,
        log,
        promote,
        release,
        report,
        rollback,
        runs,
        show,
        unhide,
        verify,
    )

    modules = (runs, show, report, diff, log, verify, gc, release, promote, rollback, hide, unhide, hidden)
    return dict(zip(_COMMANDS, modules, strict=True))


def _first_line(module: Any) -> str:
    return str(module.__doc__ or "").split("\n", 1)[0].rstrip(".")


def _parser() -> _Parser:
    from recommender.commands import init  # noqa: PLC0415 - serve does without it

    parser = _Parser(prog="python -m recommender", description=__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("schema", help="print the JSON schema of the configuration, for editors")
    for name, module in _modules().items():
        command = commands.add_parser(name, help=_first_line(module), description=module.__doc__, allow_abbrev=False)
        module.add_arguments(command)
        command.add_argument("--root", metavar="FOLDER", help="where the stages store their results (default: output)")
        command.add_argument("--config", metavar="FILE", help="take the root of this YAML file")
        command.add_argument("--json", action="store_true", help="print JSON")
    command = commands.add_parser("init", help=_first_line(init), description=init.__doc__, allow_abbrev=False)
    init.add_arguments(command)
    commands.add_parser("serve", help=str(serve.__doc__).rstrip("."), add_help=False)  # see _serve
    return parser


def _serve(words: Sequence[str]) -> int:
    """Run the service; the other commands, and all that they import, are not needed."""
    parser = _Parser(prog="python -m recommender serve", description=serve.__doc__, allow_abbrev=False)
    serve.add_arguments(parser)
    return serve.run(parser.parse_args(words[1:]))


def _run(options: argparse.Namespace) -> RecommenderError | None:
    """Run a command and print its result; return the fault of the store, if the command found one."""
    if options.command == "schema":
        _print(json.dumps(_schema(), indent=2))
        return None
    if options.command == "init":
        return _init(options)
    from recommender.commands.overview import stored  # noqa: PLC0415 - serve does without it
    from recommender.commands.verify import failure  # noqa: PLC0415

    command = _modules()[options.command]
    store = Store(open_files(_root(options), _hadoop))
    if not stored(store):
        raise InputError("STORE_EMPTY", f"{store.files.root} has no results; see --root")
    result: Any = redacted(command.run(store, options))
    _print(json.dumps(result, indent=2) if options.json else command.text(result))
    return failure(result) if options.command == "verify" else None


def _init(options: argparse.Namespace) -> RecommenderError | None:
    """Look at a log and write its configuration; return why a run would be refused, if it would be."""
    from recommender.commands import init  # noqa: PLC0415 - serve does without it

    plan = init.run(options)
    _print(redacted(init.text(plan, options)))
    return plan.problem


def _print(text: str) -> None:
    """Print a text, as far as somebody reads it: ``runs | head -1`` is not an error."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _root(options: argparse.Namespace) -> str:
    if options.root or not options.config:
        return options.root or "output"
    from recommender.run.config import load_config  # noqa: PLC0415 - takes a second, and is needed here only

    return load_config(options.config).root


def _hadoop() -> Hadoop | None:
    from recommender.spark.session import hadoop  # noqa: PLC0415 - starts a JVM, which most roots do without

    return hadoop()


def _schema() -> dict[str, Any]:
    from recommender.run.config import config_schema  # noqa: PLC0415 - takes a second, and is needed here only

    return config_schema()


if __name__ == "__main__":
    sys.exit(main())
