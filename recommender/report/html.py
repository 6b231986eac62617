"""Elements of a page. All text is escaped, and so is every attribute; only what this module made is taken as it is.

Example usage:
>>> element("p", "5 < 6, ", element("b", "yes"), class_="note")
Markup('<p class="note">5 &lt; 6, <b>yes</b></p>')
>>> number(0.03125, "{:.3f}")
Markup('<data value="0.03125">0.031</data>')
"""

import html
from collections.abc import Iterable, Sequence
from typing import Any

from recommender.terminal.text import visible

_SECONDS = len("2026-05-03T04:00:00")
_VOID = {"line", "rect", "circle", "meta", "col"}


class Markup(str):
    """HTML that needs no more escaping."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Markup({super().__repr__()})"


Child = str | Iterable[Any] | None


def escaped(text: Any) -> Markup:
    """Return a text as HTML; control characters are shown as escapes.

    >>> escaped("<b>\\x07")
    Markup('&lt;b&gt;\\\\x07')
    """
    return text if isinstance(text, Markup) else Markup(html.escape(visible(str(text)), quote=True))


def element(tag: str, *children: Child, **attributes: Any) -> Markup:
    """Return an element.

    Args:
        tag: its name.
        children: texts, elements, or iterables of them; None is left out.
        attributes: `class_` stands for class, `_` for a hyphen; None is left out.
    """
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escaped(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Markup(f"<{tag}{given}/>")
    return Markup(f"<{tag}{given}>{joined(children)}</{tag}>")


def joined(children: Iterable[Child]) -> Markup:
    """Return texts and elements one after the other."""
    parts = []
    for child in children:
        if isinstance(child, str):
            parts.append(escaped(child))
        elif child is not None:
            parts.append(joined(child))
    return Markup("".join(parts))


def number(value: Any, form: str = "{:,}") -> Markup:
    """Return a number with its exact value as an attribute; a dash if there is none, a text as it is."""
    if not isinstance(value, int | float):
        return escaped("–" if value is None else value)
    return element("data", form.format(value), value=repr(value))


def moment(at: Any) -> Markup:
    """Return a time in UTC, to the second; any other text stays as it is.

    >>> moment("2026-05-03T04:00:00.123+00:00")
    Markup('<time datetime="2026-05-03T04:00:00.123+00:00">2026-05-03 04:00:00</time>')
    """
    text = str(at)
    is_time = len(text) > _SECONDS and text[10] == "T" and text.endswith(("Z", "+00:00"))
    return element("time", text[:_SECONDS].replace("T", " "), datetime=text) if is_time else escaped(text)


def table(head: Sequence[Child], rows: Iterable[Sequence[Child]], left: int = 1, class_: str | None = None) -> Markup:
    """Return a table in a box that scrolls if the page is narrow.

    Args:
        head: cells of the first line.
        rows: cells of the others.
        left: how many columns from the left are text; the others are aligned to the right.
        class_: of the table.
    """
    sides = [None if place < left else "n" for place in range(len(head))]
    first = [element("th", cell, class_=side, scope="col") for cell, side in zip(head, sides, strict=True)]
    lines = [
        element(
            "tr",
            [
                element("td" if place else "th", cell, class_=side, scope=None if place else "row")
                for place, (cell, side) in enumerate(zip(row, sides, strict=True))
            ],
        )
        for row in rows
    ]
    whole = element("table", element("thead", element("tr", first)), element("tbody", lines), class_=class_)
    return element("div", whole, class_="scroll", tabindex="0")


def facts(pairs: Iterable[tuple[Child, Child]], class_: str = "facts") -> Markup:
    """Return names and values as a list of definitions."""
    return element(
        "dl", [element("div", element("dt", name), element("dd", value)) for name, value in pairs], class_=class_
    )
