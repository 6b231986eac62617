"""A serving snapshot, mapped into memory: the lists and histories of visitors, the items and the model.

Nothing is copied but a few small tables: the processes that serve share the pages of the files. A visitor is found by a
binary search, some microseconds among millions.
"""

import random
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recommender.constants import ALS, ITEM_TO_ITEM
from recommender.ranking import Solver
from recommender.snapshot.catalogue import Catalogue, Model, Neighbours, catalogue_of, inside, model_of, neighbours_of
from recommender.snapshot.checks import corrupt
from recommender.snapshot.columns import Ids, ListsOf, ids_of, rising
from recommender.snapshot.layout import (
    ATTRIBUTES,
    BOUGHT_TOGETHER,
    FACTORS,
    GRAM,
    ITEMS,
    ITEMS_BY_ID,
    NEIGHBOURS,
    POPULAR_WINDOWS,
    RANKING,
    SIMILAR_ITEMS,
    bought_together_schema,
    factors_schema,
    gram_schema,
    items_by_id_schema,
    items_schema,
    neighbours_schema,
    popular_windows_schema,
    ranking_schema,
    similar_items_schema,
    visitors_schema,
)
from recommender.snapshot.manifest import Manifest

_PAGE = 4096


@dataclass(frozen=True)
class Published:
    """The list of a visitor, best first: indexes of items, scores, positions in the manifest's sources."""

    item: NDArray[np.int32]
    score: NDArray[np.float32]
    source: NDArray[np.int8]


@dataclass(frozen=True)
class Did:
    """The history of a visitor, newest first, a row per item and kind of event; see ``layout.visitors_schema``."""

    item: NDArray[np.int32]
    event: NDArray[np.int8]
    score: NDArray[np.float32]
    timestamp: NDArray[np.int64]


@dataclass(frozen=True)
class _Part:
    """Some visitors, in the order of their ids."""

    ids: Ids
    lists: ListsOf
    history: ListsOf


class Visitors:
    """All visitors, in parts.

    Init parameters:
        parts: each with a row at least, in the order of the ids.
    """

    def __init__(self, parts: list[_Part]) -> None:
        self._parts = parts
        self._firsts = [part.ids.key(0) for part in parts]
        self._ends = np.cumsum([len(part.ids) for part in parts], dtype=np.int64).tolist()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def find(self, visitorid: str) -> tuple[int, int] | None:
        """Return where a visitor is: its part, and the row there; None if the visitor does not exist."""
        if not self._parts:
            return None
        number = 0
        if len(self._parts) > 1:
            key = self._parts[0].ids.key_of(visitorid)
            number = -1 if key is None else bisect_right(self._firsts, key) - 1
            if number < 0:
                return None
        row = self._parts[number].ids.find(visitorid)
        return None if row is None else (number, row)

    def published(self, place: tuple[int, int]) -> Published:
        """Return the list of a visitor."""
        lists = self._parts[place[0]].lists
        own = lists.place(place[1])
        item, score, source = lists.values
        return Published(item[own], score[own], source[own])

    def history(self, place: tuple[int, int]) -> Did:
        """Return what a visitor did."""
        lists = self._parts[place[0]].history
        own = lists.place(place[1])
        item, event, score, timestamp = lists.values
        return Did(item[own], event[own], score[own], timestamp[own])

    def search(self, text: str, most: int) -> list[str]:
        """Return some ids that begin with a text, of each part in order."""
        found: list[str] = []
        for part in self._parts:
            found += [part.ids.text(row) for row in part.ids.beginning(text, most - len(found))]
        return found

    def any_one(self) -> str | None:
        """Return the id of a visitor by chance; None if there is none."""
        if not len(self):
            return None
        chosen = random.randrange(len(self))  # noqa: S311 - to look at, not a secret
        number = bisect_right(self._ends, chosen)
        before = self._ends[number - 1] if number else 0
        return self._parts[number].ids.text(chosen - before)


