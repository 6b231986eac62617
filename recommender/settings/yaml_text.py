"""Configurations as text: YAML without Python objects and without repeated keys, read and written.

Example usage:
>>> parse_yaml("reg_param: 1e-3", "the file")
{'reg_param': 0.001}

A key is text, as it stands there, and so are kinds of events, wherever they stand:

>>> parse_yaml("{score_map: {1: 5, yes: 1.0}, exclude_events: [1, no]}", "the file")
{'score_map': {'1': 5, 'yes': 1.0}, 'exclude_events': ['1', 'no']}
>>> print(yaml_text({"since": "2015-05-03", "name": "1e-3", "root": "${OUT}"}), end="")
since: 2015-05-03
name: '1e-3'
root: ${OUT}
"""

import json
import re
from collections.abc import Iterable
from typing import Any

import yaml

from recommender.errors import ConfigError, Mistake

_WIDTH = 120
_TEXT = "tag:yaml.org,2002:str"
_NO_TEXTS = {f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null")}
_TEXTS = ("known_events", "exclude_events", "event_map", "null_words", "column_names")  # parameters, entries are text
_ONE_TEXT = "constant_event"  # a parameter that is text, or null


class _Loader(yaml.SafeLoader):
    """YAML without Python objects and without repeated keys; 1e-3 is a number, and a date is text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML has it
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key_node.start_mark)
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key_node.value} stands here a second time", key_node.start_mark
                )
            seen.add(key_node.value)
        _as_texts(key_node for key_node, _ in node.value)
        for key_node, value_node in node.value:
            _value_as_texts(key_node.value, value_node)
        return super().construct_mapping(node, deep)


def _as_texts(nodes: Iterable[yaml.Node]) -> None:
    """Make text of what YAML takes for numbers, truth values and null."""
    for node in nodes:
        if isinstance(node, yaml.ScalarNode) and node.tag in _NO_TEXTS:
            node.tag = _TEXT


def _value_as_texts(parameter: str, node: yaml.Node) -> None:
    """Keep texts as text in the value of a parameter, for example kinds of events."""
    if parameter in _TEXTS and isinstance(node, yaml.SequenceNode):
        _as_texts(node.value)
    elif parameter in _TEXTS and isinstance(node, yaml.MappingNode):
        _as_texts(value for _, value in node.value)
    elif parameter == _ONE_TEXT and not node.tag.endswith(":null"):
        _as_texts([node])


# PyYAML follows YAML 1.1, where 1e-3 is a string.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


class _Dumper(yaml.SafeDumper):
    """Quotes what the loader would take for something else than text, and writes out what stands in two places."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def parse_yaml(text: str, owner: str, parameter: str = "") -> Any:
    """Return what a text says.

    Args:
        owner: what is read, for the sentence of an error.
        parameter: whose value the text is; "": of none.

    Raises:
        ConfigError: it is not valid, uses a tag that is not allowed, or has no end.
    """
    try:
        document = _document(text, parameter)
        json.dumps(document, default=str)  # a document that holds itself has no end
        return document
    except (ValueError, RecursionError):
        raise ConfigError(Mistake("CFG_YAML", "", f"{owner} is not valid: it cannot be read to an end")) from None
    except yaml.constructor.ConstructorError as error:
        unsafe = "could not determine a constructor" in str(error.problem)
        kind = "CFG_YAML_TAG" if unsafe else "CFG_YAML"
        problem = f"{owner} uses a tag that is not allowed" if unsafe else f"{owner} is not valid: {error.problem}"
        raise ConfigError(Mistake(kind, "", f"{problem}{_place(error)}")) from None
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise ConfigError(Mistake("CFG_YAML", "", f"{owner} is not valid YAML: {problem}{_place(error)}")) from None


def _document(text: str, parameter: str) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _value_as_texts(parameter, node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def yaml_text(document: Any) -> str:
    """Return a document of plain JSON types as a text that `parse_yaml` reads as the same, its keys in their order."""
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return text


def flow_text(value: Any) -> str:
    """Return a value on one line, as it stands behind a key.

    >>> flow_text({"visitorid": "user", "delimiter": "\\t"}), flow_text("1e3")
    ('{visitorid: user, delimiter: "\\\\t"}', "'1e3'")
    """
    text: str = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**9
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
