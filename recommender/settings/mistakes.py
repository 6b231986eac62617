"""How a wrong parameter is described: its place in the configuration, its rule, and the value that was given.

Example usage:
>>> unknown_key("stage1.score_filter.min_scor", ["min_score"]).sentence
'stage1.score_filter.min_scor, did you mean min_score'
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from pydantic import TypeAdapter, ValidationError

from recommender.errors import Mistake
from recommender.settings.redaction import redacted

_SHOWN = 60  # characters of a value in an error


def unknown_key(path: str, known: Iterable[str]) -> Mistake:
    """Return the mistake of a key that nobody knows, with the nearest known name."""
    names = list(known)
    close = get_close_matches(path.rsplit(".", 1)[-1], names, n=1)
    known_names = f"known are {', '.join(names)}" if names else "there is nothing to set"
    hint = f"did you mean {close[0]}" if close else known_names
    return Mistake("CFG_UNKNOWN_KEY", path, f"{path}, {hint}")


def mistakes_of(step_class: type, error: ValidationError, step_path: str = "") -> list[Mistake]:
    """Return the mistakes that pydantic has found in the parameters of a step: one for a value of several types.

    Args:
        step_path: the step's place in the configuration; "" for a step that was not built from one.
    """
    found: dict[str, list[Any]] = {}
    for details in error.errors(include_url=False):
        found.setdefault(str(details["loc"][:1]), []).append(details)
    return [mistake for group in found.values() for mistake in _mistakes(step_class, group, step_path)]


def _mistakes(step_class: type, group: Sequence[Any], step_path: str) -> list[Mistake]:
    """Return the mistakes of one parameter; a value that is of none of its types is one mistake."""
    name = str(next(iter(group[0]["loc"]), ""))
    rule = json_schema(step_class)["properties"].get(name, {})
    if len(group) > 1 and len(_types(rule)) > 1:
        whole = min(group, key=lambda details: len(details["loc"]))
        return [type_mistake(f"{step_path}.{name}" if step_path else name, _describe(rule), whole["input"])]
    found = [_mistake(step_class, details, step_path) for details in group]
    return list({mistake.path: mistake for mistake in found}.values())


def _types(rule: Mapping[str, Any]) -> list[Any]:
    """Return the types that a JSON schema lets a value choose from, without null."""
    return [part for part in rule.get("anyOf", ()) if part.get("type") != "null"]


def _mistake(step_class: type, details: Any, step_path: str) -> Mistake:
    """Turn one of pydantic's findings into a sentence that names the parameter, its rule and the value."""
    kind, location = details["type"], [str(part) for part in details["loc"]]
    if kind == "value_error":  # from a step's own __post_init__: about several parameters at once
        sentence = str(details["ctx"]["error"])
        return Mistake("CFG_VALUE", step_path, f"{step_path}: {sentence}" if step_path else sentence)
    path = f"{step_path}.{location[0]}" if step_path else location[0]
    if kind in {"unexpected_keyword_argument", "unexpected_positional_argument"}:
        return unknown_key(path, [f.name for f in fields(step_class)])
    if kind == "missing":
        return Mistake("CFG_MISSING", path, f"{path} is required and was not given")
    rule = json_schema(step_class)["properties"][location[0]]
    for part in location[1:]:
        if len(_types(rule)) > 1:  # the part names one of them
            continue
        rule = next((each for each in rule.get("anyOf", ()) if {"additionalProperties", "items"} & each.keys()), rule)
        if "additionalProperties" in rule:
            path, rule = f"{path}.{part}", rule["additionalProperties"]
        elif "items" in rule:
            path, rule = f"{path}[{part}]", rule["items"]
    if kind == "bad_identifier":
        rule_text = "a name: no quotes, semicolons, backslashes, comments or control characters"
        return Mistake("BAD_IDENTIFIER", path, f"{path} must be {rule_text}, got {shown(details['input'])}")
    if kind == "string_pattern_mismatch":
        pattern, value = details["ctx"]["pattern"], shown(details["input"])
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
        return type_mistake(path, _describe(rule), value)
    return Mistake("CFG_RANGE", path, f"{path} must be {wanted}, got {shown(value)}")


def type_mistake(path: str, expected: str, value: Any) -> Mistake:
    """Return the mistake of a value that is not of the expected type."""
    return Mistake("CFG_TYPE", path, f"{path} must be {expected}, got {shown(value)}")


def shown(value: Any) -> str:
    """Return a value for a sentence: without secrets, and not too long."""
    text = repr(redacted(value))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _describe(rule: Mapping[str, Any]) -> str:
    """Say in words what a JSON schema allows.

    >>> _describe({"type": "object", "additionalProperties": {"type": "number", "minimum": 0}})
    'a mapping to a number >= 0'
    """
    if "anyOf" in rule:
        return " or ".join(_describe(part) for part in rule["anyOf"])
    if "const" in rule:
        return str(rule["const"])
    if "enum" in rule:
        return "one of " + ", ".join(map(str, rule["enum"]))
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


def position(mistake_path: str, prefix: str, config: Mapping[str, Any]) -> int:
    """Return the place of a mistake's step in the config, so that mistakes are listed as the file has them."""
    name = mistake_path[len(prefix) :].split(".", 1)[0]
    return list(config).index(name) if name in config else len(config)


@functools.cache
def json_schema(step_class: type) -> dict[str, Any]:
    """Return the JSON schema of a step's parameters."""
    return TypeAdapter(step_class).json_schema()
