r"""Bearer tokens with scopes, from a file that is read again when it changes.

A line of the file is a token, and behind it the scopes that it has; a token without scopes has all of them.

Example usage:
>>> tokens = Tokens("s3cret", None)
>>> tokens.check("Bearer s3cret", RECOMMEND)
>>> tokens.check(None, RECOMMEND)
Traceback (most recent call last):
recommender.serving.problems.RequestError: UNAUTHORIZED a token is wanted, in the header Authorization: Bearer TOKEN
>>> sorted(parsed("s3cret recommend\n# a comment\nother metrics,history")["other"])
['history', 'metrics']
"""

import hmac
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from recommender.errors import ConfigError, Mistake
from recommender.serving.problems import RequestError

RECOMMEND: Final = "recommend"
HISTORY: Final = "history"
METRICS: Final = "metrics"
SCOPES: Final = frozenset({RECOMMEND, HISTORY, METRICS})
_log = logging.getLogger("recommender.serving")


class Tokens:
    """Who may ask for what; without tokens, everybody for everything.

    Init parameters:
        token: one with all scopes, None: none. file: of tokens, None: none.

    Raises:
        ConfigError: the file cannot be read, or has a line that is not a token.
    """

    def __init__(self, token: str | None, file: str | None) -> None:
        self._file = Path(file) if file else None
        self._changed = 0.0
        self._scopes: Mapping[str, frozenset[str]] = parsed(token) if token is not None else {}
        self._is_open = token is None and file is None
        if self._file:
            self._changed, self._scopes = _read(self._file)

    def words(self) -> list[str]:
        """Return the tokens, to keep them out of messages."""
        return list(self._scopes)

    def read_again(self) -> None:
        """Read the file if it has changed; keep the tokens if it cannot be read."""
        try:
            if self._file and self._file.stat().st_mtime != self._changed:
                self._changed, self._scopes = _read(self._file)
                _log.info("read %d tokens again", len(self._scopes))
        except (OSError, ConfigError) as error:
            _log.warning("the tokens stay as they are: %s", error)

    def check(self, authorization: str | None, scope: str) -> None:
        """Do nothing if a request may be answered.

        Raises:
            RequestError: it has no valid token, or one without the scope.
        """
        if self._is_open or (scope == METRICS and not self._are_metrics_closed()):
            return
        kind, _, given = (authorization or "").partition(" ")
        found = None
        for token, scopes in self._scopes.items():
            if hmac.compare_digest(token.encode(), given.encode("utf-8", "replace")):
                found = scopes
        if found is None or kind.lower() != "bearer":
            sentence = "a token is wanted, in the header Authorization: Bearer TOKEN"
            raise RequestError(401, "UNAUTHORIZED", sentence)
        if scope not in found:
            raise RequestError(403, "FORBIDDEN", f"this token does not have the scope {scope}")

    def _are_metrics_closed(self) -> bool:
        """Return whether a token names the scope metrics; without one, the metrics are for everybody."""
        return any(METRICS in scopes != SCOPES for scopes in self._scopes.values())


def parsed(text: str) -> dict[str, frozenset[str]]:
    """Return the scopes of each token of a file.

    Raises:
        ConfigError: there is no token, or a line is not one.
    """
    found = {}
    for line in text.splitlines():
        token, *rest = line.split(None, 1)[:2] or [""]
        if not token or token.startswith("#"):
            continue
        scopes = frozenset(filter(None, rest[0].replace(" ", "").split(","))) if rest else SCOPES
        if not token.isascii() or not token.isprintable() or not scopes <= SCOPES:
            raise _wrong()
        found[token] = scopes
    if not found:
        raise _wrong()
    return found


def _read(file: Path) -> tuple[float, dict[str, frozenset[str]]]:
    try:
        return file.stat().st_mtime, parsed(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ConfigError(Mistake("TOKEN_FILE", "", f"{file} cannot be read: {reason}")) from error


def _wrong() -> ConfigError:
    scopes = ", ".join(sorted(SCOPES))
    sentence = f"a token must be one word of ASCII characters, and behind it some of the scopes {scopes}"
    return ConfigError(Mistake("TOKEN_FILE", "", f"{sentence}; see --token-file"))
