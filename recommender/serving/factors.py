"""Score items by factors: a visitor is folded in, and the search ends as soon as no item can be better."""

from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.constants import FOLD_IN
from recommender.ranking import (
    NONE,
    Items,
    Solver,
    can_improve,
    explain,
    fold_in,
    found,
    improve,
    nothing_found,
)
from recommender.serving.filters import Wanted
from recommender.serving.problems import RequestError
from recommender.serving.scorer import Explained, Feedback
from recommender.snapshot.catalogue import Model

_FIRST_BLOCK: Final = 8192

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
        self._blocks = _blocks(model.ranked)

    def taste(self, feedback: Feedback) -> Factors | None:
        """Return the factors of a visitor; see `Scorer`."""
        history = feedback.item, np.array([0, len(feedback.item)])
        model = self._model
        factors = fold_in(history, feedback.score, model.factors, self._solver, model.gram)
        return factors if factors.any() else None

    def best(
        self, taste: Factors, k: int, excluded: NDArray[np.int64], wanted: Wanted | None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the items with the largest inner products; see `Scorer`."""
        best, barred = nothing_found(1, k), (excluded, np.array([0, len(excluded)]))
        if self._c is not None:
            taste = np.append(taste, np.full((1, 1), self._c, np.float32), axis=1)
        start = 0
        for block in self._blocks:
            if not can_improve(best, taste, float(block.norms[0])).any():
                break
            own = block if wanted is None else _part(block, wanted.ranked[start : start + len(block.indexes)])
            improve(best, taste, own, barred)
            start += len(block.indexes)
        indexes, scores = found(best)
        number = int((indexes[0] != NONE).sum())
        return indexes[0, :number], scores[0, :number]

    def scores(self, taste: Factors, items: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the inner products; see `Scorer`."""
        gains = [self._gain(int(item)) for item in items]
        scores: NDArray[np.float32] = self._model.factors[items] @ taste[0] + np.array(gains, np.float32)
        return scores

    def explained(self, item: int, feedback: Feedback) -> Explained:
        """Return what each item of the history adds to the inner product; see `Scorer`."""
        if self._solver.nonnegative:
            sentence = "a model with nonnegative factors cannot be explained: a score is no sum over the history"
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
        place = np.searchsorted(ranked.indexes, item, sorter=ranked.by_index)
        row = int(ranked.by_index[min(int(place), len(ranked.indexes) - 1)])
        return float(ranked.factors[row, -1]) * self._c if ranked.indexes[row] == item else 0.0


def _part(block: Items, wanted: NDArray[np.bool_]) -> Items:
    """Return the items of a block that are wanted."""
    rows = np.flatnonzero(wanted)
    return Items(block.indexes[rows], block.factors[rows], block.norms[rows])


def _blocks(items: Items) -> list[Items]:
    """Cut the items, each block twice as long as the one before: a search ends after the first that cannot matter."""
    blocks, start, length = [], 0, _FIRST_BLOCK
    while start < len(items.indexes):
        own = slice(start, start + length)
        blocks.append(Items(items.indexes[own], items.factors[own], items.norms[own]))
        start, length = start + length, 2 * length
    return blocks
