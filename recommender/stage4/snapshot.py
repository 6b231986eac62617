"""The serving snapshot of a version: its files, one after the other, and the manifest that lists them.

    snapshot/visitors/part-00000.arrow ...    snapshot/items.arrow ...    snapshot/manifest.json

The driver passes each file on as a whole, so that the root may be on any file system; a snapshot is made for the memory
of one machine anyway.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.snapshot.layout import ITEMS, MANIFEST, part_name
from recommender.snapshot.manifest import Manifest
from recommender.spark.aggregates import fetch, single_row
from recommender.stage import Made
from recommender.stage4.steps import ServingSnapshot
from recommender.stage4.steps.run_report import Example
from recommender.stage4.steps.serving_snapshot import OTHER
from recommender.steps import ItemRules, PopularityBlend, solver_of

FOLDER = "snapshot"
_IDS = {C.VISITOR: "visitors", C.ITEM: "items"}  # id -> table that has it
_MOST_KINDS = 127  # of events: their numbers are bytes
_NEIGHBOURS = {"model": C.ITEM_TO_ITEM}  # what the manifest says in place of rank and solver


@dataclass(frozen=True)
class Inputs:
    """The tables and settings that a snapshot is made of."""

    # recommendations, similar_items, bought_together, interactions, visitors, items, item_factors and popularity
    tables: Mapping[str, DataFrame]
    recent_popularity: DataFrame  # what may be blended in
    # the parameters of the steps als, score_events, item_rules, blend and recommend
    settings: Mapping[str, Mapping[str, Any]]
    # metrics, gate: what stage 2's record says; None where it says nothing
    metrics: Sequence[Mapping[str, Any]] | None
    gate: Mapping[str, Any] | None
    neighbours: DataFrame | None = None  # the table of stage 2, if it is the model that is served


@dataclass
class Snapshot:
    """Makes the files of one snapshot."""

    step: ServingSnapshot  # arranges the rows
    inputs: Inputs  # what it is made of
    versions: Mapping[str, str | None]  # of the table with titles
    visitors: int = 0
    lists: int = 0
    items: int = 0
    warnings: list[str] = field(default_factory=list)  # of `files`, a sentence each
    titles: list[dict[str, Any]] = field(default_factory=list)  # itemid and title of those that `files` was asked for
    _files: dict[str, dict[str, Any]] = field(default_factory=dict)

    def files(
        self, made: Made, examples: Sequence[Example], titled: Collection[Any] = ()
    ) -> Iterator[tuple[str, bytes]]:
        """Return (path, content) of each file; the manifest is the last.

        Args:
            examples: visitors whose lists are the questions that the service is asked before it serves the version.
            titled: ids of items; those that have a title are in `titles` afterwards.
        """
        tables = self.inputs.tables
        found = fetch(
            kinds=self._kinds(),
            visitors=tables["visitors"].agg(F.count_if(F.col(C.EVENTS) > 0)),
            items=tables["items"].agg(F.count(C.ITEM)),
        )
        ((known,),), ((self.items,),) = found["visitors"], found["items"]
        kinds = _numbered({row[C.EVENT]: row["number"] for row in found["kinds"]}, self._barred)
        gains, c = self._blended()
        rules = ItemRules(**self.inputs.settings["item_rules"])
        allowed = rules.execute(tables["items"], rules.versions(started=True))
        visitors, items = self.step.execute(
            **tables,
            neighbours=self.inputs.neighbours,
            kinds=kinds,
            visitor_count=known,
            allowed=allowed,
            gains=gains,
            versions=self.versions,
            warnings=self.warnings,
        )
        for path, content in self._contents(visitors, items):
            if path == ITEMS and titled:
                self.titles = _titles(content, titled)
            self._files[path] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            yield f"{FOLDER}/{path}", content
        yield f"{FOLDER}/{MANIFEST}", self._manifest(made, kinds, c, examples).sealed()

    def _contents(self, visitors: DataFrame, items: DataFrame) -> Iterator[tuple[str, bytes]]:
        for number, row in enumerate(visitors.toLocalIterator()):
            self.visitors += row["visitors"]
            self.lists += row["lists"]
            yield part_name(number), bytes(row["content"])
        for path, pieces in groupby(items.toLocalIterator(), lambda row: str(row["path"])):
            yield path, b"".join(bytes(piece["content"]) for piece in pieces)

    def _kinds(self) -> DataFrame:
        """Return the kinds of events that are in the histories, those that matter most if there are too many."""
        counted = self.inputs.tables["interactions"].groupBy(C.EVENT).agg(F.count(F.lit(1)).alias("number"))
        barred_first = [F.col(C.EVENT).isin(self._barred).desc()] if self._barred else []
        return counted.orderBy(*barred_first, F.col("number").desc(), C.EVENT).limit(_MOST_KINDS + 1)

    @property
    def _barred(self) -> list[str]:
        """The kinds of events that keep items out of lists, if not all kinds do."""
        kinds = self.inputs.settings["recommend"]["exclude_events"]
        return [] if kinds == C.SEEN else list(kinds)

    def _blended(self) -> tuple[DataFrame | None, float | None]:
        """Return the items with one more factor, and the visitors' entry of it; nothing if nothing is blended."""
        factors = self.inputs.tables["item_factors"]
        blend = PopularityBlend(**self.inputs.settings["blend"])
        if not blend.weight or self.inputs.neighbours is not None:
            return None, None
        nobody = factors.sparkSession.range(1).select(F.array().cast("array<float>").alias(C.FEATURES))
        visitor, items = blend.execute(nobody, factors, self.inputs.recent_popularity)
        (c,) = single_row(visitor.agg(F.max(F.element_at(C.FEATURES, 1))))
        return (None, None) if c is None else (items, float(c))

    def _manifest(self, made: Made, kinds: Sequence[str], c: float | None, examples: Sequence[Example]) -> Manifest:
        als, recommend = self.inputs.settings["als"], self.inputs.settings["recommend"]
        is_of_factors = self.inputs.neighbours is None
        types = {name: dict(self.inputs.tables[table].dtypes)[name] for name, table in _IDS.items()}
        facts = {
            "run": made.run,
            "number": made.number,
            "created_at": made.at,
            "id_types": {name: "string" if type_ == "string" else "long" for name, type_ in types.items()},
            **({"model": C.ALS, "rank": als["rank"], "solver": solver_of(als)} if is_of_factors else _NEIGHBOURS),
            "score_map": self.inputs.settings["score_events"]["score_map"],
            "events": list(kinds),
            "sources": list(C.SOURCES),
            "exclude_events": recommend["exclude_events"],
            "fill_with_popular": recommend["fill_with_popular"],
            "k": recommend["k"],
            "blend": None if c is None else {"c": c},
            "counts": {"visitors": self.visitors, "items": self.items, "lists": self.lists},
            "metrics": list(self.inputs.metrics or ()),
            "gate": self.inputs.gate,
            "golden": [
                {"visitorid": example.visitorid, "item": [item for item, _ in example.recommended]}
                for example in examples
            ],
            "files": self._files,
        }
        return Manifest.model_validate(facts)


