"""From events to scores of pairs, and to those that are worth learning from."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.errors import ConfigError, DataQualityError, Mistake
from recommender.settings.step import Steps, parameters
from recommender.spark.row_counts import RowCounter, StepRows
from recommender.stage1.steps import ScoreEvents, ScoreFilter, ScoreGrouper
from recommender.times import as_time


class ScoringSteps(Steps):
    """The steps from events to the scores worth learning from."""

    score_events: ScoreEvents
    group_scores: ScoreGrouper
    score_filter: ScoreFilter


class Scoring:
    """Score events, sum the scores by pair of visitor and item, and keep what says something.

    Init parameters:
        steps: those that score.
        cache: keeps a frame until the stage releases it.
        counter: counts the rows between the steps.
    Attributes:
        events: the step that scores events; it knows their age after `date`.
    Raises:
        ConfigError: the parameters of two steps make no sense together.
    """

    def __init__(self, steps: ScoringSteps, cache: Callable[[DataFrame], DataFrame], counter: RowCounter) -> None:
        self.events = steps.score_events
        self._as_given = self.events
        self._grouper = steps.group_scores
        self._filter = steps.score_filter
        self._cache = cache
        self._counter = counter
        self._rounds = 0  # of the filter
        self._grouped: DataFrame
        if self._grouper.aggregate == "mean" and self.events.half_life_days is not None:
            sentence = "group_scores.aggregate mean and score_events.half_life_days do not go together"
            why = "the mean of scores that fade falls with each old event"
            hint = "take last, max or sum, or set half_life_days to null"
            raise ConfigError(Mistake("CFG_VALUE", "group_scores", f"{sentence}: {why}; {hint}"))

    def date(self, last: int | None) -> None:
        """Let what fades do so from the last event of the log on, in all its parts; `last` is its time in ms."""
        scoring = self._as_given
        if scoring.half_life_days is None or scoring.as_of is not None or last is None:
            self.events = scoring
        else:
            self.events = replace(scoring, as_of=as_time(last))

    def grouped(self, events: DataFrame, key: list[str]) -> DataFrame:
        """Return the scores of events, a row per key."""
        scored, counts = self.events.execute(events), self.events.says_something()
        if key == self._grouper.key:
            return self._grouper.execute(scored, counts)
        return self._grouper.parts(scored, key, counts)  # who is folded in has the scores that others are fitted with

    def pairs(self, train: DataFrame) -> DataFrame:
        """Return the pairs of the training part that are worth learning from, and keep them."""
        scored = self.events.execute(self._counter("train", train))
        grouped = self._grouper.execute(scored, self.events.says_something())
        self._grouped = self._counter("group_scores", grouped)
        self._counter.came_out("group_scores", self._grouped)
        strong = self._filter.strong(self._grouped)
        if self._filter.has_core:
            strong = self._cache(self._counter("score_filter.strong", strong))
            strong.count()  # a checkpoint does not give what was counted
            strong, self._rounds = self._filter.core(strong)
        pairs = self._cache(self._counter("score_filter", strong))
        self._counter.came_out("score_filter", pairs)
        return pairs

    @staticmethod
    def kept(pairs: DataFrame) -> DataFrame:
        """Return one row: how many pairs have a score, and how many one above 0."""
        score = F.col(C.SCORE)
        return pairs.agg(F.count(score).alias("kept"), F.count_if(score > 0).alias("positive"))

    def check(self, kept: int, positive: int, no_training_events: Callable[[], DataQualityError]) -> None:
        """Refuse a training part that nothing can be learnt from.

        Args:
            kept, positive: what `kept` has counted.
            no_training_events: returns the error to be raised if there is not one training event.

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
        fault = f"score_filter({', '.join(least)}) in={found}: no pair of the training part has a score to learn from"
        return DataQualityError("NO_ROWS_AFTER", f"{fault}; see score_map and train_test_split")

    def left_out(self, rows: Mapping[str, int], *, weighed: bool) -> list[str]:
        """Say that the filter has left out pairs that say something, if weights can be below its least score."""
        kept = rows["score_filter.strong" if self._filter.has_core else "score_filter"]
        found, least = rows["group_scores"], self._filter.min_score
        weights = [weight for weight in self.events.score_map.values() if weight > 0]
        if found == kept or not (weighed or min(weights, default=least) < least):
            return []
        sentence = f"{found - kept:,} of {found:,} pairs have a score below {least:g} and are not trained with"
        return [f"{sentence}; see score_filter.min_score"]

    def report(self, rows: Mapping[str, int]) -> list[StepRows]:
        """Return the rows in and out of the steps, given the counts."""
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
