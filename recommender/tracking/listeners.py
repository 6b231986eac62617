"""Pass the events of a run to MLflow and OpenLineage."""

import functools
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from recommender.store import Commit, Store
from recommender.tracking.patience import PATIENCE, reason_of_failure
from recommender.tracking.settings import Tracking

_AT_THE_END: Final = 3.0  # seconds: a process that a signal ends has ten


@dataclass(frozen=True)
class Work:
    """A stage that is looked at."""

    stage: str  # its name
    verb: str  # what it does
    files: Sequence[str] = ()  # files, folders and globs that it reads
    tables: Sequence[str] = ()  # tables of a catalog or database that it reads
    stored: Collection[tuple[str, str]] = ()  # (stage, table) that it reads from the store


class Listener(Protocol):
    """One who tracks a run. Whatever it raises ends its tracking of this run, and nothing else."""

    NAME: str

    def begun(self, work: Work) -> None:
        """A stage is looked at."""

    def done(self, commit: Commit, reused: str) -> None:
        """It has a result; if nothing was computed, a sentence why."""

    def failed(self, sentence: str) -> None:
        """The run ends with an error."""

    def ended(self) -> None:
        """All stages are done."""


class Tracked:
    """A run, and who tracks it.

    Init parameters:
        listeners: the trackers.
        warn: shows a sentence at once.
    """

    def __init__(self, listeners: Sequence[Listener], warn: Callable[[str], None]) -> None:
        self._listeners = list(listeners)
        self._warn = warn

    def begun(self, work: Work) -> None:
        """Report that a stage begins."""
        self._call("begun", work)

    def done(self, commit: Commit, reused: str = "") -> None:
        """Report its result; if nothing was computed, a sentence why."""
        self._call("done", commit, reused)

    def failed(self, sentence: str, *, is_signal: bool) -> None:
        """Report that the run ends with an error, or by a signal."""
        self._call("failed", sentence, seconds=_AT_THE_END if is_signal else PATIENCE)

    def ended(self) -> None:
        """Report that all stages are done."""
        self._call("ended")

    def _call(self, what: str, *facts: Any, seconds: float = PATIENCE) -> None:
        for listener in list(self._listeners):
            reason = reason_of_failure(functools.partial(getattr(listener, what), *facts), seconds)
            if reason:
                self._listeners.remove(listener)
                self._warn(f"{listener.NAME} does not track this run any more, which goes on: {reason}")


@contextmanager
def tracked(
    settings: Tracking,
    uri: str,
    store: Store,
    run: str,
    warn: Callable[[str], None],
    sentence_of: Callable[[BaseException], str],
) -> Iterator[Tracked]:
    """Track a run until the context ends, with an error or without one.

    Args:
        uri: that of MLflow as it was written, with names of environment variables in place.
        sentence_of: returns what people are shown of an error.
    """
    tracking = Tracked(list(_listeners(settings, uri, store, run)), warn)
    try:
        yield tracking
    except BaseException as error:
        if settings.is_wanted:
            tracking.failed(sentence_of(error), is_signal=not isinstance(error, Exception))
        raise
    tracking.ended()


def _listeners(settings: Tracking, uri: str, store: Store, run: str) -> Iterator[Listener]:
    if settings.mlflow:
        from recommender.tracking.mlflow_runs import MlflowRuns  # noqa: PLC0415 - only if it is wanted

        yield MlflowRuns(settings, uri, store, run)
    if settings.openlineage:
        from recommender.tracking.openlineage import OpenLineage  # noqa: PLC0415

        yield OpenLineage(settings, store, run)
