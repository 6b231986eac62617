"""Columns of Arrow files as they lie in memory: single values are read without making an Arrow object of each.

Example usage:
>>> ids = ids_of(pa.array(["ann", "bob", "eve"]))
>>> ids.find("bob"), ids.find("zoe"), ids.text(2)
(1, None, 'eve')
>>> numbers = ids_of(pa.array([3, 5, 8]))
>>> numbers.find("5"), numbers.find("05"), numbers.find("six"), numbers.text(0)
(1, None, None, '3')
>>> texts = Texts(pa.array(["a title", None]))
>>> texts[0], texts[1]
('a title', None)
"""

import re
from bisect import bisect_left
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_NUMBER: Final = re.compile(r"0|-?[1-9][0-9]{0,18}")
_LARGEST: Final = 2**63


class Texts:
    """A column of strings.

    Init parameters:
        column: of type string; null if there is none.
    """

    def __init__(self, column: pa.Array) -> None:
        if column.offset:
            column = pa.concat_arrays([column])
        validity, offsets, data = column.buffers()
        self._column, self._length = column, len(column)
        self._offsets = memoryview(offsets or b"\0\0\0\0").cast("i")
        self._data = memoryview(data) if data is not None else memoryview(b"")
        self._valid = None if validity is None or not column.null_count else np.frombuffer(validity, np.uint8)

    def __len__(self) -> int:
        return self._length

    def holding(self, text: str, most: int) -> list[int]:
        """Return the first rows that have a text in them, whatever its case."""
        has = pc.match_substring(self._column, text, ignore_case=True).fill_null(False)
        rows: list[int] = np.flatnonzero(has)[:most].tolist()
        return rows

    def raw(self, row: int) -> bytes:
        """Return the UTF-8 bytes of a row."""
        return bytes(self._data[self._offsets[row] : self._offsets[row + 1]])

    def __getitem__(self, row: int) -> str | None:
        if self._valid is not None and not self._valid[row >> 3] >> (row & 7) & 1:
            return None
        return str(self._data[self._offsets[row] : self._offsets[row + 1]], "utf-8", "replace")


class Ids(Protocol):
    """A column of ids, each once."""

    def __len__(self) -> int: ...

    def text(self, row: int) -> str:
        """Return an id as a text."""

    def key(self, row: int) -> Any:
        """Return what ids are ordered by."""

    def find(self, text: str, order: NDArray[np.int32] | None = None) -> int | None:
        """Return the row of an id, None if it is not there.

        Args:
            text: the id.
            order: the rows in the order of the ids; None: that is how they lie.
        """

    def key_of(self, text: str) -> Any:
        """Return what an id that is searched is ordered by; None if it cannot be an id."""

    def beginning(self, text: str, most: int, order: NDArray[np.int32] | None = None) -> list[int]:
        """Return the rows of some ids that begin with a text, in the order of the ids; `order` as in `find`."""


class LongIds:
    """Ids that are whole numbers of 64 bits."""

    def __init__(self, column: pa.Array) -> None:
        self._values: NDArray[np.int64] = column.to_numpy(zero_copy_only=True)

    def __len__(self) -> int:
        return len(self._values)

    def text(self, row: int) -> str:
        """Return an id as a text."""
        return str(self._values[row])

    def key(self, row: int) -> int:
        """Return what ids are ordered by."""
        return int(self._values[row])

    def key_of(self, text: str) -> int | None:
        """Return the number that a text is; there is one way to write each."""
        if not _NUMBER.fullmatch(text):
            return None
        number = int(text)
        return number if -_LARGEST <= number < _LARGEST else None

    def find(self, text: str, order: NDArray[np.int32] | None = None) -> int | None:
        """Return the row of an id; see `Ids`."""
        number = self.key_of(text)
        if number is None:
            return None
        if order is None:
            place = int(self._values.searchsorted(number))
        else:  # searchsorted would make 64 bits of each place of the order, for one id
            place = bisect_left(order, number, key=self._values.item)
        if place == len(self._values):
            return None
        row = place if order is None else int(order[place])
        return row if self._values[row] == number else None

    def beginning(self, text: str, most: int, order: NDArray[np.int32] | None = None) -> list[int]:
        """Return the rows of some ids that begin with a text; see `Ids`."""
        if not re.fullmatch(r"0|-?[1-9][0-9]{0,18}", text):
            return []
        number, rows = int(text), list[int]()
        values = self._values if order is None else _Ordered(self._values, order)
        for digits in range(1 if number == 0 else 20 - len(text.lstrip("-"))):
            ends = sorted((number * 10**digits, (number + (1 if number > 0 else -1)) * 10**digits))
            first, last = (ends[0], ends[1]) if number > 0 else (ends[0] + 1, ends[1] + 1)
            place = bisect_left(values, first)
            while len(rows) < most and place < len(values) and values[place] < last:
                rows.append(place if order is None else int(order[place]))
                place += 1
        return rows


