"""The metrics that the workers are to compute.

Example usage:
>>> task = Task(models=("als",), cutoffs=(5, 10), metrics=("recall", "coverage", "mrr"), replicates=100)
>>> task.of_visitors, task.of_exposure, task.cells, task.places
(('recall', 'mrr'), ('coverage',), 4, (1, 5, 10))
"""

from collections.abc import Sequence
from dataclasses import dataclass

from recommender.evaluation.accuracy import PER_VISITOR
from recommender.evaluation.exposure import OF_EXPOSURE, SHORT_LISTS

# A worker has some hundred MB: so many values of 8 bytes are worked on together, and so many weights of up to 9.
_VALUES = _WEIGHTS = 2**22
_BYTES_PER_VISITOR = 64
_LEAST_BYTES, _MOST_BYTES = 2**18, 2**23


@dataclass(frozen=True)
class Task:
    """The metrics to compute.

    Attributes:
        models: their names; elsewhere a model is its place in here.
        cutoffs: numbers of places that are looked at, rising.
        metrics: some of `PER_VISITOR` and `OF_EXPOSURE`.
        replicates: of the bootstrap; 0: no intervals.
        seed: of the bootstrap.
    """

    models: Sequence[str]
    cutoffs: Sequence[int]
    metrics: Sequence[str]
    replicates: int = 0
    seed: int = 0

    @property
    def of_visitors(self) -> tuple[str, ...]:
        """The metrics that are means over visitors."""
        return tuple(metric for metric in self.metrics if metric in PER_VISITOR)

    @property
    def of_exposure(self) -> tuple[str, ...]:
        """The metrics of what all lists show together."""
        return tuple(metric for metric in self.metrics if metric in OF_EXPOSURE)

    @property
    def cells(self) -> int:
        """How many values a visitor has by each model."""
        return len(self.of_visitors) * len(self.cutoffs)

    @property
    def places(self) -> tuple[int, ...]:
        """The numbers of places within which items are counted: 1 is among them, for it counts the lists."""
        less = {k - 1 for k in self.cutoffs if k > 1} if SHORT_LISTS in self.metrics else set()
        return tuple(sorted({1, *self.cutoffs, *less}))

    @property
    def bytes_together(self) -> int:
        """The bytes of records that are worked on together, about."""
        values = max(self.cells, 1) * len(self.models)
        return min(max(_VALUES // values * _BYTES_PER_VISITOR, _LEAST_BYTES), _MOST_BYTES)

    @property
    def visitors_together(self) -> int:
        """The weights of how many visitors are drawn together."""
        return _WEIGHTS // (1 + self.replicates)
