"""A small shop as a serving snapshot, made by the functions that make the large ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from recommender.ranking import Solver, fold_in
from recommender.snapshot.layout import (
    ATTRIBUTES,
    BOUGHT_TOGETHER,
    FACTORS,
    GRAM,
    ITEMS,
    ITEMS_BY_ID,
    MANIFEST,
    NEIGHBOURS,
    POPULAR_WINDOWS,
    RANKING,
    SIMILAR_ITEMS,
    part_name,
)
from recommender.snapshot.manifest import Manifest
from recommender.snapshot.write import (
    History,
    Lists,
    arrow_bytes,
    attributes_table,
    bought_together_table,
    factors_table,
    gram_table,
    id_type,
    items_by_id_table,
    items_table,
    neighbours_table,
    popular_windows_table,
    ranking_table,
    similar_items_table,
    visitors_table,
    write,
)

SOLVER = {"implicit_prefs": True, "alpha": 1.0, "reg_param": 0.1, "nonnegative": False}
EVENTS = ["view", "addtocart", "transaction"]
WEIGHTS = {"view": 1.0, "addtocart": 5.0, "transaction": 10.0}
TITLES = ["a lamp", None, "<script>alert(1)</script>", 'tea & "cups"', "löwe"]


class Shop:
    """Visitors, items and a model by chance, but the same for the same seed: factors, or neighbours."""

    def __init__(
        self,
        seed: int = 1,
        visitors: int = 40,
        items: int = 30,
        rank: int = 4,
        k: int = 5,
        parts: int = 3,
        strings: bool = False,
        blend: float | None = None,
        titles: Sequence[str | None] = TITLES,
        factor_seed: int = 0,
        attributes: Mapping[str, Sequence[str | None]] | None = None,
        neighbours: bool = False,
        **changed: Any,
    ) -> None:
        self.attributes = attributes  # by index, again and again
        self.random = np.random.default_rng(seed)
        self.rank, self.k, self.parts, self.blend, self.changed = rank, k, parts, blend, changed
        self.itemids = self._ids(items, "item", strings, ordered=False)
        self.visitorids = self._ids(visitors, "visitor", strings, ordered=True)
        by_itself = np.random.default_rng([seed, factor_seed])
        self.titles, self.factors = titles, by_itself.normal(size=(items, rank)).astype(np.float32)
        self.known = self.random.random(items) < 0.9
        self.allowed = self.random.random(items) < 0.9
        self.popularity = np.where(self.random.random(items) < 0.8, self.random.integers(1, 9, items), 0).astype(float)
        self.neighbours, self.source = neighbours, "item_to_item" if neighbours else "fold_in"
        self.sources = ["als", "fold_in", "popular", *(["item_to_item"] if neighbours else [])]
        unit = self.factors / np.linalg.norm(self.factors, axis=1, keepdims=True)
        self.likeness = self._near(by_itself) if neighbours else unit @ unit.T  # of each item to each
        own = np.random.default_rng(seed)
        self.recent = own.integers(0, 5, items).astype(np.int32)  # visitors of each item, in the last days
        bought = np.arange(items)[:: 2 if items > 1 else items + 1]  # each second item, with the next one
        self.together = bought, (bought + 1) % max(items, 1), np.full(len(bought), 3)
        self.histories = [self._history(items) for _ in self.visitorids]
        self.lists = [self._list(history) for history in self.histories]

    def _ids(self, count: int, name: str, strings: bool, *, ordered: bool) -> list[Any]:
        numbers = self.random.permutation(10 * count)[:count] + 1
        ids: list[Any] = [f"{name}/ü{number}" for number in numbers] if strings else [int(n) for n in numbers]
        return sorted(ids, key=lambda each: each.encode() if strings else each) if ordered else ids

    def _history(self, items: int) -> list[tuple[int, int, float, int]]:
        number = int(self.random.integers(0, 6))
        chosen = {(int(self.random.integers(items)), int(self.random.integers(3))) for _ in range(number)}
        rows = [(item, event, WEIGHTS[EVENTS[event]], int(self.random.integers(10**12))) for item, event in chosen]
        return sorted(rows, key=lambda row: -row[3])

    def _near(self, random: np.random.Generator) -> np.ndarray:
        """Return similarities, 0 for those that are not neighbours; a few are equal."""
        near = np.where(random.random(2 * self.factors.shape[:1]) < 0.25, random.random(2 * self.factors.shape[:1]), 0)
        near = np.where((near > 0) & (random.random(near.shape) < 0.3), 0.5, near) * self.known * self.known[:, None]
        np.fill_diagonal(near, 0)
        self.known &= near.any(axis=1)
        return near * self.known

    def ranked_factors(self) -> np.ndarray:
        """Return the factors as they are ranked."""
        if self.blend is None:
            return self.factors
        gain = np.float32(self.blend) * np.sqrt(self.popularity / max(self.popularity.max(), 1)).astype(np.float32)
        return np.hstack([self.factors, gain[:, None]])

    def score(self, history: Sequence[tuple[int, int, float, int]]) -> np.ndarray | None:
        """Return the score of every item for a history, by plain numpy; None if nothing can be said."""
        if self.neighbours:
            own = sorted({item for item, _, _, _ in history if self.known[item]})
            total: np.ndarray = self.likeness[own].sum(axis=0).astype(np.float32)
            return total if total.any() else None
        known = np.flatnonzero(self.known)
        position = {int(item): place for place, item in enumerate(known)}
        sums: dict[int, float] = {}
        for item, _, weight, _ in history:
            if item in position:
                sums[position[item]] = sums.get(position[item], 0.0) + weight
        values, scores = np.array(sorted(sums), dtype=np.int64), np.array([sums[i] for i in sorted(sums)], dtype=float)
        if not len(values):
            return None
        visitor = fold_in((values, np.array([0, len(values)])), scores, self.factors[known], Solver(**SOLVER))[0]
        if not visitor.any():
            return None
        if self.blend is not None:
            visitor = np.append(visitor, np.float32(self.blend))
        scored: np.ndarray = (self.ranked_factors().astype(float) @ visitor.astype(float)).astype(np.float32)
        return scored

    def expected(
        self, history: Sequence[tuple[int, int, float, int]], k: int, exclude: Sequence[int] = ()
    ) -> list[tuple[int, str]]:
        """Return the list that a visitor must get: (index, source), by sorting all items."""
        barred = {item for item, event, _, _ in history if EVENTS[event] == "transaction"} | set(exclude)
        may = [item for item in range(len(self.itemids)) if self.allowed[item] and item not in barred]
        scores = self.score(history)
        listed = []
        if scores is not None:
            scored = [item for item in may if self.known[item] and (scores[item] > 0 or not self.neighbours)]
            ranked = sorted(scored, key=lambda item: (-scores[item], item))
            listed = [(item, self.source) for item in ranked[:k]]
        taken = {item for item, _ in listed}
        popular = [item for item in may if self.popularity[item] > 0 and item not in taken]
        popular.sort(key=lambda item: (-self.popularity[item], item))
        return listed + [(item, "popular") for item in popular[: k - len(listed)]]

    def _list(self, history: Sequence[tuple[int, int, float, int]]) -> list[tuple[int, float, int]]:
        scores = self.score(history)
        listed = []
        for item, source in self.expected(history, self.k):
            is_scored = source == self.source and scores is not None
            listed.append((item, float((scores if is_scored else self.popularity)[item]), self.sources.index(source)))
        return listed

    def _similar(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        alike = self.likeness.copy()
        np.fill_diagonal(alike, -2)
        best = np.argsort(-alike, axis=1, kind="stable")[:, : self.k]
        items = np.repeat(np.arange(len(best)), best.shape[1])
        values = np.take_along_axis(alike, best, axis=1).ravel()
        kept = values > (0 if self.neighbours else -2)
        return items[kept], best.ravel()[kept], values[kept]

    def _of_model(self, count: int, known: np.ndarray) -> dict[str, pa.Table]:
        if self.neighbours:
            order = np.argsort(-self.likeness, axis=1, kind="stable")
            values = np.take_along_axis(self.likeness, order, axis=1)
            items, places = np.nonzero(values > 0)
            return {NEIGHBOURS: neighbours_table(count, items, order[items, places], values[items, places])}
        return {
            FACTORS: factors_table(known, self.factors[known], count),
            RANKING: ranking_table(known, self.ranked_factors()[known], self.allowed),
            GRAM: gram_table(self.factors[known]),
        }

    def tables(self) -> dict[str, pa.Table]:
        """Return the files of the snapshot as tables."""
        count, known = len(self.itemids), np.flatnonzero(self.known)
        ids = pa.array(self.itemids)
        titles = pa.array([self.titles[n % len(self.titles)] for n in range(count)])
        pictures = pa.array([f"https://shop.example/{n}.jpg" if n % 2 else None for n in range(count)])
        tables = {
            ITEMS: items_table(ids, self.popularity, self.allowed, titles, pictures),
            ITEMS_BY_ID: items_by_id_table(ids),
            **self._of_model(count, known),
            SIMILAR_ITEMS: similar_items_table(count, *self._similar()),
            BOUGHT_TOGETHER: bought_together_table(count, *self.together),
            POPULAR_WINDOWS: popular_windows_table({"7d": self.recent, "30d": self.recent * 2}),
        }
        if self.attributes:
            columns = {
                name: pa.array([values[n % len(values)] for n in range(count)], pa.string())
                for name, values in self.attributes.items()
            }
            tables[ATTRIBUTES] = attributes_table(columns)
        for number, rows in enumerate(np.array_split(np.arange(len(self.visitorids)), self.parts)):
            tables[part_name(number)] = self._part(rows.tolist())
        return tables

    def _part(self, rows: list[int]) -> pa.Table:
        lists = _columns([self.lists[row] for row in rows], 3)
        histories = _columns([self.histories[row] for row in rows], 4)
        ids = pa.array([self.visitorids[row] for row in rows], pa.array(self.visitorids).type)
        return visitors_table(ids, Lists(*lists), History(*histories))

    def manifest(self, files: dict[str, Any]) -> Manifest:
        """Return the manifest of files."""
        golden = [
            {"visitorid": self.visitorids[row], "item": [self.itemids[item] for item, _, _ in self.lists[row]]}
            for row in range(min(3, len(self.visitorids)))
        ]
        content = {
            "run": "monday",
            "number": 1,
            "created_at": "2026-11-25T01:00:00.000+00:00",
            "id_types": {
                "visitorid": id_type(pa.array(self.visitorids)) if self.visitorids else "long",
                "itemid": id_type(pa.array(self.itemids)),
            },
            **({"model": "item_to_item"} if self.neighbours else {"rank": self.rank, "solver": SOLVER}),
            "sources": self.sources,
            "score_map": WEIGHTS,
            "events": EVENTS,
            "exclude_events": ["transaction"],
            "fill_with_popular": True,
            "k": self.k,
            "blend": None if self.blend is None else {"c": self.blend},
            "counts": {"visitors": len(self.visitorids), "items": len(self.itemids), "lists": len(self.lists)},
            "metrics": [
                {"model": "als", "metric": "ndcg", "k": 10, "value": 0.07, "low": 0.06, "high": 0.08, "visitors": 9}
            ],
            "golden": golden,
            "files": files,
        }
        return Manifest.model_validate({**content, **self.changed})

    def write(self, folder: Path) -> Manifest:
        """Write the snapshot into a folder."""
        files = {path: write(folder, path, arrow_bytes(table)) for path, table in self.tables().items()}
        manifest = self.manifest(files)
        write(folder, MANIFEST, manifest.sealed())
        return manifest


def _columns(rows: list[list[Any]], width: int) -> list[np.ndarray]:
    offsets = np.concatenate([[0], np.cumsum([len(each) for each in rows])]).astype(np.int64)
    flat = [value for each in rows for value in each]
    return [offsets, *(np.array([row[n] for row in flat]) for n in range(width))]
