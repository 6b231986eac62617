"""Hide items from all lists at once, in every version, until they are shown again."""

import argparse
from datetime import datetime, timezone
from typing import Any

from recommender.store import Hidden, Store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("items", metavar="ITEM", nargs="+", help="id of an item")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why; the command hidden shows it")
    parser.add_argument("--until", type=_time, metavar="TIME", help="ISO 8601, UTC unless it says otherwise")


def run(store: Store, options: argparse.Namespace) -> dict[str, Any]:
    """Hide the items, and return them."""
    Hidden(store).hide(options.items, options.reason, options.until)
    return {"hidden": options.items, "reason": options.reason, "until": options.until}


def text(result: dict[str, Any]) -> str:
    until = f" until {result['until']}" if result["until"] else ""
    return f"hidden{until}: {', '.join(result['hidden'])}; services follow within seconds"


def _time(value: str) -> str:
    try:
        time = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{value!r} is not a time, such as 2026-12-24T18:00:00Z") from None
    time = time if time.tzinfo else time.replace(tzinfo=timezone.utc)
    return time.astimezone(timezone.utc).isoformat(timespec="milliseconds")
