"""Let a channel name an earlier version again."""

import argparse
from typing import Any

from recommender.commands.overview import given_reason, known_channel, one_run
from recommender.publishing.places import move_in_places
from recommender.store import Commit, Store
from recommender.tracking import move_alias

_SNAPSHOT = "/snapshot/manifest.json"  # as recommender.snapshot.layout has it, which needs an extra


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("channel", metavar="CHANNEL", help="name of the channel, for example live")
    help_text = "id of a run, its beginning, a channel, latest, or the number of a record (default: the version before)"
    parser.add_argument("to", metavar="TO", nargs="?", help=help_text)
    parser.add_argument("--reason", metavar="TEXT", help="why; it stays in the channel's record")
    parser.add_argument("--dry-run", action="store_true", help="report where it would go, and move nothing")


def run(store: Store, options: argparse.Namespace) -> dict[str, Any]:
    """Move the channel, unless it is a dry run, and return from where to where.

    Raises:
        ConfigError: the channel or the version does not exist, or the reason is empty. ArtifactError: its files are
        damaged. ConflictError: somebody has moved the channel.
    """
    reason = given_reason(options.reason)
    channels = known_channel(store, options.channel)
    seen, before = channels.position(options.channel), channels.current(options.channel)
    is_named = options.to == "latest" or options.to in channels.names()
    to = one_run(store, options.to).id if is_named else options.to
    found, commit = channels.earlier(options.channel, to)
    # Where both name a place, the newer settings hold: it is there that its readers look now.
    delivered = {**found.record.get("delivered", {}), **(before.record.get("delivered", {}) if before else {})}
    number, warnings = None, []
    if not options.dry_run:
        where = (store, options.channel, commit, delivered)
        number = move_in_places(*where, expected=seen, action="rollback", more=reason).number
        warnings.append(move_alias(store, options.channel))
    if before and _has_snapshot(channels.commit(before)) and not _has_snapshot(commit):
        stays = f"a service that follows {options.channel} stays with its own"
        warnings.append(f"run {commit.run_id} has no serving snapshot: {stays}")
    warning = "; ".join(filter(None, warnings))
    return {
        "channel": options.channel,
        "from": before.run_id if before else None,
        "to": commit.run_id,
        "number": number,
        "dry_run": options.dry_run,
        "moved": sorted(delivered),
        **({"warning": warning} if warning else {}),
    }


def text(result: dict[str, Any]) -> str:
    channel, places = result["channel"], ", ".join(result["moved"])
    if result["dry_run"]:
        also = f", and so would {places}" if places else ""
        sentence = f"channel {channel} would name run {result['to']}{also}; it names run {result['from']}"
    else:
        also = f", and so do {places}" if places else ""
        moved = f"run {result['to']}, no longer run {result['from']} (record {result['number']})"
        sentence = f"channel {channel} now names {moved}{also}"
    return f"{sentence}\nwarning: {result['warning']}" if "warning" in result else sentence


def _has_snapshot(commit: Commit | None) -> bool:
    return commit is not None and any(path.endswith(_SNAPSHOT) for path in commit.files())
