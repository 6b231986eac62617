"""A log of trials in memory."""

from collections.abc import Mapping
from typing import Any


class TrialsInMemory:
    """What a search keeps and goes on from; the records come back in no order that matters."""

    def __init__(self) -> None:
        self.records: dict[int, Mapping[str, Any]] = {}

    def finished(self) -> Mapping[int, Mapping[str, Any]]:
        """Return number -> record."""
        return dict(reversed(self.records.items()))

    def finish(self, trial: int, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keep a record; return what was kept first."""
        return self.records.setdefault(trial, record)
