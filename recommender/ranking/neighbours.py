"""Scores by neighbours: a visitor's score of an item is the sum of the similarities to the items that it has.

Similarities are rounded to whole numbers of `SIMILARITY_UNIT` and added: the sum does not depend on the order, and is
the same here and on a cluster, to the last bit.

Example usage:
>>> near = Nearest(np.array([0, 2, 3, 3]), np.array([1, 2, 0]), np.array([0.5, 0.25, 0.5]))
>>> items, scores = near.scored(np.array([0, 1]))
>>> items.tolist(), scores.tolist()
([0, 1, 2], [0.5, 0.5, 0.25])
>>> near.shares(2, np.array([0, 1])).tolist()
[0.25, 0.0]
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.ranking.top_k import Factors, Indexes

SIMILARITY_UNIT: Final = 2.0**40  # of a similarity of 1


@dataclass(frozen=True)
class Nearest:
    """The neighbours of all items, one item after the other.

    Attributes:
        offsets: where those of each item begin, and the end. items: the neighbours, by index.
        similarities: of the item to each of its neighbours, above 0.
    """

    offsets: NDArray[np.integer]
    items: Indexes
    similarities: NDArray[np.float64]

    def scored(self, own: NDArray[np.integer]) -> tuple[Indexes, Factors]:
        """Return the neighbours of some items, rising, and their scores.

        Args:
            own: indexes of the items that a visitor has, each once.
        """
        places, _ = self._places(own)
        items, position = np.unique(self.items[places], return_inverse=True)
        sums = np.bincount(position.ravel(), self._units(places), minlength=len(items))
        return items, (sums / SIMILARITY_UNIT).astype(np.float32)

    def shares(self, item: int, own: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return what each of some items adds to the score of an item: its similarity, 0 if they are not neighbours."""
        places, rows = self._places(own)
        is_it = self.items[places] == item
        shares = np.bincount(rows[is_it], self._units(places[is_it]), minlength=len(own))
        return np.asarray(shares / SIMILARITY_UNIT, np.float64)

    def _places(self, own: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where the neighbours of some items lie, and the position of the item of each."""
        starts = np.asarray(self.offsets[own], np.int64)
        lengths = np.asarray(self.offsets[np.asarray(own) + 1], np.int64) - starts
        rows = np.repeat(np.arange(len(own)), lengths)
        before = np.cumsum(lengths) - lengths
        return np.arange(len(rows)) - before[rows] + starts[rows], rows

    def _units(self, places: NDArray[np.int64]) -> NDArray[np.float64]:
        units: NDArray[np.float64] = np.rint(self.similarities[places] * SIMILARITY_UNIT)
        return units
