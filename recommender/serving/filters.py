"""What a request asks of the attributes of items: conditions that must hold, boosts, and limits for each value.

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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recommender.serving.problems import RequestError
from recommender.serving.settings import MOST_ITEMS

_CONDITION: Final = re.compile(r"\s*([^:<>=]+?)\s*(:|<=|>=|<|>)\s*(.+?)\s*")
_ORDERS: Final = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_KEPT: Final = 256  # conditions, a quarter of a byte per item each
_WORDS: Final = {"true": True, "false": False}
_MOST_BOOSTS: Final = 4  # each may double the number of searches
_MOST_CHOICES: Final = 50
_BOOST: Final = 0.01, 100.0


@dataclass(frozen=True)
class Wanted:
    """Whether each item meets a filter: by index, and in the order in which items are searched."""

    items: NDArray[np.bool_]
    ranked: NDArray[np.bool_]


@dataclass(frozen=True)
class Boosts:
    """Which boosts each item gets, and what they make of a score.

    Attributes:
        groups: of each item, by its index: items of one group get the same boosts. ranked: the same in the order in
            which items are searched. factors: of each group.
    """

    groups: NDArray[np.uint8]
    ranked: NDArray[np.uint8]
    factors: NDArray[np.float32]

    def members(self, wanted: Wanted | None) -> Iterator[Wanted]:
        """Return the wanted items of each group that there is."""
        for group in np.flatnonzero(np.bincount(self.groups)).tolist():
            items, ranked = self.groups == group, self.ranked == group
            yield Wanted(items, ranked) if wanted is None else Wanted(items & wanted.items, ranked & wanted.ranked)

    def scores(self, items: NDArray[np.integer], scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return boosted scores: times the factor, or divided by it if they are negative, so that more is better."""
        factors = self.factors[self.groups[items]]
        boosted: NDArray[np.float32] = np.where(scores > 0, scores * factors, scores / factors)
        return boosted


@dataclass(frozen=True)
class Limit:
    """How many items of each value of an attribute a list may have.

    Attributes:
        values: a number for the value of each item, by its index; -1: it has none. most: how many.
    """

    values: NDArray[np.int32]
    most: int


class Filters:
    """What may be asked of the attributes in one version.

    Init parameters:
        attributes: name -> values in the order of the items. ranked: indexes of the items in the order of the search.
    """

    def __init__(self, attributes: Mapping[str, pa.Array], ranked: NDArray[np.integer]) -> None:
        self._attributes, self._ranked = attributes, ranked
        self._met: dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]] = {}
        self._values: dict[str, NDArray[np.int32]] = {}
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

    def narrowed(self, wanted: Wanted | None, items: NDArray[np.bool_]) -> Wanted:
        """Return the wanted items, all without a filter, that are among others, too."""
        both = items if wanted is None else items & wanted.items
        return Wanted(both, both[self._ranked])

    @cached_property
    def choices(self) -> dict[str, list[str]]:
        """Return the values of each attribute that has few, the most frequent first, as a filter names them."""
        found = {}
        for name, column in self._attributes.items():
            counts = pc.value_counts(column.drop_null())
            if column.type != pa.float64() and len(counts) <= _MOST_CHOICES:
                often = sorted(counts.to_pylist(), key=lambda each: (-each["counts"], each["values"]))
                values = [each["values"] for each in often]
                found[name] = [str(value).lower() if column.type == pa.bool_() else value for value in values]
        return found

    def boosts(self, text: str) -> Boosts:
        """Return the boosts of the items; one that meets several conditions gets the product of their factors.

        Args:
            text: conditions as in a filter, each with its factor: category:shoes*2,price<20*1.5.

        Raises:
            RequestError: it is not that, or not of these attributes.
        """
        each = [part.rpartition("*") for part in text.split(",")]
        if len(each) > _MOST_BOOSTS:
            raise _invalid(f"at most {_MOST_BOOSTS} boosts can be asked for, got {len(each)}")
        groups, ranked = np.zeros(self._count, np.uint8), np.zeros(len(self._ranked), np.uint8)
        factors = np.ones(1, np.float32)
        for bit, (condition, _, factor) in enumerate(each):
            number = _factor(condition, factor)
            met, met_by_rank = self._condition(condition.strip())
            groups |= _unpacked(met, self._count).view(np.uint8) << np.uint8(bit)
            ranked |= _unpacked(met_by_rank, len(self._ranked)).view(np.uint8) << np.uint8(bit)
            factors = np.concatenate([factors, factors * np.float32(number)])
        return Boosts(groups, ranked, factors)

    def limits(self, text: str) -> list[Limit]:
        """Return how many items a list may have of each value of attributes.

        Args:
            text: attributes, each with a number from 1: brand:2,category:5.

        Raises:
            RequestError: it is not that, or not of these attributes.
        """
        limits = []
        for part in text.split(","):
            name, _, number = part.strip().rpartition(":")
            if not number.isdecimal() or not 1 <= int(number) <= MOST_ITEMS:
                raise _invalid(f"{part[:64]!r} is not a limit such as brand:2")
            if name not in self._values:
                values = self._attribute(name).dictionary_encode().indices
                self._values[name] = values.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
            limits.append(Limit(self._values[name], int(number)))
        return limits

    def _attribute(self, name: str) -> pa.Array:
        column = self._attributes.get(name)
        if column is None:
            known = ", ".join(sorted(self._attributes)) or "none in this version"
            raise _invalid(f"items have no attribute {name[:64]!r}; they have {known}")
        return column

    def _condition(self, text: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        found = self._met.get(text)
        if found is None:
            parts = _CONDITION.fullmatch(text)
            if parts is None:
                raise _invalid(f"{text[:64]!r} is not a condition such as category:shoes or price<50")
            name, sign, value = parts.groups()
            met = _met(self._attribute(name), name, sign, value)
            found = np.packbits(met), np.packbits(met[self._ranked])
            while len(self._met) >= _KEPT:
                self._met.pop(next(iter(self._met)), None)
            self._met[text] = found
        return found


def _unpacked(bits: NDArray[np.uint8], count: int) -> NDArray[np.bool_]:
    return np.unpackbits(bits, count=count).view(np.bool_)


def _factor(condition: str, text: str) -> float:
    """Return the factor of a boost."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not condition or not _BOOST[0] <= number <= _BOOST[1]:
        given = f"{condition}*{text}"[:64] if condition else text[:64]
        raise _invalid(f"{given!r} is not a boost such as category:shoes*2; its factor is {_BOOST[0]} to {_BOOST[1]:g}")
    return number


def _met(column: pa.Array, name: str, sign: str, value: str) -> NDArray[np.bool_]:
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
