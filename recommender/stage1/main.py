"""Stage 1, prepare: from the log of events to scores with dense indexes, and to what models are judged by.

Example usage:
>>> import pathlib, tempfile
>>> path = pathlib.Path(tempfile.mkdtemp()) / "events.csv"
>>> rows = (f"{i + 1},{i % 10},transaction,{i % 7}\\n" for i in range(100))
>>> _ = path.write_text("timestamp,visitorid,event,itemid\\n" + "".join(rows))
>>> stage = Stage1({"data_loader": {"event_filename": str(path)}, "score_filter": {"min_score": 10}})
>>> result = stage.execute()
>>> result["scores"].orderBy("visitor_index", "item_index").show(2)
+-------------+----------+-----+
|visitor_index|item_index|score|
+-------------+----------+-----+
|            0|         0| 20.0|
|            0|         1| 10.0|
+-------------+----------+-----+
only showing top 2 rows
<BLANKLINE>
>>> stage.release()
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, functions as F

import recommender.constants as C
from recommender.aggregates import single_row
from recommender.base import parameters
from recommender.counting import StepRows
from recommender.errors import DataQualityError
from recommender.partitions import together
from recommender.stage import Previous, Stage
from recommender.stage1.event_log import STEPS as EVENT_LOG_STEPS, EventLog
from recommender.stage1.steps import (
    ColumnEncoder,
    DataLoader,
    HoldoutSplit,
    ScoreEvents,
    ScoreFilter,
    ScoreGrouper,
    TrainTestSplit,
    VisitorEncoder,
)
from recommender.tables import as_stored, write_table
from recommender.times import as_time

_PAIR = [C.VISITOR, C.ITEM]
_ENCODERS = {"visitors": "encode_visitorids", "items": "encode_itemids"}  # table -> step, in the order of _PAIR
_TESTED = "_tested"  # the number of test events of an id


class Stage1(Stage):
    """Prepare the log: load, split, score, group, filter and encode.

    It consists of the following steps:
    - data_loader, event_validator: the events of the log, and those that are not fit for use, with the reason
    - event_deduplicator, event_cap: each event once, and not too many of one visitor
    - profile, drift: the log in numbers, compared with that of the last commit
    - train_test_split, holdout: training events; history and holdout of the evaluated visitors
    - score_events, group_scores: a score per visitor and item
    - score_filter: the scores worth learning from
    - encode_visitorids, encode_itemids: dense indexes; an id keeps that of the last commit. New
      ones come in the order of the ids, those of the training scores first

    Example config:
    cfg = {
        'data_loader': {
            'event_filename': 'events.csv',
        },
        'score_events': {
            'input_column_name': 'event',
            'score_column_name': 'score',
            'score_map': {
                    'view': 1,
                    'addtocart': 5,
                    'transaction': 10,
            },
        },
        'encode_itemids': {
            'column_name': 'itemid',
        },
        'group_scores': {
            'key': 'visitorid itemid'.split(),
        },
        'score_filter': {
            'min_score': 10,
        },
    }

    Init parameters:
        config: step -> parameters; a step that is not named gets its defaults.
    Execution args:
        previous: the last commit, whose indexes are gone on from; None where there is none.
    Execution returns:
        Dictionary of DataFrames, their columns in ``recommender.schemas``:
            - scores: the training part, one row per visitor and item that passed the filter
            - interactions: the whole log, one row per visitor, item and kind of event
            - history, holdout: what the evaluated visitors' lists are made from, and judged by
            - visitors, items: the encoders, with the events and the score of each id in this log
            - quarantine: what is not fit for use, and why
        They share cached intermediate results, which `release` frees; `execute_persist` does so itself.
    Raises:
        ConfigError: the config is wrong; all mistakes are listed. InputError: see DataLoader.
        DataQualityError: too much is quarantined, the log has drifted, or no training pair has a score to learn from.
    Persist strategy:
        Parquet, a folder per table, below the given path.
    """

    NAME = "prepare"
    STEPS: ClassVar[Mapping[str, type]] = {
        **EVENT_LOG_STEPS,
        "train_test_split": TrainTestSplit,
        "holdout": HoldoutSplit,
        "score_events": ScoreEvents,
        "group_scores": ScoreGrouper,
        "score_filter": ScoreFilter,
        "encode_visitorids": VisitorEncoder,
        "encode_itemids": ColumnEncoder,
    }

    FIXED: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "score_events": {"score_column_name": C.SCORE},
        "group_scores": {"key": _PAIR, "score_column_name": C.SCORE},
        "score_filter": {"score_column_name": C.SCORE},
        "encode_visitorids": {"column_name": C.VISITOR, "index_column_name": None},
        "encode_itemids": {"column_name": C.ITEM, "index_column_name": None},
    }

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.split_value = float("nan")
        self.held_pairs = 0
        self._rounds = 0  # of the filter
        self._version: str | None = None
        self._known: dict[str, int] = {}
        self._cached: list[DataFrame] = []
        self._scoring: ScoreEvents = self.steps["score_events"]
        self.log = EventLog(self.steps, self._cache)

    @property
    def is_sourced(self) -> bool:
        """Whether the config names a source of events."""
        return self.steps["data_loader"].source is not None

    def sources(self) -> list[str]:
        """Return the files of the log."""
        files = self.steps["data_loader"].files
        return [files] if files else []

    def versions(self, started: bool) -> dict[str, str | None]:
        """Return the version of the table that the log is."""
        loader: DataLoader = self.steps["data_loader"]
        if not self.is_sourced or loader.files:
            return {}
        if self._version is None and (started or loader.version is not None or loader.as_of is not None):
            self._version = loader.newest_version()
        return {loader.table or loader.event_filename or "query": self._version}

    def continues(self) -> list[str]:
        """Return the encoders that are appended to."""
        return [name for name, key in _ENCODERS.items() if not self.steps[key].start_afresh]

    def execute(self, previous: Previous | None = None) -> dict[str, DataFrame]:
        """Return the tables; see the class."""
        self.announce("loading and validating events")
        before = previous.record if previous else None
        events = self.log.load(self._version, before)
        self.announce("finding the split")
        train, test, is_test = self._split(events)
        self.announce("describing the events")
        self._scoring = self._dated()
        activity = {name: self._cache(self._activity(events, name, is_test)) for name in _PAIR}
        self.log.describe(events, activity[C.VISITOR], activity[C.ITEM], before)
        self._scoring.check(self.log.profile["events_per_visitor"]["max"] or 0)
        self.announce("scoring and filtering")
        pairs = self._pairs(train)
        self.announce("numbering visitors and items")
        known = previous.tables if previous else {}
        self._known = {
            name: previous.record["contents"][name]["rows"] if previous and name in known else 0 for name in _ENCODERS
        }
        encoders = {
            name: self._cache(self._encoder(key, pairs, activity[column], known.get(name)))
            for (name, key), column in zip(_ENCODERS.items(), _PAIR, strict=True)
        }
        self.announce("evaluated visitors")
        history, holdout = self._evaluated(train, test, activity[C.VISITOR])
        of_visitors: ColumnEncoder = self.steps["encode_visitorids"]
        of_items: ColumnEncoder = self.steps["encode_itemids"]

        def encoded(rows: DataFrame) -> DataFrame:
            return of_items.encode(of_visitors.encode(rows, encoders["visitors"]), encoders["items"])

        tables = {
            "scores": encoded(pairs),
            "interactions": encoded(self._grouped(events, [*_PAIR, C.EVENT])),
            "history": encoded(history),
            "holdout": encoded(holdout),
            "visitors": self._trained(self._with_activity(encoders["visitors"], activity[C.VISITOR]), pairs),
            "items": self._with_activity(encoders["items"], activity[C.ITEM]),
            C.QUARANTINE: self.log.quarantine,
        }
        return {name: as_stored(name, rows) for name, rows in tables.items() if rows is not None}

    def release(self) -> None:
        """Free the cached intermediate results."""
        self.log.quarantine = None
        while self._cached:
            self._cached.pop().unpersist()

    def rescue(self, path: str) -> str:
        """Write the quarantine of a log that is not fit for use."""
        if self.log.quarantine is None or self.log.quarantine.isEmpty():
            return ""
        write_table(path, C.QUARANTINE, as_stored(C.QUARANTINE, self.log.quarantine))
        return f"; what is quarantined is kept in {path}/{C.QUARANTINE}"

    def details(self) -> dict[str, Any]:
        """Return the profile of the log, its columns, and what is unusual about it."""
        return {"profile": self.log.profile, "columns": self.log.columns, "warnings": self.log.warnings}

    def report(self, rows: Mapping[str, int]) -> list[StepRows]:
        """Return the rows in and out of each step, given what was counted while the data was persisted."""
        split: TrainTestSplit = self.steps["train_test_split"]
        valid, train, held = self.log.events, rows["train"], self.held_pairs
        seen = f"{held - rows['holdout']:,} of {held:,} pairs left the holdout: already in the history"
        cut = f"train: {split.column_name} < {self._shown_split()}, the {split.train_percentile:g}th percentile"
        return [
            *self.log.report(),
            StepRows("train_test_split", valid, train, cut),
            StepRows("group_scores", train, rows["group_scores"], "pairs of visitor and item"),
            *self._filter_rows(rows),
            StepRows("holdout", valid - train, rows["holdout"], seen),
            StepRows("encode_visitorids", valid, rows["visitors"], self._numbered_note("visitors")),
            StepRows("encode_itemids", valid, rows["items"], self._numbered_note("items")),
        ]

    def _filter_rows(self, rows: Mapping[str, int]) -> list[StepRows]:
        score_filter: ScoreFilter = self.steps["score_filter"]
        kept = rows["score_filter"]
        if not score_filter.has_core:
            return [StepRows("score_filter", rows["group_scores"], kept, "pairs to learn from")]
        strong, items = rows["score_filter.strong"], score_filter.min_items_per_visitor
        least = f"{items} items a visitor, {score_filter.min_visitors_per_item} visitors an item"
        return [
            StepRows("score_filter", rows["group_scores"], strong, f"score >= {score_filter.min_score:g}"),
            StepRows("score_filter", strong, kept, f"at least {least}, in {self._rounds} rounds"),
        ]

    def _numbered_note(self, table: str) -> str:
        known, seen = self._known[table], self.log.profile[table]
        return f"numbered; {known:,} were before, {seen:,} are in this log"

    def _cache(self, rows: DataFrame) -> DataFrame:
        self._cached.append(rows.persist(StorageLevel.MEMORY_AND_DISK))
        return rows

    def _dated(self) -> ScoreEvents:
        """Return how events are scored; what fades does so from the last event of the log on, in all its parts."""
        scoring: ScoreEvents = self.steps["score_events"]
        if scoring.half_life_days is None or scoring.as_of is not None or self.log.last is None:
            return scoring
        return replace(scoring, as_of=as_time(self.log.last))

    def _split(self, events: DataFrame) -> tuple[DataFrame, DataFrame, Column]:
        """Return the training events, the test events, and whether an event is a test event."""
        split: TrainTestSplit = self.steps["train_test_split"]
        if self.log.events:
            self.split_value = split.split_value(events)
        return *split.divide(events, self.split_value), split.is_test(self.split_value)

    def _grouped(self, events: DataFrame, key: list[str]) -> DataFrame:
        pairs: ScoreGrouper = self.steps["group_scores"]
        grouped = replace(pairs, key=key, max_score=None).execute(self._scoring.execute(events))
        return pairs.limited(grouped)  # visitors that are folded in have the scores that others are fitted with

    def _pairs(self, train: DataFrame) -> DataFrame:
        """Return the pairs of the training part that are worth learning from."""
        score_filter: ScoreFilter = self.steps["score_filter"]
        scored = self._scoring.execute(self.counter("train", train))
        grouped = self.counter("group_scores", self.steps["group_scores"].execute(scored))
        strong = score_filter.strong(grouped)
        if score_filter.has_core:
            strong = self._cache(self.counter("score_filter.strong", strong))
            strong.count()  # a checkpoint does not tell what was counted
            core, self._rounds = score_filter.core(strong)
            pairs = self._cache(self.counter("score_filter", core))
        else:
            pairs = self._cache(self.counter("score_filter", strong))
        score = F.col(C.SCORE)
        kept, positive = single_row(pairs.agg(F.count(score), F.count_if(score > 0)))
        if self.log.events:
            self._check_pairs(grouped, kept, positive)
        return pairs

    def _check_pairs(self, grouped: DataFrame, kept: int, positive: int) -> None:
        """Refuse scores that a model cannot learn from."""
        score_filter: ScoreFilter = self.steps["score_filter"]
        if not kept:
            least = [
                f"{name}={value:g}"
                for name, value in parameters(score_filter).items()
                if name == "min_score" or (isinstance(value, int) and value > 1)
            ]
            found = grouped.count()  # Spark may not have counted what the filter leaves nothing of
            if not found:
                raise self._no_training_events()
            sentence = (
                f"score_filter({', '.join(least)}) in={found}: no pair of the training part has a score to learn from"
            )
            raise DataQualityError("NO_ROWS_AFTER", f"{sentence}; see score_map and train_test_split")
        if not positive:
            sentence = f"none of the {kept:,} pairs of the training part has a score above 0"
            raise DataQualityError("NO_POSITIVE", f"{sentence}; see score_events.score_map and the kinds of events")

    def _no_training_events(self) -> DataQualityError:
        split: TrainTestSplit = self.steps["train_test_split"]
        given = f"train_test_split(column_name={split.column_name}, train_percentile={split.train_percentile:g})"
        sentence = f"{given} in={self.log.events}: no event has a {split.column_name} below {self._shown_split()}"
        hint = "raise train_test_split.train_percentile, or split by timestamp"
        return DataQualityError("NO_ROWS_AFTER", f"{sentence}, so there is none to train on; {hint}")

    def _shown_split(self) -> str:
        return str(self.split_value) if isinstance(self.split_value, int) else f"{self.split_value:.15g}"

    def _encoder(self, key: str, pairs: DataFrame, activity: DataFrame, known: DataFrame | None) -> DataFrame:
        """Number what is new: the ids of the training pairs first, then the others of the log."""
        encoder: ColumnEncoder = self.steps[key]
        numbered = encoder.execute(activity, known=known, first=pairs)
        if encoder.column_name != C.VISITOR:
            return numbered
        return together(numbered, C.VISITOR).sortWithinPartitions(C.VISITOR)  # as the events are

    def _evaluated(self, train: DataFrame, test: DataFrame, visitors: DataFrame) -> tuple[DataFrame, DataFrame]:
        """Return the scored history and holdout of the evaluated visitors."""
        holdout_split: HoldoutSplit = self.steps["holdout"]
        known = self._cache(visitors.where(F.col(_TESTED).between(1, F.col(C.EVENTS) - 1)).select(C.VISITOR))
        known.count()  # that nobody is known, as with a split by visitor, spares the joins
        history, holdout = holdout_split.execute(train, test, known)
        grouped = self._cache(self._grouped(holdout, _PAIR))
        self.held_pairs = grouped.count()
        return self._grouped(history, [*_PAIR, C.EVENT]), holdout_split.unseen(grouped, history)

    def _activity(self, events: DataFrame, column: str, is_test: Column) -> DataFrame:
        """Return the events, test events, summed score, and, of items, the last times, of each id of a column."""
        facts = [
            F.count(F.lit(1)).alias(C.EVENTS),
            F.sum(C.SCORE).alias(C.SCORE),
            F.count_if(is_test).alias(_TESTED),
        ]
        if column == C.ITEM:
            time = F.col(C.TIMESTAMP)
            facts += [F.max(time).alias(C.LAST_TIMESTAMP), F.max(F.when(~is_test, time)).alias(C.LAST_TRAINED)]
        return self._scoring.execute(events).groupBy(column).agg(*facts)

    def _with_activity(self, encoder: DataFrame, activity: DataFrame) -> DataFrame:
        """Return the encoder with the events in this log; an id of earlier logs has none."""
        column = encoder.columns[0]
        return encoder.join(activity, column, "left").fillna(0, [C.EVENTS, C.SCORE, _TESTED])

    def _trained(self, visitors: DataFrame, pairs: DataFrame) -> DataFrame:
        """Return the visitors with the column trained; one with a test event is not: it has done more since."""
        has_pairs = pairs.select(C.VISITOR).distinct().withColumn("_has_pairs", F.lit(True))
        trained = F.col("_has_pairs").isNotNull() & (F.col(_TESTED) == 0)
        return visitors.join(has_pairs, C.VISITOR, "left").withColumn(C.TRAINED, trained)
