"""Run the steps of the user's own on the events, and look at what they return: nothing later would name the step.

Example usage:
>>> from types import SimpleNamespace
>>> events = spark.createDataFrame([(5, 7, "view", 3)], "timestamp long, visitorid long, event string, itemid long")
>>> renames = SimpleNamespace(execute=lambda rows: rows.withColumnRenamed("itemid", "item"))
>>> own = OwnEvents({"mine": renames}, lambda name, rows, step: step.execute(rows), EventKinds(ScoreEvents(), None))
>>> own.execute(events, given=1)
Traceback (most recent call last):
recommender.errors.ConfigError: CFG_STEP stage1.steps.mine must return itemid bigint, as it is given it, but it returns
timestamp, visitorid, event, item
"""

import re
from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from typing import Any, Final

from pyspark.sql import Column, DataFrame, functions as F

import recommender.constants as C
from recommender.errors import ConfigError, DataQualityError, Mistake, RecommenderError
from recommender.spark.aggregates import single_row
from recommender.spark.errors import explained, failed_on_a_row, reason_of
from recommender.stage1.event_kinds import EventKinds
from recommender.stage1.steps import ScoreEvents  # noqa: F401 - for the example

_NEEDED: Final = (C.TIMESTAMP, C.VISITOR, C.EVENT, C.ITEM)
_IN_PYTHON = re.compile(r"^(\w+(?:Error|Exception|Interrupt))\b", re.MULTILINE)


class OwnEvents:
    """Run steps of the user's own, each on what the one before it has returned.

    Init parameters:
        steps: name -> step, in their order.
        run: returns what a step, by its name, makes of rows; the report shows how many went in and came out.
        kinds: compares the kinds of events with those of the configuration.
    """

    def __init__(
        self, steps: Mapping[str, Any], run: Callable[[str, DataFrame, Any], DataFrame], kinds: EventKinds
    ) -> None:
        self._steps = steps
        self._run = run
        self._kinds = kinds

    def execute(self, events: DataFrame, given: int) -> tuple[DataFrame, list[str]]:
        """Return the events that the steps leave, and warnings about their kinds, a sentence each.

        Args:
            events: those that count. given: how many there are.

        Raises:
            ConfigError: a step fails, or does not return what it must (CFG_STEP). DataQualityError: no event is left
            (NO_ROWS_AFTER), one has no visitor, item, time or kind (STEP_NULLS), or see EventKinds.
        """
        if not self._steps:
            return events, []
        for name, step in self._steps.items():
            events = self._checked(name, step, events)
        names = f"stage1.steps ({', '.join(self._steps)})"
        lacks = reduce(or_, (F.col(name).isNull() for name in _NEEDED))
        facts: list[Column] = [F.count(F.lit(1)), F.count_if(lacks), *self._kinds.counts(events, F.lit(True))]
        try:
            number, nulls, *of_kinds = single_row(events.agg(*facts))
        except Exception as error:
            if isinstance(error, RecommenderError) or explained(error):
                raise
            fault = f"fail on an event, with {_fault(error)}; the values of the event are left out"
            raise _mistake(names, fault) from None
        if given and not number:
            raise DataQualityError("NO_ROWS_AFTER", f"{names} in={given}: no event is left")
        if nulls:
            sentence = f"{names} leave {nulls:,} of {number:,} events without a visitor, an item, a time or a kind"
            raise DataQualityError("STEP_NULLS", f"{sentence}; leave such events out")
        return events, self._kinds.check(events, number, of_kinds)

    def _checked(self, name: str, step: Any, events: DataFrame) -> DataFrame:
        place = f"stage1.steps.{name}"
        try:
            made = self._run(name, events, step)
            found = dict(made.dtypes)
        except RecommenderError:
            raise
        except Exception as error:
            if explained(error):
                raise
            fault = f"fails with {type(error).__name__}: {reason_of(error)}; --verbose shows where"
            raise _mistake(place, fault) from error
        for column, kind in events.dtypes:
            if column in (*_NEEDED, C.WEIGHT) and found.get(column) != kind:
                there = f"{column} {found[column]}" if column in found else ", ".join(made.columns)
                fault = f"must return {column} {kind}, as it is given it, but it returns {there}"
                raise _mistake(place, fault)
        return made


def _mistake(place: str, fault: str) -> ConfigError:
    return ConfigError(Mistake("CFG_STEP", place, f"{place} {fault}"))


def _fault(error: Exception) -> str:
    """Return the kind of an error without the values of an event, which its text may show.

    >>> _fault(RuntimeError("Traceback ...\\nValueError: invalid literal: 'ann@example.org'"))
    'ValueError'
    """
    in_python = _IN_PYTHON.findall(str(error))
    return failed_on_a_row(error) or (in_python[-1] if in_python else type(error).__name__)
