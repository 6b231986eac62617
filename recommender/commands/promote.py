"""Let one channel name what another names, if the gate has blessed it: in the store, and wherever it was delivered."""

import argparse
from typing import Any

from recommender.commands.overview import given_reason, known_channel
from recommender.commands.release import named
from recommender.errors import ArtifactError
from recommender.publishing.comparison import compared, release
from recommender.publishing.gate import check_blessed, check_kept, override_reason
from recommender.publishing.places import move_in_places
from recommender.store import Channels, Commit, Store
from recommender.terminal.summary import release_text
from recommender.tracking import move_alias

_JUDGE, _MAKER = "stage2", "stage3"
_CHANNELS = ("live", "candidate")  # that stage 4 publishes to, and that need not be there yet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="FROM", nargs="?", default="candidate", help="channel (default: candidate)")
    parser.add_argument("channel", metavar="TO", nargs="?", default="live", help="channel that moves (default: live)")
    parser.add_argument("--dry-run", action="store_true", help="say what would change, and move nothing")
    parser.add_argument("--reason", metavar="TEXT", help="why; it stays in the channel's record")
    parser.add_argument("--override-gate", metavar="REASON", help="promote also a model that is not blessed")


def run(store: Store, options: argparse.Namespace) -> dict[str, Any]:
    """Promote, and return what has changed.

    Raises:
        ConfigError: the channel does not exist. GateError: the model is not blessed, or the lists are not made as those
            that were judged, and nobody overrides that. ConflictError: somebody has moved the channel.
    """
    override, reason = override_reason(options.override_gate), given_reason(options.reason)
    channels = known_channel(store, options.source)
    if options.channel not in _CHANNELS:
        known_channel(store, options.channel)
    seen, commit = channels.position(options.channel), named(store, options.source)
    store.check(commit)
    before = channels.current(options.channel)
    made = store.commit_number(_MAKER, commit.record.get("upstream", {}).get(_MAKER, 0))
    overridden = check_blessed(_judged(store, commit), override, [made] if made else [])
    live = channels.commit(before) if before else None
    diff = compared(commit.record, live.attempt) if live else None
    judged = {"config": commit.record.get("config", {}), **({"release_diff": diff} if diff else {})}
    overridden = check_kept(judged, override, overridden=overridden)
    result = {
        "from": options.source,
        "channel": options.channel,
        "to": commit.run_id,
        "before": before.run_id if before else None,
        "release": release(store, commit, live),
        "moved": [],
        "left": [],
        "number": None,
        **overridden,
    }
    if options.dry_run or (before and before.record["attempt"] == commit.attempt):
        return {**result, "dry_run": options.dry_run}
    more = {"promoted_from": options.source, "release": result["release"], **overridden, **reason}
    return {**result, **_moved(store, channels, options, commit, seen, more), "dry_run": False}


def text(result: dict[str, Any]) -> str:
    warning = f"\nwarning: {result['warning']}" if result.get("warning") else ""
    return f"{release_text(result['release'])}\n\n{_sentence(result)}{warning}"


def _sentence(result: dict[str, Any]) -> str:
    old = "nothing" if result["before"] is None else f"run {result['before']}"
    if result["dry_run"]:
        return f"channel {result['channel']} would name run {result['to']}; it names {old}"
    if result["number"] is None:
        return f"channel {result['channel']} names run {result['to']} already"
    also = f", and so do {', '.join(result['moved'])}" if result["moved"] else ""
    also += f"; {', '.join(result['left'])} has no version of it, and stays as it is" if result["left"] else ""
    where = f"channel {result['channel']} now names run {result['to']}, no longer {old}"
    return f"{where} (record {result['number']}){also}"


def _judged(store: Store, commit: Commit) -> Commit:
    number = commit.record.get("upstream", {}).get(_JUDGE)
    judged = store.commit_number(_JUDGE, number) if number else None
    if judged is None:
        raise ArtifactError("VERDICT_EXPIRED", f"the model of run {commit.run_id} has expired, and its verdict with it")
    return judged


def _moved(
    store: Store, channels: Channels, options: argparse.Namespace, commit: Commit, seen: int, more: dict[str, Any]
) -> dict[str, Any]:
    source = channels.current(options.source)
    delivered = source.record.get("delivered", {}) if source else {}
    target = channels.current(options.channel)
    left = sorted((target.record.get("delivered", {}) if target else {}).keys() - delivered.keys())
    where = (store, options.channel, commit, delivered)
    publication = move_in_places(*where, expected=seen, action="promote", more=more)
    warning = move_alias(store, options.channel)
    moved = {"number": publication.number, "moved": sorted(delivered), "left": left}
    return {**moved, **({"warning": warning} if warning else {})}
