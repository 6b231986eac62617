"""The sums of the per-visitor metrics of some visitors, in each segment and each replicate of the bootstrap.

Example usage:
>>> task = Task(models=("als",), cutoffs=(1,), metrics=("recall",), replicates=2)
>>> found = VisitorSums(task)
>>> held = np.array([(7, 100, 1.0), (8, 100, 1.0)], RECORDS[HELD])
>>> places = np.array([(7, 100, 1, 0)], RECORDS[PLACES])
>>> found.add(held, places, {"new": np.array([7])})
>>> {segment: sums.means()[0].tolist() for segment, sums in found.segments.items()}
{None: [0.5], 'new': [1.0]}
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from recommender.evaluation.accuracy import Held, Hits, judge
from recommender.evaluation.bootstrap import WeightedSums, in_units, weights
from recommender.evaluation.packing import HELD, PLACES, RECORDS, Records  # noqa: F401 - for the example
from recommender.evaluation.task import Task


class VisitorSums:
    """The sums of all visitors that were added, of those in each segment, and of all of them under None."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.segments: dict[str | None, WeightedSums] = {}

    def add(self, held: Records, places: Records, segments: Mapping[str, NDArray[np.int32]]) -> None:
        """Add visitors, each with everything that concerns it.

        Args:
            held: records of `HELD`: the relevant items. Who has none is not judged.
            places: records of `PLACES`: the lists.
            segments: the visitors in each.
        """
        task = self._task
        if not len(held):
            return
        relevant = Held(held["visitor"], held["item"], held["gain"])
        judged = judge(relevant, _hits(relevant, places), len(task.models), task.cutoffs, task.of_visitors)
        members = {name: np.isin(judged.visitors, visitors) for name, visitors in segments.items()}
        values = in_units(judged.values)
        step = task.visitors_together
        cuts = np.searchsorted(judged.with_hits, np.arange(0, len(judged.visitors) + step, step))
        for number, start in enumerate(range(0, len(judged.visitors), step)):
            drawn = weights(judged.visitors[start : start + step], task.replicates, task.seed)
            own = slice(*cuts[number : number + 2])
            rows = judged.with_hits[own] - start
            self._of(None).add(drawn, rows, values[own])
            for name, is_member in members.items():
                inside = is_member[start : start + step]
                if inside.any():
                    counted = inside[rows]
                    place = np.cumsum(inside) - 1  # among the members
                    self._of(name).add(drawn[inside], place[rows[counted]], values[own][counted])

    def _of(self, segment: str | None) -> WeightedSums:
        if segment not in self.segments:
            self.segments[segment] = WeightedSums(self._task.replicates, self._task.cells * len(self._task.models))
        return self.segments[segment]


def _hits(held: Held, places: Records) -> Hits:
    """Return the places of the relevant items."""
    order = np.lexsort((-held.gains, held.items, held.visitors))
    keys = _pairs(held.visitors, held.items)[order]
    wanted = _pairs(places["visitor"], places["item"])
    found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    is_hit = keys[found] == wanted
    own = places[is_hit]
    return Hits(own["visitor"], own["model"], own["rank"], own["item"], held.gains[order][found[is_hit]])


def _pairs(visitors: NDArray[np.integer], items: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return a number for each pair of a visitor and an item, in the order of the two."""
    pairs: NDArray[np.int64] = (visitors.astype(np.int64) << 32) + items
    return pairs
