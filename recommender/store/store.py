"""Attempts and commits; see the package."""

import json
import posixpath
import re
import secrets
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Final

from recommender.errors import ArtifactError, ConflictError, StorageError
from recommender.store.files import Files
from recommender.store.index import Index
from recommender.store.log import Log

ATTEMPT_FILE: Final = "_ATTEMPT.json"
FAILED_FILE: Final = "_FAILED.json"
_RUN_ID: Final = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_FOR_READERS: Final = "stage4"  # what it makes is read by services and shops, which are other users


@dataclass(frozen=True)
class Attempt:
    """One try at writing the result of a stage: a new folder that nobody reads yet."""

    stage: str
    run_id: str
    id: str
    url: str
    parent: int  # number of the newest commit when the attempt began, 0 if there was none


@dataclass(frozen=True)
class Commit:
    """A visible result: its number within the stage, and its record.

    The record's ``files`` are {path below the stage's data folder: {bytes, sha256, rows}}.
    """

    stage: str
    number: int
    record: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        """Return the id of the run that made it."""
        return str(self.record["run"])

    @property
    def attempt(self) -> str:
        """Return the id of the attempt that it made visible."""
        return str(self.record["attempt"])

    def files(self, *tables: str) -> dict[str, Mapping[str, Any]]:
        """Return the files of some tables, or of all: {path below the stage's data folder: facts about it}."""
        return {
            path: facts
            for path, facts in self.record["files"].items()
            if not tables or path.split("/", 1)[1].startswith(tuple(f"{table}/" for table in tables))
        }


@dataclass(frozen=True)
class Store:
    """The results of all runs below one root."""

    files: Files

    def begin(self, stage: str, run_id: str) -> Attempt:
        """Make the folder of a new attempt, and note there who is at it; raise a StorageError if that fails."""
        attempt = uuid.uuid4().hex
        started = {"run": run_id, "stage": stage, "attempt": attempt, "started_at": now()}
        self.files.create(f"{stage}/data/{attempt}/{ATTEMPT_FILE}", json.dumps(started).encode())
        if stage != _FOR_READERS:
            self.files.restrict(f"{stage}/data/{attempt}")  # the files show who has done what
        parent = self._commits(stage).newest_number()
        return Attempt(stage, run_id, attempt, self.files.url(f"{stage}/data/{attempt}"), parent)

    def fail(self, attempt: Attempt, failure: Mapping[str, Any], keep: Sequence[str] = ()) -> None:
        """Remove what a failed attempt wrote, and leave a note of why it failed.

        Names in `keep` stay. If the attempt is committed anyway, because the failure came after that, nothing is
        removed; nor if that cannot be found out.
        """
        folder = f"{attempt.stage}/data/{attempt.id}"
        record = self._commits(attempt.stage).record(attempt.parent + 1)
        if record is not None and record["attempt"] == attempt.id:
            return
        for name in self.files.names(folder):
            if name not in {ATTEMPT_FILE, FAILED_FILE, *keep}:
                self.files.delete(f"{folder}/{name}")
        failed = {"run": attempt.run_id, "stage": attempt.stage, "attempt": attempt.id, "failed_at": now(), **failure}
        self.files.create(f"{folder}/{FAILED_FILE}", json.dumps(failed, indent=1).encode())

    def commit(self, attempt: Attempt, record: Mapping[str, Any]) -> Commit:
        """Make an attempt visible, with a record of what it holds.

        The files that it lists are durable before the record is.

        Raises:
            ConflictError: another run has committed this stage since the attempt began. ArtifactError: a file is gone.
        """
        body = {"run": attempt.run_id, "attempt": attempt.id, "parent": attempt.parent, "committed_at": now(), **record}
        sync_listed(self.files, attempt.stage, body)
        log, number = self._commits(attempt.stage), attempt.parent + 1
        newest = log.newest_number()
        if newest != attempt.parent or not log.append(number, body, is_ours={"attempt": attempt.id}):
            newest = log.newest_number()
            sentence = f"expected {attempt.parent} found {newest}: another run has committed {attempt.stage} meanwhile"
            raise ConflictError("COMMIT_CONFLICT", f"{sentence}; its result stands, start this run again")
        with suppress(StorageError, ArtifactError):  # it only saves time
            self._index(attempt.stage).note(number)
        return Commit(attempt.stage, number, body)

    def latest(self, stage: str) -> Commit | None:
        """Return the newest commit of a stage; if its record is damaged, that is an ArtifactError, and no older one."""
        return next(self.commits(stage), None)

    def commits(self, stage: str) -> Iterator[Commit]:
        """Return the commits of a stage, newest first."""
        for number, record in self._commits(stage).newest_first():
            yield Commit(stage, number, record)

    def commit_number(self, stage: str, number: int) -> Commit | None:
        """Return a commit of a stage by its number."""
        record = self._commits(stage).record(number)
        return None if record is None else Commit(stage, number, record)

    def of_run(self, stage: str, run_id: str) -> Commit | None:
        """Return what a run has committed of a stage; the newest, if there are several."""
        numbers = (number for number, run, _ in self._index(stage).entries() if run == run_id)
        return next((commit for number in numbers if (commit := self.commit_number(stage, number))), None)

    def of_fingerprint(self, stage: str, fingerprint: str) -> Commit | None:
        """Return the newest commit of a stage that was made from this, and by this configuration."""
        numbers = (number for number, _, made_of in self._index(stage).entries() if made_of == fingerprint)
        return next((commit for number in numbers if (commit := self.commit_number(stage, number))), None)

    def expire(self, commit: Commit) -> None:
        """Delete a commit's record; its data is then no longer anybody's."""
        self._commits(commit.stage).delete(commit.number)

    def urls(self, commit: Commit, table: str) -> list[str]:
        """Return what Spark calls the Parquet files of a table."""
        return [
            self.files.url(f"{commit.stage}/data/{path}")
            for path in commit.files(table)
            if path.endswith(".parquet") and table == posixpath.dirname(path).split("/", 1)[1].split("/shard-")[0]
        ]

    def check(self, commit: Commit, tables: Sequence[str] = ()) -> None:
        """Raise an ArtifactError if a file that a commit lists is missing, or has another size."""
        check_sizes(self.files, commit.stage, commit.files(*tables))

    def _index(self, stage: str) -> Index:
        return Index(self.files, stage, self._commits(stage))

    def _commits(self, stage: str) -> Log:
        return Log(self.files, f"{stage}/commits")


