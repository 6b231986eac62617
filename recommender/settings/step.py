"""Make a class a step, and build the steps of a stage from a nested dict.

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
import inspect
import re
from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, cast, get_type_hints

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError
from typing_extensions import Self, dataclass_transform

from recommender.errors import ConfigError, Mistake
from recommender.settings.mistakes import json_schema, mistakes_of, position, shown, type_mistake, unknown_key

__all__ = [
    "Annotated",
    "ColumnName",
    "ColumnNames",
    "Field",
    "Steps",
    "TableName",
    "build_steps",
    "field",
    "json_schema",
    "parameters",
    "step",
    "unknown_key",
]

T = TypeVar("T")

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
            raise ConfigError(*mistakes_of(made, error)) from None

    made.__init__ = init  # type: ignore[method-assign]
    return cast("type[T]", made)


class Steps:
    """The steps of a stage: an attribute for each, named as in the configuration and annotated with its class.

    >>> @step
    ... class Greet:
    ...     times: int = 1
    >>> class Greetings(Steps):
    ...     greet: Greet
    >>> Greetings.build({"greet": {"times": 2}}).greet
    Greet(times=2)
    """

    def __init__(self, **steps: Any) -> None:
        vars(self).update(steps)

    @classmethod
    def classes(cls) -> dict[str, type]:
        """Return config key -> class of the step, those of base classes first."""
        return get_type_hints(cls)

    @classmethod
    def build(cls, config: Mapping[str, Any], fixed: Mapping[str, Mapping[str, Any]] = MappingProxyType({})) -> Self:
        """Return the steps of a stage; see `build_steps`."""
        return cls(**build_steps(cls.classes(), config, fixed=fixed))


def build_steps(
    steps: Mapping[str, type],
    config: Mapping[str, Any],
    path: str = "",
    fixed: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Build every step of a stage from its part of the config.

    Args:
        steps: config key -> class of the step.
        config: config key -> parameters, or the step itself; a step that is not named gets its defaults.
        path: what to put before the keys in error sentences, for example ``stage1.``.
        fixed: config key -> parameters that a step has, but that the stage relies on.

    Raises:
        ConfigError: with the mistakes of all steps.
    """
    if not isinstance(config, Mapping):
        raise ConfigError(type_mistake(path.rstrip(".") or "config", "a mapping of steps", config))
    mistakes = []
    built = {}
    for name, given in config.items():
        if name not in steps:
            mistakes.append(unknown_key(f"{path}{name}", steps))
        elif given is not None and not isinstance(given, Mapping | steps[name]):
            mistakes.append(type_mistake(f"{path}{name}", "a mapping of parameters", given))
    for name, step_class in steps.items():
        given = config.get(name) or {}
        try:
            if isinstance(given, Mapping):
                built[name] = _built(step_class, given, f"{path}{name}")
            elif isinstance(given, step_class):
                built[name] = given
        except ConfigError as error:
            mistakes += error.mistakes
        mistakes += _moved(f"{path}{name}", built.get(name), fixed.get(name, {}))
    if mistakes:
        raise ConfigError(*sorted(mistakes, key=lambda m: position(m.path, path, config)))
    return built


def _built(step_class: type, given: Mapping[str, Any], path: str) -> Any:
    """Return a step; its mistakes are worded with its place in the configuration."""
    made: Any = object.__new__(step_class)
    checked_init: Any = inspect.unwrap(step_class.__init__)  # type: ignore[misc]  # below `step`, which knows no place
    try:
        checked_init(made, **{str(key): value for key, value in given.items()})
    except ValidationError as error:
        raise ConfigError(*mistakes_of(step_class, error, path)) from None
    return made


def _moved(step_path: str, built: Any, fixed: Mapping[str, Any]) -> list[Mistake]:
    """Return a mistake for each parameter that is not what the stage relies on."""
    found = {f"{step_path}.{name}": (getattr(built, name, value), value) for name, value in fixed.items()}
    return [
        Mistake("CFG_FIXED", path, f"{path} must stay {shown(value)} in this stage, got {shown(given)}")
        for path, (given, value) in found.items()
        if given != value
    ]


def parameters(a_step: Any) -> dict[str, Any]:
    """Return a step's parameters, defaults included, as plain JSON types.

    >>> from recommender.stage1.steps.event_deduplicator import EventDeduplicator
    >>> parameters(EventDeduplicator())
    {'keep_duplicates': False}
    """
    values: dict[str, Any] = TypeAdapter(type(a_step)).dump_python(a_step, mode="json")
    return values
