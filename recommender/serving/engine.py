"""The arithmetic of answers: the kernels, the rules and the order of items are those of stage 3.

An answer that is computed here is the list that stage 3 would have stored for the same history: by the neighbours of
its items always, by factors for a visitor that is folded in.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.ranking import multiplied
from recommender.serving.factors import ByFactors
from recommender.serving.filters import Choice
from recommender.serving.neighbours import ByNeighbours
from recommender.serving.scorer import Feedback, Scorer
from recommender.serving.selection import Ranked, most_popular
from recommender.snapshot.catalogue import Neighbours, Popular
from recommender.snapshot.read import Snapshot


def scorer_of(snapshot: Snapshot) -> Scorer:
    """Return what scores the items of a snapshot."""
    model, blend = snapshot.model, snapshot.manifest.blend
    if isinstance(model, Neighbours):
        return ByNeighbours(model, snapshot.items.allowed)
    return ByFactors(model, None if blend is None else blend.c)


class Engine:
    """What ranks the items of one version, whichever its model is.

    Init parameters:
        snapshot: the version.
    Attributes:
        scorer: its model.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.scorer = scorer_of(snapshot)
        self._popular = snapshot.items.popular
        self._fills = snapshot.manifest.fill_with_popular

    def feedback(
        self, items: NDArray[np.integer], scores: NDArray[np.floating], excluded: NDArray[np.integer]
    ) -> Feedback:
        """Return what is known of a visitor from events, several of which may be with one item."""
        unique, position = np.unique(np.asarray(items, np.int64), return_inverse=True)
        weights = np.asarray(scores, np.float64)
        sums = np.asarray(np.bincount(position.ravel(), weights, minlength=len(unique)), np.float64)
        known = self.scorer.known[unique]
        return Feedback(unique[known], sums[known], np.unique(excluded).astype(np.int64))

    def best(
        self,
        taste: Any | None,
        k: int,
        excluded: NDArray[np.int64],
        choice: Choice | None = None,
        popular: Popular | None = None,
    ) -> Ranked:
        """Return the k best items for a visitor, by the rules; popular ones if nothing is known of its taste.

        Args:
            taste: of the visitor. k: how many. excluded: indexes, rising. choice: None: every item.
            popular: the popular items, best first; None: those of the whole log.
        """
        items, scores = np.array([], np.int32), np.array([], np.float32)
        if taste is not None:
            items, scores = self.scorer.best(taste, k, excluded, choice)
        if len(items) == k or not (self._fills or taste is None):
            return Ranked(items, scores, np.zeros(len(items), np.bool_))
        listed = np.concatenate([excluded, items])
        more, popularity = most_popular(popular or self._popular, k - len(items), listed, choice)
        filled = np.arange(len(items) + len(more)) >= len(items)
        return Ranked(np.concatenate([items, more]), np.concatenate([scores, popularity]), filled)

    def alike(
        self, items: NDArray[np.int64], k: int, excluded: NDArray[np.int64], choice: Choice | None = None
    ) -> Ranked:
        """Return the k items that are most like some items that the model knows, on the mean; equal ones by index."""
        indexes, similarities = self.scorer.alike(items)
        met, factors = None, None
        if choice is not None:
            in_order = indexes is self.scorer.order
            met, factors = choice.of(slice(len(indexes))) if in_order else choice.of_items(indexes)
        similarities = similarities if factors is None else multiplied(similarities, factors)
        may = np.flatnonzero(~np.isin(indexes, excluded) & (True if met is None else met))
        if len(may) > k:
            may = may[similarities[may] >= np.partition(similarities[may], len(may) - k)[len(may) - k]]
        best = may[np.lexsort((indexes[may], -similarities[may]))][:k]
        return Ranked(indexes[best], similarities[best], np.zeros(len(best), dtype=np.bool_))
