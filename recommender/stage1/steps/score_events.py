"""Give every event a score by its kind.

Example usage:
>>> events = spark.createDataFrame([(1, "view"), (2, "transaction"), (3, "wave")], "itemid long, event string")
>>> ScoreEvents(score_map={"view": 1, "transaction": 10}).execute(events).show()
+------+-----------+-----+
|itemid|      event|score|
+------+-----------+-----+
|     1|       view|  1.0|
|     2|transaction| 10.0|
|     3|       wave|  0.0|
+------+-----------+-----+
<BLANKLINE>
>>> dated = spark.createDataFrame([(86_400_000, "view"), (0, "view")], "timestamp long, event string")
>>> [row.score for row in ScoreEvents(half_life_days=1).execute(dated).collect()]
[1.0, 0.5]
>>> rated = spark.createDataFrame([("rating", 4.5)], "event string, weight double")
>>> ScoreEvents(score_map={"rating": 1}).execute(rated).first().score
4.5
"""

from collections.abc import Mapping
from itertools import chain
from typing import Literal

from pyspark.sql import Column, DataFrame, functions as F

import recommender.constants as C
from recommender.errors import DataQualityError, SchemaError
from recommender.settings.step import Annotated, ColumnName, Field, field, step
from recommender.spark.aggregates import single_row
from recommender.times import in_milliseconds

_MS_PER_DAY = 86_400_000
_LARGEST = 3.4e38  # of a 32 bit float, as which scores are stored


