"""The holdout that a user brings: its pairs, how many are fit for use, and how it meets the log."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.errors import DataQualityError, InputError
from recommender.spark.aggregates import single_row
from recommender.spark.cluster import together
from recommender.stage1.steps import DataLoader, EventValidator, HoldoutSplit


@dataclass
class OwnHoldout:
    """Load the holdout that a user brings, and judge whether it is one of this log.

    Its ids are made to be of the log's type. An item that the log does not have counts as relevant though no list can
    hold it, and a visitor that the log does not have is judged with an empty history.
    """

    loader: DataLoader  # of the log
    validator: EventValidator
    step: HoldoutSplit  # reads it
    cache: Callable[[DataFrame], DataFrame]  # keeps a frame until the stage releases it
    # found by `load`: visitorid, itemid, score double, last_timestamp long, a row per pair, those of a visitor together
    pairs: DataFrame = field(init=False, repr=False)
    rows: int = 0
    unusable: int = 0  # number of the rows that are not fit for use
    held: int = 0  # number of pairs
    visitors: int = 0  # number of those that the log does not have, found by `meet`
    items: int = 0
    warnings: list[str] = field(default_factory=list)  # what is unusual, a sentence each

    def load(self, version: str | None = None) -> None:
        """Read it, before the log, so that its mistakes are found early.

        Args:
            version: of its table; None: the newest, or it has none.

        Raises:
            InputError, SchemaError: see HoldoutSplit, or nothing is fit for use. DataQualityError: too little is.
        """
        id_type = "bigint" if self.loader.id_type == "long" else "string"
        rows, self.warnings = self.step.load(id_type, version, self.loader.null_words)
        usable, negative = F.col(C.USABLE), self.validator.negative(rows)
        if negative is not None:
            usable &= ~F.coalesce(negative, F.lit(False))
        # What is not fit for use becomes one pair without ids, so that it is counted in the pass that groups.
        ids = {name: F.when(usable, F.col(name)) for name in C.PAIR}
        grouped = together(rows.withColumns(ids), C.VISITOR).groupBy(*C.PAIR)
        # A pair that stands there more than once counts once.
        last = F.max(C.TIMESTAMP).alias(C.LAST_TIMESTAMP)
        counted = self.cache(grouped.agg(F.max(C.SCORE).alias(C.SCORE), last, F.count(F.lit(1)).alias(C.ROWS)))
        is_pair = F.col(C.VISITOR).isNotNull()
        unusable = F.sum(F.when(~is_pair, F.col(C.ROWS)))
        found = single_row(counted.agg(F.sum(C.ROWS), unusable, F.count_if(is_pair)))
        self.rows, self.unusable, self.held = (number or 0 for number in found)
        self._check(id_type)
        self.pairs = counted.where(is_pair).drop(C.ROWS)

    def _check(self, id_type: str) -> None:
        limit, place, hint = self.validator.max_quarantined, self.step.place, f"see holdout.{self.step.key}"
        if not self.rows:
            raise InputError("INPUT_EMPTY", f"{place} has no rows, and a holdout needs some; {hint}")
        if not self.unusable:
            return
        found = f"{self.unusable:,} of {self.rows:,} rows of {place}"
        why = f"a wrong number of cells, an id that is empty, negative or not {id_type}, or a score that is not numeric"
        if self.unusable > limit * self.rows:
            sentence = f"{found} are not fit for use, and {limit * 100:.6g}% may be: {why}"
            raise DataQualityError("QUARANTINE_RATE", f"{sentence}; {hint} and event_validator.max_quarantined")
        if not self.held:
            raise InputError("INPUT_EMPTY", f"{place} has no row that is fit for use: {why}; {hint}")
        self.warnings = [*self.warnings, f"{found} are left out of the holdout: {why}"]

    def with_ids_of(self, ids: DataFrame) -> DataFrame:
        """Return the ids of the log, of its visitors or of its items, and those that the holdout has besides."""
        column = C.VISITOR if C.VISITOR in ids.columns else C.ITEM
        return ids.select(column).unionByName(self.pairs.select(column))

    def meet(self, ids: Mapping[str, DataFrame]) -> None:
        """Count what the log does not have.

        Args:
            ids: visitorid, itemid -> a row per id of the log.

        Raises:
            DataQualityError: no item of the holdout is in the log.
        """
        marked = self.pairs
        for name in C.PAIR:
            marked = marked.join(ids[name].select(name, F.lit(True).alias(f"_{name}")), name, "left")
        foreign = {name: F.col(f"_{name}").isNull() for name in C.PAIR}
        numbers = [F.count_distinct(F.when(is_foreign, F.col(name))) for name, is_foreign in foreign.items()]
        possible = F.count_if(~foreign[C.ITEM])
        self.visitors, self.items, hits = single_row(marked.agg(*numbers, possible))
        if not hits:
            sentence = f"none of the {self.items:,} items of {self.step.place} is in the log, so no list can hold one"
            hint = f"the ids must be those of the log, see holdout.{self.step.key}"
            raise DataQualityError("NO_ROWS_AFTER", f"{sentence}; {hint}")

    def check_left(self, left: int) -> None:
        """Refuse a holdout all pairs of which are in the log.

        Args:
            left: number of pairs that are not in the history, and have a score above 0.

        Raises:
            DataQualityError: it is 0.
        """
        if not left:
            why = f"is in the log too, or has a score {self.step.too_low}"
            sentence = f"holdout in={self.held}: each pair of {self.step.place} {why}, so none is left"
            raise DataQualityError("NO_ROWS_AFTER", f"{sentence} to be predicted; take what is held out out of the log")

    def note(self, left: int) -> str:
        """Return what the report says, given the number of pairs that are not in the history."""
        parts = [self.step.note(self.held, left)]
        parts += [f"{self.unusable:,} rows are not fit for use"] if self.unusable else []
        parts += [f"not in the log: visitors {self.visitors:,}, items {self.items:,}"]
        return "; ".join(parts)
