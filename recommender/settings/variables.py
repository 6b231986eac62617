"""Environment variables in a configuration, and secrets, which must come from there.

Example usage:
>>> mistakes = []
>>> substituted({"root": "${OUT:-out}/runs"}, "", {}, mistakes), mistakes
({'root': 'out/runs'}, [])
>>> [str(mistake) for mistake in inline_secrets({"password": "hunter2"}, "")]
['SECRET_INLINE password holds a secret; give it a key of its own, as ${NAME}, and set the environment variable NAME']
"""

import re
from collections.abc import Mapping
from typing import Any

from recommender.errors import Mistake
from recommender.settings.redaction import holds_secret, is_secret_name, remember

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(:-(?P<default>[^}]*))?\}")


def inline_secrets(value: Any, path: str) -> list[Mistake]:
    """Return a mistake for every secret that is written into the configuration; the sentence does not show it."""
    if isinstance(value, Mapping):
        return [m for key, item in value.items() for m in inline_secrets(item, f"{path}.{key}".lstrip("."))]
    if isinstance(value, list):
        return [m for item in value for m in inline_secrets(item, path)]
    named = any(map(is_secret_name, path.split("."))) and value not in (None, "") and not isinstance(value, bool)
    variables = list(_VARIABLE.finditer(str(value)))
    if named and not _VARIABLE.sub("", str(value)) and not any(variable["default"] for variable in variables):
        return []  # nothing but ${NAME}
    named = named or any(variable["default"] and is_secret_name(variable["name"]) for variable in variables)
    # Also one that comes from a variable: what is in a URL turns up in Spark's own log.
    if named or (isinstance(value, str) and holds_secret(_VARIABLE.sub("variable", value))):
        fault = f"{path} holds a secret; give it a key of its own, as ${{NAME}}, and set the environment variable NAME"
        return [Mistake("SECRET_INLINE", path, fault)]
    return []


def substituted(value: Any, path: str, environ: Mapping[str, str], mistakes: list[Mistake]) -> Any:
    """Replace the environment variables in all strings below `value`."""
    if isinstance(value, dict):
        return {k: substituted(v, f"{path}.{k}".lstrip("."), environ, mistakes) for k, v in value.items()}
    if isinstance(value, list):
        return [substituted(item, path, environ, mistakes) for item in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if name not in environ and default is None:
            sentence = f"{path} uses ${{{name}}}, but the environment variable {name} is not set"
            mistakes.append(Mistake("CFG_ENV", path, sentence))
        if is_secret_name(name) or is_secret_name(path.rsplit(".", 1)[-1]):
            remember(environ.get(name, ""))
        return environ.get(name, default or "")

    if "${" in _VARIABLE.sub("", value):
        sentence = f"{path} has a ${{ that begins no variable; write ${{NAME}} or ${{NAME:-text}}"
        mistakes.append(Mistake("CFG_ENV", path, sentence))
    return _VARIABLE.sub(replace, value)
