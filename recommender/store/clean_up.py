"""Delete old results: records before data, and never files that somebody may be reading.

A commit is kept if
- it is among the newest of its stage, or was until not long ago (a reader pins the newest and may be at it since then),
- a channel names it or the version before, or a rollback would name it,
- a kept commit was made from it.
An attempt is kept if a kept commit lists a file in it, or if something in it changed not long ago: somebody may be at
it.
"""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from recommender.store.channels import Channels, Publication
from recommender.store.file_info import TEMPORARY
from recommender.store.files import last_change
from recommender.store.store import FAILED_FILE, Commit, Store, damaged

_VERSIONS_OF_A_CHANNEL = 2
_ATTEMPT = re.compile("[0-9a-f]{32}")
_RECORD = re.compile(r"[0-9a-f]{64}/(?:\d{20}\.json|\.temporary-[0-9a-f]{32})")


@dataclass(frozen=True)
class Removal:
    """One thing to delete: the record of a commit, an attempt's folder, or a file that was not finished."""

    path: str
    why: str
    size: int

    @property
    def is_data(self) -> bool:
        """Return whether it is an attempt's folder."""
        return bool(_ATTEMPT.fullmatch(self.path.rpartition("/data/")[2]))


def removals(store: Store, older_than: float, keep: int, clock: Callable[[], float] = time.time) -> list[Removal]:
    """Return what may be deleted, in the order in which it must be.

    Args:
        older_than: seconds for which it must have been of no use.
        keep: how many of the newest commits of each stage stay in any case, at least 1.
        clock: returns the time in seconds since epoch.

    Raises:
        ArtifactError: the record of a commit that a channel names is gone: then nobody knows what it was made from.
    """
    stages = {stage: list(store.commits(stage)) for stage in store.files.names("") if stage != "channels"}
    published = _published(store)
    kept = _kept(stages, clock() - older_than, keep, published)
    records: list[Removal] = []
    data: list[Removal] = []
    for stage, commits in stages.items():
        for commit in commits:
            if (stage, commit.number) not in kept:
                path = f"{stage}/commits/{commit.number:020d}.json"
                records.append(Removal(path, f"run {commit.run_id}, superseded", 0))
        named = {
            path.split("/", 1)[0] for commit in commits if (stage, commit.number) in kept for path in commit.files()
        } | {commit.attempt for commit in commits if (stage, commit.number) in kept}
        named |= {each.record["attempt"] for each in published if each.record["stage"] == stage}
        data += _attempts(store, stage, named, clock() - older_than)
        records += _unfinished(store, stage, clock() - older_than)
    for channel in store.files.names("channels"):
        records += _temporary(store, f"channels/{channel}", clock() - older_than)
    return records + data


def clean_up(store: Store, older_than: float, keep: int, clock: Callable[[], float] = time.time) -> list[Removal]:
    """Delete old results, and return the list of them.

    Between the records and the data everything is looked at again: a run may have made an old result the newest
    meanwhile, or a rollback may have published it. See `removals` for the arguments.
    """
    planned = removals(store, older_than, keep, clock)
    records = [removal for removal in planned if not removal.is_data]
    for removal in records:
        store.files.delete(removal.path)
    still = {removal.path for removal in removals(store, older_than, keep, clock)}
    data = [removal for removal in planned if removal.is_data and removal.path in still]
    for removal in data:
        store.files.delete(removal.path)
    return records + data


def _kept(
    stages: dict[str, list[Commit]], before: float, keep: int, published: list[Publication]
) -> set[tuple[str, int]]:
    kept: set[tuple[str, int]] = set()
    for stage, commits in stages.items():
        newer: Commit | None = None
        for place, commit in enumerate(commits):  # newest first
            if place < keep or (newer and _seconds(newer.record["committed_at"]) >= before):
                kept.add((stage, commit.number))
            newer = commit
    kept |= {(publication.record["stage"], publication.record["commit"]) for publication in published}
    by_place = {(stage, commit.number): commit for stage, commits in stages.items() for commit in commits}
    waiting = list(kept)
    while waiting:
        commit_or_none = by_place.get(waiting.pop())
        for upstream in (commit_or_none.record.get("upstream", {}) if commit_or_none else {}).items():
            if upstream not in kept:
                kept.add(upstream)
                waiting.append(upstream)
    return kept


def _published(store: Store) -> list[Publication]:
    """Return what channels name now and have named before, and what a rollback would name.

    Raises:
        ArtifactError: the record of a commit that a channel names now is gone.
    """
    found: list[Publication] = []
    channels = Channels(store)
    for channel in channels.names():
        publications: list[Publication] = []
        for publication in channels.history(channel):
            if not publications and channels.commit(publication) is None:
                record = publication.record
                what = f"missing record {record['commit']} of {record['stage']}, which channel {channel} names"
                raise damaged(f"{what} (run {publication.run_id}); nothing is deleted")
            publications.append(publication)
            if len({each.record["attempt"] for each in publications}) > _VERSIONS_OF_A_CHANNEL:
                publications.pop()
                break
        before = channels.before(channel)
        found += [*publications, before] if before else publications
    return found


def _attempts(store: Store, stage: str, named: set[str], before: float) -> Iterator[Removal]:
    for attempt in store.files.names(f"{stage}/data"):
        if attempt in named or not _ATTEMPT.fullmatch(attempt):
            continue
        folder = f"{stage}/data/{attempt}"
        if last_change(store.files, folder) < before:
            files = list(store.files.walk(folder))
            names = {file.path for file in files}
            why = "failed" if FAILED_FILE in names else "never committed, or its commit has expired"
            yield Removal(folder, why, sum(file.size for file in files))


def _unfinished(store: Store, stage: str, before: float) -> Iterator[Removal]:
    yield from _temporary(store, f"{stage}/commits", before)
    for attempt in store.files.names(f"{stage}/data"):
        if _ATTEMPT.fullmatch(attempt):
            yield from _temporary(store, f"{stage}/data/{attempt}", before)
    for folder, why in (("shards", "a shard of a run that never went on"), ("trials", "a trial of an earlier search")):
        for file in store.files.walk(f"{stage}/{folder}"):
            if _RECORD.fullmatch(file.path) and file.modified < before:
                yield Removal(f"{stage}/{folder}/{file.path}", why, file.size)


def _temporary(store: Store, folder: str, before: float) -> Iterator[Removal]:
    """Return the files that were never finished: a disk was full, or a process died."""
    for file in store.files.walk(folder):
        if file.path.rpartition("/")[2].startswith(TEMPORARY) and file.modified < before:
            yield Removal(f"{folder}/{file.path}", "a file that was never finished", file.size)


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()
