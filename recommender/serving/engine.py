"""The arithmetic of answers: the kernels, the rules and the order of items are those of stage 3.

An answer to a visitor that is folded in here is the list that stage 3 would have stored for the same history.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recommender.ranking import Solver, best_of, explain, fold_in, multiplied
from recommender.serving.filters import Choice
from recommender.serving.selection import Ranked, most_popular
from recommender.snapshot.catalogue import Model, Popular
from recommender.snapshot.read import Snapshot

Factors = NDArray[np.float32]


@dataclass(frozen=True)
class Explained:
    """A score and what it is made of: a share per item of the history, and what popularity adds."""

    score: float
    shares: NDArray[np.float64]
    popularity: float


@dataclass(frozen=True)
class Feedback:
    """What a visitor likes, as far as the model knows it.

    Attributes:
        item: indexes of items that have factors, rising. score: the sum of the weights of the visitor's events with it.
        excluded: indexes of items that the visitor must not be recommended, each once, rising.
    """

    item: NDArray[np.int64]
    score: NDArray[np.float64]
    excluded: NDArray[np.int64]


class Engine:
    """What ranks the items of one version.

    Init parameters:
        snapshot: the version.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.solver = Solver(**dict(snapshot.manifest.solver))
        self._model = snapshot.model
        self._popular = snapshot.items.popular
        self._fills = snapshot.manifest.fill_with_popular
        self._c = None if snapshot.manifest.blend is None else snapshot.manifest.blend.c

    def feedback(
        self, items: NDArray[np.integer], scores: NDArray[np.floating], excluded: NDArray[np.integer]
    ) -> Feedback:
        """Return what is known of a visitor from events, several of which may be with one item."""
        unique, position = np.unique(np.asarray(items, np.int64), return_inverse=True)
        weights = np.asarray(scores, np.float64)
        sums = np.asarray(np.bincount(position.ravel(), weights, minlength=len(unique)), np.float64)
        known = self._model.known[unique]
        return Feedback(unique[known], sums[known], np.unique(excluded).astype(np.int64))

    def folded_in(self, feedback: Feedback) -> Factors | None:
        """Return the factors of a visitor, shape (1, rank), None if nothing can be said of it."""
        history = feedback.item, np.array([0, len(feedback.item)])
        model = self._model
        factors = fold_in(history, feedback.score, model.factors, self.solver, model.gram)
        return factors if factors.any() else None

    def best(
        self,
        factors: Factors | None,
        k: int,
        excluded: NDArray[np.int64],
        choice: Choice | None = None,
        popular: Popular | None = None,
    ) -> Ranked:
        """Return the k best items for a visitor, by the rules; popular ones if it has no factors.

        Args:
            factors: of the visitor. k: how many. excluded: indexes, rising. choice: None: every item.
            popular: the popular items, best first; None: those of the whole log.
        """
        items, scores = np.array([], np.int32), np.array([], np.float32)
        if factors is not None:
            vector = factors[0] if self._c is None else np.append(factors[0], np.float32(self._c))
            choose, widest = (choice.of, choice.widest) if choice else (None, 1.0)
            items, scores = best_of(vector, self._model.ranked, k, excluded, choose, widest)
        if len(items) == k or not (self._fills or factors is None):
            return Ranked(items, scores, np.zeros(len(items), np.bool_))
        listed = np.concatenate([excluded, items])
        more, popularity = most_popular(popular or self._popular, k - len(items), listed, choice)
        filled = np.arange(len(items) + len(more)) >= len(items)
        return Ranked(np.concatenate([items, more]), np.concatenate([scores, popularity]), filled)

    def explained(self, item: int, feedback: Feedback) -> Explained | None:
        """Return why a visitor has its score of an item; None for an item without factors.

        Raises:
            ValueError: the model cannot be explained.
        """
        model = self._model
        if not model.known[item]:
            return None
        shares = explain(item, feedback.item, feedback.score, model.factors, self.solver, model.gram)
        gain = self._gain(model, item) if shares.any() else 0.0
        return Explained(float(shares.sum()) + gain, shares, gain)

    def scores(self, factors: Factors, items: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the scores of some items that have factors, as a list would have them."""
        gains = [self._gain(self._model, int(item)) for item in items]
        scores: NDArray[np.float32] = self._model.factors[items] @ factors[0] + np.array(gains, np.float32)
        return scores

    def alike(
        self, items: NDArray[np.int64], k: int, excluded: NDArray[np.int64], choice: Choice | None = None
    ) -> Ranked:
        """Return the k items with the largest mean cosine to some items that have factors; equal ones by index."""
        ranked, rank = self._model.ranked, self._model.rank
        given = self._model.factors[items]
        lengths = np.linalg.norm(given, axis=1, keepdims=True)
        mean = np.divide(given, lengths, out=np.zeros_like(given), where=lengths > 0).mean(axis=0)
        cosines = (ranked.factors[:, :rank] @ mean) / self._lengths
        met, factors = (None, None) if choice is None else choice.of(slice(len(cosines)))
        cosines = cosines if factors is None else multiplied(cosines, factors)
        may = np.flatnonzero(~np.isin(ranked.indexes, excluded) & (True if met is None else met))
        if len(may) > k:
            may = may[cosines[may] >= np.partition(cosines[may], len(may) - k)[len(may) - k]]
        best = may[np.lexsort((ranked.indexes[may], -cosines[may]))][:k]
        return Ranked(ranked.indexes[best], cosines[best], np.zeros(len(best), dtype=np.bool_))

    @cached_property
    def _lengths(self) -> NDArray[np.float32]:
        """Return the lengths of the factors without what is blended in; 1 instead of 0."""
        ranked = self._model.ranked
        lengths = np.linalg.norm(ranked.factors[:, : self._model.rank], axis=1)
        return np.where(lengths > 0, lengths, 1).astype(np.float32)

    def _gain(self, model: Model, item: int) -> float:
        """Return what popularity adds to the score of an item; 0 for one that is not ranked."""
        ranked = model.ranked
        if self._c is None or not len(ranked.indexes):
            return 0.0
        place = np.searchsorted(ranked.indexes, np.int32(item), sorter=ranked.by_index)  # of the same type: no copy
        row = int(ranked.by_index[min(int(place), len(ranked.indexes) - 1)])
        return float(ranked.factors[row, -1]) * self._c if ranked.indexes[row] == item else 0.0
