"""The page: a verdict, warnings, and a section for each thing that the records know of; one run, or two side by side.

Example usage:
>>> from recommender.report.facts import Facts
>>> page = report_page([Facts("monday", {}), Facts("tuesday", {})])
>>> page.count("Nothing is committed yet."), "monday beside tuesday" in page, "<script" in page
(2, True, False)
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib import resources
from typing import Final

from recommender.report import lists, log, making, quality
from recommender.report.facts import Facts
from recommender.report.html import Child, Markup, element, moment
from recommender.report.verdict import verdict

_SECTIONS: Final[Sequence[tuple[str, Callable[[Facts], Markup | None]]]] = (
    ("How good the lists are", quality.metrics),
    ("What the gate compared", quality.gate),
    ("The log", log.log),
    ("How much of the catalogue is shown", quality.catalogue),
    ("What changes from live", lists.changes),
    ("Weights of the pairs", log.weights),
    ("Groups of visitors", quality.segments),
    ("Example visitors", lists.examples),
    ("What it cost", making.cost),
    ("Settings that differ from the defaults", making.settings),
    ("Where it comes from", making.origin),
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def report_page(runs: Sequence[Facts], made_at: str = "") -> str:
    """Return the page of one run, or of two.

    Args:
        runs: what is known of each.
        made_at: when the page is made; shown at its end.
    """
    runs = [replace(facts, shown_with=runs) for facts in runs]
    title = " beside ".join(facts.run for facts in runs)
    body = [
        element("header", element("p", "Recommendations, run", class_="kicker"), element("h1", title)),
        _beside(runs, [_verdict(facts) for facts in runs]),
        _beside(runs, [_warnings(facts) for facts in runs]),
        [_section(name, runs, [part(facts) for facts in runs]) for name, part in _SECTIONS],
        element("footer", "Made ", [moment(made_at), " UTC, "] if made_at else None, "from the records of the store."),
    ]
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="robots", content="noindex"),
        element("title", f"Report: {title}"),
        Markup(f"<style>{_style()}</style>"),
    ]
    main = element("main", body, class_="two" if len(runs) > 1 else None)
    return f"<!DOCTYPE html>\n{element('html', element('head', head), element('body', main), lang='en')}\n"


def _style() -> str:
    return resources.files("recommender.report").joinpath("style.css").read_text(encoding="utf-8")


def _section(name: str, runs: Sequence[Facts], bodies: Sequence[Markup | None]) -> Markup | None:
    if not any(bodies):
        return None
    return element("section", element("h2", name), _beside(runs, bodies))


def _beside(runs: Sequence[Facts], bodies: Sequence[Markup | None]) -> Child:
    """Return the bodies of several runs beside each other, each below its run; that of one run as it is."""
    if len(runs) == 1:
        return bodies[0]
    if not any(bodies):
        return None
    columns = [
        element("div", element("p", facts.run, class_="run"), body or element("p", "nothing recorded", class_="note"))
        for facts, body in zip(runs, bodies, strict=True)
    ]
    return element("div", columns, class_="beside")


def _verdict(facts: Facts) -> Markup:
    found = verdict(facts)
    return element("p", found.sentence, class_=f"verdict {found.mood}")


def _warnings(facts: Facts) -> Markup | None:
    found = list(_warned(facts))
    if not found:
        return None
    return element("ul", [element("li", each) for each in found], class_="warnings", aria_label="Warnings")


def _warned(facts: Facts) -> Iterator[str]:
    """Return what a reader must know before all else."""
    overridden = facts.record("stage4").get("gate_overridden")
    if overridden:
        yield f"The gate was overridden: {overridden['sentence']}. Reason: {overridden['reason']}"
    elif "stage4" not in facts.commits:
        for reason in facts.gate.get("reasons", ()):
            yield f"Why the gate refused it: {reason['sentence']}"
    if any("/sample/data/" in path for path in facts.record("stage1").get("inputs") or ()):
        yield "The log is generated sample data: the numbers say nothing about a real shop."
    for stage, commit in facts.commits.items():
        lost = commit.record.get("lost") or {}
        if any(lost.values()):
            counts = ", ".join(f"{number:,} {what}" for what, number in lost.items())
            yield f"{stage}: Spark lost {counts}, and computed their part again: the result is whole"
        for warning in commit.record.get("warnings") or ():
            yield f"{stage}: {warning}"
