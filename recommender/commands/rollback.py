"""Let a channel name an earlier version again."""

import argparse
from typing import Any

from recommender.commands.overview import known_channel
from recommender.publishing.places import open_places
from recommender.publishing.publication import move
from recommender.store import Commit, Store

_SNAPSHOT = "/snapshot/manifest.json"  # as recommender.snapshot.layout has it, which needs an extra


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes."""
    parser.add_argument("channel", metavar="CHANNEL", help="name of the channel, for example live")
    parser.add_argument("to", metavar="TO", nargs="?", help="run id or number of a version (default: the one before)")


def run(store: Store, options: argparse.Namespace) -> dict[str, Any]:
    """Move the channel, and return from where to where."""
    channels = known_channel(store, options.channel)
    seen, before = channels.position(options.channel), channels.current(options.channel)
    found, commit = channels.earlier(options.channel, options.to)
    # Where both name a place, the newer settings hold: it is there that its readers look now.
    delivered = {**found.record.get("delivered", {}), **(before.record.get("delivered", {}) if before else {})}
    with open_places(delivered) as targets:
        positions = {name: target.position(options.channel) for name, target in targets.items()}
        after = move(store, options.channel, commit, targets, positions=positions, expected=seen, action="rollback")
    warning = ""
    if before and _has_snapshot(channels.commit(before)) and not _has_snapshot(commit):
        warning = (
            f"run {after.run_id} has no serving snapshot: a service that follows {options.channel} stays with its own"
        )
    return {
        "channel": options.channel,
        "from": before.run_id if before else None,
        "to": after.run_id,
        "number": after.number,
        "moved": sorted(delivered),
        **({"warning": warning} if warning else {}),
    }


def text(result: dict[str, Any]) -> str:
    """Return a sentence."""
    moved = f"run {result['to']}, no longer run {result['from']}"
    also = f", and so do {', '.join(result['moved'])}" if result["moved"] else ""
    sentence = f"channel {result['channel']} now names {moved} (record {result['number']}){also}"
    return f"{sentence}\nwarning: {result['warning']}" if "warning" in result else sentence


def _has_snapshot(commit: Commit | None) -> bool:
    return commit is not None and any(path.endswith(_SNAPSHOT) for path in commit.files())
