"""The command ``recommender``: ``python -m recommender`` prints all of its commands."""

import argparse
import ast
import json
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module, resources
from typing import Any, Protocol

from recommender import __version__
from recommender.commands import serve
from recommender.errors import InputError, RecommenderError
from recommender.run import command as jobs
from recommender.settings.parser import Parser
from recommender.settings.redaction import redacted
from recommender.spark.errors import reason_of
from recommender.store import Hadoop, Store, open_files
from recommender.terminal.text import error_line, indented, program, table

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


# The commands as people are shown them; those of a store have the arguments --root, --config and --json.
_GROUPS: Mapping[str, Sequence[str]] = {
    "Make recommendations": ("init", "doctor", "plan", *jobs.COMMANDS),
    "Look at runs": ("runs", "show", "report", "diff", "log"),
    "Publish and serve": ("release", "promote", "rollback", "hide", "unhide", "hidden", "serve"),
    "Look after the store": ("verify", "gc"),
    "Set up shell and editor": ("completion", "schema"),
}
_NAMES = [name for names in _GROUPS.values() for name in names]
_OF_A_STORE = [
    *("runs", "show", "report", "diff", "log", "verify", "gc", "release", "promote", "rollback"),
    *("hide", "unhide", "hidden"),
]
# Commands without a store: `run` takes the arguments alone, and `failure` returns the error that they end with.
_ELSEWHERE = {"doctor": "recommender.doctor.command", "plan": "recommender.run.plan"}
# What a command does, if its module has no docstring for that, or needs pyspark.
_LINES = {
    **jobs.COMMANDS,
    "plan": "Show which stages a run would compute, why, and what that costs; nothing is done",
    "schema": "Print the JSON schema of the configuration, for editors",
}


class _All(Parser):
    """The parser of the first word: its help is a line for each command, in groups."""

    def format_help(self) -> str:
        """Return the groups of commands."""
        parts = [f"usage: {self.prog} COMMAND ...    (COMMAND --help shows what a command takes)"]
        for title, names in _GROUPS.items():
            parts.append(f"{title}\n{indented(table([(name, _line(name)) for name in names]))}")
        return "\n\n".join(parts) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        if not words:
            _print(_All(prog=program()).format_help().rstrip())
            return 0
        if words[0] == "serve":
            return _serve(words)
        if words[0] in jobs.COMMANDS:
            return jobs.start(words[0], words[1:])
        if words[0] in {"plan", "schema"}:
            jobs.need_pyspark(words[0])
        options = _parser(words[0]).parse_args(words)
        failure = _run(options)
    except RecommenderError as error:
        failure = error
    except KeyboardInterrupt:
        failure = RecommenderError("TERMINATED", "ended by SIGINT; start it again to go on")
        _tell(failure, words)
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the boundary: each gets line and code
        failure = RecommenderError("INTERNAL", f"{type(error).__name__}: {reason_of(error)}")
    if failure is None:
        return 0
    _tell(failure, words)
    return failure.exit_code


def _tell(error: RecommenderError, words: Sequence[str]) -> None:
    """Write the last line on stderr; the command comes first, even if the arguments after it are wrong."""
    name = words[0] if words and words[0] in _NAMES else "-"
    sys.stderr.write(error_line(error.id, f"command={name}", error.sentence))


def _module(name: str) -> Any:
    """Return the module of a command; raise a ConfigError if it needs pyspark, which is not installed."""
    try:
        return import_module(_place(name))
    except ModuleNotFoundError:
        jobs.need_pyspark(name)
        raise


def _place(name: str) -> str:
    return _ELSEWHERE.get(name, f"recommender.commands.{name}")


def _line(name: str) -> str:
    """Return what a command does, in a line; its module is read and not imported, as it may need what is missing."""
    if name in _LINES:
        return _LINES[name]
    file = f"{_place(name).partition('.')[2].replace('.', '/')}.py"
    text = resources.files("recommender").joinpath(file).read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").split("\n", 1)[0].rstrip(".")


def _parser(chosen: str) -> Parser:
    """Return the parser of all commands; only the chosen one has its arguments, so that no other is imported."""
    parser = _All(prog=program(), allow_abbrev=False)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    for name in _NAMES:
        if name == chosen and name != "schema":
            _fill(name, commands.add_parser(name, **_described(name)))
        else:
            commands.add_parser(name, description=_LINES.get(name))
    return parser


def _described(name: str) -> dict[str, Any]:
    described = {"description": _module(name).__doc__, "allow_abbrev": False}
    return {**described, "formatter_class": argparse.RawDescriptionHelpFormatter}


def _fill(name: str, parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a command to its parser."""
    _module(name).add_arguments(parser)
    if name in _OF_A_STORE:
        parser.add_argument("--root", metavar="FOLDER", help="where the stages store their results (default: output)")
        parser.add_argument("--config", metavar="FILE", help="take the root of this YAML file")
        parser.add_argument("--json", action="store_true", help="print JSON")


def _completion(shell: str) -> str:
    """Return the script that completes all commands."""
    from recommender.commands.completion import script  # noqa: PLC0415 - serve does without it

    parsers = {name: Parser(**_described(name)) for name in _NAMES if name not in {"schema", *jobs.COMMANDS}}
    for name, parser in parsers.items():
        _fill(name, parser)
    of_jobs = {name: jobs.job_parser(name) for name in jobs.COMMANDS}
    return script(shell, {**parsers, **of_jobs, "schema": Parser()})


def _serve(words: Sequence[str]) -> int:
    """Run the service; the other commands, and all that they import, are not needed."""
    parser = Parser(prog=f"{program()} serve", description=serve.__doc__, allow_abbrev=False)
    serve.add_arguments(parser)
    return serve.run(parser.parse_args(words[1:]))


def _run(options: argparse.Namespace) -> RecommenderError | None:
    """Run a command and print its result; return the fault of the store, if the command found one."""
    if options.command == "schema":
        from recommender.run.config import config_schema  # noqa: PLC0415 - takes a second, and is needed here only

        _print(json.dumps(config_schema(), indent=2))
        return None
    if options.command == "completion":
        _print(_completion(options.shell).rstrip())
        return None
    if options.command == "init":
        return _init(options)
    if options.command in _ELSEWHERE:
        module = _module(options.command)
        found: Any = redacted(module.run(options))
        _print(json.dumps(found, indent=2) if options.json else module.text(found))
        error: RecommenderError | None = module.failure(found)
        return error
    from recommender.commands.overview import stored  # noqa: PLC0415 - serve does without it
    from recommender.commands.verify import failure  # noqa: PLC0415

    command: _Command = _module(options.command)
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


if __name__ == "__main__":
    sys.exit(main())
