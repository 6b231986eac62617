"""Compare every file of every commit with what was recorded when it was written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from recommender.errors import ArtifactError
from recommender.store.channels import Channels
from recommender.store.log import Log
from recommender.store.store import Commit, Store


@dataclass(frozen=True)
class Damage:
    """One file that is not as it was written."""

    path: str
    what: str


def verify(
    store: Store, *, quick: bool = False, announce: Callable[[str], object] = str
) -> tuple[int, int, list[Damage]]:
    """Read every record, and every file that a record lists.

    Args:
        store: the store.
        quick: whether sizes are enough; else contents are compared by their hashes.
        announce: is told which commit is being read.

    Returns:
        How many files and bytes were looked at, and what is damaged.
    """
    commits, damages = _records(store)
    seen: set[str] = set()
    size = 0
    for commit in commits:
        announce(f"{commit.stage} commit {commit.number} of run {commit.run_id}")
        present: dict[str, int] = {}
        for attempt in {path.split("/", 1)[0] for path in commit.files()}:
            folder = f"{commit.stage}/data/{attempt}"
            present |= {f"{folder}/{file.path}": file.size for file in store.files.walk(folder)}
        for name, facts in commit.files().items():
            path = f"{commit.stage}/data/{name}"
            if path in seen:
                continue
            seen.add(path)
            size += facts["bytes"]
            what = _difference(store, path, present.get(path), facts, quick=quick)
            if what:
                damages.append(Damage(store.files.url(path), what))
    return len(seen), size, damages


def _records(store: Store) -> tuple[list[Commit], list[Damage]]:
    """Return all commits, and the records that cannot be read."""
    commits, damages = [], []
    logs = [(stage, Log(store.files, f"{stage}/commits")) for stage in store.files.names("") if stage != "channels"]
    logs += [("", Log(store.files, f"channels/{channel}")) for channel in Channels(store).names()]
    for stage, log in logs:
        for number in log.numbers():
            try:
                record = log.record(number)
            except ArtifactError:
                damages.append(Damage(log.url(number), "the record does not match its hash"))
                continue
            if record and stage:
                commits.append(Commit(stage, number, record))
    return commits, damages


def _difference(store: Store, path: str, size: int | None, facts: Mapping[str, Any], *, quick: bool) -> str:
    if size is None:
        return "missing"
    if size != facts["bytes"]:
        return f"has {size:,} bytes, not {facts['bytes']:,}"
    try:
        if not quick and store.files.sha256(path) != facts["sha256"]:
            return "its content does not match its hash"
    except FileNotFoundError:
        return "missing"
    return ""
