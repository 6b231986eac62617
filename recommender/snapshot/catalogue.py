"""The items of a snapshot, and what the model knows of them.

`Catalogue` is the shop's side: ids, titles, pictures, what is popular, what is similar. The side of the arithmetic is
`Model`, the factors, what is ranked and in which order, and YᵀY; or else `Neighbours`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recommender.ranking import Items, Nearest, Solver
from recommender.snapshot.columns import Ids, ListsOf, Texts, ids_of, matrix_of, rising

Popular = tuple[NDArray[np.int32], NDArray[np.float64]]  # as `fill_up` takes them


@dataclass(frozen=True)
class Catalogue:
    """All items, by index."""

    ids: Ids
    by_id: NDArray[np.int32]
    titles: Texts
    pictures: Texts
    popularity: NDArray[np.float64]
    popular: Popular
    allowed: NDArray[np.bool_]  # whether each may be recommended
    similar: ListsOf
    attributes: Mapping[str, pa.Array] = field(default_factory=dict)  # numbers, true and false, or text
    together: ListsOf | None = None  # what is bought with each item
    windows: Mapping[str, Popular] = field(default_factory=dict)  # what was popular in the last days, by their name

    def find(self, itemid: str) -> int | None:
        """Return the index of an item, None if there is none with that id."""
        return self.ids.find(itemid, self.by_id)

    def search(self, text: str, most: int) -> list[int]:
        """Return the indexes of items whose id begins with a text, or that have it in the title."""
        found = [*self.ids.beginning(text, most, self.by_id), *self.titles.holding(text, most)]
        return list(dict.fromkeys(found))[:most]

    def shown(self, index: int) -> dict[str, Any]:
        """Return what people see of an item."""
        return {"itemid": self.ids.text(index), "title": self.titles[index], "picture": self.pictures[index]}


@dataclass(frozen=True)
class Model:
    """The factors of the items.

    Attributes:
        factors: the model's own, by index; what lies where `known` is False means nothing.
        known: whether an item has factors.
        ranked: the items that may be recommended and have factors, as they are ranked.
        gram: YᵀY of all factors.
        solver: as they were fitted.
    """

    factors: NDArray[np.float32]
    known: NDArray[np.bool_]
    ranked: Items
    gram: NDArray[np.float64]
    solver: Solver
    rank: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rank", self.factors.shape[1])


@dataclass(frozen=True)
class Neighbours:
    """The neighbours of the items.

    Attributes:
        nearest: of every item. known: whether an item has any.
    """

    nearest: Nearest
    known: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", np.diff(self.nearest.offsets) > 0)


def catalogue_of(
    items: pa.Table,
    by_id: pa.Table,
    similar: pa.Table,
    attributes: pa.Table | None = None,
    together: pa.Table | None = None,
    windows: pa.Table | None = None,
) -> Catalogue:
    """Return the items of their tables; the last three may be missing.

    Raises:
        ValueError: they do not belong together.
    """
    known = {} if attributes is None else {name: _column(attributes, name) for name in attributes.column_names}
    count, order = len(items), _column(by_id, "item").to_numpy()
    if any(len(each) != count for each in (order, similar, *known.values(), *filter(None, (together, windows)))):
        raise ValueError("the tables of the items have different lengths")
    inside("item", order, count)
    ids = _column(items, "itemid")
    if not rising(ids.take(pa.array(order))):
        raise ValueError("the items are not in the order of their ids")
    lists = ListsOf(_column(similar, "item"), _column(similar, "similarity"))
    inside("item", lists.values[0], count)
    popularity = _column(items, "popularity").to_numpy()
    allowed = _column(items, "allowed").to_numpy(zero_copy_only=False)
    bought = None
    if together is not None:
        bought = ListsOf(_column(together, "item"), _column(together, "visitors"))
        inside("item", bought.values[0], count)
    names = [] if windows is None else windows.column_names
    in_windows = {name: _popular(_column(windows, name).to_numpy(), allowed) for name in names}
    titles, pictures = (Texts(_column(items, name)) for name in ("title", "picture"))
    popular = _popular(popularity, allowed)
    return Catalogue(
        ids_of(ids), order, titles, pictures, popularity, popular, allowed, lists, known, bought, in_windows
    )


def _popular(popularity: NDArray[Any], allowed: NDArray[np.bool_]) -> Popular:
    """Return the popular items that may be recommended, best first, equal ones by index."""
    chosen = np.flatnonzero(allowed & (popularity > 0)).astype(np.int32)
    chosen = chosen[np.lexsort((chosen, -popularity[chosen]))]
    return chosen, popularity[chosen].astype(np.float64)


def model_of(factors: pa.Table, ranking: pa.Table, gram: pa.Table, count: int, rank: int, solver: Solver) -> Model:
    """Return the model of three tables.

    Args:
        factors, ranking, gram: as they are stored.
        count: of all items. rank: of the model. solver: as it was fitted.

    Raises:
        ValueError: they do not belong together.
    """
    features = _column(factors, "features")
    known = features.is_valid().to_numpy(zero_copy_only=False)
    square: NDArray[np.float64] = matrix_of(_column(gram, "row"))
    if len(features) != count or square.shape != (rank, rank):
        raise ValueError("the factors are not those of these items")
    indexes = _column(ranking, "item").to_numpy()
    norms = _column(ranking, "norm").to_numpy()
    ranked = Items(indexes, matrix_of(_column(ranking, "features")), norms)
    inside("item", indexes, count)
    sorted_indexes = indexes[ranked.by_index]
    if np.any(sorted_indexes[1:] == sorted_indexes[:-1]) or not known[indexes].all():
        raise ValueError("what is ranked is not what has factors")
    if np.any(norms[1:] > norms[:-1]) or not np.isfinite(norms).all() or not np.isfinite(square).all():
        raise ValueError("the factors are not finite, or not in the order of their norms")
    return Model(matrix_of(features), known, ranked, square, solver)


def neighbours_of(table: pa.Table, count: int) -> Neighbours:
    """Return the neighbours of so many items.

    Raises:
        ValueError: they belong to other items, or the stored values are impossible.
    """
    lists = ListsOf(_column(table, "item"), _column(table, "similarity"))
    items, similarities = lists.values
    if len(table) != count:
        raise ValueError("the neighbours are not those of these items")
    inside("item", items, count)
    if not (np.isfinite(similarities) & (similarities > 0)).all():
        raise ValueError("a similarity of neighbours is not above 0")
    return Neighbours(Nearest(lists.offsets, items, similarities))


def inside(what: str, numbers: NDArray[Any], count: int) -> None:
    """Raise a ValueError where a number is not a position among so many."""
    if len(numbers) and (numbers.min() < 0 or numbers.max() >= count):
        raise ValueError(f"column {what} names what is not there: {numbers.max():,} of {count:,}")


def _column(table: pa.Table, name: str) -> pa.Array:
    return one(table[name])


def one(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array; without a copy if it lies in one piece."""
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.array([], column.type)])
