"""Report what Spark says about a wrong option of its readers.

Example usage:
>>> print(wrong_option(ValueError("escape cannot be more than one character"), {"escape": "xx"}))
CFG_OPTION data_loader.options (escape) must be as Spark's reader takes it, which says: escape cannot be more than ...
"""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from recommender.errors import ConfigError, Mistake

# Errors whose type does not show that they are about an option.
_OPTION = re.compile(
    r"UnsupportedCharsetException|IllegalCharsetNameException|more than one character|EXCEEDS_ONE_CHARACTER"
    r"|should be an integer|For input string: |timestamp provided for the '\w+' option"
)
_NO_VALUE = ("IllegalArgumentException", "NumberFormatException", "ParseException")
_CAUSE = re.compile(r"\b(?:IllegalArgument|NumberFormat|\w*Charset\w*)Exception: (.*)")
# The options that a reader of files knows.
_OF_FILES = "compression modifiedAfter modifiedBefore pathGlobFilter recursiveFileLookup timeZone"
_OF_TEXT = f"""
charset dateFormat encoding inferSchema lineSep locale multiLine samplingRatio timestampFormat timestampNTZFormat
{_OF_FILES}"""
_KNOWN: Mapping[str, str] = {
    "csv": f"""
charToEscapeQuoteEscaping comment emptyValue enforceSchema escape ignoreLeadingWhiteSpace ignoreTrailingWhiteSpace
maxCharsPerColumn maxColumns nanValue negativeInf nullValue positiveInf preferDate quote unescapedQuoteHandling
{_OF_TEXT}""",
    "json": f"""
allowBackslashEscapingAnyCharacter allowComments allowNonNumericNumbers allowNumericLeadingZeros allowSingleQuotes
allowUnquotedControlChars allowUnquotedFieldNames dropFieldIfAllNull prefersDecimal primitivesAsString {_OF_TEXT}""",
    "parquet": f"datetimeRebaseMode int96RebaseMode mergeSchema {_OF_FILES}",
    "orc": f"mergeSchema {_OF_FILES}",
}


def chosen(options: Mapping[str, str], name: str, default: str = "") -> str:
    """Return an option, whatever the case of its name.

    >>> chosen({"multiline": "true"}, "multiLine"), chosen({}, "quote", "'")
    ('true', "'")
    """
    return next((value for key, value in options.items() if key.lower() == name.lower()), default)


def unknown_option(file_format: str, options: Iterable[str]) -> str | None:
    """Return a sentence about an option that the reader of a format does not know; None if it knows all.

    >>> unknown_option("csv", ["encodng"])
    "options.encodng is not an option of Spark's csv reader, did you mean encoding"
    """
    known = _KNOWN.get(file_format, "").split()
    lower = {name.lower(): name for name in known}
    for option in options if known else ():
        if option.lower() not in lower:
            close = get_close_matches(option.lower(), lower, n=1)
            hint = f", did you mean {lower[close[0]]}" if close else f"; it knows {', '.join(sorted(known))}"
            return f"options.{option} is not an option of Spark's {file_format} reader{hint}"
    return None


def wrong_option(error: Exception, options: Mapping[str, str]) -> ConfigError | None:
    """Return the mistake that an error is about, if there are options; of a failed task, the cause."""
    text = str(error).strip()
    if not options or not (type(error).__name__ in _NO_VALUE or _OPTION.search(text)):
        return None
    cause = _CAUSE.search(text)
    said = re.sub(r"^\[\S+\] | SQLSTATE: \w+.*", "", (cause[1] if cause else text).split("\n", 1)[0])[:200]
    names = ", ".join(sorted(options))
    sentence = f"data_loader.options ({names}) must be as Spark's reader takes it, which says: {said}"
    if "charset" in said.lower():
        sentence = f"{sentence.rstrip('.')}; convert the files to UTF-8"
    return ConfigError(Mistake("CFG_OPTION", "data_loader.options", sentence))
