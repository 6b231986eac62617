"""Take a validation part out of the training pairs, to judge the trials of a search by.

Example usage:
>>> scores = spark.createDataFrame([(v, i, 1.0, 10 * v + i) for v in range(4) for i in range(3)],
...     "visitor_index int, item_index int, score float, last_timestamp long")
>>> parts = ValidationSplit(share=0.5, last_pairs=1).execute(scores)
>>> parts.train.count(), parts.history.count(), parts.holdout.count()
(6, 4, 2)
>>> parts = ValidationSplit(by="time").execute(scores, cut=21)
>>> parts.train.count(), parts.history.count(), sorted(tuple(row)[:2] for row in parts.holdout.collect())
(7, 1, [(2, 1), (2, 2)])
"""

from typing import Literal, NamedTuple

from pyspark.sql import DataFrame, Window, functions as F

import recommender.constants as C
from recommender.settings.step import Annotated, Field, step

_PARTS = 1_000_000  # the resolution of a share
_PAIRS = "_pairs"


class Parts(NamedTuple):
    """The pairs to fit, those that the evaluated visitors are folded in with, and those that should be predicted."""

    train: DataFrame
    history: DataFrame
    holdout: DataFrame


@step
class ValidationSplit:
    """Divide the training pairs once more: what is fitted in a search, and what its trials are judged by.

    By visitors, a share of them, chosen by a hash, is left out of the fit; their last pairs are held out, and the
    others fold them in. So trials are judged by visitors that are unknown to the model. By time, the latest pairs are
    held out, of visitors that have earlier ones, and the earlier ones of all visitors are fitted.

    Init parameters:
        by: visitors or time; as the visitors of the final holdout are, or will be when the model is used.
        share: ratio (0 to 1) of the visitors that are evaluated; by visitors.
        last_pairs: how many pairs of an evaluated visitor, the last by time, are held out; one at least stays, so a
            visitor with one pair is fitted; by visitors.
        percentile: share of the pairs, in percent, that are earlier than the cut, 0 to 100; by time.
        seed: changes the choice of the visitors.
    Execution args:
        scores: visitor_index int, item_index int, score float, last_timestamp long (ms): one row per pair of the
            training part, none null.
        cut: ms since epoch; by time. A pair whose last event is not earlier is held out with all of its events.
    Execution returns:
        (train, history, holdout), with the columns of `scores`; row order undefined. By visitors no pair is in two
        of them, and no visitor of history and holdout is in train. By time history is a part of train: the pairs of
        the visitors whose later pairs are held out.
    Raises:
        ConfigError: a parameter is out of range.
    Persist strategy: none; the parts are cached while the search lasts.
    """

    by: Literal["visitors", "time"] = "visitors"
    share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    last_pairs: Annotated[int, Field(ge=1)] = 5
    percentile: Annotated[float, Field(gt=0, lt=100)] = 90.0
    seed: int = 0

    def execute(self, scores: DataFrame, cut: float = 0) -> Parts:
        """Return the parts; see the class."""
        return self._by_time(scores, cut) if self.by == "time" else self._by_visitors(scores)

    def _by_visitors(self, scores: DataFrame) -> Parts:
        chosen = F.pmod(F.xxhash64(C.VISITOR_INDEX, F.lit(self.seed)), F.lit(_PARTS)) < round(self.share * _PARTS)
        of_visitor = Window.partitionBy(C.VISITOR_INDEX)
        latest_first = of_visitor.orderBy(F.desc(C.LAST_TIMESTAMP), F.desc(C.ITEM_INDEX))
        place, pairs = F.row_number().over(latest_first), F.count(F.lit(1)).over(of_visitor)
        divided = scores.where(chosen).withColumns({"_place": place, _PAIRS: pairs})
        is_held = F.col("_place") <= F.least(F.lit(self.last_pairs), F.col(_PAIRS) - 1)
        several = divided.where(F.col(_PAIRS) > 1)
        columns = scores.columns
        train = scores.where(~chosen).unionByName(divided.where(F.col(_PAIRS) == 1).select(*columns))
        return Parts(train, several.where(~is_held).select(*columns), several.where(is_held).select(*columns))

    @staticmethod
    def _by_time(scores: DataFrame, cut: float) -> Parts:
        time = F.col(C.LAST_TIMESTAMP)
        before, after = scores.where(time < cut), scores.where(time >= cut)
        of_visitor = [C.VISITOR_INDEX]
        history = before.join(after.select(*of_visitor).distinct(), of_visitor, "left_semi")
        holdout = after.join(before.select(*of_visitor).distinct(), of_visitor, "left_semi")
        return Parts(before, history.select(*scores.columns), holdout.select(*scores.columns))
