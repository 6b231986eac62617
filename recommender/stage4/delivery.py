"""The places that a version is delivered to, each with the step that brings it there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from pyspark.sql import DataFrame

from recommender.publishing.target import Target, Version


class DeliveringStep(Protocol):
    """A step that delivers."""

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


def wanted(
    steps: Mapping[str, Any], names: Sequence[str], rows: Callable[[], DataFrame], types: Mapping[str, str]
) -> list[StepDelivery]:
    """Return the places that are configured."""
    return [StepDelivery(name, steps[name], rows, types) for name in names if steps[name].is_wanted]
