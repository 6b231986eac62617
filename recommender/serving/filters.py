"""Filters of items by what the shop knows of them: conditions that must all hold.

What meets a condition is kept as bits, by the items' indexes and in the order of the search, so that the conditions of
later filters are only put together.

Example usage:
>>> attributes = {"category": pa.array(["shoes", "hats", None]), "price": pa.array([49.0, 9.0, 1.0])}
>>> filters = Filters(attributes, ranked=np.array([2, 0, 1]))
>>> wanted = filters.wanted("category:shoes|hats,price<20")
>>> wanted.items.tolist(), wanted.ranked.tolist()
([False, True, False], [False, False, True])
>>> filters.wanted("colour:red")
Traceback (most recent call last):
recommender.serving.problems.RequestError: FILTER_INVALID items have no attribute 'colour'; they have category, price
"""

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recommender.serving.problems import RequestError

_CONDITION: Final = re.compile(r"\s*([^:<>=]+?)\s*(:|<=|>=|<|>)\s*(.+?)\s*")
_ORDERS: Final = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_KEPT: Final = 256  # conditions, a quarter of a byte per item each
_WORDS: Final = {"true": True, "false": False}


@dataclass(frozen=True)
class Wanted:
    """Whether each item meets a filter: by index, and in the order in which items are searched."""

    items: NDArray[np.bool_]
    ranked: NDArray[np.bool_]


class Filters:
    """The filters of one version.

    Init parameters:
        attributes: name -> values in the order of the items. ranked: indexes of the items in the order of the search.
    """

    def __init__(self, attributes: Mapping[str, pa.Array], ranked: NDArray[np.integer]) -> None:
        self._attributes, self._ranked = attributes, ranked
        self._met: dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]] = {}
        self._count = len(next(iter(attributes.values()), ()))

    def wanted(self, text: str) -> Wanted:
        """Return which items meet all conditions; an item without a value meets none about it.

        Args:
            text: conditions with commas between them: name:value, name:one|other, name<number, <=, >, >=.

        Raises:
            RequestError: it is not a filter, or not of these attributes.
        """
        met = [self._condition(each.strip()) for each in text.split(",")]
        items, ranked = (np.bitwise_and.reduce(bits) for bits in zip(*met, strict=True))
        return Wanted(_unpacked(items, self._count), _unpacked(ranked, len(self._ranked)))

    def _condition(self, text: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        found = self._met.get(text)
        if found is None:
            parts = _CONDITION.fullmatch(text)
            if parts is None:
                raise _invalid(f"{text[:64]!r} is not a condition such as category:shoes or price<50")
            met = _met(self._attributes, *parts.groups())
            found = np.packbits(met), np.packbits(met[self._ranked])
            while len(self._met) >= _KEPT:
                self._met.pop(next(iter(self._met)), None)
            self._met[text] = found
        return found


def _unpacked(bits: NDArray[np.uint8], count: int) -> NDArray[np.bool_]:
    return np.unpackbits(bits, count=count).view(np.bool_)


def _met(attributes: Mapping[str, pa.Array], name: str, sign: str, value: str) -> NDArray[np.bool_]:
    column = attributes.get(name)
    if column is None:
        known = ", ".join(sorted(attributes)) or "none in this version"
        raise _invalid(f"items have no attribute {name[:64]!r}; they have {known}")
    if sign == ":":
        wanted = pa.array([_value(name, column.type, each) for each in value.split("|")], column.type)
        equal: NDArray[np.bool_] = pc.is_in(column, value_set=wanted).to_numpy(zero_copy_only=False)
        return equal
    if column.type != pa.float64():
        raise _invalid(f"{name} is not a number: {sign} cannot be asked of it")
    with np.errstate(invalid="ignore"):
        ordered: NDArray[np.bool_] = _ORDERS[sign](
            column.to_numpy(zero_copy_only=False), _value(name, column.type, value)
        )
    return ordered


def _value(name: str, kind: pa.DataType, text: str) -> Any:
    """Return a value as the attribute has it."""
    try:
        return float(text) if kind == pa.float64() else _WORDS[text.lower()] if kind == pa.bool_() else text
    except (ValueError, KeyError):
        expected = "a number" if kind == pa.float64() else "true or false"
        raise _invalid(f"{name} must be compared with {expected}, got {text[:64]!r}") from None


def _invalid(sentence: str) -> RequestError:
    return RequestError(422, "FILTER_INVALID", sentence)
