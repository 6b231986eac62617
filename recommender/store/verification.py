"""Compare every file of every commit with the record that was written with it."""

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
        quick: whether sizes are enough; else contents are compared by their hashes.
        announce: shows which commit is being read.

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
            except ArtifactError as error:
                is_known = error.id == "ARTIFACT_CORRUPT"
                damages.append(Damage(log.url(number), "the record does not match its hash" if is_known else error.id))
                continue
            if record and stage:
                commits.append(Commit(stage, number, record))
    return commits, damages + _lost(store, commits)


def _lost(store: Store, commits: list[Commit]) -> list[Damage]:
    """Return the records that are gone of the commits that channels name, and of those that these were made from."""
    known = {(commit.stage, commit.number): commit for commit in commits}
    damages = []
    for current in Channels(store).currents():
        named = (str(current.record["stage"]), int(current.record["commit"]))
        if named in known and known[named].attempt != current.record["attempt"]:
            path = store.files.url(f"{named[0]}/commits/{named[1]:020d}.json")
            damages.append(Damage(path, f"is of another attempt than the one that channel {current.channel} names"))
        waiting = [named]
        for stage, number in waiting:
            if (stage, number) in known:
                upstream = known[stage, number].record.get("upstream", {}).items()
                waiting += [each for each in upstream if each not in waiting]
            elif number not in Log(store.files, f"{stage}/commits").numbers():
                path = store.files.url(f"{stage}/commits/{number:020d}.json")
                damages.append(Damage(path, f"missing: channel {current.channel} needs run {current.run_id}"))
    return damages


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
