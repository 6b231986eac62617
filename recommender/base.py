"""What makes a class a step, and how a stage builds its steps from a nested dict.

Example usage:
>>> @step
... class Greet:
...     times: Annotated[int, Field(ge=1, le=3)] = 1
>>> Greet(times=2)
Greet(times=2)
>>> Greet(times=4)
Traceback (most recent call last):
recommender.errors.ConfigError: CFG_RANGE times must be 1..3, got 4
>>> build_steps({"greet": Greet}, {"greet": {"tmies": 2}, "great": {}})
Traceback (most recent call last):
recommender.errors.ConfigError: CFG_UNKNOWN_KEY greet.tmies, did you mean times; great, did you mean greet
"""

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import field, fields
from difflib import get_close_matches
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, cast

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError
from typing_extensions import dataclass_transform

from recommender.errors import ConfigError, Mistake
from recommender.redaction import redacted

__all__ = [
    "Annotated",
    "ColumnName",
    "ColumnNames",
    "Field",
    "TableName",
    "build_steps",
    "field",
    "json_schema",
    "parameters",
    "step",
    "unknown_key",
]

T = TypeVar("T")

_SHOWN = 60  # characters of a value in an error
_NO_NAME = re.compile(r"[\x00-\x1f\x7f`\"';\\]|--|/\*")
_LONGEST_NAME = 255


def _column_name(name: str) -> str:
    if not name.strip() or len(name) > _LONGEST_NAME or _NO_NAME.search(name):
        raise PydanticCustomError("bad_identifier", "no name of a column")
    return name


# The name of a column. It is quoted wherever it is used, but what could be SQL is refused before anything is sent.
ColumnName = Annotated[str, AfterValidator(_column_name)]


def _column_names(names: str | list[str]) -> str | list[str]:
    for name in [names] if isinstance(names, str) else names:
        _column_name(name)
    return names


# The name of a column, or the names of those that make one when they are joined with a blank.
ColumnNames = Annotated[str | list[str], AfterValidator(_column_names)]


def _table_name(name: str) -> str:
    for part in name.split("."):
        _column_name(part)
    return name


# The name of a table: parts separated by dots, each of them quoted wherever it is used.
TableName = Annotated[str, AfterValidator(_table_name)]

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass_transform(field_specifiers=(field, Field))
def step(cls: type[T]) -> type[T]:
    """Make a class a step: its fields are its hyperparameters, checked when it is constructed.

    Raises:
        ConfigError: at construction, listing every unknown, missing, mistyped and out-of-range parameter.
    """
    made = dataclass(cls, config=_STRICT, frozen=True)
    checked_init = made.__init__

    @functools.wraps(checked_init)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            checked_init(self, *args, **kwargs)
        except ValidationError as error:
            raise ConfigError(*_mistakes(made, error)) from None

    made.__init__ = init  # type: ignore[method-assign]
    return cast("type[T]", made)


