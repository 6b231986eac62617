"""From events to scores of pairs, and to those that are worth learning from.

Example usage:
>>> scoring = Scoring(build_steps(STEPS, {"score_filter": {"min_score": 2}}), lambda rows: rows.cache(), RowCounter())
>>> events = spark.createDataFrame([(1, 7, "view", 3), (2, 7, "transaction", 4), (3, 7, "view", 4)],
...                                "timestamp long, visitorid long, event string, itemid long")
>>> scoring.pairs(events).show()
+---------+------+-----+--------------+
|visitorid|itemid|score|last_timestamp|
+---------+------+-----+--------------+
|        7|     4| 11.0|             3|
+---------+------+-----+--------------+
<BLANKLINE>
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.base import build_steps, parameters  # noqa: F401 - for the example
from recommender.counting import RowCounter, StepRows
from recommender.errors import DataQualityError
from recommender.stage1.steps import ScoreEvents, ScoreFilter, ScoreGrouper
from recommender.times import as_time

STEPS: Final[Mapping[str, type]] = {
    "score_events": ScoreEvents,
    "group_scores": ScoreGrouper,
    "score_filter": ScoreFilter,
}


class Scoring:
    """Score events, sum the scores by pair of visitor and item, and keep what says something.

    Init parameters:
        steps: config key -> step, those of `STEPS`.
        cache: keeps a frame until the stage releases it.
        counter: counts the rows between the steps.
    Attributes:
        events: the step that scores events, once `date` has told it how old they are.
    """

    def __init__(self, steps: Mapping[str, Any], cache: Callable[[DataFrame], DataFrame], counter: RowCounter) -> None:
        self.events: ScoreEvents = steps["score_events"]
        self._as_given = self.events
        self._grouper: ScoreGrouper = steps["group_scores"]
        self._filter: ScoreFilter = steps["score_filter"]
        self._cache = cache
        self._counter = counter
        self._rounds = 0  # of the filter
        self._grouped: DataFrame

    def date(self, last: int | None) -> None:
        """Let what fades do so from the last event of the log on, in all its parts; `last` is its time in ms."""
        scoring = self._as_given
        if scoring.half_life_days is None or scoring.as_of is not None or last is None:
            self.events = scoring
        else:
            self.events = replace(scoring, as_of=as_time(last))

    def grouped(self, events: DataFrame, key: list[str]) -> DataFrame:
        """Return the scores of events, a row per key."""
        grouped = replace(self._grouper, key=key, max_score=None).execute(self.events.execute(events))
        return self._grouper.limited(grouped)  # visitors that are folded in have the scores that others are fitted with

    def pairs(self, train: DataFrame) -> DataFrame:
        """Return the pairs of the training part that are worth learning from, and keep them."""
        scored = self.events.execute(self._counter("train", train))
        self._grouped = self._counter("group_scores", self._grouper.execute(scored))
        strong = self._filter.strong(self._grouped)
        if not self._filter.has_core:
            return self._cache(self._counter("score_filter", strong))
        strong = self._cache(self._counter("score_filter.strong", strong))
        strong.count()  # a checkpoint does not tell what was counted
        core, self._rounds = self._filter.core(strong)
        return self._cache(self._counter("score_filter", core))

    @staticmethod
    def kept(pairs: DataFrame) -> DataFrame:
        """Return one row: how many pairs have a score, and how many one above 0."""
        score = F.col(C.SCORE)
        return pairs.agg(F.count(score).alias("kept"), F.count_if(score > 0).alias("positive"))

    def check(self, kept: int, positive: int, no_training_events: Callable[[], DataQualityError]) -> None:
        """Refuse a training part that nothing can be learnt from.

        Args:
            kept, positive: what `kept` has counted.
            no_training_events: returns the error to be raised where there is not one training event.

        Raises:
            DataQualityError: no pair has a score to learn from.
        """
        if not kept:
            found = self._grouped.count()  # Spark may not have counted what the filter leaves nothing of
            raise self._nothing_kept(found) if found else no_training_events()
        if not positive:
            sentence = f"none of the {kept:,} pairs of the training part has a score above 0"
            raise DataQualityError("NO_POSITIVE", f"{sentence}; see score_events.score_map and the kinds of events")

    def _nothing_kept(self, found: int) -> DataQualityError:
        least = [
            f"{name}={value:g}"
            for name, value in parameters(self._filter).items()
            if name == "min_score" or (isinstance(value, int) and value > 1)
        ]
        sentence = (
            f"score_filter({', '.join(least)}) in={found}: no pair of the training part has a score to learn from"
        )
        return DataQualityError("NO_ROWS_AFTER", f"{sentence}; see score_map and train_test_split")

    def report(self, rows: Mapping[str, int]) -> list[StepRows]:
        """Return the rows in and out of the steps, given what was counted."""
        grouped, kept = rows["group_scores"], rows["score_filter"]
        first = StepRows("group_scores", rows["train"], grouped, "pairs of visitor and item")
        if not self._filter.has_core:
            return [first, StepRows("score_filter", grouped, kept, "pairs to learn from")]
        strong, items = rows["score_filter.strong"], self._filter.min_items_per_visitor
        least = f"{items} items a visitor, {self._filter.min_visitors_per_item} visitors an item"
        return [
            first,
            StepRows("score_filter", grouped, strong, f"score >= {self._filter.min_score:g}"),
            StepRows("score_filter", strong, kept, f"at least {least}, in {self._rounds} rounds"),
        ]
