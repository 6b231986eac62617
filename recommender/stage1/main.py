"""Stage 1, prepare: from the log of events to scores with dense indexes, and to what models are judged by.

Example usage:
>>> import pathlib, tempfile
>>> path = pathlib.Path(tempfile.mkdtemp()) / "events.csv"
>>> rows = (f"{10**12 + i},{i % 10},transaction,{i % 7}\\n" for i in range(100))
>>> _ = path.write_text("timestamp,visitorid,event,itemid\\n" + "".join(rows))
>>> stage = Stage1({"data_loader": {"event_filename": str(path)}, "score_filter": {"min_score": 10}})
>>> result = stage.execute()
>>> result["scores"].orderBy("visitor_index", "item_index").show(2)
+-------------+----------+-----+--------------+
|visitor_index|item_index|score|last_timestamp|
+-------------+----------+-----+--------------+
|            0|         0| 20.0| 1000000000070|
|            0|         1| 10.0| 1000000000050|
+-------------+----------+-----+--------------+
only showing top 2 rows
<BLANKLINE>
>>> stage.release()
"""

import uuid
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from pyspark.sql import Column, DataFrame, functions as F

import recommender.constants as C
from recommender.settings.own_steps import build_own_steps, code_of
from recommender.settings.step import parameters
from recommender.spark.aggregates import fetch
from recommender.spark.cluster import together
from recommender.spark.row_counts import StepRows
from recommender.stage import Previous, Stage
from recommender.stage1.evaluation_split import TESTED, EvaluationSplit, SplitSteps
from recommender.stage1.event_kinds import EventKinds
from recommender.stage1.event_log import EventLog, EventLogSteps
from recommender.stage1.own_events import OwnEvents
from recommender.stage1.scoring import Scoring, ScoringSteps
from recommender.stage1.steps import ColumnEncoder, LeakCheck, VisitorEncoder
from recommender.stage1.steps.column_encoder import Numbering, numbered
from recommender.tables.parquet import as_stored, read_table, write_table

OWN_STEPS: Final = "steps"  # the section with the steps of the user's own
_ENCODERS = {"visitors": "encode_visitorids", "items": "encode_itemids"}  # table -> step, in the order of C.PAIR
_JUDGED = ("scores", "history", "holdout")  # tables that are looked at for leaks


class Stage1Steps(ScoringSteps, SplitSteps, EventLogSteps):
    """The steps of stage 1."""

    encode_visitorids: VisitorEncoder
    encode_itemids: ColumnEncoder
    leak_check: LeakCheck


