"""Divide the events of a log, by one of the protocols, into training events and those that judge the models."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pyspark.sql import Column, DataFrame, functions as F

import recommender.constants as C
from recommender.errors import ConfigError, DataQualityError, Mistake
from recommender.settings.step import Steps, parameters
from recommender.spark.row_counts import RowCounter, StepRows
from recommender.stage1.own_holdout import OwnHoldout
from recommender.stage1.steps import DataLoader, EventValidator, HoldoutSplit, TrainTestSplit


class SplitSteps(Steps):
    """The steps that divide the events, and those that read a holdout of the user's own."""

    data_loader: DataLoader
    event_validator: EventValidator
    train_test_split: TrainTestSplit
    holdout: HoldoutSplit


TESTED: Final = "_tested"  # the number of test events of an id
_BY_COLUMN = {C.VISITOR: "unknown_visitors", C.TIMESTAMP: "time_cut"}


class Parts(NamedTuple):
    """The events of a log, all of them and divided, their number, and whether one of `events` is a test event."""

    number: int
    events: DataFrame
    train: DataFrame
    test: DataFrame
    is_test: Column


class Evaluated(NamedTuple):
    """The scored history of the evaluated visitors, their holdout, and the pairs that were held out to begin with."""

    history: DataFrame
    holdout: DataFrame
    held: DataFrame


