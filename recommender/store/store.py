"""The store on a file system that Python reaches; see the package."""

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from recommender.errors import ConflictError, StorageError


@dataclass(frozen=True)
class Attempt:
    """One try at writing the result of a stage: a new folder that nobody reads yet."""

    stage: str
    run_id: str
    id: str
    path: str


@dataclass(frozen=True)
class Commit:
    """A result that is visible: its number within the stage, its folder, and what was recorded with it."""

    stage: str
    number: int
    path: str
    record: Mapping[str, Any]


class Store:
    """The results of all runs below one folder.

    Init parameters:
        root: path of a folder, or its file: URI; it is made where it is missing.
    Raises:
        StorageError: the root is not a path that Python reaches.
    """

    def __init__(self, root: str) -> None:
        scheme, colon, rest = root.partition(":")
        if colon and scheme != "file":
            raise StorageError("STORAGE_SCHEME", f"--root {root}: only folders are supported so far, not {scheme}:")
        self.root = Path(rest if colon else root).absolute()

    def begin(self, stage: str, run_id: str) -> Attempt:
        """Make the folder of a new attempt."""
        attempt = uuid.uuid4().hex
        path = self.root / stage / "data" / attempt
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise StorageError("STORAGE_DENIED", f"{path.parent} cannot be written: {error.strerror}") from error
        return Attempt(stage, run_id, attempt, str(path))

    def discard(self, attempt: Attempt) -> None:
        """Remove an attempt that failed, and the folders that were made for it alone."""
        shutil.rmtree(attempt.path, ignore_errors=True)
        for folder in list(Path(attempt.path).parents)[:2]:
            if not any(folder.iterdir()):
                folder.rmdir()

    def commit(self, attempt: Attempt, record: Mapping[str, Any]) -> Commit:
        """Make an attempt visible, with a record of what it holds."""
        last = self.latest(attempt.stage)
        number = last.number + 1 if last else 1
        path = Path(attempt.path)
        files = {str(f.relative_to(path)): f.stat().st_size for f in sorted(path.rglob("*")) if f.is_file()}
        record = {
            "run": attempt.run_id,
            "attempt": attempt.id,
            "committed_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "files": files,
            **record,
        }
        _create(self._commits(attempt.stage) / f"{number:020d}.json", record)
        return Commit(attempt.stage, number, attempt.path, record)

    def latest(self, stage: str) -> Commit | None:
        """Return the newest commit of a stage."""
        numbered = sorted(self._commits(stage).glob("[0-9]*.json"))
        return self._read(stage, numbered[-1]) if numbered else None

    def commit_number(self, stage: str, number: int) -> Commit | None:
        """Return a commit of a stage by its number."""
        path = self._commits(stage) / f"{number:020d}.json"
        return self._read(stage, path) if path.exists() else None

    def check(self) -> None:
        """Make the root where it is missing, so that a root that cannot be written is found early."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError("STORAGE_DENIED", f"--root {self.root} is no folder: {error.strerror}") from error

    def _read(self, stage: str, path: Path) -> Commit:
        record = json.loads(path.read_text(encoding="utf-8"))
        return Commit(stage, int(path.stem), str(self.root / stage / "data" / record["attempt"]), record)

    def publish(self, channel: str, commit: Commit) -> None:
        """Let a channel name a commit."""
        folder = self.root / "channels" / channel
        number = len(list(folder.glob("[0-9]*.json"))) + 1
        named = {"stage": commit.stage, "attempt": commit.record["attempt"], "run": commit.record["run"]}
        _create(folder / f"{number:020d}.json", named)

    def _commits(self, stage: str) -> Path:
        return self.root / stage / "commits"


def _create(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file that must not exist yet, so that it is there with all of its content or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1, default=str)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise ConflictError("COMMIT_CONFLICT", f"{path} was written by another run meanwhile") from None
    finally:
        temporary.unlink()
