"""Let a channel name an earlier version again."""

import argparse
from typing import Any

from recommender.errors import ConfigError, Mistake
from recommender.store import Channels, Store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes."""
    parser.add_argument("channel", metavar="CHANNEL", help="name of the channel, for example live")
    parser.add_argument("to", metavar="TO", nargs="?", help="run id or number of a version (default: the one before)")


def run(store: Store, options: argparse.Namespace) -> dict[str, Any]:
    """Move the channel, and return from where to where."""
    channels = Channels(store)
    known = channels.names()
    if options.channel not in known:  # also what is no name, such as ../stage1
        sentence = f"no channel {options.channel}; there are {', '.join(known) or 'none yet'}"
        raise ConfigError(Mistake("CHANNEL_UNKNOWN", "", sentence))
    before = channels.current(options.channel)
    after = channels.rollback(options.channel, options.to)
    return {
        "channel": options.channel,
        "from": before.run_id if before else None,
        "to": after.run_id,
        "number": after.number,
    }


def text(result: dict[str, Any]) -> str:
    """Return a sentence."""
    moved = f"run {result['to']}, no longer run {result['from']}"
    return f"channel {result['channel']} now names {moved} (record {result['number']})"
