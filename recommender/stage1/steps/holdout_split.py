"""Divide the events of the evaluated visitors into what a model may see and what it must predict.

Example usage:
>>> train = spark.createDataFrame([(1, 10, 100, "view")], "timestamp long, visitorid long, itemid long, event string")
>>> test = spark.createDataFrame([(5, 20, 100, "view"), (6, 20, 101, "view"), (7, 20, 102, "view")], train.schema)
>>> history, holdout = HoldoutSplit(last_events=1).execute(train, test)
>>> [row.itemid for row in holdout.collect()], sorted(row.itemid for row in history.collect())
([102], [100, 101])
"""

from pyspark.sql import Column, DataFrame, Window, functions as F

import recommender.constants as C
from recommender.base import Annotated, Field, step

_PARTS = 1_000_000  # the resolution of a share
_PAIR = [C.VISITOR, C.ITEM]


@step
class HoldoutSplit:
    """Divide the events of the test visitors into history and holdout.

    A visitor with events in both parts of the split (a cut by time) is known: its history is its training events, its
    holdout what it did after the cut. A visitor with test events only (a cut by visitor) is unknown: its last events by
    time, or a share of its items, are the holdout, and the rest is its history.

    Init parameters:
        last_events: how many of an unknown visitor's last events by time are held out; one event at least stays in the
            history, so a visitor with a single event is not evaluated. null where `share` is given.
        share: ratio (0 to 1) of an unknown visitor's items that are held out, chosen by a hash of visitor and item, so
            that the choice is the same on any cluster. null where `last_events` is given.
        seed: changes the choice of `share`.
    Execution args:
        train, test: one row per event: timestamp long (ms), visitorid, itemid, event, none null; further columns stay.
        known: visitorid, a row per visitor with events in both; null: they are found here.
    Execution returns:
        (history, holdout): events of the test visitors, with the columns of `test`. Row order undefined.
    Raises:
        ConfigError: both or none of `last_events` and `share` are given.
    Persist strategy: none of its own; stage 1 stores both, grouped and scored.
    """

    last_events: Annotated[int, Field(ge=1)] | None = 5
    share: Annotated[float, Field(gt=0, lt=1)] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.last_events is None) == (self.share is None):
            raise ValueError("give either last_events or share, and set the other to null")

    def execute(self, train: DataFrame, test: DataFrame, known: DataFrame | None = None) -> tuple[DataFrame, DataFrame]:
        """Return (history, holdout); see the class."""
        if known is None:
            evaluated = test.select(C.VISITOR).distinct()
            known = train.select(C.VISITOR).distinct().join(evaluated, C.VISITOR, "left_semi")
        held = F.col("_held")
        divided = test.join(known, C.VISITOR, "left_anti").withColumn("_held", self._held())
        history = divided.where(~held).drop("_held").unionByName(train.join(known, C.VISITOR, "left_semi"))
        holdout = divided.where(held).drop("_held").unionByName(test.join(known, C.VISITOR, "left_semi"))
        return history, holdout

    @staticmethod
    def unseen(holdout: DataFrame, history: DataFrame) -> DataFrame:
        """Return the rows of `holdout` whose visitor and item are not in `history`: the others are no prediction."""
        return holdout.join(history.select(*_PAIR).distinct(), _PAIR, "left_anti")

    def _held(self) -> Column:
        if self.share is not None:
            return F.pmod(F.xxhash64(*_PAIR, F.lit(self.seed)), F.lit(_PARTS)) < round(self.share * _PARTS)
        of_visitor = Window.partitionBy(C.VISITOR)
        latest_first = of_visitor.orderBy(F.desc(C.TIMESTAMP), F.desc(C.ITEM), F.desc(C.EVENT))
        held = F.least(F.lit(self.last_events), F.count(F.lit(1)).over(of_visitor) - 1)
        return F.row_number().over(latest_first) <= held
