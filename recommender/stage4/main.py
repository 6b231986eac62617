"""Stage 4, expose: publish the recommendations, and show what came of the run.

Example usage:
>>> recommendations = spark.createDataFrame([(7, 1, 6, 0.7, "als")],
...                                         "visitorid long, rank int, itemid long, score float, source string")
>>> visitors = spark.createDataFrame([(7, 0)], "visitorid long, visitor_index int")
>>> items = spark.createDataFrame([(5, 0, 1), (6, 1, 3)], "itemid long, item_index int, events long")
>>> interactions = spark.createDataFrame([(0, 0, "view", 9)],
...                                      "visitor_index int, item_index int, event string, last_timestamp long")
>>> stage = Stage4({"snapshot": {"enabled": False}})
>>> stage.execute(recommendations, interactions, visitors, items)["recommendations"].count()
1
>>> stage.examples
[Example(visitorid=7, source='als', history=[('view', 5)], recommended=[(6, 0.7)])]
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar

from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.publishing.comparison import release_of
from recommender.settings.step import Steps
from recommender.spark.aggregates import single_row
from recommender.spark.row_counts import StepRows
from recommender.stage import NOT_COMPARED, Made, Needs, Previous, Stage, place_of
from recommender.stage4.delivery import DeliveringStep, channel_text, deliver
from recommender.stage4.report_file import REPORT, write_report
from recommender.stage4.snapshot import Inputs, Snapshot
from recommender.stage4.steps import (
    CatalogTable,
    CsvFiles,
    ParquetFiles,
    PostgresView,
    Publisher,
    ReleaseDiff,
    RunReport,
    ServingSnapshot,
)
from recommender.stage4.steps.run_report import Example, example_text
from recommender.store import Commit, Store
from recommender.tables.parquet import as_stored
from recommender.terminal.summary import release_text

_LISTS = ("recommendations", "interactions", "visitors", "items")  # what is read also without a snapshot
_GOLDEN = 3  # visitors whose lists the service is asked for before it serves a version
_SETTINGS = ("als", "score_events", "item_rules", "blend", "recommend")


class Stage4Steps(Steps):
    """The steps of stage 4."""

    publish: Publisher
    snapshot: ServingSnapshot
    release_diff: ReleaseDiff
    parquet: ParquetFiles
    table: CatalogTable
    postgres: PostgresView
    csv: CsvFiles
    report: RunReport


class Stage4(Stage):
    """Expose: publish the recommendations of stage 3.

    It consists of the following steps:
    - publish: the recommendations as Parquet, sorted by visitor
    - snapshot: what the service answers from, as files that are mapped into memory
    - release_diff: what changes from the lists that are live
    - parquet, table, postgres, csv: places that the version is delivered to, once it is committed and before the
      channel names it
    - report: a few visitors to look at, and how unevenly the lists show the items

    Init parameters:
        config: step -> parameters; a step that is not named gets its defaults.
    Execution args:
        recommendations, similar_items, bought_together: the tables of stage 3.
        interactions, visitors, items: those of stage 1.
        item_factors, popularity, recent_popularity, neighbours: those of stage 2; metrics, gate: what its record says.
        als, score_events, item_rules, blend, recommend: the parameters of these steps.
        live: the version that is live; None if there is none. not_compared: why there is none, although one is live.
        Without a snapshot, only the first four and these.
    Execution returns:
        Dictionary with the DataFrame recommendations; the examples are in the attribute `examples`.
    Raises:
        ConfigError: the config is wrong; all mistakes are listed. InputError, SchemaError: see ServingSnapshot.
    Persist strategy:
        Parquet, a folder per table, below the given path; the snapshot's files in its folder snapshot.
    """

    NAME = "expose"
    INPUTS: ClassVar[Mapping[str, tuple[str, str]]] = {
        "recommendations": ("stage3", "recommendations"),
        "similar_items": ("stage3", "similar_items"),
        "bought_together": ("stage3", "bought_together"),
        "interactions": ("stage1", "interactions"),
        "visitors": ("stage1", "visitors"),
        "items": ("stage1", "items"),
        "item_factors": ("stage2", "model/itemFactors"),
        "popularity": ("stage2", "popularity"),
        "recent_popularity": ("stage2", "recent_popularity"),
        "neighbours": ("stage2", "neighbours"),
    }
    SETTINGS: ClassVar[Mapping[str, tuple[str, str]]] = {
        "als": ("stage2", "als"),
        "score_events": ("stage1", "score_events"),
        **{name: ("stage3", name) for name in ("item_rules", "blend", "recommend")},
    }
    RECORDS: ClassVar[Mapping[str, tuple[str, str]]] = {"metrics": ("stage2", "metrics"), "gate": ("stage2", "gate")}
    steps: Stage4Steps
    GATED_BY: ClassVar[str | None] = "stage2"

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.examples: Sequence[Example] = []
        self._long_tail: Sequence[Sequence[int]] = ()
        self._golden: Sequence[Example] = []
        self._snapshot: Snapshot | None = None
        self._not_compared = ""
        self._release: dict[str, Any] | None = None

    def sources(self) -> list[str]:
        """Return the files with titles."""
        return self.steps.snapshot.files

    def versions(self, started: bool) -> dict[str, str | None]:
        """Return the table with titles, and its version."""
        return self.steps.snapshot.versions(started)

    def needs(self) -> Needs:
        """Return what the stage reads: the lists, and what a snapshot needs, if one is made."""
        if self.steps.snapshot.enabled:
            return super().needs()
        return Needs({name: self.INPUTS[name] for name in _LISTS}, {}, {})

    def compares(self) -> Sequence[str] | None:
        """Return the lists of the live version, if they are compared with."""
        return ["recommendations"] if self.steps.release_diff.enabled else None

    def execute(
        self,
        recommendations: DataFrame,
        interactions: DataFrame,
        visitors: DataFrame,
        items: DataFrame,
        live: Previous | None = None,
        not_compared: str = "",
        **others: Any,
    ) -> dict[str, DataFrame]:
        self._not_compared = not_compared
        own = {"recommendations": recommendations, "interactions": interactions, "visitors": visitors, "items": items}
        self.announce("choosing examples")
        shown = self.steps.report.execute(**own)
        self.examples, self._long_tail = shown.examples, shown.long_tail
        if others:
            self._golden = self.examples or replace(self.steps.report, examples=_GOLDEN).execute(**own).examples
            tables = {name: others[name] for name in ("similar_items", "bought_together", "item_factors", "popularity")}
            settings = {name: others[name] for name in _SETTINGS}
            inputs = Inputs(
                {**own, **tables},
                **{name: others[name] for name in ("recent_popularity", "metrics", "gate")},
                settings=settings,
                neighbours=others.get("neighbours"),
            )
            self._snapshot = Snapshot(self.steps.snapshot, inputs, self.context.versions)
        self._release = None if live is None else self._compare(recommendations, live, items)
        return {"recommendations": as_stored("recommendations", self.steps.publish.execute(recommendations))}

    def files(self, made: Made) -> Iterator[tuple[str, bytes]]:
        """Return the files of the snapshot."""
        if self._snapshot is not None:
            self.announce("making the serving snapshot")
            yield from self._snapshot.files(made, self._golden, self._shown_items())
            for sentence in self._snapshot.warnings:
                self.warn(sentence)

    def publish(self, store: Store, commit: Commit, start: Callable[[], object], warn: Callable[[str], None]) -> None:
        """Deliver the lists to the configured places, let the channel name them, and write the report."""
        deliver(store, commit, self.steps.publish.channel, self._places(), start)
        not_written = write_report(store, commit)
        if not_written:
            warn(not_written)

    def closing(self, store: Store, commit: Commit) -> list[str]:
        """Return the example visitors, what changes from the live version, and where the lists are."""
        released = release_of(store, commit)
        place = place_of(store, commit)
        where = f"The recommendations are Parquet files in {place}/recommendations"
        report = f"The report of the run is {place}/{REPORT}"
        return [
            *map(example_text, self.examples),
            *([release_text(released)] if released else []),
            "\n".join((where, report, channel_text(store, self.steps.publish.channel, commit))),
        ]

    def details(self) -> dict[str, Any]:
        """Return what changes from the live lists, the examples, the titles of the items in both, and the long tail."""
        titles, why = self._snapshot.titles if self._snapshot else [], self._not_compared
        warnings = [*([why] if why else []), *(self._snapshot.warnings if self._snapshot else [])]
        return {
            **({"warnings": warnings} if warnings else {}),
            **({"not_compared": why} if why else {}),
            **({} if self._release is None else {"release_diff": self._release}),
            "examples": [asdict(example) for example in self.examples],
            "long_tail": self._long_tail,
            **({"titles": titles} if titles else {}),
        }

    def lines(self, rows: Mapping[str, int]) -> list[StepRows]:
        number = rows["recommendations"]
        places = ", ".join(self._places())
        to = f"; delivered to {places}" if places else ""
        steps = [StepRows("publish", number, number, f"channel {self.steps.publish.channel}{to}")]
        if self._snapshot is not None:
            note = f"visitors; {self._snapshot.lists:,} lists, {self._snapshot.items:,} items"
            steps.append(StepRows("snapshot", number, self._snapshot.visitors, note))
        if self._release is not None:
            overlap = self._release["overlap"]
            what = "nobody is in both" if overlap is None else f"overlap@{self._release['k']} {overlap:.4f}"
            steps.append(
                StepRows("release_diff", number, None, f"{what}, compared with run {self._release['against']['run']}")
            )
        return steps

    def _places(self) -> dict[str, DeliveringStep]:
        """Return the steps that deliver to a place, in the order of `Stage4Steps`, as far as they are configured."""
        steps = vars(self.steps).items()
        return {name: step for name, step in steps if isinstance(step, DeliveringStep) and step.is_wanted}

    def _shown_items(self) -> set[Any]:
        """Return the items that the report names."""
        moved = self._release["items"] if self._release else {}
        return {
            *(item for example in self.examples for _, item in example.history),
            *(item for example in self.examples for item, _ in example.recommended),
            *(each[C.ITEM] for what in ("most_gained", "most_lost") for each in moved.get(what, ())),
        }

    def _compare(self, recommendations: DataFrame, live: Previous, items: DataFrame) -> dict[str, Any] | None:
        """Return what changes, None where the ids have other types."""
        before = live.tables["recommendations"]
        types = [{name: dict(rows.dtypes)[name] for name in (C.VISITOR, C.ITEM)} for rows in (recommendations, before)]
        if types[0] != types[1]:
            self._not_compared = f"{NOT_COMPARED}: its ids have other types"
            return None
        self.announce("comparing with the live version")
        (item_count,) = single_row(items.agg(F.count(C.ITEM)))
        diff = self.steps.release_diff
        against = {name: live.record[name] for name in ("run", "attempt")}
        return {"against": against, **diff.execute(recommendations, before, item_count=item_count)}
