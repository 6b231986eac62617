"""Take a validation part out of the training pairs, to judge the trials of a search by.

Example usage:
>>> scores = spark.createDataFrame([(v, i, 1.0, 10 * v + i) for v in range(4) for i in range(3)],
...     "visitor_index int, item_index int, score float, last_timestamp long")
>>> parts = ValidationSplit(share=0.5, last_pairs=1).execute(scores)
>>> parts.train.count(), parts.history.count(), parts.holdout.count()
(6, 4, 2)
>>> parts = ValidationSplit(by="every_visitor", share=0.5, last_pairs=1).execute(scores)
>>> parts.train.count(), parts.history.count(), parts.holdout.count()
(10, 4, 2)
>>> parts = ValidationSplit(by="time").execute(scores, cut=21)
>>> parts.train.count(), parts.history.count(), sorted(tuple(row)[:2] for row in parts.holdout.collect())
(7, 1, [(2, 1), (2, 2)])
>>> split = ValidationSplit().following("every_visitor", {"share": 0.2, "min_score": 4.0})
>>> split.by, split.pairs_share, split.min_score
('every_visitor', 0.2, 4.0)
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from pyspark.sql import Column, DataFrame, Window, functions as F

import recommender.constants as C
from recommender.settings.step import Annotated, Field, step
from recommender.spark.aggregates import single_row

_PARTS = 1_000_000  # the resolution of a share
_PAIRS = "_pairs"
_LAST_PAIRS = 5
_FEW = 0.2  # of the visitors: so many ties are usual
_EVALUATED = 5_000  # visitors: with more, the intervals get little narrower, and the lists take longer than the fit
_MOST_KNOWN, _MOST_UNKNOWN = 0.5, 0.2  # of the visitors
_USUAL_SHARE = 0.2  # of a visitor's pairs, in published splits
_BY: Mapping[str, Literal["visitors", "every_visitor", "time"]] = {  # stage 1's protocol -> ours
    "unknown_visitors": "visitors",
    "column_cut": "visitors",
    "every_visitor": "every_visitor",
    "own_holdout": "every_visitor",
    "time_cut": "time",
}


class Parts(NamedTuple):
    """The pairs to fit, those that the evaluated visitors are folded in with, and those that should be predicted."""

    train: DataFrame
    history: DataFrame
    holdout: DataFrame


@step
class ValidationSplit:
    """Divide the training pairs once more: what is fitted in a search, and what its trials are judged by.

    A share of the visitors, chosen by a hash, is evaluated: their last pairs, or a share of their pairs, are held out.
    By visitors, their other pairs only fold them in, so that trials are judged by visitors that the model does not
    know. By every_visitor, their other pairs are fitted too. By time, the latest pairs are held out, of visitors that
    have earlier ones, and the earlier ones of all visitors are fitted.

    Init parameters:
        by: visitors, every_visitor or time; null: as the protocol of stage 1's holdout: time after a cut by time,
            every_visitor with holdout.every_visitor or a holdout of your own, else visitors.
        share: ratio (0 to 1) of the visitors that are evaluated; null: as many as have 5,000 visitors of several pairs,
            half of them at most, and by visitors a fifth, because these are not fitted; not by time.
        last_pairs: how many pairs of an evaluated visitor, the last by time, are held out; pairs with equal times are
            chosen by a hash. One at least stays, so a visitor with one pair is only fitted. null: as
            stage1.holdout.last_events, or 5; not by time. With a holdout of your own, and equal times: a fifth of the
            pairs, as published splits have.
        pairs_share: ratio (0 to 1) of an evaluated visitor's pairs that are held out instead, chosen by a hash. null:
            as stage1.holdout.share, unless last_pairs is given; not by time.
        percentile: share of the pairs, in percent, that are earlier than the cut, 0 to 100; by time.
        min_score: least score of a held-out pair; null: as stage1.holdout.min_score.
        seed: changes the choice of the visitors and of the pairs.
    Execution args:
        scores: visitor_index int, item_index int, score float, last_timestamp long (ms): one row per pair of the
            training part, none null.
        cut: ms since epoch; by time. A pair whose last event is not earlier is held out with all of its events.
    Execution returns:
        (train, history, holdout), with the columns of `scores`; row order undefined. No pair of the holdout is in one
        of the others. By visitors, no visitor of history and holdout is in train; else history is a part of train.
    Raises:
        ConfigError: a parameter is out of range, or both last_pairs and pairs_share are given.
    Persist strategy: none; the parts are cached while the search lasts.
    """

    by: Literal["visitors", "every_visitor", "time"] | None = None
    share: Annotated[float, Field(gt=0, lt=1)] | None = None
    last_pairs: Annotated[int, Field(ge=1)] | None = None
    pairs_share: Annotated[float, Field(gt=0, lt=1)] | None = None
    percentile: Annotated[float, Field(gt=0, lt=100)] = 90.0
    min_score: Annotated[float, Field(gt=0)] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.last_pairs is not None and self.pairs_share is not None:
            raise ValueError("give either last_pairs or pairs_share, and set the other to null")

    def following(self, protocol: str | None, holdout: Mapping[str, Any]) -> "ValidationSplit":
        """Return the split that holds out as stage 1 did, as far as this one does not say otherwise.

        Args:
            protocol: the name in stage 1's record; null: it has none.
            holdout: the parameters of stage 1's holdout.
        """
        by = self.by or _BY.get(protocol or "", "visitors")
        min_score = self.min_score if self.min_score is not None else holdout.get("min_score")
        is_own = self.last_pairs is not None or self.pairs_share is not None
        more: dict[str, Any] = (
            {} if is_own else {"last_pairs": holdout.get("last_events"), "pairs_share": holdout.get("share")}
        )
        return replace(self, by=by, min_score=min_score, **more)

    def sized(self, scores: DataFrame) -> "ValidationSplit":
        """Return the split with the share of the visitors that is evaluated."""
        if self.share is not None or self.by == "time":
            return self
        several = scores.groupBy(C.VISITOR_INDEX).agg(F.count(F.lit(1)).alias(_PAIRS)).where(F.col(_PAIRS) > 1)
        (visitors,) = single_row(several.agg(F.count(F.lit(1))))
        most = _MOST_KNOWN if self.by == "every_visitor" else _MOST_UNKNOWN
        return replace(self, share=min(most, _EVALUATED / max(visitors, 1)))

    def untied(self, own: "ValidationSplit", protocol: str | None) -> "ValidationSplit":
        """Return the split for a log whose times do not say which pairs are the last.

        Args:
            own: the split as it is configured: its last_pairs stay.
            protocol: the name in stage 1's record.
        """
        if protocol != "own_holdout" or own.last_pairs is not None:
            return self
        return replace(self, last_pairs=None, pairs_share=_USUAL_SHARE)

    def execute(self, scores: DataFrame, cut: float = 0) -> Parts:
        """Return the parts; see the class."""
        parts = self._by_time(scores, cut) if self.by == "time" else self._by_visitors(scores)
        if self.min_score is None:
            return parts
        return parts._replace(holdout=parts.holdout.where(F.col(C.SCORE) >= self.min_score))

    def chance(self, parts: Parts) -> str:
        """Say how many evaluated visitors' held-out pairs were chosen by chance, if they should be the last ones."""
        if self.by == "time" or self.pairs_share is not None:
            return ""
        of_visitor = [C.VISITOR_INDEX]
        earliest = parts.holdout.groupBy(of_visitor).agg(F.min(C.LAST_TIMESTAMP).alias("_earliest"))
        latest = parts.history.groupBy(of_visitor).agg(F.max(C.LAST_TIMESTAMP).alias("_latest"))
        is_tied = F.col("_earliest") == F.col("_latest")
        both = earliest.join(latest, of_visitor, "inner").agg(F.count(F.lit(1)), F.count_if(is_tied))
        visitors, tied = single_row(both)
        if tied <= _FEW * visitors:
            return ""
        found = f"{tied:,} of {visitors:,} evaluated visitors have pairs with equal times on both sides of the split"
        return f"{found}, so that a hash, not the time, chooses what is held out"

    @property
    def remedy(self) -> str:
        """What to do if the held-out pairs are chosen by chance."""
        if self.pairs_share is None:
            return "set tune.validation.pairs_share to the share that your own test part has, 0.2 for example"
        share = f"{self.pairs_share:.0%} of each evaluated visitor's pairs are held out"
        return f"{share}; set tune.validation.pairs_share if your own test part has another share"

    def _by_visitors(self, scores: DataFrame) -> Parts:
        chosen = self._draw(C.VISITOR_INDEX) < round((self.share or _MOST_UNKNOWN) * _PARTS)
        of_visitor = Window.partitionBy(C.VISITOR_INDEX)
        by_hash = [self._draw(C.ITEM_INDEX, C.VISITOR_INDEX), F.col(C.ITEM_INDEX)]
        order = by_hash if self.pairs_share is not None else [F.desc(C.LAST_TIMESTAMP), *by_hash]
        place, pairs = F.row_number().over(of_visitor.orderBy(*order)), F.count(F.lit(1)).over(of_visitor)
        divided = scores.where(chosen).withColumns({"_place": place, _PAIRS: pairs})
        is_held = F.col("_place") <= F.least(self._wanted(), F.col(_PAIRS) - 1)
        columns = scores.columns
        several = divided.where(F.col(_PAIRS) > 1)
        history, holdout = several.where(~is_held).select(*columns), several.where(is_held).select(*columns)
        kept = divided.where((F.col(_PAIRS) == 1) | (F.lit(self.by == "every_visitor") & ~is_held))
        return Parts(scores.where(~chosen).unionByName(kept.select(*columns)), history, holdout)

    def _wanted(self) -> Column:
        """Return how many pairs of a visitor should be held out."""
        if self.pairs_share is not None:
            return F.ceil(F.col(_PAIRS) * F.lit(self.pairs_share))
        return F.lit(self.last_pairs or _LAST_PAIRS)

    def _draw(self, *ids: str) -> Column:
        """Return a number of 0 to `_PARTS` for each visitor or pair."""
        return F.pmod(F.xxhash64(*ids, F.lit(self.seed)), F.lit(_PARTS))

    @staticmethod
    def _by_time(scores: DataFrame, cut: float) -> Parts:
        time = F.col(C.LAST_TIMESTAMP)
        before, after = scores.where(time < cut), scores.where(time >= cut)
        of_visitor = [C.VISITOR_INDEX]
        history = before.join(after.select(*of_visitor).distinct(), of_visitor, "left_semi")
        holdout = after.join(before.select(*of_visitor).distinct(), of_visitor, "left_semi")
        return Parts(before, history.select(*scores.columns), holdout.select(*scores.columns))
