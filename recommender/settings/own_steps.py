"""Steps of a user's own, which a configuration names: ``steps: { night_filter: { class: my_shop.NightFilter } }``."""

import hashlib
import inspect
import sys
from collections.abc import Collection, Mapping
from dataclasses import is_dataclass
from importlib import import_module
from typing import Any, Final

from recommender.errors import ConfigError, Mistake
from recommender.settings.mistakes import shown, type_mistake
from recommender.settings.step import build_steps

CLASS: Final = "class"  # the key of a step's class, beside its parameters


def build_own_steps(given: Any, path: str, known: Collection[str]) -> dict[str, Any]:
    """Return the steps of the user's own, in the order of the configuration.

    Args:
        given: name -> class, and parameters, or the step itself.
        path: of the section, for error sentences.
        known: names of the stage's own steps, which are taken.

    Raises:
        ConfigError: with the mistakes of all steps.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigError(type_mistake(path, "a mapping of names to steps", given))
    classes: dict[str, type] = {}
    mistakes: list[Mistake] = []
    parameters: dict[str, Any] = {}
    for name, section in given.items():
        try:
            if is_dataclass(section):
                classes[name], parameters[name] = type(section), section
                continue
            classes[name] = _class_of(section, f"{path}.{name}", taken=name in known)
            parameters[name] = {key: value for key, value in section.items() if key != CLASS}
        except ConfigError as error:
            mistakes += error.mistakes
    try:
        built = build_steps(classes, parameters, f"{path}.")
    except ConfigError as error:
        mistakes += error.mistakes
    if mistakes:
        raise ConfigError(*mistakes)
    return built


def code_of(step: Any) -> dict[str, str]:
    """Return the class of a step, and the hash of the module that it stands in: a change of it makes another result."""
    module = sys.modules[type(step).__module__]
    code = hashlib.sha256(inspect.getsource(module).encode()).hexdigest()
    return {CLASS: f"{module.__name__}.{type(step).__qualname__}", "code": code}


def _class_of(section: Any, path: str, *, taken: bool) -> type:
    """Import the class of a step, and look whether it is one."""
    if taken:
        raise ConfigError(Mistake("CFG_STEP", path, f"{path} has the name of a step of the stage; take another name"))
    if not isinstance(section, Mapping) or not isinstance(section.get(CLASS), str):
        raise ConfigError(type_mistake(path, "a mapping with the key class, such as my_shop.NightFilter", section))
    name: str = section[CLASS]
    place = f"{path}.{CLASS}"
    module, _, qualified = name.rpartition(".")
    if not module:
        sentence = f"{place} must be a module and a class, such as my_shop.NightFilter, got {shown(name)}"
        raise ConfigError(Mistake("CFG_STEP", place, sentence))
    try:
        found = getattr(import_module(module), qualified)
    except (ImportError, AttributeError, SyntaxError) as error:
        sentence = f"{place} {name} cannot be imported ({error}); install the package that has it, or put its folder on"
        raise ConfigError(Mistake("CFG_STEP", place, f"{sentence} PYTHONPATH")) from None
    if not (isinstance(found, type) and is_dataclass(found) and callable(getattr(found, "execute", None))):
        sentence = f"{place} {name} is not a step: a class decorated with recommender.step that has a method execute"
        raise ConfigError(Mistake("CFG_STEP", place, sentence))
    return found
