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
...     scored.popularity.count(), scored.history.where("event is null").count()
(3, 4)
>>> prepared.release()
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.errors import DataQualityError
from recommender.spark.aggregates import single_row
from recommender.spark.cache import Cache
from recommender.stage2.steps import PopularityModel, RecentPopularityModel
from recommender.tune.draws import Density
from recommender.tune.scoring import Scoring, of_training
from recommender.tune.steps import ValidationSplit  # noqa: F401 - for the example
from recommender.tune.steps.validation_split import Parts
from recommender.tune.trial import Parameters

_PAIR = [C.VISITOR_INDEX, C.ITEM_INDEX]
_PARTS = 1_000_000  # the resolution of a share


class Scored(NamedTuple):
    """What a trial fits and makes lists from.

    train: visitor_index, item_index, score float, last_timestamp: the pairs that are fitted.
    history: visitor_index, item_index, event, score of the evaluated visitors: a row per pair with its score, and a row
        per kind of event without one, by which items are left out of their lists.
    popularity, recent: item_index, score double, of `train`; recent is null if nothing is blended in.
    """

    train: DataFrame
    history: DataFrame
    popularity: DataFrame
    recent: DataFrame | None


class Prepared:
    """The validation part and the pairs to fit.

    Init parameters:
        parts: the training pairs, divided.
        interactions: the table of stage 1; of this whole log only what is known from training is looked at.
        items: itemid, item_index int.
        scoring: how stage 1 has scored.
        same_pairs: whether all trials fit the same pairs.
        recent: makes the popularity that is blended in; null: none is.

    Attributes:
        visitors: visitor_index. holdout: visitor_index, item_index, score. items: with last_timestamp, of training.
        density: of the pairs that are fitted; fitted_pairs, held_pairs, visitor_count: how many there are.

    Raises:
        DataQualityError: nothing is left to predict, or to fit (VALIDATION_EMPTY).
    """

    def __init__(
        self,
        parts: Parts,
        interactions: DataFrame,
        items: DataFrame,
        scoring: Scoring,
        *,
        same_pairs: bool,
        recent: RecentPopularityModel | None = None,
    ) -> None:
        self._cache = Cache()
        self._scoring = scoring
        self._recent = recent
        train, history, holdout = parts
        self._seen = self._cache(of_training(interactions, history).select(*_PAIR, C.EVENT))
        self.holdout = self._cache(holdout.select(*_PAIR, C.SCORE))
        self.visitors = self._cache(holdout.select(C.VISITOR_INDEX).distinct())
        last = train.unionByName(history).groupBy(C.ITEM_INDEX).agg(F.max(C.LAST_TIMESTAMP).alias(C.LAST_TIMESTAMP))
        self.items = items.select(C.ITEM, C.ITEM_INDEX).join(last, C.ITEM_INDEX, "left")
        if not same_pairs:
            train, history = (scoring.events_by_kind(pairs, interactions) for pairs in (train, history))
        self._train, self._history = self._cache(train), self._cache(history)
        self._same = self._scored(self._train, self._history, self._cache) if same_pairs else None
        self._samples: dict[float, DataFrame] = {}
        self._lock = threading.Lock()
        self.density = self._density(self._train)
        self.fitted_pairs, self.held_pairs = self.density.pairs, self.holdout.count()
        self.visitor_count = self.visitors.count()
        if not self.fitted_pairs or not self.held_pairs:
            self.release()
            what = "nothing to predict" if self.fitted_pairs else "nothing to fit"
            sentence = f"the validation part leaves {what}: it has {self.held_pairs:,} pairs, and {self.fitted_pairs:,}"
            raise DataQualityError("VALIDATION_EMPTY", f"{sentence} are left; see tune.validation")

    @contextmanager
    def scored(self, parameters: Parameters, share: float = 1.0) -> Iterator[Scored]:
        """Give what a trial fits, as its parameters score and filter it; of a share (0 to 1) of the visitors."""
        if self._same is not None:
            yield self._same._replace(train=self._sample(share))
            return
        train = self._scoring.filtered(self._scoring.scored(self._sample(share), parameters), parameters)
        cache = Cache()
        try:
            yield self._scored(cache(train), self._scoring.scored(self._history, parameters), cache)
        finally:
            cache.release()

    def release(self) -> None:
        """Free what is cached."""
        self._cache.release()

    def _sample(self, share: float) -> DataFrame:
        """Return the pairs of a share of the visitors, chosen by a hash: those of a smaller share are among them."""
        if share >= 1:
            return self._train
        with self._lock:
            if share not in self._samples:
                place = F.pmod(F.xxhash64(C.VISITOR_INDEX, F.lit("sample")), F.lit(_PARTS))
                self._samples[share] = self._cache(self._train.where(place < round(share * _PARTS)))
            return self._samples[share]

    @staticmethod
    def _density(train: DataFrame) -> Density:
        visitors = F.approx_count_distinct(C.VISITOR_INDEX)
        pairs, number, score = single_row(train.agg(F.count(F.lit(1)), visitors, F.avg(F.abs(C.SCORE))))
        return Density(pairs, number, score or 1.0)

    def _scored(self, train: DataFrame, history: DataFrame, keep: Callable[[DataFrame], DataFrame]) -> Scored:
        pairs = history.select(*_PAIR, F.lit(None).cast("string").alias(C.EVENT), C.SCORE)
        kinds = self._seen.select(*_PAIR, C.EVENT, F.lit(0.0).cast(history.schema[C.SCORE].dataType).alias(C.SCORE))
        recent = None if self._recent is None else keep(self._recent.execute(train))
        return Scored(train, pairs.unionByName(kinds), keep(PopularityModel().execute(train)), recent)
