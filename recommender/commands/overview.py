"""What is known of every run: the commits, failures and unfinished attempts of all stages, by run id."""

import argparse
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from recommender.errors import ConfigError, Mistake, StorageError
from recommender.publishing.gate import judged_model
from recommender.store import ATTEMPT_FILE, FAILED_FILE, Channels, Commit, Store

_NOT_STAGES = ("channels", "sample")


@dataclass
class Run:
    """One run: the commits it made, its attempts that failed, those that are not finished, and its last activity."""

    id: str
    commits: dict[str, Commit] = field(default_factory=dict)
    failures: list[Mapping[str, Any]] = field(default_factory=list)
    unfinished: list[Mapping[str, Any]] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    last: str = ""

    @property
    def status(self) -> str:
        """Return in a few words how far it has come."""
        open_failures = [note for note in self.failures if note["stage"] not in self.commits]
        if open_failures:
            newest = max(open_failures, key=lambda note: str(note["failed_at"]))
            return f"failed in {newest['stage']}: {newest.get('id', 'unknown')}"
        judged = self.commits.get("stage2")
        if judged and judged.record.get("blessed") is False and "stage4" not in self.commits:
            return "not blessed"
        still_open = [note["stage"] for note in self.unfinished if note["stage"] not in self.commits]
        return f"unfinished: {max(still_open)}" if still_open else "done"

    @property
    def size(self) -> int:
        """Return the bytes of all committed files."""
        return sum(facts["bytes"] for commit in self.commits.values() for facts in commit.files().values())


def stored(store: Store) -> list[str]:
    """Return the folders with attempts or commits: also those whose data was deleted by accident."""
    return [
        name
        for name in store.files.names("")
        if store.files.names(f"{name}/commits") or store.files.names(f"{name}/data")
    ]


def stages(store: Store) -> list[str]:
    """Return the stages that have something stored."""
    return [stage for stage in stored(store) if stage not in _NOT_STAGES]


def all_runs(store: Store) -> list[Run]:
    """Return all runs, the one that was last active first; raise an ArtifactError if a record is damaged."""
    runs: dict[str, Run] = {}
    for stage in stages(store):
        named: set[str] = set()
        for commit in store.commits(stage):
            named |= {commit.attempt} | {path.split("/", 1)[0] for path in commit.files()}
            run = runs.setdefault(commit.run_id, Run(commit.run_id))
            run.commits.setdefault(stage, commit)
            run.last = max(run.last, str(commit.record["committed_at"]))
        for note in _notes(store, stage, named):
            run = runs.setdefault(note["run"], Run(note["run"]))
            (run.failures if "failed_at" in note else run.unfinished).append(note)
            run.last = max(run.last, str(note.get("failed_at") or note["started_at"]))
    channels = Channels(store)
    for channel in channels.names():
        current = channels.current(channel)
        if current and current.run_id in runs:
            runs[current.run_id].channels.append(channel)
    return sorted(runs.values(), key=lambda run: run.last, reverse=True)


def known_channel(store: Store, channel: str) -> Channels:
    """Return the channels of a store that has this one; raise a ConfigError if it has not."""
    channels = Channels(store)
    if channel not in channels.names():
        known = ", ".join(channels.names()) or "none yet"
        raise ConfigError(Mistake("CHANNEL_UNKNOWN", "", f"no channel {channel}; there are {known}"))
    return channels


def one_run(store: Store, name: str) -> Run:
    """Return one run.

    Args:
        name: id of the run, or its unique beginning; a channel; or latest, the run that was last active.

    Raises:
        ConfigError: there is none of that name, or there are several.
    """
    runs = {run.id: run for run in all_runs(store)}
    latest = next(iter(runs), None) if name == "latest" else None
    found = next((named for named in (name, _named(store, name), latest) if named in runs), None)
    if found is None:
        begun = [run for run in runs if run.startswith(name)] if name else []
        if len(begun) != 1:
            raise _unknown(store, name, begun, list(runs))
        found = begun[0]
    return runs[found]


def _named(store: Store, channel: str) -> str | None:
    """Return the run that a channel names, None if the channel does not exist."""
    channels = Channels(store)
    current = channels.current(channel) if channel in channels.names() else None
    return current.run_id if current else None


def _unknown(store: Store, name: str, begun: list[str], runs: list[str]) -> ConfigError:
    expired = _named(store, name)
    if expired:
        sentence = f"channel {name} names run {expired}, whose files have expired"
        return ConfigError(Mistake("VERSION_EXPIRED", "", sentence))
    if begun:
        sentence = f"{len(begun)} runs begin with {name}: {', '.join(begun[:5])}"
        return ConfigError(Mistake("RUN_UNKNOWN", "", f"{sentence}; give more of the id"))
    near = get_close_matches(name, runs, n=1) or runs[:5]
    known = f"did you mean {near[0]}" if len(near) == 1 else f"there are {', '.join(near) or 'none'}"
    return ConfigError(Mistake("RUN_UNKNOWN", "", f"no run {name} below {store.files.root}; {known}"))


def given_reason(reason: str | None) -> dict[str, str]:
    """Return why a channel is moved, for its record, if it is said; raise a ConfigError if the reason is empty."""
    if reason is None:
        return {}
    if not reason.strip():
        raise ConfigError(Mistake("CFG_ARGUMENT", "--reason", "--reason must not be empty"))
    return {"reason": reason.strip()}


def at_least_one(value: str) -> int:
    """Return the number that an argument of a command is."""
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"{value!r} is no whole number, 1 or more")
    return int(value)


def write_whole(output: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file as a whole, with a mode that the process's mask limits; raise a StorageError if it cannot be."""
    beside = output.with_name(f"{output.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(content)
        beside.replace(output)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise StorageError("STORAGE", f"{output} cannot be written: {error.strerror}") from None


def ndcg_at_10(commits: Iterable[Commit]) -> float | None:
    """Return NDCG@10 of the model that the gate has judged, where it was measured."""
    rows = ((row, judged_model(commit.record)) for commit in commits for row in commit.record.get("metrics", ()))
    found = (row["value"] for row, model in rows if (row["model"], row["metric"], row["k"]) == (model, "ndcg", 10))
    return next(found, None)


def _notes(store: Store, stage: str, committed: set[str]) -> Iterable[dict[str, Any]]:
    """Return what the attempts without a commit say of themselves."""
    for attempt in store.files.names(f"{stage}/data"):
        if attempt in committed:
            continue
        there = store.files.names(f"{stage}/data/{attempt}")  # none, if it is a foreign file
        for name in (name for name in (FAILED_FILE, ATTEMPT_FILE) if name in there):
            try:
                yield json.loads(store.files.read(f"{stage}/data/{attempt}/{name}"))
            except (FileNotFoundError, ValueError):
                continue
            break
