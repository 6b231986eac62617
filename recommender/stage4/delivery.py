"""Deliver what stage 4 has committed to its places, and let its channel name it."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from recommender.publishing.publication import publish
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


@dataclass
class StepDelivery:
    """A place, and how a version gets there.

    Attributes:
        name: of the step.
        step: that delivers.
        rows: returns the published table; called where the place does not have it.
        types: of the columns visitorid and itemid, as Spark calls them.
    """

    name: str
    step: DeliveringStep
    rows: Callable[[], DataFrame]
    types: Mapping[str, str]

    @cached_property
    def target(self) -> Target:
        """The place."""
        opened: Target = self.step.target(self.types)
        return opened

    def load(self, version: Version, channel: str) -> None:
        """Load a version there, where nobody sees it."""
        self.step.execute(self.rows(), self.target, version, channel)


def deliver(
    store: Store, commit: Commit, channel: str, steps: Mapping[str, DeliveringStep], start: Callable[[], object]
) -> Publication | None:
    """Deliver a commit wherever it is wanted, and let a channel name it; see ``recommender.publishing.publication``."""
    schema = StructType.fromJson(commit.record["tables"][_TABLE])

    def rows() -> DataFrame:
        start()
        check_contents(store, commit, [_TABLE])
        return read_table(store.urls(commit, _TABLE), schema)

    types = {field.name: field.dataType.simpleString() for field in schema}
    places = [StepDelivery(name, step, rows, types) for name, step in steps.items()]
    with progress("publishing") if places else nullcontext(str) as announce:
        return publish(store, channel, commit, places, announce)


def channel_text(store: Store, channel: str, commit: Commit) -> str:
    """Return whether a channel names a commit, and what it names else."""
    current = Channels(store).current(channel)
    if current is None or current.record["attempt"] == commit.attempt:
        return f"Channel {channel} names them"
    why = "a later result was published, or somebody went back from this one; only a new result takes its place"
    return f"Channel {channel} stays with run {current.run_id}: {why}"