@dataclass
class EvaluationSplit:
    """Divide the events of a log into training, history and holdout.

    The protocol is what the config makes it:
    - unknown_visitors, time_cut, column_cut: train_test_split divides by visitorid, timestamp, or another column
    - every_visitor: some of every visitor's events are held out
    - own_holdout: the user brings the holdout, and every event of the log is a training event

    Raises:
        ConfigError: a parameter is set that the protocol makes no use of.
    """

    steps: SplitSteps
    cache: Callable[[DataFrame], DataFrame]  # keeps a frame until the stage releases it
    counter: RowCounter  # counts the rows between the steps
    split_value: float = float("nan")  # that train_test_split divides at; NaN where it divides nothing
    held: int = 0  # number of pairs held out, before those leave that the history has too
    _events: DataFrame = field(init=False, repr=False)  # that are divided, and what became of them
    _parts: Parts = field(init=False, repr=False)
    _test: DataFrame = field(init=False, repr=False)
    _holdout_rows: DataFrame = field(init=False, repr=False)  # what the lists are judged by

    def __post_init__(self) -> None:
        loader, validator = self.steps.data_loader, self.steps.event_validator
        self._split, self._holdout = self.steps.train_test_split, self.steps.holdout
        # The holdout that the user brings.
        self.own = OwnHoldout(loader, validator, self._holdout, self.cache) if self._holdout.place else None
        self._check(loader)

    def _check(self, loader: DataLoader) -> None:
        key, usual = self._holdout.key, parameters(TrainTestSplit())
        given = [f"{name} {value}" for name, value in parameters(self._split).items() if value != usual[name]]
        if key and given:
            sentence = f"train_test_split ({', '.join(given)}) divides nothing where holdout.{key} is given"
            hint = "leave one of them out, train_test_split with --set stage1.train_test_split=null"
            raise ConfigError(Mistake("CFG_VALUE", "train_test_split", f"{sentence}; {hint}"))
        table = self._holdout.holdout_table
        if table and table == loader.table:
            sentence = f"holdout.holdout_table and data_loader.table are both {table}"
            raise ConfigError(Mistake("CFG_VALUE", "holdout", f"{sentence}; give the holdout a table of its own"))

    @property
    def protocol(self) -> str:
        """The name of the protocol."""
        if self._holdout.key:
            return "own_holdout" if self.own else "every_visitor"
        return _BY_COLUMN.get(self._split.column_name, "column_cut")

    @property
    def cut(self) -> float | None:
        """The time, in ms, from which on nothing is trained with; None where the log is not cut by time."""
        return None if self.protocol != "time_cut" or math.isnan(self.split_value) else self.split_value

    def divide(self, events: DataFrame, number: int) -> Parts:
        """Return the events, divided; there are `number` of them at most."""
        self._events = self.counter.going_in("events", events)
        self._parts = self._divide(self._events, number)
        if not self.own:
            self.counter.came_out("holdout" if self._holdout.every_visitor else "train_test_split", self._parts.train)
        return self._parts

    def _divide(self, events: DataFrame, number: int) -> Parts:
        if self.own:
            is_test = F.lit(False)
            return Parts(number, events, events, events.where(is_test), is_test)
        if self._holdout.every_visitor:
            marked, held = self.cache(self._holdout.mark(events)), F.col(C.HELD)
            return Parts(number, marked, marked.where(~held), marked.where(held), held)
        if number:
            self.split_value = self._split.split_value(events, number)
        train, test = self._split.divide(events, self.split_value)
        return Parts(number, events, train, test, self._split.is_test(self.split_value))

    def ids_to_number(self, ids: DataFrame) -> DataFrame:
        """Return the ids that need an index: those of the log, and those that the user's holdout has besides."""
        return self.own.with_ids_of(ids) if self.own else ids

    def evaluated(
        self, parts: Parts, activity: Mapping[str, DataFrame], grouped: Callable[[DataFrame, list[str]], DataFrame]
    ) -> Evaluated:
        """Return the scored history and holdout of the evaluated visitors.

        Args:
            parts: as `divide` has returned them.
            activity: visitorid, itemid -> a row per id of the log; of a visitor with its events and test events.
            grouped: returns the scores of events, a row per key.
        """
        self._test = parts.test
        if self.own:
            if parts.number:
                self.own.meet(activity)
            history = parts.train.join(self.own.pairs.select(C.VISITOR), C.VISITOR, "left_semi")
            held = self.own.pairs
        else:
            history, held_out = self._divided(parts, activity[C.VISITOR])
            held = self.cache(grouped(held_out, C.PAIR))
        self._holdout_rows = HoldoutSplit.to_predict(self._holdout.high_enough(held), history)
        self.counter.came_out("holdout", self._holdout_rows)
        return Evaluated(grouped(history, [*C.PAIR, C.EVENT]), self._holdout_rows, held)

    def _divided(self, parts: Parts, visitors: DataFrame) -> tuple[DataFrame, DataFrame]:
        tested = F.col(TESTED)
        if self._holdout.every_visitor:  # a visitor with a test event has a training event too
            evaluated = visitors.where(tested > 0).select(C.VISITOR)
            return parts.train.join(evaluated, C.VISITOR, "left_semi"), parts.test
        known = visitors.where(tested.between(1, F.col(C.EVENTS) - 1)).select(C.VISITOR)
        return self._holdout.execute(parts.train, parts.test, known)

    def no_training_events(self, events: int) -> DataQualityError:
        """Return the error of a split of so many events that makes none of them a training event."""
        split = self._split
        given = f"train_test_split(column_name={split.column_name}, train_percentile={split.train_percentile:g})"
        sentence = f"{given} in={events}: no event has a {split.column_name} below {self._shown_value()}"
        hint = "raise train_test_split.train_percentile, or split by timestamp"
        return DataQualityError("NO_ROWS_AFTER", f"{sentence}, so there is none to train on; {hint}")

    def events(self, rows: Mapping[str, int]) -> int | None:
        """Return the number of events that were divided, given the counts."""
        return self.counter.number(self._events, rows)

    def report_training(self, rows: Mapping[str, int]) -> list[StepRows]:
        """Return how many of the events are trained with, given the counts."""
        if self.own:
            return []
        events, train = self.events(rows), self.counter.number(self._parts.train, rows)
        if not self._holdout.every_visitor:
            split = self._split
            cut = f"train: {split.column_name} < {self._shown_value()}, the {split.train_percentile:g}th percentile"
            return [StepRows("train_test_split", events, train, cut)]
        step = self._holdout
        held = f"the last {step.last_events} events" if step.share is None else f"{step.share:.6g} of the items"
        return [StepRows("holdout", events, train, f"train: all but {held} of each visitor")]

    def report_holdout(self, rows: Mapping[str, int]) -> StepRows:
        """Return what the evaluated visitors are judged by, given the counts."""
        left = self.counter.number(self._holdout_rows, rows)
        left = rows["holdout"] if left is None else left
        if self.own:
            return StepRows("holdout", self.own.rows, left, self.own.note(left))
        return StepRows("holdout", self._tested(rows), left, self._holdout.note(self.held, left))

    def _tested(self, rows: Mapping[str, int]) -> int | None:
        """Return the number of test events that the holdout was made of."""
        if self._test is not self._parts.test:
            return self.counter.number(self._test, rows)
        events, train = self.events(rows), self.counter.number(self._parts.train, rows)
        return None if events is None or train is None else events - train

    def _shown_value(self) -> str:
        return str(self.split_value) if isinstance(self.split_value, int) else f"{self.split_value:.15g}"