@dataclass(frozen=True)
class Snapshot:
    """A version of everything that answers are made of."""

    manifest: Manifest
    visitors: Visitors
    items: Catalogue
    model: Model | Neighbours
    mapped: tuple[pa.MemoryMappedFile, ...]

    @classmethod
    def open(cls, folder: Path, manifest: Manifest) -> "Snapshot":
        """Return the snapshot in a folder; `checked_files` has compared it with its hashes before.

        Raises:
            ArtifactError: what is in the files does not belong together, whatever their hashes say.
        """
        reader = _Reader(folder)
        ids = manifest.id_types
        try:
            items = reader.table(ITEMS, items_schema(ids.itemid))
            catalogue = catalogue_of(
                items,
                reader.table(ITEMS_BY_ID, items_by_id_schema()),
                reader.table(SIMILAR_ITEMS, similar_items_schema()),
                reader.table(ATTRIBUTES) if ATTRIBUTES in manifest.files else None,
                reader.table(BOUGHT_TOGETHER, bought_together_schema()) if BOUGHT_TOGETHER in manifest.files else None,
                reader.table(POPULAR_WINDOWS, popular_windows_schema) if POPULAR_WINDOWS in manifest.files else None,
            )
            model = _MODELS[manifest.model](reader, manifest, len(items))
            visitors = _visitors(reader, manifest, len(items))
        except (pa.ArrowInvalid, ValueError, OSError) as error:
            reason = str(error).split("\n", 1)[0]
            raise corrupt(f"{folder} is not a snapshot that can be served: {reason}") from error
        expected = manifest.counts
        if (len(visitors), len(items)) != (expected.visitors, expected.items):
            found = f"{len(visitors):,} visitors and {len(items):,} items"
            raise corrupt(f"{folder} has {found}, not {expected.visitors:,} and {expected.items:,}")
        return cls(manifest, visitors, catalogue, model, tuple(reader.mapped))

    def touch(self) -> int:
        """Look at every page, so that no request has to wait for the disk; return how many there are."""
        pages = 0
        for file in self.mapped:
            file.seek(0)
            seen = np.frombuffer(file.read_buffer(file.size()), np.uint8)[::_PAGE]
            pages += len(seen)
            seen.max(initial=0)
        return pages


class _Reader:
    """The tables in the files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.mapped: list[pa.MemoryMappedFile] = []

    def table(self, path: str, schema: pa.Schema | Callable[[Iterable[str]], pa.Schema] | None = None) -> pa.Table:
        """Return a table as it lies on the disk, if it has these columns; None: attributes, whatever they are.

        A function returns the schema of columns by their names.
        """
        file = pa.memory_map(str(self._folder / path))
        self.mapped.append(file)
        table = pa.ipc.open_file(file).read_all()
        wanted = schema(table.column_names) if callable(schema) else schema or _attributes(table.schema)
        if not table.schema.equals(wanted):
            raise ValueError(f"{path} has other columns than {', '.join(wanted.names)} of their types")
        table.validate(full=True)
        for column, field in zip(table.columns, wanted, strict=True):
            if column.null_count and not field.nullable:
                raise ValueError(f"{path} has nulls in the column {field.name}")
        return table


def _factors(reader: _Reader, manifest: Manifest, items: int) -> Model:
    rank, solver = manifest.rank, manifest.solver
    if rank is None or solver is None:
        raise ValueError("the manifest has no rank or no solver of its factors")
    return model_of(
        reader.table(FACTORS, factors_schema(rank)),
        reader.table(RANKING, ranking_schema(rank if manifest.blend is None else rank + 1)),
        reader.table(GRAM, gram_schema(rank)),
        items,
        rank,
        Solver(**dict(solver)),
    )


def _neighbours(reader: _Reader, manifest: Manifest, items: int) -> Neighbours:  # noqa: ARG001 - as `_factors`
    return neighbours_of(reader.table(NEIGHBOURS, neighbours_schema()), items)


_MODELS: Final[Mapping[str, Callable[[_Reader, Manifest, int], Model | Neighbours]]] = {
    ALS: _factors,
    ITEM_TO_ITEM: _neighbours,
}


def _attributes(found: pa.Schema) -> pa.Schema:
    """Return a schema without the columns that cannot be attributes."""
    kinds = (pa.float64(), pa.bool_(), pa.string())
    return pa.schema([field for field in found if field.type in kinds])


def _visitors(reader: _Reader, manifest: Manifest, items: int) -> Visitors:
    """Return the visitors of all parts; each batch of a file is a part of its own."""
    schema = visitors_schema(manifest.id_types.visitorid)
    parts = []
    for path in manifest.parts():
        for batch in reader.table(path, schema).to_batches():
            if not batch.num_rows:
                continue
            if not rising(batch.column(0)):
                raise ValueError(f"{path} is not in the order of the ids")
            columns = batch.columns
            lists, history = ListsOf(*columns[1:4]), ListsOf(*columns[4:8])
            inside("item", lists.values[0], items)
            inside("source", lists.values[2], len(manifest.sources))
            inside("history_item", history.values[0], items)
            inside("history_event", history.values[1], len(manifest.events))
            parts.append(_Part(ids_of(columns[0]), lists, history))
    for one, following in pairwise(parts):
        if not one.ids.key(len(one.ids) - 1) < following.ids.key(0):
            raise ValueError("the parts of the visitors overlap")
    return Visitors(parts)
