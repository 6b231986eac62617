"""What a request asks of the attributes of items: conditions that must hold, boosts, and limits for each value.

The attributes lie in memory as numbers in the order in which items are searched, so that a condition is one comparison
of the items that a search looks at, and of no others.

Example usage:
>>> attributes = {"category": pa.array(["shoes", "hats", None]), "price": pa.array([49.0, 9.0, 1.0])}
>>> filters = Filters(attributes, ranked=np.array([2, 0, 1]))
>>> filters.choice("category:shoes|hats,price<20").of_items(np.arange(3))[0].tolist()
[False, True, False]
>>> filters.choice("colour:red")
Traceback (most recent call last):
recommender.serving.problems.RequestError: FILTER_INVALID items have no attribute 'colour'; they have category, price
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial, reduce
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recommender.serving.problems import RequestError
from recommender.serving.settings import MOST_ITEMS

_CONDITION: Final = re.compile(r"\s*([^:<>=]+?)\s*(:|<=|>=|<|>)\s*(.+?)\s*")
_ORDERS: Final = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_WORDS: Final = {"true": True, "false": False}
_MOST_BOOSTS: Final = 4
_MOST_CHOICES: Final = 50
_BOOST: Final = 0.01, 100.0

Places = slice | NDArray[np.integer]
Test = Callable[[Places], NDArray[np.bool_]]


class Column:
    """An attribute of all items, in the order of the search.

    Init parameters:
        values: of the items, in the order of their indexes. order: the indexes, in the order of the search.
        as_numbers: whether numbers stay numbers; else they become codes, as words are.
    Attributes:
        values: numbers, NaN for none; or codes, 0 for none. words: that the codes from 1 on stand for; None: numbers.
    """

    def __init__(self, values: pa.Array, order: NDArray[np.integer], *, as_numbers: bool = True) -> None:
        self.words: pa.Array | None = None
        if as_numbers and values.type == pa.float64():
            self.values = values.to_numpy(zero_copy_only=False)[order]
            return
        coded = values.dictionary_encode()
        self.words = coded.dictionary
        codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)[order] + 1
        self.values = codes.astype(np.min_scalar_type(len(self.words)))

    def equals(self, wanted: list[Any], places: Places) -> NDArray[np.bool_]:
        """Return which items have one of some numbers or codes."""
        values = self.values[places]
        return reduce(operator.or_, (values == each for each in wanted), np.zeros(len(values), np.bool_))


@dataclass(frozen=True)
class Choice:
    """What a list may have, and what its scores are multiplied by.

    Attributes:
        place_of: the place of each item in the order of the search, by its index.
        tests: that an item at a place must meet. boosts: tests, and the factor of the items that meet them.
    """

    place_of: NDArray[np.int32]
    tests: tuple[Test, ...] = ()
    boosts: tuple[tuple[Test, float], ...] = ()

    def of(self, places: Places) -> tuple[NDArray[np.bool_] | None, NDArray[np.float32] | None]:
        """Return which items a list may have, None: all; and the factors of their scores, None: 1."""
        met = [test(places) for test in self.tests]
        factors = [np.where(test(places), np.float32(factor), np.float32(1)) for test, factor in self.boosts]
        return reduce(operator.and_, met) if met else None, reduce(operator.mul, factors) if factors else None

    def of_items(self, items: NDArray[np.integer]) -> tuple[NDArray[np.bool_] | None, NDArray[np.float32] | None]:
        """Return the same for items by their indexes."""
        return self.of(self.place_of[items]) if self.tests or self.boosts else (None, None)

    @property
    def largest(self) -> float:
        """Return a bound of all factors."""
        return float(np.prod([max(factor, 1.0) for _, factor in self.boosts]))

    @property
    def widest(self) -> float:
        """Return a bound of all factors and their inverses."""
        return float(np.prod([max(factor, 1 / factor) for _, factor in self.boosts]))

    def narrowed(self, test: Test) -> "Choice":
        """Return the same with one test more."""
        return replace(self, tests=(*self.tests, test))


@dataclass(frozen=True)
class Limit:
    """How many items of each value of an attribute a list may have.

    Attributes:
        codes: of the values of the items, by their places; 0: none. most: how many of each.
    """

    codes: NDArray[Any]
    most: int


class Filters:
    """What may be asked of the attributes in one version.

    Init parameters:
        attributes: name -> values in the order of the items. ranked: indexes of the items in the order of the search.
    """

    def __init__(self, attributes: Mapping[str, pa.Array], ranked: NDArray[np.integer]) -> None:
        count = len(next(iter(attributes.values()), ()))
        is_rest = np.ones(count, np.bool_)
        is_rest[ranked[:count]] = False
        self._order = np.concatenate([ranked[:count], np.flatnonzero(is_rest)]).astype(np.int32)
        self.place_of = np.empty(count, np.int32)
        self.place_of[self._order] = np.arange(count, dtype=np.int32)
        self._attributes = attributes
        self._columns = {name: Column(values, self._order) for name, values in attributes.items()}
        self._coded = {name: column for name, column in self._columns.items() if column.words is not None}

    def choice(self, conditions: str | None = None, boosts: str | None = None) -> Choice:
        """Return what a list may have; an item without a value meets no condition about it.

        Args:
            conditions: all of which must hold, with commas between them: name:value, name:one|other, name<number.
            boosts: conditions, each with its factor: category:shoes*2,price<20*1.5; an item that meets several gets
                the product.

        Raises:
            RequestError: it is not that, or not of these attributes.
        """
        tests = () if conditions is None else tuple(self._condition(each) for each in conditions.split(","))
        factors = [part.rpartition("*") for part in boosts.split(",")] if boosts else []
        if len(factors) > _MOST_BOOSTS:
            raise _invalid(f"at most {_MOST_BOOSTS} boosts can be asked for, got {len(factors)}")
        boosted = tuple((_factor(text, factor), text) for text, _, factor in factors)
        return Choice(self.place_of, tests, tuple((self._condition(text), factor) for factor, text in boosted))

    @cached_property
    def choices(self) -> dict[str, list[str]]:
        """Return the values of each attribute that has few, the most frequent first, as a filter names them."""
        found = {}
        for name, column in self._coded.items():
            if column.words is not None and len(column.words) <= _MOST_CHOICES and self._columns[name] is column:
                counts = np.bincount(column.values, minlength=len(column.words) + 1)[1:].tolist()
                often = sorted(zip(counts, column.words.to_pylist(), strict=True), key=lambda each: (-each[0], each[1]))
                found[name] = [str(word).lower() if isinstance(word, bool) else word for _, word in often]
        return found

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
            self._column(name)
            if name not in self._coded:
                self._coded[name] = Column(self._attributes[name], self._order, as_numbers=False)
            limits.append(Limit(self._coded[name].values, int(number)))
        return limits

    def _column(self, name: str) -> Column:
        column = self._columns.get(name)
        if column is None:
            known = ", ".join(sorted(self._columns)) or "none in this version"
            raise _invalid(f"items have no attribute {name[:64]!r}; they have {known}")
        return column

    def _condition(self, text: str) -> Test:
        parts = _CONDITION.fullmatch(text)
        if parts is None:
            raise _invalid(f"{text.strip()[:64]!r} is not a condition such as category:shoes or price<50")
        name, sign, value = parts.groups()
        column = self._column(name)
        if sign == ":":
            return partial(column.equals, _wanted(name, column, value.split("|")))
        if column.words is not None:
            raise _invalid(f"{name} is not a number: {sign} cannot be asked of it")
        compare, number = _ORDERS[sign], _value(name, pa.float64(), value)
        return lambda places: compare(column.values[places], number)


def _wanted(name: str, column: Column, texts: list[str]) -> list[Any]:
    """Return values as a column has them: numbers, or codes."""
    if column.words is None:
        return [_value(name, pa.float64(), text) for text in texts]
    kind = column.words.type
    codes = pc.index_in(pa.array([_value(name, kind, text) for text in texts], kind), value_set=column.words)
    return [code + 1 for code in codes.drop_null().to_pylist()]


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


def _value(name: str, kind: pa.DataType, text: str) -> Any:
    """Return a value as the attribute has it."""
    try:
        return float(text) if kind == pa.float64() else _WORDS[text.lower()] if kind == pa.bool_() else text
    except (ValueError, KeyError):
        expected = "a number" if kind == pa.float64() else "true or false"
        raise _invalid(f"{name} must be compared with {expected}, got {text[:64]!r}") from None


def _invalid(sentence: str) -> RequestError:
    return RequestError(422, "FILTER_INVALID", sentence)
