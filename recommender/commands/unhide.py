"""Show hidden items again."""

import argparse
from typing import Any

from recommender.store import Hidden, Store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("items", metavar="ITEM", nargs="+", help="id of an item")


def run(store: Store, options: argparse.Namespace) -> dict[str, Any]:
    """Show the items, and return those that were hidden and those that were not."""
    shown = Hidden(store).unhide(options.items)
    return {"shown": shown, "not_hidden": [item for item in options.items if item not in shown]}


def text(result: dict[str, Any]) -> str:
    shown = f"shown again: {', '.join(result['shown']) or 'none'}"
    return f"{shown}; not hidden: {', '.join(result['not_hidden'])}" if result["not_hidden"] else shown