def check_sizes(files: Files, stage: str, listed: Mapping[str, Mapping[str, Any]]) -> None:
    """Compare listed files of a stage with those that are there, by name and size; other files do not matter."""
    attempts = {path.split("/", 1)[0] for path in listed}
    found = {
        f"{attempt}/{file.path}": file.size for attempt in attempts for file in files.walk(f"{stage}/data/{attempt}")
    }
    for path, facts in listed.items():
        place = files.url(f"{stage}/data/{path}")
        if path not in found:
            raise damaged(f"missing {posixpath.basename(path)}: {place} is gone")
        if found[path] != facts["bytes"]:
            raise damaged(f"{place} has {found[path]:,} bytes, not {facts['bytes']:,}")


def sync_listed(files: Files, stage: str, record: Mapping[str, Any]) -> None:
    """Make the files durable that a record lists, hidden from others; raise an ArtifactError if one is missing."""
    paths = [f"{stage}/data/{path}" for path in record.get("files", ())]
    try:
        files.sync(paths)
    except FileNotFoundError as error:
        raise damaged(f"missing {error.filename}: it was written, and is gone") from error
    for path in paths if stage != _FOR_READERS else ():
        files.restrict(path)


def damaged(what: str) -> ArtifactError:
    """Return the error of a stored file that is not as it was written."""
    return ArtifactError("ARTIFACT_CORRUPT", what, "run its stage again with --force, or restore the file")


def new_run_id() -> str:
    """Return a name that sorts by time and is given once: UTC to the microsecond and four random digits."""
    return f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S%f}-{secrets.token_hex(2)}"


def run_id_mistake(run_id: str) -> str | None:
    """Return the mistake in the name of a run, or nothing.

    >>> run_id_mistake("monday"), run_id_mistake("../x")
    (None, 'RUN_ID must match [A-Za-z0-9][A-Za-z0-9_-]{0,63}')
    """
    return None if re.fullmatch(_RUN_ID, run_id) else f"RUN_ID must match {_RUN_ID}"


def now() -> str:
    """Return the time as UTC, to the millisecond."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