def build_steps(
    steps: Mapping[str, type],
    config: Mapping[str, Any],
    path: str = "",
    fixed: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Build every step of a stage from its part of the config.

    Args:
        steps: config key -> class of the step.
        config: config key -> parameters; a step that is not named gets its defaults.
        path: what to put before the keys in error sentences, for example ``stage1.``.
        fixed: config key -> parameters that a step has, but that the stage relies on.

    Returns:
        config key -> the step.

    Raises:
        ConfigError: with the mistakes of all steps.
    """
    if not isinstance(config, Mapping):
        raise ConfigError(_type_mistake(path.rstrip(".") or "config", "a mapping of steps", config))
    mistakes = []
    built = {}
    for name, given in config.items():
        if name not in steps:
            mistakes.append(unknown_key(f"{path}{name}", steps))
        elif given is not None and not isinstance(given, Mapping):
            mistakes.append(_type_mistake(f"{path}{name}", "a mapping of parameters", given))
    for name, step_class in steps.items():
        given = config.get(name) or {}
        if not isinstance(given, Mapping):
            continue
        try:
            built[name] = step_class(**{str(key): value for key, value in given.items()})
        except ConfigError as error:
            mistakes += [_under(f"{path}{name}", mistake) for mistake in error.mistakes]
        mistakes += _moved(f"{path}{name}", built.get(name), fixed.get(name, {}))
    if mistakes:
        raise ConfigError(*sorted(mistakes, key=lambda m: _position(m.path, path, config)))
    return built


def _moved(step_path: str, built: Any, fixed: Mapping[str, Any]) -> list[Mistake]:
    """Return a mistake for each parameter that is not what the stage relies on."""
    found = {f"{step_path}.{name}": (getattr(built, name, value), value) for name, value in fixed.items()}
    return [
        Mistake("CFG_FIXED", path, f"{path} must stay {_shown(value)} in this stage, got {_shown(given)}")
        for path, (given, value) in found.items()
        if given != value
    ]


def _under(step_path: str, mistake: Mistake) -> Mistake:
    """Return a step's mistake with its place in the whole config."""
    if not mistake.path:
        return Mistake(mistake.id, step_path, f"{step_path}: {mistake.sentence}")
    path = f"{step_path}.{mistake.path}"
    return Mistake(mistake.id, path, mistake.sentence.replace(mistake.path, path, 1))


def _position(mistake_path: str, prefix: str, config: Mapping[str, Any]) -> int:
    """Return the place of a mistake's step in the config, so that mistakes are listed as the file has them."""
    name = mistake_path[len(prefix) :].split(".", 1)[0]
    return list(config).index(name) if name in config else len(config)


def parameters(a_step: Any) -> dict[str, Any]:
    """Return a step's parameters, defaults included, as plain JSON types.

    >>> from recommender.stage1.steps.event_deduplicator import EventDeduplicator
    >>> parameters(EventDeduplicator())
    {'keep_duplicates': False}
    """
    values: dict[str, Any] = TypeAdapter(type(a_step)).dump_python(a_step, mode="json")
    return values


@functools.cache
def json_schema(step_class: type) -> dict[str, Any]:
    """Return the JSON schema of a step's parameters."""
    return TypeAdapter(step_class).json_schema()


def unknown_key(path: str, known: Iterable[str]) -> Mistake:
    """Return the mistake of a key that nobody knows, with the nearest known name."""
    names = list(known)
    close = get_close_matches(path.rsplit(".", 1)[-1], names, n=1)
    known_names = f"known are {', '.join(names)}" if names else "there is nothing to set"
    hint = f"did you mean {close[0]}" if close else known_names
    return Mistake("CFG_UNKNOWN_KEY", path, f"{path}, {hint}")


def _mistakes(step_class: type, error: ValidationError) -> list[Mistake]:
    return [_mistake(step_class, details) for details in error.errors(include_url=False)]


def _mistake(step_class: type, details: Any) -> Mistake:
    """Turn one of pydantic's findings into a sentence that names the parameter, its rule and the value."""
    kind, location = details["type"], [str(part) for part in details["loc"]]
    names = [f.name for f in fields(step_class)]
    if kind in {"unexpected_keyword_argument", "unexpected_positional_argument"}:
        return unknown_key(location[0], names)
    if kind == "missing":
        return Mistake("CFG_MISSING", location[0], f"{location[0]} is required and was not given")
    if kind == "value_error":  # from a step's own __post_init__: about several parameters at once
        return Mistake("CFG_VALUE", "", str(details["ctx"]["error"]))
    path, rule = location[0], json_schema(step_class)["properties"][location[0]]
    for part in location[1:]:
        rule = next((each for each in rule.get("anyOf", ()) if {"additionalProperties", "items"} & each.keys()), rule)
        if "additionalProperties" in rule:
            path, rule = f"{path}.{part}", rule["additionalProperties"]
        elif "items" in rule:
            path, rule = f"{path}[{part}]", rule["items"]
    if kind == "bad_identifier":
        rule_text = "a name: no quotes, semicolons, backslashes, comments or control characters"
        return Mistake("BAD_IDENTIFIER", path, f"{path} must be {rule_text}, got {_shown(details['input'])}")
    if kind == "string_pattern_mismatch":
        pattern, value = details["ctx"]["pattern"], _shown(details["input"])
        return Mistake("CFG_RANGE", path, f"{path} must be text that matches {pattern}, got {value}")
    return _broken(kind, path, rule, details["input"])


def _broken(kind: str, path: str, rule: Mapping[str, Any], value: Any) -> Mistake:
    """Return the mistake of a value that breaks its rule, a JSON schema."""
    if kind == "too_short":
        return Mistake("CFG_RANGE", path, f"{path} must not be empty")
    wanted = None
    if kind.startswith(("greater_than", "less_than", "finite_number")):
        wanted = _range(rule) or "finite"
    elif kind == "literal_error":
        wanted = _describe(rule)
    if wanted is None:
        return _type_mistake(path, _describe(rule), value)
    return Mistake("CFG_RANGE", path, f"{path} must be {wanted}, got {_shown(value)}")


def _type_mistake(path: str, expected: str, value: Any) -> Mistake:
    return Mistake("CFG_TYPE", path, f"{path} must be {expected}, got {_shown(value)}")


def _shown(value: Any) -> str:
    text = repr(redacted(value))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _describe(rule: Mapping[str, Any]) -> str:
    """Say in words what a JSON schema allows.

    >>> _describe({"type": "object", "additionalProperties": {"type": "number", "minimum": 0}})
    'a mapping to a number >= 0'
    """
    if "anyOf" in rule:
        return " or ".join(_describe(part) for part in rule["anyOf"])
    if "enum" in rule or "const" in rule:
        return "one of " + ", ".join(str(value) for value in rule.get("enum", [rule.get("const")]))
    if rule.get("type") == "array":
        return f"a list, each {_describe(rule.get('items', {}))}"
    if rule.get("type") == "object":
        return f"a mapping to {_describe(rule.get('additionalProperties', {}))}"
    words = {"integer": "an integer", "number": "a number", "string": "a string", "boolean": "true or false"}
    word = words.get(rule.get("type", ""), str(rule.get("type", "a value")))
    return f"{word} {_range(rule)}".rstrip()


def _range(rule: Mapping[str, Any]) -> str:
    if "anyOf" in rule:
        return " or ".join(filter(None, (_range(part) for part in rule["anyOf"])))
    low, high = rule.get("minimum"), rule.get("maximum")
    if low is not None and high is not None:
        return f"{low}..{high}"
    signs = {
        "minimum": ">=",
        "exclusiveMinimum": ">",
        "maximum": "<=",
        "exclusiveMaximum": "<",
        "minLength": "length >=",
    }
    return " and ".join(f"{sign} {rule[key]}" for key, sign in signs.items() if key in rule)
