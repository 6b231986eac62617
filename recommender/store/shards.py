"""Finished parts of a stage that is not finished, shards or trials: what a stage need not do again after a crash.

Each part has a record of its own, in a log that is named by the fingerprint of the work: only a run that would compute
the same goes on with it. When the stage is committed, its shards' files are listed there, and their log has served.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from recommender.errors import ArtifactError
from recommender.store.log import Log
from recommender.store.store import Store, check_sizes, sync_listed


class Kept:
    """Finished parts of the work of one stage and fingerprint, kept in a log.

    Init parameters:
        store: the store.
        stage: name of the stage.
        fingerprint: that of the work.
    """

    KIND: ClassVar[str]  # the folder of such logs

    def __init__(self, store: Store, stage: str, fingerprint: str) -> None:
        self._store = store
        self._stage = stage
        self._folder = f"{stage}/{self.KIND}/{fingerprint}"
        self._log = Log(store.files, self._folder)

    def forget(self) -> None:
        """Delete the log."""
        self._store.files.delete(self._folder)


class Shards(Kept):
    """The finished shards of one stage and fingerprint; the commit knows their files in the end."""

    KIND: ClassVar[str] = "shards"

    def finished(self, shard: int, of: int) -> Mapping[str, Any] | None:
        """Return the record of a shard, numbered from 0, if it was finished and its files are all there."""
        record = self._log.record(shard + 1)
        if record is None:
            return None
        try:
            if record["of"] != of:
                raise ArtifactError("ARTIFACT_CORRUPT", "the visitors were cut in another way")
            check_sizes(self._store.files, self._stage, record["files"])
        except ArtifactError:
            self._log.delete(shard + 1)
            return None
        return record

    def finish(self, shard: int, of: int, attempt: str, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """Record a shard, and return what counts: this, or what another run has recorded meanwhile."""
        body = {"attempt": attempt, "of": of, **record}
        sync_listed(self._store.files, self._stage, body)
        if self._log.append(shard + 1, body, is_ours={"attempt": attempt}):
            return body
        return self._log.record(shard + 1) or body

    def attempts(self) -> set[str]:
        """Return the attempts that hold finished shards."""
        return {record["attempt"] for _, record in self._log.newest_first()}


class Trials(Kept):
    """The trials of one search that have ended.

    They stay, so that a search with more trials goes on from there, until the clean-up removes them.
    """

    KIND: ClassVar[str] = "trials"

    def finished(self) -> dict[int, Mapping[str, Any]]:
        """Return number, from 0, -> record of the trials that have ended; raise an ArtifactError if one is damaged."""
        return {number - 1: record for number, record in self._log.newest_first()}

    def finish(self, trial: int, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """Record a trial, and return what counts: this, or what another run has recorded meanwhile."""
        if self._log.append(trial + 1, record, is_ours=record):
            return record
        return self._log.record(trial + 1) or record
