"""Score items by neighbours: the sum of the similarities to the items of the history, no more than some thousands."""

import numpy as np
from numpy.typing import NDArray

from recommender.constants import ITEM_TO_ITEM
from recommender.ranking import multiplied
from recommender.serving.filters import Choice
from recommender.serving.scorer import Explained, Feedback
from recommender.snapshot.catalogue import Neighbours

Scored = tuple[NDArray[np.int32], NDArray[np.float32]]


class ByNeighbours:
    """The neighbour model; see `Scorer`. A taste is the items that have a score, rising, and the scores.

    Init parameters:
        model: the neighbours of the items.
        allowed: whether each item may be recommended, by index.
    """

    source = ITEM_TO_ITEM

    def __init__(self, model: Neighbours, allowed: NDArray[np.bool_]) -> None:
        self._nearest, self._allowed = model.nearest, allowed
        self.known, self.order = model.known, np.array([], np.int32)

    def taste(self, feedback: Feedback) -> Scored | None:
        """Return the neighbours of what the visitor likes; see `Scorer`."""
        items, scores = self._nearest.scored(feedback.item[feedback.score > 0])
        return (items, scores) if len(items) else None

    def best(self, taste: Scored, k: int, excluded: NDArray[np.int64], choice: Choice | None) -> Scored:
        """Return the neighbours with the largest sums; see `Scorer`."""
        items, scores = taste
        may = self._allowed[items] & ~np.isin(items, excluded)
        met, factors = (None, None) if choice is None else choice.of_items(items)
        scores = scores if factors is None else multiplied(scores, factors)
        may &= True if met is None else met
        items, scores = items[may], scores[may]
        order = np.lexsort((items, -scores))[:k]
        return items[order], scores[order]

    def scores(self, taste: Scored, items: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the sums, 0 for an item that is not a neighbour; see `Scorer`."""
        found, scores = taste
        places = np.minimum(np.searchsorted(found, items), len(found) - 1)
        return np.where(found[places] == items, scores[places], np.float32(0))

    def explained(self, item: int, feedback: Feedback) -> Explained:
        """Return the similarity to each item of the history that the visitor likes; see `Scorer`."""
        shares = np.zeros(len(feedback.item))
        liked = feedback.score > 0
        shares[liked] = self._nearest.shares(item, feedback.item[liked])
        return Explained(float(shares.sum()), shares, 0.0)

    def alike(self, items: NDArray[np.int64]) -> Scored:
        """Return the mean similarities; see `Scorer`."""
        found, scores = self._nearest.scored(items)
        may = self._allowed[found]
        return found[may], scores[may] / np.float32(len(items))
