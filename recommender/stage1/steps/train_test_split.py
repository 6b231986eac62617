"""Split events into a training and a test part by a percentile of one column.

Example usage:
>>> events = spark.range(100).withColumnRenamed("id", "visitorid")
>>> train, test = TrainTestSplit(train_percentile=90).execute(events)
>>> train.count(), test.agg({"visitorid": "min"}).first()[0]
(90, 90)
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from pyspark.sql import Column, DataFrame, functions as F, types as T

import recommender.constants as C
from recommender.errors import InputError, SchemaError
from recommender.settings.step import Annotated, ColumnName, Field, step
from recommender.spark.aggregates import single_row
from recommender.tables.persistent import Persistent

# What a sketch promises: the rank of its answer is wrong by at most rows / ACCURACY.
_ACCURACY = 10_000
_MARGIN = 3 / _ACCURACY
_LARGEST_EXACT = 2**53  # integers beyond it are rounded by a float
# The most rows whose distinct values are counted exactly, and so the most values that the driver holds.
_EXACT_ROWS = 200_000


@step
class TrainTestSplit(Persistent):
    """Split an event stream in two at a percentile of one column.

    The split value is numpy's: the linearly interpolated percentile over all events. It is found in memory that does
    not depend on the number of distinct values: a quantile sketch brackets its rank, then the values inside the bracket
    are counted exactly. Integers beyond 2^53, which a float rounds, are compared as integers.

    Init parameters:
        column_name: numeric column to split by; visitorid keeps a visitor's events together, timestamp cuts by time.
        train_percentile: share of the events that lie below the split value, in percent, 0 to 100.
    Execution args:
        events: one row per event, any columns, `column_name` of a numeric type.
    Execution returns:
        (train, test), both with the columns of `events`: train is < the split value, test is >=. A row whose
        `column_name` is null or NaN is in neither. Row order undefined.
    Raises:
        SchemaError: the column is missing or not numeric. InputError: there is no value to split by.
    Persist strategy: Parquet, in the new folders train and test below the path. Stage 1 stores what is made of them.
    """

    column_name: ColumnName = C.VISITOR
    train_percentile: Annotated[float, Field(ge=0, le=100)] = 90.0

    def execute(self, events: DataFrame) -> tuple[DataFrame, DataFrame]:
        return self.divide(events, self.split_value(events))

    def split_value(self, events: DataFrame, rows: int | None = None) -> float:
        """Return the percentile of the column, equal to ``numpy.percentile(values, train_percentile)``.

        Of integers that a float may round it is the least integer that is not below the percentile.

        Args:
            events: as for `execute`.
            rows: how many there are, if that is known: the values of few events need no bracket.
        """
        values = self._values(events)
        share = float(np.true_divide(self.train_percentile, 100))
        counts = _counts(values) if rows is not None and rows <= _EXACT_ROWS else []
        if counts:
            count = sum(number for _, number in counts)
        else:
            count, bounds = _bracket(values, share, _MARGIN)
        if not count:
            raise InputError("INPUT_EMPTY", f"train_test_split: no row has a {self.column_name} to split by")
        # numpy's own arithmetic: the position may fall between two ranks, and the weight interpolates.
        position = (count - 1) * share
        rank = math.floor(position)
        low, high = _pick(counts, rank) if counts else _values_at(values, count, rank, bounds)
        share_of_high = position - rank
        if isinstance(low, int) and max(abs(low), abs(high)) > _LARGEST_EXACT:
            least: int = low + math.ceil((high - low) * share_of_high)
            return least
        return float(np.quantile(np.array([low, high]), share_of_high))

    def persist(self, path: str, data: tuple[DataFrame, DataFrame]) -> None:
        """Write (train, test) to new folders below `path`."""
        for name, rows in zip(("train", "test"), data, strict=True):
            super().persist(f"{path}/{name}", rows)

    def divide(self, events: DataFrame, split_value: float) -> tuple[DataFrame, DataFrame]:
        """Return the events below the value, and the others."""
        is_train = self._is_number & (self._number(split_value) < split_value)
        return events.where(is_train), events.where(self.is_test(split_value))

    def is_test(self, split_value: float) -> Column:
        """Return whether an event is not below the value."""
        return self._is_number & (self._number(split_value) >= split_value)

    @property
    def _is_number(self) -> Column:
        return ~F.isnan(F.col(self.column_name).cast("double"))

    def _number(self, split_value: float) -> Column:
        """Return the column as a number that can be compared with the value."""
        return F.col(self.column_name).cast("long" if isinstance(split_value, int) else "double")

    def _values(self, events: DataFrame) -> DataFrame:
        if self.column_name not in events.columns:
            sentence = f"{self.column_name}; found [{', '.join(events.columns)}]; see train_test_split.column_name"
            raise SchemaError("SCHEMA_MISSING", sentence)
        found = events.schema[self.column_name].dataType
        if not isinstance(found, T.NumericType):
            hint = "text has no percentile: set train_test_split.column_name: timestamp"
            sentence = f"{self.column_name} expected a number found {found.simpleString()}; {hint}"
            raise SchemaError("SCHEMA_TYPE", sentence)
        value = F.col(self.column_name)
        return events.select(value.alias("value")).where(value.isNotNull() & ~F.isnan(value.cast("double")))


def _bracket(values: DataFrame, share: float, margin: float) -> tuple[int, tuple[Any, Any]]:
    """Return the number of values, and two of them that bracket the rank ``share * number`` in all likelihood."""
    shares = [max(share - margin, 0.0), min(share + margin, 1.0)]
    count, bounds = single_row(values.agg(F.count("value"), F.percentile_approx("value", shares, _ACCURACY)))
    low, high = bounds or (None, None)
    return count, (_beside(low, -1), _beside(high, 1))


def _beside(bound: Any, direction: int) -> Any:
    """Return an integer as far out as a sketch may have rounded it, as it holds floats; other bounds stay."""
    if not isinstance(bound, int):
        return bound
    return max(min(bound + direction * int(math.ulp(float(bound))), 2**63 - 1), -(2**63))


def _values_at(values: DataFrame, count: int, rank: int, bounds: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return the values of a rank (from 0) and of the next one, exactly."""
    inside, rows, below, margin = values, count, 0, _MARGIN
    following = min(rank + 1, count - 1)
    while rows > _EXACT_ROWS:
        value = F.col("value")
        found_below, found = single_row(
            values.agg(F.count_if(value < F.lit(bounds[0])), F.count_if(value.between(*map(F.lit, bounds))))
        )
        if margin < 1 and not found_below <= rank <= following < found_below + found:
            margin *= 4  # the sketch was further off than it promises
        elif found == rows or bounds[0] == bounds[1]:
            inside, below = values.where(value.between(*map(F.lit, bounds))), found_below
            break  # a few values hold nearly all rows: counting those is cheap
        else:
            inside, rows, below = values.where(value.between(*map(F.lit, bounds))), found, found_below
        if rows > _EXACT_ROWS:
            _, bounds = _bracket(inside, (rank - below) / rows, margin)
    return _pick(_counts(inside), rank - below)


def _counts(values: DataFrame) -> list[tuple[Any, int]]:
    """Return the distinct values of a frame with few of them, rising, and how often each is there."""
    return sorted((value, rows) for value, rows in values.groupBy("value").count().collect())


def _pick(counts: Sequence[tuple[Any, int]], rank: int) -> tuple[Any, Any]:
    """Return the values at a rank and at the next, given the distinct values."""
    low, passed = None, 0
    for value, rows in counts:
        passed += rows
        if low is None and passed > rank:
            low = value
        if passed > rank + 1:
            return low, value
    return low, low  # the rank is the last
