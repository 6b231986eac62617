"""Deliver what stage 4 has committed to its places, and let its channel name it."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, Protocol, runtime_checkable

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from recommender.publishing.publication import Delivery, publish
from recommender.publishing.target import Target, Version
from recommender.store import Channels, Commit, Publication, Store
from recommender.tables.audit import check_contents
from recommender.tables.parquet import read_table
from recommender.terminal.progress import progress

_TABLE = "recommendations"


@runtime_checkable
class DeliveringStep(Protocol):
    """A step that delivers; a stage finds it among its steps by what it can do."""

    @property
    def is_wanted(self) -> bool:
        """Whether anything is delivered."""

    def target(self, types: Mapping[str, str]) -> Any:
        """Return the place, given the types of the ids."""

    def execute(self, recommendations: DataFrame, target: Any, version: Version, channel: str) -> None:
        """Load a version there."""


def deliver(
    store: Store, commit: Commit, channel: str, steps: Mapping[str, DeliveringStep], start: Callable[[], object]
) -> Publication | None:
    """Deliver a commit wherever it is wanted, and let a channel name it; see ``recommender.publishing.publication``.

    Spark is started if a place does not have the version.
    """
    schema = StructType.fromJson(commit.record["tables"][_TABLE])

    def rows() -> DataFrame:
        start()
        check_contents(store, commit, [_TABLE])
        return read_table(store.urls(commit, _TABLE), schema)

    def delivery(name: str, step: DeliveringStep) -> Delivery:
        target: Target = step.target({field.name: field.dataType.simpleString() for field in schema})
        return Delivery(name, target, lambda version, channel: step.execute(rows(), target, version, channel))

    places = [delivery(name, step) for name, step in steps.items()]
    with progress("publishing") if places else nullcontext(str) as announce:
        return publish(store, channel, commit, places, announce)


def channel_text(store: Store, channel: str, commit: Commit) -> str:
    """Return whether a channel names a commit, and what it names else."""
    current = Channels(store).current(channel)
    if current is None or current.record["attempt"] == commit.attempt:
        return f"Channel {channel} names them"
    why = "a later result was published, or somebody went back from this one; only a new result takes its place"
    return f"Channel {channel} stays with run {current.run_id}: {why}"