def _numbered(counts: Mapping[str, int], barred: Sequence[str]) -> list[str]:
    """Return the kinds of events that have a number, the most frequent first; the last stands for all others if needed.

    >>> _numbered({"view": 2, "cart": 3}, [])
    ['cart', 'view']
    >>> kinds = _numbered({f"kind {n:03}": 500 - n for n in range(200)}, ["kind 150"])
    >>> len(kinds), kinds[0], kinds[-2:]
    (127, 'kind 000', ['kind 150', '(other kinds)'])
    """
    often = sorted(counts, key=lambda kind: (-counts[kind], kind))
    if len(often) <= _MOST_KINDS:
        return often
    chosen = set(sorted(often, key=lambda kind: kind not in barred)[: _MOST_KINDS - 1])
    return [*(kind for kind in often if kind in chosen), OTHER]


def _titles(content: bytes, itemids: Collection[Any]) -> list[dict[str, Any]]:
    """Return itemid and title of some items, as far as they have one, from the file of the items."""
    table = pa.ipc.open_file(pa.py_buffer(content)).read_all().select(["itemid", "title"])
    wanted = pa.array(sorted(set(itemids)), table["itemid"].type)
    found: list[dict[str, Any]] = table.filter(
        pc.and_(pc.is_in(table["itemid"], wanted), pc.is_valid(table["title"]))
    ).to_pylist()
    return found
