"""Make rows of JSON lines and of the nested values of Parquet and ORC.

Example usage:
>>> flat({"user": {"id": 7}, "items": [{"sku": "a"}, {"sku": "b"}]}, "items")
[{'user.id': 7, 'items.sku': 'a'}, {'user.id': 7, 'items.sku': 'b'}]
"""

import ast
import json
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import recommender.constants as C
from recommender.inspect.columns import place_of

_DEEPEST = 6
_UUID_BYTES = 16
_MOST_LITERAL = 20_000  # characters of a line of Python


def object_of(line: str) -> dict[str, Any] | None:
    """Return the object of a line, as Spark reads it: quotes may be single ones; None if it is malformed."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = _literal(line)
    return found if isinstance(found, dict) else None


def flat(row: Mapping[str, Any], explode: str | None = None) -> list[dict[str, Any]]:
    """Return the rows that an object makes, nested names with dots: one, or one per element of an array."""
    elements = _at(row, explode.split(".")) if explode else None
    if explode is None:
        return [dict(_flat(row, ""))]
    rest = {name: value for name, value in _flat(row, "") if name != explode}
    return [
        {**rest, **(dict(_flat(element, f"{explode}.")) if isinstance(element, Mapping) else {explode: element})}
        for element in (elements if isinstance(elements, list) else ())
    ]


def array_of_items(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the array whose elements are the items; None if the items stand in the rows themselves."""
    arrays: dict[str, int] = {}
    direct = 0
    for row in rows:
        for name, value in _flat(row, ""):
            if isinstance(value, list) and _holds_items(name, value):
                arrays[name] = arrays.get(name, 0) + 1
            elif value is not None and not isinstance(value, list) and place_of(C.ITEM, name) is not None:
                direct += 1
    best = max(arrays, key=lambda name: arrays[name], default=None)
    return best if best is not None and arrays[best] > direct else None


def _holds_items(name: str, value: Sequence[Any]) -> bool:
    first = next((element for element in value if element is not None), None)
    if isinstance(first, Mapping):
        return any(place_of(C.ITEM, f"{name}.{key}") is not None for key in first)
    return first is not None and not isinstance(first, list) and place_of(C.ITEM, name) is not None


def _flat(value: Mapping[str, Any], prefix: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping) and depth < _DEEPEST:
            yield from _flat(item, f"{name}.", depth + 1)
        else:
            yield name, _text(item) if isinstance(item, bytes) else item


def _text(value: bytes) -> str:
    """Return bytes as text: 16 that are none as a UUID."""
    try:
        return value.decode("ascii") if len(value) != _UUID_BYTES else str(uuid.UUID(bytes=value))
    except UnicodeDecodeError:
        return value.hex()


def _at(value: Any, path: Sequence[str]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _literal(line: str) -> Any:
    """Return an object in single quotes, as Python prints it."""
    if not line.lstrip().startswith("{'") or len(line) > _MOST_LITERAL:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.literal_eval(line.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None
