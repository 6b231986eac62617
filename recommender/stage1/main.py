"""Stage 1, prepare: from the log of events to scores with dense indexes, and to what models are judged by.

Example usage:
>>> import pathlib, tempfile
>>> path = pathlib.Path(tempfile.mkdtemp()) / "events.csv"
>>> log = "timestamp,visitorid,event,itemid\\n" + "".join(f"{i},{i % 10},transaction,{i % 7}\\n" for i in range(100))
>>> _ = path.write_text(log)
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
from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.counting import StepRows
from recommender.errors import DataQualityError, InputError
from recommender.stage import Stage
from recommender.stage1.steps import (
    ColumnEncoder,
    DataLoader,
    EventValidator,
    HoldoutSplit,
    ScoreEvents,
    ScoreFilter,
    ScoreGrouper,
    TrainTestSplit,
    VisitorEncoder,
)
from recommender.tables import as_stored

_PAIR = [C.VISITOR, C.ITEM]


class Stage1(Stage):
    """Prepare the log: load, split, score, group, filter and encode.

    It consists of the following steps:
    - data_loader, event_validator: the complete events of the log
    - train_test_split, holdout: training events; history and holdout of the evaluated visitors
    - score_events, group_scores: a score per visitor and item
    - score_filter: the scores worth learning from
    - encode_visitorids, encode_itemids: dense indexes; those of the training scores come first, in the order of the ids

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
        none
    Execution returns:
        Dictionary of DataFrames, their columns in ``recommender.schemas``:
            - scores: the training part, one row per visitor and item that passed the filter
            - interactions: the whole log, one row per visitor, item and kind of event
            - history, holdout: what the evaluated visitors' lists are made from, and judged by
            - visitors, items: the encoders, with the events and the score of each id
        They share cached intermediate results, which `release` frees; `execute_persist` does so itself.
    Raises:
        ConfigError: the config is wrong; all mistakes are listed. InputError: see DataLoader.
        DataQualityError: no training pair passed the filter.
    Persist strategy:
        Parquet, a folder per table, below the given path.
    """

    NAME = "prepare"
    STEPS: ClassVar[Mapping[str, type]] = {
        "data_loader": DataLoader,
        "event_validator": EventValidator,
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
        self._cached: list[DataFrame] = []

    def sources(self) -> list[str]:
        """Return where the log is."""
        named = self.steps["data_loader"].event_filename
        return [named] if named else []

    def execute(self) -> dict[str, DataFrame]:
        """Return the tables; see the class."""
        self.announce("loading events, finding the split")
        events = self._load_events()
        train, test = self._split(events)
        self.announce("numbering visitors and items")
        pairs = self._cache(self._pairs(train))
        if pairs.where(F.col(C.SCORE) > 0).isEmpty():
            least = self.steps["score_filter"].min_score
            sentence = f"score_filter(min_score={least:g}): no pair of the training part has a score to learn from"
            raise DataQualityError("NO_ROWS_AFTER", f"{sentence}; see score_map and train_test_split")
        visitors = self._cache(self._encoder("encode_visitorids", pairs, events))
        items = self._cache(self._encoder("encode_itemids", pairs, events))
        history, holdout = self._evaluated(train, test)

        of_visitors: ColumnEncoder = self.steps["encode_visitorids"]
        of_items: ColumnEncoder = self.steps["encode_itemids"]

        def encoded(rows: DataFrame) -> DataFrame:
            return of_items.encode(of_visitors.encode(rows, visitors), items)

        tables = {
            "scores": encoded(pairs),
            "interactions": encoded(self._grouped(events, [*_PAIR, C.EVENT])),
            "history": encoded(history),
            "holdout": encoded(holdout),
            "visitors": self._visitors(visitors, events, pairs, test),
            "items": items.join(self._activity(events, C.ITEM), C.ITEM, "left"),
        }
        return {name: as_stored(name, rows) for name, rows in tables.items()}

    def release(self) -> None:
        """Free the cached intermediate results."""
        while self._cached:
            self._cached.pop().unpersist()

    def report(self, rows: Mapping[str, int]) -> list[StepRows]:
        """Return the rows in and out of each step, given what was counted while the data was persisted."""
        split: TrainTestSplit = self.steps["train_test_split"]
        valid, train, held = rows["event_validator"], rows["train"], self.held_pairs
        seen = f"{held - rows['holdout']:,} of {held:,} pairs left the holdout: already in the history"
        cut = f"train: {split.column_name} < {self.split_value:.15g}, the {split.train_percentile:g}th percentile"
        return [
            StepRows("data_loader", None, rows["data_loader"]),
            StepRows("event_validator", rows["data_loader"], valid, "complete events"),
            StepRows("train_test_split", valid, train, cut),
            StepRows("group_scores", train, rows["group_scores"], "pairs of visitor and item"),
            StepRows("score_filter", rows["group_scores"], rows["score_filter"], "pairs to learn from"),
            StepRows("holdout", valid - train, rows["holdout"], seen),
            StepRows("encode_visitorids", valid, rows["visitors"], "distinct visitors"),
            StepRows("encode_itemids", valid, rows["items"], "distinct items"),
        ]

    def _cache(self, rows: DataFrame) -> DataFrame:
        self._cached.append(rows.persist(StorageLevel.MEMORY_AND_DISK))
        return rows

    def _load_events(self) -> DataFrame:
        loaded = self.counter("data_loader", self.steps["data_loader"].execute())
        events = self._cache(self.counter("event_validator", self.steps["event_validator"].execute(loaded)))
        if events.isEmpty():
            complete = "timestamp, visitorid, event and itemid that can be read"
            raise InputError("INPUT_EMPTY", f"no event has a {complete}; see data_loader.columns and id_type")
        return events

    def _split(self, events: DataFrame) -> tuple[DataFrame, DataFrame]:
        split: TrainTestSplit = self.steps["train_test_split"]
        self.split_value = split.split_value(events)
        return split.divide(events, self.split_value)

    def _grouped(self, events: DataFrame, key: list[str]) -> DataFrame:
        grouper: ScoreGrouper = replace(self.steps["group_scores"], key=key)
        return grouper.execute(self.steps["score_events"].execute(events))

    def _pairs(self, train: DataFrame) -> DataFrame:
        """Return the pairs of the training part that are worth learning from."""
        scored = self.steps["score_events"].execute(self.counter("train", train))
        grouped = self.counter("group_scores", self.steps["group_scores"].execute(scored))
        return self.counter("score_filter", self.steps["score_filter"].execute(grouped))

    def _encoder(self, key: str, pairs: DataFrame, events: DataFrame) -> DataFrame:
        """Number the ids of the training pairs first, then the others of the log."""
        encoder: ColumnEncoder = self.steps[key]
        return encoder.execute(events, known=encoder.execute(pairs))

    def _evaluated(self, train: DataFrame, test: DataFrame) -> tuple[DataFrame, DataFrame]:
        """Return the scored history and holdout of the evaluated visitors."""
        holdout_split: HoldoutSplit = self.steps["holdout"]
        history, holdout = holdout_split.execute(train, test)
        grouped = self._cache(self._grouped(holdout, _PAIR))
        self.held_pairs = grouped.count()
        return self._grouped(history, [*_PAIR, C.EVENT]), holdout_split.unseen(grouped, history)

    def _activity(self, events: DataFrame, column: str) -> DataFrame:
        """Return the number of events and the summed score of each id of a column."""
        score = self.steps["score_events"].score_column_name
        scored: DataFrame = self.steps["score_events"].execute(events)
        return scored.groupBy(column).agg(F.count(F.lit(1)).alias(C.EVENTS), F.sum(score).alias(score))

    def _visitors(self, encoder: DataFrame, events: DataFrame, pairs: DataFrame, test: DataFrame) -> DataFrame:
        trained = pairs.select(C.VISITOR).distinct().withColumn(C.TRAINED, F.lit(True))
        tested = test.select(C.VISITOR).distinct()
        trained = trained.join(tested, C.VISITOR, "left_anti")
        rows = encoder.join(self._activity(events, C.VISITOR), C.VISITOR, "left").join(trained, C.VISITOR, "left")
        return rows.fillna(False, [C.TRAINED])
