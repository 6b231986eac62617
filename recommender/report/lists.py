"""Sections about the lists themselves: what changes from the live version, and what a few visitors get."""

from collections.abc import Mapping, Sequence
from typing import Any

from recommender.report.facts import Facts
from recommender.report.html import Child, Markup, element, joined, number, table

_MOST_IDS = 5


def changes(facts: Facts) -> Markup | None:
    """Return what changes from the version that was live."""
    lists = (facts.release or {}).get("lists") or facts.record("stage4").get("release_diff")
    if not lists:
        return None
    live = (facts.release or {}).get("live") or (lists.get("against") or {}).get("run")
    titles = _titles(facts)
    lines: list[Sequence[Child]] = [
        (name.capitalize(), *(number(lists[name][key]) for key in ("candidate", "live", "gained", "lost")))
        for name in ("visitors", "items")
    ]
    coverage = (number(lists["coverage"][key], "{:.4f}") for key in ("candidate", "live"))
    lines += [("Coverage", *coverage, "", "")]
    lines += [("Overlap of a visitor's two lists, mean", number(lists["overlap"], "{:.4f}"), "", "", "")]
    lines += [("Visitors whose lists have the same items", number(lists["unchanged"], "{:.1%}"), "", "", "")]
    head = (f"First {lists['k']} places", "this run", "live", "gained", "lost")
    moved = [
        _moved(what, lists["items"][f"most_{what}"], titles)
        for what in ("gained", "lost")
        if lists["items"].get(f"most_{what}")
    ]
    return joined(
        [
            element("p", f"Compared with run {live}, which was live then.", class_="note"),
            table(head, lines),
            element("div", moved, class_="cards"),
            _most_changed(lists.get("most_changed") or ()),
        ]
    )


def examples(facts: Facts) -> Markup | None:
    """Return a few visitors: what they did, and what they are recommended."""
    found = facts.record("stage4").get("examples") or ()
    if not found:
        return None
    return element("div", [_visitor(each, _titles(facts)) for each in found], class_="cards")


def _titles(facts: Facts) -> dict[str, str]:
    return {str(each["itemid"]): each["title"] for each in facts.record("stage4").get("titles") or ()}


def _moved(what: str, items: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> Markup:
    rows = [(_item(each["itemid"], titles), number(each["lists"], "{:+,}")) for each in items]
    return table((f"Items that most lists {what}", "lists"), rows)


def _most_changed(visitors: Sequence[Mapping[str, Any]]) -> Markup | None:
    if not visitors:
        return None
    rows = [
        (str(each["visitorid"]), _ids(each["gained"]), _ids(each["lost"]), number(each["overlap"], "{:.2f}"))
        for each in visitors
    ]
    return table(("Visitors whose lists changed most", "gained", "lost", "overlap"), rows, left=3)


def _ids(ids: Sequence[Any]) -> str:
    shown = ", ".join(map(str, ids[:_MOST_IDS]))
    return (f"{shown}, …" if len(ids) > _MOST_IDS else shown) or "nothing"


def _visitor(example: Mapping[str, Any], titles: Mapping[str, str]) -> Markup:
    did = [element("li", f"{event} ", _item(item, titles)) for event, item in example["history"]]
    form = _form([score for _, score in example["recommended"]])
    gets = [
        element("li", _item(item, titles), " ", element("span", number(score, form), class_="score"))
        for item, score in example["recommended"]
    ]
    return element(
        "div",
        element("h3", f"Visitor {example['visitorid']}"),
        element("p", f"list from {example['source']}", class_="note"),
        element("h4", "Did, newest first"),
        element("ol", did, class_="plain") if did else element("p", "nothing in this log", class_="note"),
        element("h4", "Gets"),
        element("ol", gets),
        class_="card visitor",
    )


def _form(scores: Sequence[float]) -> str:
    """Return one format for all scores of a list, so that their points stand below each other.

    >>> _form([0.731, 0.0402]), _form([220.0, 0.5])
    ('{:.4f}', '{:.1f}')
    """
    largest = max(map(abs, scores), default=0.0)
    return "{:.4f}" if largest < 10 else "{:.1f}"  # noqa: PLR2004


def _item(itemid: Any, titles: Mapping[str, str]) -> Markup:
    title = titles.get(str(itemid))
    name = element("span", str(itemid), class_="id")
    return joined([element("span", title, class_="title"), " ", name]) if title else name
