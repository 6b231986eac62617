"""Score and filter the training pairs anew, as stage 1 would with other weights, another half-life, or other filters.

What stage 1 stores is a row per visitor, item and kind of event, whose score is the kind's weight times the number of
events. Divided by the weight that is the number, from which any other weights make a score without the log. It is an
approximation where

- events fade: all of a kind fade from the last one of that kind on, where stage 1 lets each fade from its own time;
- a kind of event of a pair has also happened after the pair's last training event, as with a cut by time: such a row
  tells of the holdout, and is left out, with the earlier events of that kind;
- the filter of stage 1 has left a pair out: it stays out, whatever the new weights are.

A pair that has no row left keeps the score of stage 1, which fades from the pair's last event on.

Example usage:
>>> pairs = spark.createDataFrame([(0, 0, 7.0, 9)], f"{_COLUMNS}, score float, last_timestamp long")
>>> rows = [(0, 0, "view", 2.0, 8), (0, 0, "addtocart", 5.0, 9), (0, 0, "transaction", 10.0, 10)]
>>> interactions = spark.createDataFrame(rows, f"{_COLUMNS}, event string, score float, last_timestamp long")
>>> scoring = Scoring({"score_map": {"view": 1, "addtocart": 5, "transaction": 10}}, {}, {}, newest=10)
>>> counted = scoring.events_by_kind(pairs, interactions)
>>> scoring.scored(counted, {"score_map.view": 3.0, "score_map.addtocart": 2.0}).collect()
[Row(visitor_index=0, item_index=0, score=8.0, last_timestamp=9)]
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from functools import reduce
from operator import add
from typing import Any

from pyspark.sql import Column, DataFrame, functions as F

import recommender.constants as C
from recommender.errors import ConfigError, Mistake
from recommender.stage1.steps import ScoreFilter
from recommender.times import in_milliseconds
from recommender.tune.space import KIND, Choices, Space
from recommender.tune.trial import Parameters

HALF_LIFE = "half_life_days"

_MS_PER_DAY = 86_400_000
_PAIR = [C.VISITOR_INDEX, C.ITEM_INDEX]
_COLUMNS = "visitor_index int, item_index int"
_EVENTS, _LAST = "_events_{}", "_last_{}"  # of a kind, by its place
_FILTERS = tuple(field.name for field in fields(ScoreFilter) if field.name.startswith("min_"))


class Scoring:
    """How stage 1 has scored, and what comes of other parameters.

    Init parameters:
        score_events, group_scores, score_filter: the parameters of stage 1's steps, as its record has them.
        newest: ms since epoch of the log's last event, from which age is measured where no as_of is given.
        weighed: whether events have weights of their own.
    """

    def __init__(
        self,
        score_events: Mapping[str, Any],
        group_scores: Mapping[str, Any],
        score_filter: Mapping[str, Any],
        newest: int,
        *,
        weighed: bool = False,
    ) -> None:
        self.score_map: Mapping[str, float] = score_events["score_map"]
        self._half_life: float | None = score_events.get(HALF_LIFE)
        self._event_column: str = score_events.get("input_column_name", C.EVENT)
        self._max_score: float | None = group_scores.get("max_score")
        self._aggregate: str = group_scores.get("aggregate", "sum")
        self._weighed = weighed
        self._filter = ScoreFilter(**score_filter)
        as_of = score_events.get("as_of")
        self._newest = (in_milliseconds(as_of) if as_of else None) or newest
        self._kinds = [kind for kind, weight in self.score_map.items() if weight != 0]  # others cannot be counted

    def start(self, space: Space) -> dict[str, Any]:
        """Return what is configured of the scores and filters that are searched."""
        configured = {name: getattr(self._filter, name) for name in _FILTERS}
        configured |= {f"{KIND}{kind}": weight for kind, weight in self.score_map.items()}
        return {name: configured.get(name) for name in space if is_scoring(name) or name in _FILTERS}

    def check(self, space: Space) -> None:
        """Refuse to search what cannot be found out from the tables of stage 1.

        Raises:
            ConfigError: listing all of it.
        """
        sentences = [
            *(sentence for name in space if is_scoring(name) for sentence in self._lost(name)),
            *(sentence for name in space if name.startswith(KIND) for sentence in self._uncounted(name)),
            *(sentence for name in _FILTERS if name in space for sentence in self._gone(name, space[name])),
        ]
        if sentences:
            raise ConfigError(*(Mistake("TUNE_SPACE", "tune.tuner", sentence) for sentence in sentences))

    def events_by_kind(self, pairs: DataFrame, interactions: DataFrame) -> DataFrame:
        """Return the pairs with the number of events and the last time of each kind, for `scored`.

        Args:
            pairs: visitor_index, item_index, score, last_timestamp: of the training part.
            interactions: the table of stage 1, of the whole log.
        """
        facts = []
        for place, kind in enumerate(self._kinds):
            is_kind = F.col(C.EVENT) == kind
            events = F.round(F.col(C.SCORE).cast("double") / F.lit(float(self.score_map[kind])))
            facts += [
                F.max(F.when(is_kind, events)).alias(_EVENTS.format(place)),
                F.max(F.when(is_kind, F.col(C.LAST_TIMESTAMP))).alias(_LAST.format(place)),
            ]
        counted = of_training(interactions, pairs).groupBy(*_PAIR).agg(*facts)
        return pairs.join(counted, _PAIR, "left")

    def scored(self, counted: DataFrame, parameters: Parameters) -> DataFrame:
        """Return pairs with their score double, by the weights and the half-life of a trial, and last_timestamp."""
        if not any(map(is_scoring, parameters)):
            return counted.select(*_PAIR, F.col(C.SCORE).cast("double").alias(C.SCORE), C.LAST_TIMESTAMP)
        half_life = parameters.get(HALF_LIFE)
        parts, numbers = [], []
        for place, kind in enumerate(self._kinds):
            weight = parameters.get(f"{KIND}{kind}", self.score_map[kind])
            number, last = F.col(_EVENTS.format(place)), F.col(_LAST.format(place))
            numbers.append(number)
            parts.append(F.coalesce(number * F.lit(float(weight)) * self._left(last, half_life), F.lit(0.0)))
        before = F.col(C.SCORE) * self._left(F.col(C.LAST_TIMESTAMP), half_life)
        is_counted = F.coalesce(*numbers).isNotNull()
        score = F.when(is_counted, reduce(add, parts)).otherwise(before)
        return counted.select(*_PAIR, score.alias(C.SCORE), C.LAST_TIMESTAMP)

    def filtered(self, scores: DataFrame, parameters: Parameters) -> DataFrame:
        """Return the pairs that stage 1's filter keeps, by the least numbers of a trial; their score is a float."""
        own = {name: parameters[name] for name in _FILTERS if name in parameters}
        as_in_stage1 = scores.withColumnsRenamed({C.VISITOR_INDEX: C.VISITOR, C.ITEM_INDEX: C.ITEM})
        kept = replace(self._filter, **own).execute(as_in_stage1)
        pair = F.col(C.VISITOR).alias(C.VISITOR_INDEX), F.col(C.ITEM).alias(C.ITEM_INDEX)
        return kept.select(*pair, F.col(C.SCORE).cast("float").alias(C.SCORE), C.LAST_TIMESTAMP)

    def _left(self, time: Column, half_life: float | None) -> Column:
        """Return what is left of a weight, 0 to 1."""
        if half_life is None:
            return F.lit(1.0)
        age = F.greatest(F.lit(self._newest) - time, F.lit(0)) / _MS_PER_DAY
        return F.pow(F.lit(0.5), age / F.lit(float(half_life)))

    def _lost(self, name: str) -> list[str]:
        """Say why the number of events cannot be computed from the scores any more."""
        because = []
        if self._half_life is not None:
            because.append(f"fade already (stage1.score_events.half_life_days is {self._half_life:g}, null is needed)")
        if self._max_score is not None:
            because.append(f"are capped (stage1.group_scores.max_score is {self._max_score:g}, null is needed)")
        if self._event_column != C.EVENT:
            because.append(f"are by {self._event_column} (stage1.score_events.input_column_name), not by event")
        if self._aggregate != "sum":
            because.append(f"are no sums (stage1.group_scores.aggregate is {self._aggregate}, sum is needed)")
        if self._weighed:
            because.append("hold the events' own weights (stage1.data_loader.columns.weight, leave it out)")
        return [
            f"{name} cannot be searched: the scores of stage 1 {reason}; run stage 1 so first" for reason in because
        ]

    def _uncounted(self, name: str) -> list[str]:
        kind = name.removeprefix(KIND)
        positive = [kind for kind in self._kinds if self.score_map[kind] > 0]
        if kind in positive:
            return []
        known = ", ".join(positive) or "none"
        return [f"{name} cannot be searched: stage 1 has given {kind} no weight above 0; it has for {known}"]

    def _gone(self, name: str, searched: object) -> list[str]:
        """Say which of a filter's choices let through what stage 1 has filtered out already."""
        least = getattr(self._filter, name)
        lower = [value for value in searched.values if value < least] if isinstance(searched, Choices) else []
        if not lower:
            return []
        hint = f"run stage 1 with stage1.score_filter.{name} {min(lower):g} first"
        return [f"{name} cannot be searched below the {least:g} of stage 1, which has filtered by it; {hint}"]


def of_training(interactions: DataFrame, pairs: DataFrame) -> DataFrame:
    """Return the rows of pairs, as far as no event in them is later than the pair's last training event.

    Args:
        interactions: the table of stage 1, of the whole log.
        pairs: visitor_index, item_index, last_timestamp: of the training part.
    """
    latest = pairs.select(*_PAIR, F.col(C.LAST_TIMESTAMP).alias("_latest"))
    rows = interactions.join(latest, _PAIR, "inner").where(F.col(C.LAST_TIMESTAMP) <= F.col("_latest"))
    return rows.select(*interactions.columns)


def is_scoring(name: str) -> bool:
    """Return whether a parameter changes the scores."""
    return name == HALF_LIFE or name.startswith(KIND)


def is_prepared(space: Space) -> bool:
    """Return whether all trials fit the same pairs."""
    return not any(is_scoring(name) or name in _FILTERS for name in space)
