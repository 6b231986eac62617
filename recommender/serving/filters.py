"""Filters of items by what the shop knows of them: conditions that must all hold.

Example usage:
>>> attributes = {"category": pa.array(["shoes", "hats", None]), "price": pa.array([49.0, 9.0, 1.0])}
>>> matching(attributes, 3, "category:shoes|hats,price<20").tolist()
[False, True, False]
>>> matching(attributes, 3, "colour:red")
Traceback (most recent call last):
recommender.serving.problems.RequestError: FILTER_INVALID items have no attribute 'colour'; they have category, price
"""

import operator
import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recommender.serving.problems import RequestError

_CONDITION: Final = re.compile(r"\s*([^:<>=]+?)\s*(:|<=|>=|<|>)\s*(.+?)\s*")
_ORDERS: Final = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_WORDS: Final = {"true": True, "false": False}


def matching(attributes: Mapping[str, pa.Array], count: int, text: str) -> NDArray[np.bool_]:
    """Return whether each item meets all conditions; an item without a value meets none about it.

    Args:
        attributes: name -> values in the order of the items. count: of the items.
        text: conditions with commas between them: name:value, name:one|other, name<number, <=, >, >=.

    Raises:
        RequestError: it is not a filter, or not of these attributes.
    """
    found = np.ones(count, dtype=np.bool_)
    for condition in text.split(","):
        parts = _CONDITION.fullmatch(condition)
        if parts is None:
            raise _invalid(f"{condition[:64]!r} is not a condition such as category:shoes or price<50")
        found &= _met(attributes, *parts.groups())
    return found


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
