"""Delete what nobody needs any more: old commits, failed attempts, unfinished files."""

import argparse
from dataclasses import asdict
from typing import Any

from recommender.commands.overview import at_least_one
from recommender.store import Store, clean_up, removals
from recommender.terminal.text import seconds, size, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--older-than",
        type=_duration,
        default=seconds("7d"),
        metavar="AGE",
        help="90s, 30m, 12h, 7d; longer than any run takes, as what changed since then may be in use (default: 7d)",
    )
    parser.add_argument(
        "--keep", type=at_least_one, default=3, metavar="N", help="newest commits of a stage that stay (default: 3)"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be deleted, and delete nothing")


def run(store: Store, options: argparse.Namespace) -> dict[str, Any]:
    """Delete, and return what was deleted."""
    found = (removals if options.dry_run else clean_up)(store, options.older_than, options.keep)
    return {
        "dry_run": options.dry_run,
        "removed": [asdict(removal) for removal in found],
        "bytes": sum(removal.size for removal in found),
    }


def text(result: dict[str, Any]) -> str:
    lines = [(each["path"], size(each["size"]) if each["size"] else "", each["why"]) for each in result["removed"]]
    verb = "would be deleted" if result["dry_run"] else "deleted"
    things = "1 thing" if len(lines) == 1 else f"{len(lines):,} things"
    total = f"{things}, {size(result['bytes'])}, {verb}" if lines else "there is nothing to delete"
    return "\n".join(filter(None, [table(lines, right=[1]) if lines else "", total]))


def _duration(value: str) -> float:
    try:
        return seconds(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
