"""List how a channel has moved: who, when, what, from and to which run, and why."""

import argparse
from itertools import islice
from typing import Any

from recommender.commands.overview import at_least_one, known_channel
from recommender.store import Channels, Publication, Store
from recommender.terminal.text import table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("channel", metavar="CHANNEL", nargs="?", default="live", help="default: live")
    parser.add_argument("--limit", type=at_least_one, default=20, metavar="N", help="how many at most (default: 20)")


def run(store: Store, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the moves of a channel, the newest first; raise a ConfigError if the channel does not exist."""
    channels = known_channel(store, options.channel)
    history = list(islice(channels.history(options.channel), options.limit + 1))
    before = [*(each.run_id for each in history[1:]), None]
    return [_move(channels, *move) for move in zip(history[: options.limit], before, strict=False)]


def text(result: list[dict[str, Any]]) -> str:
    lines = [("number", "at (UTC)", "by", "what", "from", "to", "why")]
    lines += [
        (
            str(each["number"]),
            each["at"][:19],
            "@".join(filter(None, (each["user"], each["host"]))) or "-",
            each["action"],
            each["from"] or "-",
            each["to"],
            each["reason"] or "",
        )
        for each in result
    ]
    return table(lines, right=[0])


def _move(channels: Channels, publication: Publication, before: str | None) -> dict[str, Any]:
    record = publication.record
    by = record.get("by") or {}
    return {
        "number": publication.number,
        "at": str(record["at"]),
        "user": by.get("user"),
        "host": by.get("host"),
        "action": str(record["action"]),
        "from": before,
        "to": publication.run_id,
        "reason": _reason(channels, publication),
    }


def _reason(channels: Channels, publication: Publication) -> str | None:
    """Return why the channel was moved, and why the gate was overridden if it was; None if nobody has said."""
    overridden = publication.record.get("gate_overridden")
    if overridden is None and publication.record["action"] == "publish":
        commit = channels.commit(publication)
        overridden = commit.record.get("gate_overridden") if commit else None
    told = [publication.record.get("reason"), overridden and f"gate overridden: {overridden['reason']}"]
    return "; ".join(filter(None, told)) or None
