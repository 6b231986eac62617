"""Say what Spark says about an option of its readers that is wrong.

Example usage:
>>> print(wrong_option(ValueError("escape cannot be more than one character"), {"escape": "xx"}))
CFG_OPTION data_loader.options (escape) must be as Spark's reader takes it, which says: escape cannot be more than ...
"""

import re
from collections.abc import Mapping

from recommender.errors import ConfigError, Mistake

# As far as the type of the error does not tell.
_OPTION = re.compile(
    r"UnsupportedCharsetException|IllegalCharsetNameException|more than one character|EXCEEDS_ONE_CHARACTER"
    r"|should be an integer|For input string: |timestamp provided for the '\w+' option"
)
_NO_VALUE = ("IllegalArgumentException", "NumberFormatException", "ParseException")
_CAUSE = re.compile(r"\b(?:IllegalArgument|NumberFormat|\w*Charset\w*)Exception: (.*)")


def wrong_option(error: Exception, options: Mapping[str, str]) -> ConfigError | None:
    """Return the mistake that an error tells of, if there are options; of a failed task, what made it fail."""
    text = str(error).strip()
    if not options or not (type(error).__name__ in _NO_VALUE or _OPTION.search(text)):
        return None
    cause = _CAUSE.search(text)
    said = re.sub(r"^\[\S+\] | SQLSTATE: \w+.*", "", (cause[1] if cause else text).split("\n", 1)[0])[:200]
    names = ", ".join(sorted(options))
    sentence = f"data_loader.options ({names}) must be as Spark's reader takes it, which says: {said}"
    return ConfigError(Mistake("CFG_OPTION", "data_loader.options", sentence))
