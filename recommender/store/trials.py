"""Trials of a search that have ended: what a search need not do again, after a crash, or when it is given more time.

Each trial has a record of its own, in a log that is named by the fingerprint of what is searched. The records stay when
the search has ended, so that one with more trials goes on from there; the clean-up removes them when they are old.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from recommender.store.shards import Kept


class Trials(Kept):
    """The trials of one stage and fingerprint."""

    KIND: ClassVar[str] = "trials"

    def finished(self) -> dict[int, Mapping[str, Any]]:
        """Return number, from 0, -> record of the trials that have ended.

        Raises:
            ArtifactError: a record is damaged.
        """
        return {number - 1: record for number, record in self._log.newest_first()}

    def finish(self, trial: int, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """Record a trial, and return what counts: this, or what another run has recorded meanwhile."""
        if self._log.append(trial + 1, record, is_ours=record):
            return record
        return self._log.record(trial + 1) or record
