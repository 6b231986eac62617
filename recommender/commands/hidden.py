"""List the items that are hidden now, with the reason."""

import argparse
from dataclasses import asdict
from typing import Any

from recommender.store import Hidden, Store
from recommender.terminal.text import table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes: nothing."""


def run(store: Store, options: argparse.Namespace) -> list[dict[str, Any]]:  # noqa: ARG001
    """Return the hidden items."""
    return [asdict(item) for item in Hidden(store).items()]


def text(result: list[dict[str, Any]]) -> str:
    if not result:
        return "no item is hidden"
    rows = [(each["itemid"], each["since"][:19], (each["until"] or "")[:19], each["reason"]) for each in result]
    return table([("item", "since (UTC)", "until (UTC)", "reason"), *rows])
