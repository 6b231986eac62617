"""Look at a log of events, and write the configuration that loads it.

EVENTS is a file, a folder or a glob on this machine; its first rows are looked at, without Spark. The configuration has
only what differs from the defaults, each line with its reason.
"""

import argparse
from pathlib import Path

import recommender.constants as C
from recommender.commands.overview import write_whole
from recommender.errors import ConfigError, InputError, Mistake
from recommender.inspect import Plan, config_text, plan_for, report_text

_COLUMNS = (*C.EVENT_COLUMNS, "weight")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("events", metavar="EVENTS", help="file, folder or glob with the events")
    parser.add_argument("-o", "--output", metavar="FILE", default="events.yaml", help="default: events.yaml")
    parser.add_argument("--force", action="store_true", help="replace the file if it is there")
    parser.add_argument(
        "--column",
        metavar="OURS=THEIRS",
        action="append",
        default=[],
        help=f"name a column that is not recognised, as often as needed; ours are {', '.join(_COLUMNS)}",
    )


def run(options: argparse.Namespace) -> Plan:
    """Look at the events, and write the configuration.

    Raises:
        ConfigError: an argument is wrong, or the file is there already. InputError: the events cannot be read.
        SchemaError: a column that every log needs was not found. StorageError: the file cannot be written.
    """
    columns = dict(map(_column, options.column))
    output = Path(options.output)
    if output.exists() and not options.force:
        raise ConfigError(Mistake("FILE_EXISTS", "-o", f"{output} is there already; --force replaces it, or see -o"))
    plan = plan_for(options.events, columns)
    text = config_text(plan)
    if "${" in text:
        sentence = "a path, column or kind of event has ${ in its name, which a configuration takes for a variable"
        raise InputError("NAME_RESERVED", f"{sentence}; rename it")
    write_whole(output, text.encode(errors="replace"))
    return plan


def text(plan: Plan, options: argparse.Namespace) -> str:
    return report_text(plan, options.output)


def _column(given: str) -> tuple[str, str]:
    ours, equals, theirs = given.partition("=")
    if not equals or ours not in _COLUMNS or not theirs:
        sentence = f"--column needs OURS=THEIRS, ours one of {', '.join(_COLUMNS)}, got {given[:60]!r}"
        raise ConfigError(Mistake("CFG_ARGUMENT", "--column", sentence))
    return ours, theirs
