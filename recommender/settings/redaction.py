"""Keep secrets out of everything that is written: configurations, records, messages, logs.

Secrets come from the environment: ``${DB_PASSWORD}`` in a configuration. What is written into it directly is refused,
and what came from the environment is replaced by three stars wherever it would be shown.

Example usage:
>>> redacted("cannot reach jdbc:postgresql://ann:hunter2@db/shop?password=hunter2")
'cannot reach jdbc:postgresql://***@db/shop?password=***'
>>> redacted("abfss://shop/x?sv=2024&sig=aB%2F3Dx&se=2026 s3://shop/x?X-Amz-Credential=AKIA&X-Amz-Signature=0f3e")
'abfss://shop/x?sv=2024&sig=***&se=2026 s3://shop/x?X-Amz-Credential=***&X-Amz-Signature=***'
>>> redacted({"password": "hunter2", "user": "ann"})
{'password': '***', 'user': 'ann'}
"""

import re
from collections.abc import Mapping
from typing import Any, Final

HIDDEN: Final = "***"

_WORDS = r"secret|passw(?:or)?d|passphrase|token|credential|(?:access|api|private|account)[._-]?key"
# A password may hold a slash or an @; a number before a slash is a port.
_LOGIN = r"://[^/\s@:]*:(?:(?!\d+/)[^\s\"'<>]+|[^/\s]+)@"
# What Spark must hide in its log of events and its pages: matched against the keys and the values of its properties.
SPARK_PATTERN: Final = f"(?i){_WORDS}|{_LOGIN}"
# What is a secret as a parameter of a URL only: signatures of Azure and AWS, which open a file to whoever has the URL.
_SIGNATURES = r"(?:(?<=[?&;])|(?<=%26)|(?<=%3F))(?:sig|pwd)|x-(?:amz|goog)-(?:signature|credential)"
# The same for the text of queries and plans, of which only the match is replaced.
SPARK_STRING_PATTERN: Final = f"(?i){_LOGIN}|(?:{_WORDS}|{_SIGNATURES})=[^&;\\s]+"
# What a pattern must match, whoever has set it.
CANARIES: Final = ("spark.my.password", "DB_TOKEN", "jdbc:postgresql://ann:hunter2@db/shop")

_SECRET_NAME = re.compile(_WORDS, re.IGNORECASE)
_IN_URL = re.compile(_LOGIN)
# PWD is a password in a URL; as a name it is the folder that a shell is in.
_PARAMETER = re.compile(rf"((?:(?:{_WORDS})(?:[._-][\w.-]*)?|{_SIGNATURES})=)[^&;\s\"']+", re.IGNORECASE)
_OF_ORACLE = re.compile(r"(jdbc:oracle:\w+:)[^/\s@:]+/[^\s@]+(?=@)")
_SHORTEST = 4  # characters of a value that is hidden wherever it turns up; shorter ones would hide too much

_known: set[str] = set()


def is_secret_name(name: str) -> bool:
    """Return whether what has this name is a secret: a password, a token, a key."""
    return bool(_SECRET_NAME.search(name))


def holds_secret(text: str) -> bool:
    """Return whether a text has a login in a URL, or a secret as a parameter."""
    return any(pattern.search(text) for pattern in (_IN_URL, _PARAMETER, _OF_ORACLE))


def remember(value: str) -> None:
    """Hide a value from now on, wherever it turns up."""
    if len(value) >= _SHORTEST:
        _known.add(value)


def redacted(value: Any, *, numbers: bool = True) -> Any:
    """Return a text, or a tree of plain JSON types, without its secrets.

    Args:
        numbers: whether a number is hidden if its key is named like a secret; not so where keys are kinds of events or
            other words of a log, and numbers are counts.

    >>> redacted({"token": "a1b2", "password_reset": {"2026-11-30": 7}}, numbers=False)
    {'token': '***', 'password_reset': {'2026-11-30': 7}}
    """
    if isinstance(value, str):
        for secret in sorted(_known, key=len, reverse=True):
            value = value.replace(secret, HIDDEN)
        value = _OF_ORACLE.sub(rf"\g<1>{HIDDEN}", _IN_URL.sub(f"://{HIDDEN}@", value))
        return _PARAMETER.sub(rf"\g<1>{HIDDEN}", value)
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if _is_hidden(str(key), item, numbers) else redacted(item, numbers=numbers)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redacted(item, numbers=numbers) for item in value]
    return value


def _is_hidden(key: str, item: Any, numbers: bool) -> bool:
    is_kept = isinstance(item, bool) or (not numbers and not _has_text(item))
    return bool(item) and not is_kept and is_secret_name(key)


def _has_text(item: Any) -> bool:
    inner = item.values() if isinstance(item, Mapping) else item if isinstance(item, list | tuple) else ()
    return isinstance(item, str) or any(map(_has_text, inner))
