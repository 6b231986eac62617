"""Find out before Spark starts whether the result of a stage exists already.

The identity of a stage's result is everything that it depends on; its fingerprint is the hash of that. Two runs with
the same fingerprint compute the same.

>>> differences({"config": {"als": {"rank": 32}}, "version": "1"}, {"config": {"als": {"rank": 64}}, "version": "1"})
['config.als.rank']
"""

import fnmatch
import functools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from glob import glob, has_magic
from importlib import resources
from pathlib import Path
from typing import Any

from recommender import __version__
from recommender.errors import ConfigError, Mistake
from recommender.settings.redaction import redacted
from recommender.stage import Stage
from recommender.store import Commit, Hadoop, digest

IDENTITY = ("config", "version", "upstream", "inputs", "versions")


def identity(stage: Stage, upstream: Mapping[str, Commit], hadoop: Callable[[], Hadoop | None]) -> dict[str, Any]:
    """Return everything that a stage's result depends on, as plain JSON types."""
    return {
        "config": redacted(stage.parameters(), numbers=False),
        "version": code_version(),
        "upstream": {name: commit.attempt for name, commit in sorted(upstream.items())},
        "inputs": {redacted(path): facts for source in stage.sources() for path, facts in listed(source, hadoop)},
        "versions": {redacted(name): version for name, version in stage.versions(started=False).items()},
    }


def identity_of(commit: Commit) -> dict[str, Any]:
    """Return everything that a commit's result depends on, as `identity` does."""
    return {
        "config": commit.record["config"],
        "version": commit.record["version"],
        "upstream": commit.record["upstream_attempts"],
        "inputs": commit.record["inputs"],
        "versions": commit.record.get("versions", {}),
    }


def fingerprint(of: Mapping[str, Any]) -> str:
    """Return the hash of an identity."""
    return digest({key: of[key] for key in IDENTITY})


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Return the paths of the keys in which two trees of mappings differ."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        keys = [key for key in {**one, **other} if one.get(key) != other.get(key)]
        return [
            found
            for key in keys
            for found in differences(one.get(key), other.get(key), f"{path}.{key}" if path else str(key))
        ]
    return [path]


def size_of_inputs(
    stages: Iterable[Stage], commits: Iterable[Commit], hadoop: Callable[[], Hadoop | None]
) -> int | None:
    """Return about how many bytes a run works on: the most that one of its inputs has; None if a table is read."""
    stages = list(stages)
    if any(stage.versions(started=False) for stage in stages):
        return None
    sources = [source for stage in stages for source in stage.sources()]
    sizes = [sum(size for _, (size, _) in listed(source, hadoop)) for source in sources]
    sizes += [sum(facts["bytes"] for facts in commit.files().values()) for commit in commits]
    return int(max(sizes, default=0))


@functools.cache
def code_version() -> str:
    """Return the version and a hash of this package's code: another code may compute something else."""
    sources = {name: file.read_text(encoding="utf-8") for name, file in _modules(resources.files("recommender"), "")}
    return f"{__version__}+{digest(sources)[:12]}"


def check_overlap(sources: Sequence[str], root: str, folders: Sequence[str]) -> None:
    """Raise a ConfigError if a source is, holds, or lies in one of the folders that are written below the root."""
    written = [f"{_absolute(root)}/{folder}" for folder in folders]
    for source in sources:
        read = _absolute(source)
        if any(_overlap(read, folder) for folder in written):
            sentence = f"the input {redacted(source)} and the root {redacted(root)} overlap: the stages write there"
            raise ConfigError(Mistake("OUTPUT_OVERLAPS_INPUT", "root", f"{sentence}; take another folder for one"))


def _modules(folder: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Return the modules below a folder, which may be inside an archive."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _modules(entry, f"{path}{entry.name}/")
        elif entry.name.endswith(".py"):
            yield f"{path}{entry.name}", entry


def listed(source: str, hadoop: Callable[[], Hadoop | None]) -> Iterator[tuple[str, list[float]]]:
    """Return the files that a source names: (path, [bytes, time of change])."""
    scheme, colon, rest = source.partition(":")
    if not colon or scheme == "file":
        path = f"/{rest.lstrip('/')}" if colon else source
        matches = sorted(glob(path)) if has_magic(path) else [path]  # noqa: PTH207
        places = [Path(match) for match in matches]
        files = [file for place in places for file in (sorted(place.rglob("*")) if place.is_dir() else [place])]
        for file in files:
            if file.is_file():
                yield str(file), [file.stat().st_size, file.stat().st_mtime]
        if colon or any(place.exists() for place in places):
            return  # else it may be a path of the cluster's own file system
    gateway = hadoop()
    if gateway:
        yield from gateway.listed(source)


def _absolute(path: str) -> str:
    scheme, colon, rest = path.partition(":")
    if colon and scheme != "file":
        return f"{scheme}:/{re.sub('/+', '/', rest)}".rstrip("/")
    return os.path.realpath(f"/{rest.lstrip('/')}" if colon else path)


def _overlap(read: str, written: str) -> bool:
    """Return whether a path or glob that is read meets a folder that is written."""
    # Hadoop's globs have alternatives, which may be anything here, and negate a set with ^.
    pattern = re.sub(r"\{[^}]*\}", "*", read).replace("[^", "[!")
    parts, targets = pattern.rstrip("/").split("/"), written.split("/")
    return all(fnmatch.fnmatchcase(target, part) for part, target in zip(parts, targets, strict=False))
