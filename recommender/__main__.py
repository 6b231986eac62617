"""Commands that need no Spark: ``python -m recommender --help``."""

import argparse
import json
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

from recommender import __version__
from recommender.commands import diff, gc, rollback, runs, show, verify
from recommender.errors import ConfigError, InputError, Mistake, RecommenderError
from recommender.redaction import redacted
from recommender.store import Hadoop, Store, open_files

_COMMANDS: dict[str, ModuleType] = {
    "runs": runs,
    "show": show,
    "diff": diff,
    "verify": verify,
    "gc": gc,
    "rollback": rollback,
}


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are told as all others are."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(Mistake("CFG_ARGUMENT", "", f"{message}; see --help"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit code."""
    name = "-"
    try:
        options = _parser().parse_args(arguments)
        name = options.command
        if name == "schema":
            print(json.dumps(_schema(), indent=2))
        else:
            _run(_COMMANDS[name], options)
    except RecommenderError as error:
        sys.stdout.flush()
        sys.stderr.write(redacted(f"RECOMMENDER_ERROR {error.id} command={name}: {error.sentence}\n"))
        return error.exit_code
    return 0


def _parser() -> _Parser:
    parser = _Parser(prog="python -m recommender", description=__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("schema", help="print the JSON schema of the configuration, for editors")
    for name, module in _COMMANDS.items():
        summary = (module.__doc__ or "").split("\n", 1)[0]
        command = commands.add_parser(name, help=summary.rstrip("."), description=module.__doc__, allow_abbrev=False)
        module.add_arguments(command)
        command.add_argument("--root", metavar="FOLDER", help="where the stages store their results (default: output)")
        command.add_argument("--config", metavar="FILE", help="take the root of this YAML file")
        command.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _run(command: ModuleType, options: argparse.Namespace) -> None:
    store = Store(open_files(_root(options), _hadoop))
    if not store.stages():
        raise InputError("STORE_EMPTY", f"{store.files.root} has no results; see --root")
    result: Any = redacted(command.run(store, options))
    print(json.dumps(result, indent=2) if options.json else command.text(result))
    if hasattr(command, "check"):
        command.check(result)


def _root(options: argparse.Namespace) -> str:
    if options.root or not options.config:
        return options.root or "output"
    from recommender.config import load_config  # noqa: PLC0415 - takes a second, and is needed here only

    return load_config(options.config).root


def _hadoop() -> Hadoop | None:
    from recommender.session import hadoop  # noqa: PLC0415 - starts a JVM, which most roots do without

    return hadoop()


def _schema() -> dict[str, Any]:
    from recommender.config import config_schema  # noqa: PLC0415 - takes a second, and is needed here only

    return config_schema()


if __name__ == "__main__":
    sys.exit(main())