class Stage1(Stage):
    """Prepare the log: load, split, score, group, filter and encode.

    It consists of the following steps:
    - data_loader, event_validator: the events of the log, and those that are not fit for use, with the reason
    - event_deduplicator, event_cap: each event once, and not too many of one visitor
    - steps: steps of your own on the events, in the order of the configuration
    - profile, drift: the log in numbers, compared with that of the last commit
    - train_test_split, holdout: training events; history and holdout of the evaluated visitors
    - score_events, group_scores: a score per visitor and item
    - score_filter: the scores worth learning from
    - encode_visitorids, encode_itemids: dense indexes; an id keeps that of the last commit. New
      ones come in the order of the ids, those of the training scores first
    - leak_check: no held-out pair is in the training scores or in the history

    Example config:
    cfg = {
        'data_loader': {'event_filename': 'events.csv'},
        'score_events': {'score_map': {'view': 1, 'addtocart': 5, 'transaction': 10}},
        'group_scores': {'key': 'visitorid itemid'.split()},
        'score_filter': {'min_score': 10},
    }

    Init parameters:
        config: step -> parameters; a step that is not named gets its defaults.
    Execution args:
        previous: the last commit, whose indexes are gone on from; None if there is none.
    Execution returns:
        Dictionary of DataFrames, their columns in ``recommender.tables.schemas``:
            - scores: the training part, one row per visitor and item that passed the filter
            - interactions: the whole log, one row per visitor, item and kind of event
            - history, holdout: what the evaluated visitors' lists are made from, and judged by
            - visitors, items: the encoders, with the events and the score of each id in this log
            - quarantine: what is not fit for use, and why
        They share cached intermediate results, which `release` frees; `execute_persist` does so itself.
    Raises:
        ConfigError: the config is wrong; all mistakes are listed. InputError: see DataLoader.
        DataQualityError: too much is quarantined, too many events have no weight, the log has drifted, no training pair
        has a score to learn from, or a model would see what it is judged by.
    Persist strategy: Parquet, a folder per table, below the given path.
    """

    NAME = "prepare"
    REMEDY = "indexes go on from there: restore the file, or set start_afresh of the encoders"
    steps: Stage1Steps

    FIXED: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "score_events": {"score_column_name": C.SCORE},
        "group_scores": {"key": C.PAIR, "score_column_name": C.SCORE},
        "score_filter": {"score_column_name": C.SCORE},
        "encode_visitorids": {"column_name": C.VISITOR, "index_column_name": None},
        "encode_itemids": {"column_name": C.ITEM, "index_column_name": None},
    }

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__({name: section for name, section in config.items() if name != OWN_STEPS})
        self.own = build_own_steps(config.get(OWN_STEPS), OWN_STEPS, known=self.step_classes())
        self._newest: str | None = None  # version of the log's table, asked for once
        self._known: dict[str, int] = {}
        self._numbering = ""
        self._leaks = 0
        self._is_written = False
        self._kinds = EventKinds(self.steps.score_events, self.steps.event_validator.known_events)
        self.log = EventLog(self.steps, self.cache, self.counter, self._kinds)
        self.split = EvaluationSplit(self.steps, self.cache, self.counter)
        self.scoring = Scoring(self.steps, self.cache, self.counter)

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of all steps; of those of the user's own with their code."""
        own = {name: {**code_of(step), **parameters(step)} for name, step in self.own.items()}
        return {**super().parameters(), **({OWN_STEPS: own} if own else {})}

    @property
    def is_sourced(self) -> bool:
        """Whether the config names a source of events."""
        return self.steps.data_loader.source is not None

    def sources(self) -> list[str]:
        """Return the files of the log, and of the user's own holdout."""
        loader, holdout = self.steps.data_loader, self.steps.holdout
        return [*([loader.files] if loader.files else []), *holdout.files]

    def versions(self, started: bool) -> dict[str, str | None]:
        """Return the versions of the tables that the log and the user's own holdout are."""
        loader = self.steps.data_loader
        own = self.steps.holdout.versions(started)
        if not self.is_sourced or loader.files:
            return own
        if self._newest is None and (started or loader.version is not None or loader.as_of is not None):
            self._newest = loader.newest_version()
        return {self._log: self._newest, **own}

    @property
    def _log(self) -> str:
        """The name that the log has among the versions."""
        return self.steps.data_loader.table or self.steps.data_loader.event_filename or "query"

    def continues(self) -> list[str]:
        """Return the encoders that are appended to."""
        return [name for name, key in _ENCODERS.items() if not getattr(self.steps, key).start_afresh]

    def execute(self, previous: Previous | None = None) -> dict[str, DataFrame]:
        before = previous.record if previous else None
        goes_on = before is not None and len(self.continues()) == len(_ENCODERS)
        self._numbering = (goes_on and before and before.get("numbering")) or uuid.uuid4().hex
        if self.split.own:
            self.announce("loading the holdout")
            self.split.own.load(self.context.versions.get(self.steps.holdout.holdout_table or ""))
        self.announce("loading and validating events")
        events = self.log.load(self.context.versions.get(self._log), before)
        events, sentences = OwnEvents(self.own, self.run, self._kinds).execute(events, self.log.events)
        self.log.warnings += [sentence for sentence in sentences if sentence not in self.log.warnings]
        for sentence in self.log.warnings:
            self.warn(sentence)
        self.announce("finding the split")
        parts = self.split.divide(events, self.log.events)
        self.announce("describing the events")
        self.scoring.date(self.log.last)
        activity = {name: self.cache(self._activity(parts.events, name, parts.is_test)) for name in C.PAIR}
        self.log.describe(
            events, activity[C.VISITOR], activity[C.ITEM], before, repeats=bool(previous and previous.repeats)
        )
        self.scoring.events.check(self.log.profile["events_per_visitor"]["max"] or 0, self.log.largest_weight)
        self.announce("scoring and filtering")
        pairs = self.scoring.pairs(parts.train)
        history, holdout, held = self.split.evaluated(parts, activity, self.scoring.grouped)
        found = fetch(kept=self.scoring.kept(pairs), held=held.agg(F.count(F.lit(1))))
        ((self.split.held,),) = found["held"]
        kept, positive = found["kept"][0]
        if parts.number:
            self.scoring.check(kept, positive, lambda: self.split.no_training_events(parts.number))
        self.announce("numbering visitors and items")
        known = previous.tables if previous else {}
        self._known = {
            name: previous.record["contents"][name]["rows"] if previous and name in known else 0 for name in _ENCODERS
        }
        encoders = self._encoders(pairs, activity, known)
        of_items = self.steps.encode_itemids

        def encoded(rows: DataFrame) -> DataFrame:
            return of_items.encode(self.steps.encode_visitorids.encode(rows, encoders["visitors"]), encoders["items"])

        tables = {
            "scores": encoded(pairs),
            "interactions": encoded(self.scoring.grouped(events, [*C.PAIR, C.EVENT])),
            "history": encoded(history),
            "holdout": encoded(holdout),
            "visitors": self._trained(self._with_activity(encoders["visitors"], activity[C.VISITOR]), pairs),
            "items": self._with_activity(encoders["items"], activity[C.ITEM]),
            C.QUARANTINE: self.log.quarantine,
        }
        return {name: as_stored(name, rows) for name, rows in tables.items() if rows is not None}

    def persist(self, path: str, data: Mapping[str, Any], part: str = "") -> None:
        """Write every table, and look whether what models are judged by is in what they see; see the class."""
        super().persist(path, data, part)
        self._is_written = True
        self.announce("checking for leaks")
        scores, history, holdout = (read_table(f"{path}/{name}", data[name].schema) for name in _JUDGED)
        self._leaks = self.steps.leak_check.execute(scores, history, holdout, self.split.cut)
        if self.split.own:
            self.split.own.check_left(self.counter.counted("holdout")["rows"])
        before = {name: known for name, known in self._known.items() if known}  # else it is numbered afresh
        if before:
            self.log.compare_new({name: self.counter.counted(name)["rows"] - known for name, known in before.items()})

    def release(self) -> None:
        self.log.quarantine = None
        super().release()

    def rescue(self, path: str) -> str:
        """Write the quarantine of a log that is not fit for use."""
        if self.log.quarantine is None or self.log.quarantine.isEmpty():
            return ""
        if not self._is_written:
            write_table(path, C.QUARANTINE, as_stored(C.QUARANTINE, self.log.quarantine))
        return f"what is quarantined is kept in {path}/{C.QUARANTINE}"

    def details(self) -> dict[str, Any]:
        """Return the profile of the log, its columns, the warnings, and how it was divided."""
        left_out = self.scoring.left_out(self.counter.rows(), weighed=self.log.weighed)
        warnings = [*(self.split.own.warnings if self.split.own else []), *self.log.warnings, *left_out]
        judged = {"protocol": self.split.protocol, "leaks": self._leaks}
        return {
            "events": self.log.rows,
            "numbering": self._numbering,  # the same where an index means the same visitor or item
            "profile": self.log.profile,
            "columns": self.log.columns,
            "warnings": warnings,
            **judged,
        }

    def lines(self, rows: Mapping[str, int]) -> list[StepRows]:
        valid, held = self.split.events(rows), rows["holdout"]
        return [
            *self.log.report(rows),
            *self.split.report_training(rows),
            *self.scoring.report(rows),
            self.split.report_holdout(rows),
            StepRows("encode_visitorids", valid, rows["visitors"], self._numbered_note("visitors")),
            StepRows("encode_itemids", valid, rows["items"], self._numbered_note("items")),
            StepRows("leak_check", held, held, f"{self._leaks} leaks into scores and history"),
        ]

    def _numbered_note(self, table: str) -> str:
        known, seen = self._known[table], self.log.profile[table]
        return f"numbered; {known:,} were before, {seen:,} are in this log"

    def _encoders(
        self, pairs: DataFrame, activity: Mapping[str, DataFrame], known: Mapping[str, DataFrame]
    ) -> dict[str, DataFrame]:
        """Number the new ids: those of the training pairs first, then the others."""
        numberings = [
            Numbering(getattr(self.steps, key), self.split.ids_to_number(activity[column]), known.get(table), pairs)
            for (table, key), column in zip(_ENCODERS.items(), C.PAIR, strict=True)
        ]
        visitors, items = numbered(*numberings)
        by_visitor = together(visitors, C.VISITOR).sortWithinPartitions(C.VISITOR)  # as the events are
        return {"visitors": self.cache(by_visitor), "items": self.cache(items)}

    def _activity(self, events: DataFrame, column: str, is_test: Column) -> DataFrame:
        """Return the events, test events, summed score, and, of items, the last times, of each id of a column."""
        facts = [F.count(F.lit(1)).alias(C.EVENTS), F.sum(C.SCORE).alias(C.SCORE), F.count_if(is_test).alias(TESTED)]
        if column == C.ITEM:
            time = F.col(C.TIMESTAMP)
            facts += [F.max(time).alias(C.LAST_TIMESTAMP), F.max(F.when(~is_test, time)).alias(C.LAST_TRAINED)]
        return self.scoring.events.execute(events).groupBy(column).agg(*facts)

    def _with_activity(self, encoder: DataFrame, activity: DataFrame) -> DataFrame:
        """Return the encoder with the events in this log; an id of earlier logs has none."""
        column = encoder.columns[0]
        return encoder.join(activity, column, "left").fillna(0, [C.EVENTS, C.SCORE, TESTED])

    def _trained(self, visitors: DataFrame, pairs: DataFrame) -> DataFrame:
        """Return the visitors with the column trained; one with a test event is not: it has done more since."""
        has_pairs = pairs.select(C.VISITOR).distinct().withColumn("_has_pairs", F.lit(True))
        trained = F.col("_has_pairs").isNotNull() & (F.col(TESTED) == 0)
        return visitors.join(has_pairs, C.VISITOR, "left").withColumn(C.TRAINED, trained)
