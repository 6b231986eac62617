"""What a model must be able to do to be served."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recommender.serving.filters import Choice


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
        item: indexes of items that the model knows, rising. score: the sum of the weights of the visitor's events with
            it.
        excluded: indexes of items that the visitor must not be recommended, each once, rising.
    """

    item: NDArray[np.int64]
    score: NDArray[np.float64]
    excluded: NDArray[np.int64]


class Scorer(Protocol):
    """A model that scores items for a visitor; its counterpart on a cluster is in ``recommender.models``.

    Attributes:
        source: what a list that was computed by it says of itself.
        known: whether it knows each item, by index.
        order: the indexes of the items in the order of the search; empty: items are not searched.
    """

    source: str
    known: NDArray[np.bool_]
    order: NDArray[np.int32]

    def taste(self, feedback: Feedback) -> Any | None:
        """Return what it makes of a visitor's feedback, for the other methods; None if nothing can be said."""

    def best(
        self, taste: Any, k: int, excluded: NDArray[np.int64], choice: Choice | None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return at most k allowed and chosen items and their scores, boosted, best first, equal scores by index."""

    def scores(self, taste: Any, items: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the scores of some items that it knows, allowed or not."""

    def explained(self, item: int, feedback: Feedback) -> Explained:
        """Return why a visitor has its score of an item that it knows.

        Raises:
            RequestError: such a model cannot be explained.
        """

    def alike(self, items: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return allowed items, `order` itself or others, and their mean similarity to some items that it knows."""
