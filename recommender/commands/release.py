"""Show what would change if one version took the place of another: lists, items, metrics."""

import argparse
from typing import Any

from recommender.commands.overview import known_channel
from recommender.errors import ConfigError, Mistake
from recommender.publishing.comparison import release
from recommender.store import Commit, Store
from recommender.terminal.summary import release_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes."""
    parser.add_argument("candidate", metavar="CANDIDATE", nargs="?", default="candidate", help="channel (candidate)")
    parser.add_argument("live", metavar="LIVE", nargs="?", default="live", help="channel it is compared with (live)")


def run(store: Store, options: argparse.Namespace) -> dict[str, Any]:
    """Return the difference of two channels."""
    return release(store, named(store, options.candidate), named(store, options.live))


def text(result: dict[str, Any]) -> str:
    """Return tables."""
    return release_text(result)


def named(store: Store, channel: str) -> Commit:
    """Return the commit that a channel names.

    Raises:
        ConfigError: there is no such channel, or what it names has expired.
    """
    channels = known_channel(store, channel)
    current = channels.current(channel)
    commit = channels.commit(current) if current else None
    if commit is None:
        run = f"run {current.run_id}" if current else "a run"
        raise ConfigError(Mistake("VERSION_EXPIRED", "", f"channel {channel} names {run}, whose files have expired"))
    return commit
