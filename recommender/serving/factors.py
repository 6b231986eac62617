"""Score items by factors: a visitor is folded in, and the search ends as soon as no item can be better."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recommender.constants import FOLD_IN
from recommender.ranking import Solver, best_of, explain, fold_in
from recommender.serving.filters import Choice
from recommender.serving.problems import RequestError
from recommender.serving.scorer import Explained, Feedback
from recommender.snapshot.catalogue import Model

Factors = NDArray[np.float32]


class ByFactors:
    """The matrix model; see `Scorer`. A taste is the visitor's factors, shape (1, rank).

    Init parameters:
        model: the factors of the items.
        c: the visitors' entry of the column by which popularity is blended in; None: it is not.
    """

    source = FOLD_IN

    def __init__(self, model: Model, c: float | None) -> None:
        self._model, self._c = model, c
        self._solver: Solver = model.solver
        self.known, self.order = model.known, model.ranked.indexes

    def taste(self, feedback: Feedback) -> Factors | None:
        """Return the factors of a visitor; see `Scorer`."""
        history = feedback.item, np.array([0, len(feedback.item)])
        model = self._model
        factors = fold_in(history, feedback.score, model.factors, self._solver, model.gram)
        return factors if factors.any() else None

    def best(
        self, taste: Factors, k: int, excluded: NDArray[np.int64], choice: Choice | None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the items with the largest inner products; see `Scorer`."""
        vector = taste[0] if self._c is None else np.append(taste[0], np.float32(self._c))
        choose = () if choice is None else (choice.of, choice.widest)
        return best_of(vector, self._model.ranked, k, excluded, *choose)

    def scores(self, taste: Factors, items: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the inner products; see `Scorer`."""
        gains = [self._gain(int(item)) for item in items]
        scores: NDArray[np.float32] = self._model.factors[items] @ taste[0] + np.array(gains, np.float32)
        return scores

    def explained(self, item: int, feedback: Feedback) -> Explained:
        """Return what each item of the history adds to the inner product; see `Scorer`."""
        if self._solver.nonnegative:
            sentence = "a model with nonnegative factors cannot be explained: a score is not a sum over the history"
            raise RequestError(409, "MODEL_NOT_EXPLAINED", sentence)
        model = self._model
        shares = explain(item, feedback.item, feedback.score, model.factors, self._solver, model.gram)
        gain = self._gain(item) if shares.any() else 0.0
        return Explained(float(shares.sum()) + gain, shares, gain)

    def alike(self, items: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the mean cosines; see `Scorer`."""
        ranked, rank = self._model.ranked, self._model.rank
        given = self._model.factors[items]
        lengths = np.linalg.norm(given, axis=1, keepdims=True)
        mean = np.divide(given, lengths, out=np.zeros_like(given), where=lengths > 0).mean(axis=0)
        return ranked.indexes, (ranked.factors[:, :rank] @ mean) / self._lengths

    @cached_property
    def _lengths(self) -> NDArray[np.float32]:
        """Return the lengths of the factors without what is blended in; 1 instead of 0."""
        ranked = self._model.ranked
        lengths = np.linalg.norm(ranked.factors[:, : self._model.rank], axis=1)
        return np.where(lengths > 0, lengths, 1).astype(np.float32)

    def _gain(self, item: int) -> float:
        """Return what popularity adds to the score of an item; 0 for one that is not ranked."""
        ranked = self._model.ranked
        if self._c is None or not len(ranked.indexes):
            return 0.0
        place = np.searchsorted(ranked.indexes, np.int32(item), sorter=ranked.by_index)  # of the same type: no copy
        row = int(ranked.by_index[min(int(place), len(ranked.indexes) - 1)])
        return float(ranked.factors[row, -1]) * self._c if ranked.indexes[row] == item else 0.0
