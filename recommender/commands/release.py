"""Show what would change if one version took the place of another: lists, items, metrics."""

import argparse
from typing import Any

from recommender.commands.overview import known_channel, one_run
from recommender.errors import ConfigError, Mistake
from recommender.publishing.comparison import release
from recommender.store import Channels, Commit, Store
from recommender.terminal.summary import release_text

_STAGE = "stage4"
_DEFAULTS = ("candidate", "live")  # channels that need not be there yet
_RUN = "a channel, the id of a run, its beginning, or latest"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    for name, help_text in (("candidate", _RUN), ("live", "what it is compared with")):
        more = f"{help_text} (default: {name})"
        parser.add_argument(name, metavar=name.upper(), nargs="?", default=name, help=more)


def run(store: Store, options: argparse.Namespace) -> dict[str, Any]:
    """Return the difference of two versions; raise a ConfigError if the channel, the run or the lists do not exist."""
    return release(store, _version(store, options.candidate), _version(store, options.live))


def text(result: dict[str, Any]) -> str:
    return release_text(result)


def _version(store: Store, name: str) -> Commit:
    """Return the version that a channel names, or that a run has made."""
    if name in {*_DEFAULTS, *Channels(store).names()}:
        return named(store, name)
    run = one_run(store, name)
    if _STAGE not in run.commits:
        sentence = f"run {run.id} has no commit of {_STAGE}, so it has no lists to compare; see the command runs"
        raise ConfigError(Mistake("STAGE_UNKNOWN", "", sentence))
    return run.commits[_STAGE]


def named(store: Store, channel: str) -> Commit:
    """Return the commit that a channel names; raise a ConfigError if there is none, or if it has expired."""
    channels = known_channel(store, channel)
    current = channels.current(channel)
    commit = channels.commit(current) if current else None
    if commit is None:
        run = f"run {current.run_id}" if current else "a run"
        raise ConfigError(Mistake("VERSION_EXPIRED", "", f"channel {channel} names {run}, whose files have expired"))
    return commit
