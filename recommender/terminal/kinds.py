"""Kinds of events in sentences: how they are shown, and which other kind is meant."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

MOST_SHOWN: Final = 10  # kinds in a sentence
_SIMPLE = re.compile(r"[\w.-]+")
_LONGEST = 40  # characters of a kind that are shown


def nearest(kind: str, others: Iterable[str]) -> str:
    """Return which of other kinds is probably meant, for the end of a sentence.

    >>> nearest("VIEW ", ["view"]), nearest("cart", ["view", "addtocart"]), nearest("purchase", ["view"])
    ('; it is view, written otherwise', '; the nearest kind is addtocart', '')
    """
    plain = {_plain(other): other for other in others}
    if _plain(kind) in plain:
        return f"; it is {shown(plain[_plain(kind)])}, written otherwise"
    close = get_close_matches(_plain(kind), plain, n=1)
    return f"; the nearest kind is {shown(plain[close[0]])}" if close else ""


def _plain(kind: str) -> str:
    return re.sub(r"[\W_]+", "", kind.casefold()) or kind


def shown(kind: str) -> str:
    """Return a kind as it may stand in a sentence; quoted unless it is a plain word."""
    return kind if _SIMPLE.fullmatch(kind) and len(kind) <= _LONGEST else repr(kind[:_LONGEST])


def listed(kinds: Iterable[str]) -> str:
    """Return kinds as a list for people, the first ten."""
    return ", ".join(map(shown, list(kinds)[:MOST_SHOWN]))


def counted(kinds: Mapping[str, int]) -> str:
    """Return kinds with their counts, the first ten."""
    first = [f"{shown(kind)} {count:,}" for kind, count in list(kinds.items())[:MOST_SHOWN]]
    return ", ".join([*first, "..."] if len(kinds) > MOST_SHOWN else first)
