"""What all trials of a search share: computed once, and cached while the search lasts.

Example usage:
>>> types = "visitor_index int, item_index int, score float, last_timestamp long"
>>> scores = spark.createDataFrame([(v, i, 1.0, i) for v in range(4) for i in range(3)], types)
>>> parts = ValidationSplit(share=0.5, last_pairs=1).execute(scores)
>>> rows = scores.withColumn("event", F.lit("view"))
>>> items = spark.createDataFrame([("tea", 0), ("jam", 1), ("cup", 2)], "itemid string, item_index int")
>>> prepared = Prepared(parts, rows, items, Scoring({"score_map": {"view": 1}}, {}, {}, newest=2), same_pairs=True)
>>> prepared.visitor_count, prepared.held_pairs, prepared.fitted_pairs
(2, 2, 6)
>>> with prepared.scored({"rank": 2}) as scored:
...     scored.popularity.count(), scored.history.count()
(3, 4)
>>> prepared.release()
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from pyspark import StorageLevel
from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.errors import DataQualityError
from recommender.stage2.steps import PopularityModel
from recommender.tune.scoring import Scoring, of_training
from recommender.tune.steps import ValidationSplit  # noqa: F401 - for the example
from recommender.tune.steps.validation_split import Parts
from recommender.tune.trial import Parameters

_PAIR = [C.VISITOR_INDEX, C.ITEM_INDEX]


class Scored(NamedTuple):
    """The pairs that a trial fits, those that the evaluated visitors are folded in with, and what fills their lists."""

    train: DataFrame
    history: DataFrame
    popularity: DataFrame


class Prepared:
    """The validation part and the pairs to fit.

    Init parameters:
        parts: the training pairs, divided.
        interactions: the table of stage 1; of this whole log only what is known from training is looked at.
        items: itemid, item_index int.
        scoring: how stage 1 has scored.
        same_pairs: whether all trials fit the same pairs.

    Attributes:
        seen: visitor_index, item_index, event of the evaluated visitors, by which items are left out of their lists.
        visitors: visitor_index. holdout: visitor_index, item_index, score. items: with last_timestamp, of training.

    Raises:
        DataQualityError: nothing is left to predict, or to fit (VALIDATION_EMPTY).
    """

    def __init__(
        self, parts: Parts, interactions: DataFrame, items: DataFrame, scoring: Scoring, *, same_pairs: bool
    ) -> None:
        self._cached: list[DataFrame] = []
        self._scoring = scoring
        self._same_pairs = same_pairs
        train, history, holdout = parts
        self.seen = self._cache(of_training(interactions, history).select(*_PAIR, C.EVENT))
        self.holdout = self._cache(holdout.select(*_PAIR, C.SCORE))
        self.visitors = self._cache(holdout.select(C.VISITOR_INDEX).distinct())
        last = train.unionByName(history).groupBy(C.ITEM_INDEX).agg(F.max(C.LAST_TIMESTAMP).alias(C.LAST_TIMESTAMP))
        self.items = items.select(C.ITEM, C.ITEM_INDEX).join(last, C.ITEM_INDEX, "left")
        if same_pairs:
            train, history = (pairs.select(*_PAIR, C.SCORE) for pairs in (train, history))
        else:
            train, history = (scoring.events_by_kind(pairs, interactions) for pairs in (train, history))
        self._train, self._history = self._cache(train), self._cache(history)
        self._popularity = self._cache(PopularityModel().execute(self._train))
        self.fitted_pairs, self.held_pairs = self._train.count(), self.holdout.count()
        self.visitor_count = self.visitors.count()
        if not self.fitted_pairs or not self.held_pairs:
            self.release()
            what = "nothing to predict" if self.fitted_pairs else "nothing to fit"
            sentence = f"the validation part leaves {what}: it has {self.held_pairs:,} pairs, and {self.fitted_pairs:,}"
            raise DataQualityError("VALIDATION_EMPTY", f"{sentence} are left; see tune.validation")

    @contextmanager
    def scored(self, parameters: Parameters) -> Iterator[Scored]:
        """Give the pairs of a trial, as its parameters score and filter them."""
        if self._same_pairs:
            yield Scored(self._train, self._history, self._popularity)
            return
        train = self._scoring.filtered(self._scoring.scored(self._train, parameters), parameters)
        train = train.persist(StorageLevel.MEMORY_AND_DISK)
        try:
            history = self._scoring.scored(self._history, parameters)
            yield Scored(train, history, PopularityModel().execute(train))
        finally:
            train.unpersist()

    def release(self) -> None:
        """Free what is cached."""
        while self._cached:
            self._cached.pop().unpersist()

    def _cache(self, rows: DataFrame) -> DataFrame:
        self._cached.append(rows.persist(StorageLevel.MEMORY_AND_DISK))
        return rows