class _Ordered:
    """Values in the order of their ids."""

    def __init__(self, values: NDArray[np.int64], order: NDArray[np.int32]) -> None:
        self._values, self._order = values, order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, place: int) -> int:
        return int(self._values[self._order[place]])


class StringIds:
    """Ids that are strings, ordered by their UTF-8 bytes."""

    def __init__(self, column: pa.Array) -> None:
        self._texts = Texts(column)

    def __len__(self) -> int:
        return len(self._texts)

    def text(self, row: int) -> str:
        """Return an id as a text."""
        return self._texts.raw(row).decode("utf-8", "replace")

    def key(self, row: int) -> bytes:
        """Return what ids are ordered by."""
        return self._texts.raw(row)

    def key_of(self, text: str) -> bytes | None:
        """Return the bytes of an id; None for what cannot be written in UTF-8, and so is not an id."""
        try:
            return text.encode()
        except UnicodeEncodeError:
            return None

    def find(self, text: str, order: NDArray[np.int32] | None = None) -> int | None:
        """Return the row of an id; see `Ids`."""
        wanted = self.key_of(text)
        if wanted is None:
            return None
        low, high, raw = 0, len(self._texts), self._texts.raw
        while low < high:
            middle = (low + high) // 2
            if raw(middle if order is None else int(order[middle])) < wanted:
                low = middle + 1
            else:
                high = middle
        if low == len(self._texts):
            return None
        row = low if order is None else int(order[low])
        return row if raw(row) == wanted else None

    def beginning(self, text: str, most: int, order: NDArray[np.int32] | None = None) -> list[int]:
        """Return the rows of some ids that begin with a text; see `Ids`."""
        wanted = self.key_of(text)
        if wanted is None:
            return []
        places = range(len(self._texts)) if order is None else order
        place = bisect_left(places, wanted, key=lambda row: self._texts.raw(int(row)))
        rows: list[int] = []
        while len(rows) < most and place < len(places) and self._texts.raw(int(places[place])).startswith(wanted):
            rows.append(int(places[place]))
            place += 1
        return rows


def ids_of(column: pa.Array) -> Ids:
    """Return a column of ids, long or string."""
    return StringIds(column) if pa.types.is_string(column.type) else LongIds(column)


def rising(column: pa.Array) -> bool:
    """Return whether each id is larger than the one before; strings by their bytes."""
    return bool(pc.all(pc.less(column[:-1], column[1:])).as_py()) if len(column) > 1 else True


class ListsOf:
    """Columns of lists of the same lengths: a row's values lie beside each other.

    Init parameters:
        columns: of type list, without nulls.

    Raises:
        ValueError: the lists have different lengths, or do not lie inside their values.
    """

    def __init__(self, *columns: pa.Array) -> None:
        self.offsets: NDArray[np.int32] = columns[0].offsets.to_numpy()
        for column in columns[1:]:
            if not np.array_equal(column.offsets.to_numpy(), self.offsets):
                raise ValueError("lists that belong together have different lengths")
        self.values: tuple[NDArray[Any], ...] = tuple(column.values.to_numpy() for column in columns)
        shortest = min(len(values) for values in self.values)
        if np.any(np.diff(self.offsets) < 0) or self.offsets[0] < 0 or self.offsets[-1] > shortest:
            raise ValueError("lists do not lie inside their values")

    def place(self, row: int) -> slice:
        """Return where the values of a row are."""
        return slice(int(self.offsets[row]), int(self.offsets[row + 1]))

    def lengths(self) -> NDArray[np.int32]:
        """Return the length of each list."""
        return np.diff(self.offsets)


def matrix_of(column: pa.Array) -> NDArray[Any]:
    """Return a column of lists of one length as a matrix; rows that are null hold what lies there."""
    child, width = column.values, column.type.list_size
    kind = np.dtype(child.type.to_pandas_dtype())
    content = child.buffers()[-1]
    values = np.frombuffer(content if content is not None else b"", kind)[child.offset :][: len(child)]
    rows: NDArray[Any] = values.reshape(-1, width)[column.offset : column.offset + len(column)]
    return rows