@step
class ScoreEvents:
    """Add a score column: the weight of the event's kind, times its own weight if it has one; it may fade with its age.

    Init parameters:
        input_column_name: column with the kind of event.
        score_column_name: column to add.
        score_map: kind of event -> weight (no unit), at most 3.4e38 in size, as a 32 bit float; a kind that is not
            listed weighs 0, and is reported.
        max_unweighted: largest share of the events (0 to 1) whose kind `score_map` does not list.
        half_life_days: days after which an event weighs half; null: age does not matter.
        as_of: ISO 8601 time at which the age is measured, never the clock of the run; null: the last event's time.
            A later event has no age.
        negative_weights: refuse weights below 0 (a return, a dislike), or let them count: in a sum they are subtracted.
    Execution args:
        events: one row per event, any columns, `input_column_name` string, and, with a half-life, timestamp long (ms).
            A column weight double, never null, multiplies the weight of the kind.
    Execution returns:
        `events` with `score_column_name` double, never null; row order undefined.
    Raises:
        ConfigError: a weight is negative where that is refused, or too large. SchemaError: the column is missing.
        DataQualityError, by `check`: so many events of such weights may have no finite score (BAD_SCORE); by
        `check_own`: an event's own weight is none (BAD_WEIGHT).
    Persist strategy: none of its own; stage 1 stores the grouped scores.
    """

    input_column_name: ColumnName = C.EVENT
    score_column_name: ColumnName = C.SCORE
    score_map: Mapping[str, float] = field(default_factory=lambda: dict(C.DEFAULT_SCORES))
    max_unweighted: Annotated[float, Field(ge=0, le=1)] = 0.5
    half_life_days: Annotated[float, Field(gt=0)] | None = None
    as_of: str | None = None
    negative_weights: Literal["refuse", "subtract"] = "refuse"

    def __post_init__(self) -> None:
        negative = [f"{kind} {weight:g}" for kind, weight in self.score_map.items() if weight < 0]
        if negative and self.negative_weights == "refuse":
            raise ValueError(f"score_map must be >= 0, got {', '.join(negative)}; or set negative_weights: subtract")
        large = [f"{kind} {weight:g}" for kind, weight in self.score_map.items() if abs(weight) > _LARGEST]
        if large:
            raise ValueError(f"score_map must be <= {_LARGEST:g} in size, got {', '.join(large)}")
        if self.as_of is not None and in_milliseconds(self.as_of) is None:
            raise ValueError(f"as_of must be a time as 2015-05-03T03:00:00Z, got {self.as_of!r}")

    def check(self, most_events: int, largest_weight: float = 1.0) -> None:
        """Refuse weights with which a score may leave the range of a 32 bit float.

        Args:
            most_events: of one visitor; no score is the sum of more.
            largest_weight: of the events' own, in size.
        """
        largest = max(map(abs, self.score_map.values()), default=0.0) * largest_weight
        if largest * most_events > _LARGEST:
            fault = f"{most_events:,} events of a visitor may weigh {largest:g} each, and a score {_LARGEST:g} at most"
            raise DataQualityError("BAD_SCORE", f"{fault}; lower the weights of score_events.score_map")

    def check_own(self, events: int, no_numbers: int, negative: int) -> None:
        """Refuse own weights of events that are none.

        Args:
            events: number of them. no_numbers, negative: of those without a finite weight, and with one below 0.
        """
        if no_numbers:
            sentence = f"{no_numbers:,} of {events:,} events have a weight that is not a number a score can hold"
            raise DataQualityError("BAD_WEIGHT", f"{sentence}; see data_loader.columns.weight")
        if negative and self.negative_weights == "refuse":
            sentence = f"{negative:,} of {events:,} events have a weight below 0"
            hint = "set score_events.negative_weights: subtract, or shift the weights with data_loader.query"
            raise DataQualityError("BAD_WEIGHT", f"{sentence}; {hint}")

    @staticmethod
    def own_facts(events: DataFrame, is_event: Column) -> list[Column]:
        """Return aggregates for `check_own` and `check`: no_numbers, negative, and the largest own weight in size."""
        if C.WEIGHT not in events.columns:
            return [F.lit(0), F.lit(0), F.lit(1.0)]
        weight = F.col(C.WEIGHT)
        is_number = F.coalesce(~F.isnan(weight) & (F.abs(weight) <= _LARGEST), F.lit(False))
        counted = [F.count_if(is_event & condition) for condition in (~is_number, is_number & (weight < 0))]
        return [*counted, F.coalesce(F.max(F.when(is_event & is_number, F.abs(weight))), F.lit(1.0))]

    def kind_of(self, events: DataFrame) -> Column:
        """Return the kind of an event."""
        if self.input_column_name not in events.columns:
            found = ", ".join(events.columns)
            hint = "see score_events.input_column_name"
            raise SchemaError("SCHEMA_MISSING", f"{self.input_column_name}; found [{found}]; {hint}")
        return F.col(self.input_column_name)

    def says_something(self) -> Column:
        """Return whether the kind of an event has a weight other than 0."""
        kinds = [kind for kind, weight in self.score_map.items() if weight]
        return F.coalesce(F.col(self.input_column_name).isin(kinds), F.lit(False))

    def execute(self, events: DataFrame) -> DataFrame:
        kind, weight = self.kind_of(events), F.lit(0.0)
        if self.score_map:
            weights = F.create_map(*(F.lit(x) for x in chain(*self.score_map.items())))
            weight = F.coalesce(weights[kind].cast("double"), weight)
        if C.WEIGHT in events.columns:
            weight *= F.col(C.WEIGHT)
        if self.half_life_days is not None:
            weight *= self._share_left(events, self.half_life_days)
        return events.withColumn(self.score_column_name, weight)

    def _share_left(self, events: DataFrame, half_life: float) -> Column:
        """Return the rest of an event's weight, 0 to 1."""
        reference = F.lit(in_milliseconds(self.as_of)) if self.as_of else self._last(events)
        age = F.greatest(reference - F.col(C.TIMESTAMP), F.lit(0)) / _MS_PER_DAY
        return F.pow(F.lit(0.5), age / half_life)

    def _last(self, events: DataFrame) -> Column:
        (last,) = single_row(events.agg(F.max(C.TIMESTAMP)))
        return F.lit(last or 0)
