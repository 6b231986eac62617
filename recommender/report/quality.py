"""Sections about how good the lists are: metrics, the gate's comparisons, the catalogue, the groups of visitors."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import recommender.constants as C
from recommender.evaluation import METRICS, PER_VISITOR
from recommender.evaluation.long_tail import share
from recommender.report.charts import bar, curves, interval, scale
from recommender.report.facts import Facts
from recommender.report.html import Child, Markup, element, facts as definitions, joined, number, table

MODELS: Final = {
    C.ALS: "this model",
    C.LIVE: "live before",
    C.POPULAR: "popular items",
    C.RECENT: "recently popular",
    C.ITEM_TO_ITEM: "item to item",
}
_SAYS: Final = {
    "ndcg": "are the held-out items there, and far up",
    "recall": "share of the held-out items that are there",
    "precision": "share of the places that are held-out items",
    "map": "as NDCG, falling faster with the rank",
    "mrr": "how far up the first held-out item is",
    "hit_rate": "share of visitors with at least one",
    "coverage": "share of all items that somebody is shown",
    "novelty": "bits; one more: half as popular",
    "gini": "0: all items equally often, 1: one has all",
    "overlap": "share of places that two visitors have in common",
    "short_lists": "share of lists that are too short",
}

_NOT_CHOSEN: Final = "ALS, not chosen"
_THOUSANDTHS: Final = (1, 10, 50, 100, 200, 500)  # of the items, whose shares are in the table below the picture

Rows = Sequence[Mapping[str, Any]]


def metrics(facts: Facts) -> Markup | None:
    """Return a picture of each metric of visitors, and a table of all."""
    if not facts.metrics:
        return None
    _, k = facts.looked_at
    rows = [row for row in facts.metrics if row["k"] == k and row["metric"] in PER_VISITOR]
    names = sorted({row["metric"] for row in rows}, key=_order)
    cards = [_card(facts, name, k) for name in names]
    visitors = max((row["visitors"] for row in facts.metrics if row["metric"] in PER_VISITOR), default=None)
    judged = [number(visitors), " visitors with a holdout; lines are 95 % intervals"]
    return joined(
        [
            element("p", judged if names else "no visitor has a holdout", class_="note"),
            element("div", cards, class_="cards"),
            _all_cutoffs(facts),
        ]
    )


def gate(facts: Facts) -> Markup | None:
    """Return what the gate has compared, and why it refused, if it did."""
    found = facts.gate
    if not found:
        return None
    record = facts.record("stage1")
    blessed = facts.record("stage2").get("blessed")
    pairs: list[tuple[Child, Child]] = [
        ("Decision", "passed" if blessed else "refused"),
        ("Metric", str(found.get("metric"))),
        ("Visitors", number(found.get("visitors"))),
    ]
    pairs += [("Model", str(found["choice"]))] if found.get("choice") else []
    pairs += [("Compared with", f"live, run {found['live']['run']}")] if found.get("live") else []
    pairs += [("Holdout", str(record["protocol"]))] if "protocol" in record else []
    pairs += [("Leaks", number(record["leaks"]))] if "leaks" in record else []
    parts: list[Child] = [definitions(pairs)]
    if found.get("compared"):
        parts.append(_comparisons(facts))
    reasons = found.get("reasons") or ()
    if reasons:
        parts.append(element("ul", [element("li", each["sentence"]) for each in reasons], class_="reasons"))
    return joined(parts)


def catalogue(facts: Facts) -> Markup | None:
    """Return how the lists are spread over the items, and how long the tail of the log is."""
    _, k = facts.looked_at
    rows = [row for row in facts.metrics if row["k"] == k and row["metric"] not in PER_VISITOR]
    names = sorted({row["metric"] for row in rows}, key=_order)
    profile = facts.record("stage1").get("profile") or {}
    tails = [(what, profile[f"events_per_{what}"]) for what in ("item", "visitor") if f"events_per_{what}" in profile]
    if not names and not tails:
        return None
    parts: list[Child] = [element("div", [_card(facts, name, k) for name in names], class_="cards"), _long_tail(facts)]
    if tails:
        keys = ("mean", "p50", "p90", "p99", "max")
        lines = [
            (f"Events per {what}", *(number(tail.get(key), "{:,.1f}" if key == "mean" else "{:,}") for key in keys))
            for what, tail in tails
        ]
        parts.append(table(("Activity in the log", "mean", "median", "90 %", "99 %", "most"), lines))
    return joined(parts)


def _long_tail(facts: Facts) -> Markup | None:
    """Return how much of all events, and of all places of the lists, the most popular items have."""
    profile = facts.record("stage1").get("profile") or {}
    found = {
        "places of the lists": facts.record("stage4").get("long_tail"),
        "events of the log": profile.get("long_tail"),
    }
    known = {name: curve for name, curve in found.items() if curve and curve[-1][1]}
    if not known:
        return None
    points = {
        name: [(items / known[name][-1][0], total / known[name][-1][1]) for items, total in known.get(name, ())]
        for name in found  # one that is not known too, so that the others keep their colours
    }
    keys = [element("span", element("i", class_=f"c{list(found).index(name)}"), name) for name in known]
    keys.append(element("span", element("i", class_="even"), "if all items had the same"))
    texts = ("0%", "of the items, most popular first", "100%")
    ends = element("div", [element("span", text) for text in texts], class_="ends")
    lines: list[Sequence[Child]] = [
        (f"Share of the {name}", *(number(share(curve, each), "{:.1%}") for each in _THOUSANDTHS))
        for name, curve in known.items()
    ]
    says = "which share of all places and of all events the most popular items have"
    head = ("The most popular", *(f"{each / 1000:.1%}".replace(".0%", "%") for each in _THOUSANDTHS))
    return joined(
        [
            element("div", element("h3", "Long tail"), element("p", says, class_="note")),
            element("figure", element("figcaption", keys), curves(points), ends, class_="tail"),
            table(head, lines),
        ]
    )


def segments(facts: Facts) -> Markup | None:
    """Return the metric that the gate compares, by group of visitors."""
    name, k = facts.looked_at
    wanted = _by_segment(facts, name, k)
    if not wanted:
        return None
    end = scale([row["high"] or row["value"] for each in facts.on_page for row in _by_segment(each, name, k)])
    names = _names(facts)
    lines = [
        (
            row["segment"],
            names[row["model"]],
            number(row["visitors"]),
            number(row["value"], "{:.4f}"),
            interval(row["value"], row["low"], row["high"], 0.0, end, accent=row["model"] == facts.model),
        )
        for row in sorted(wanted, key=lambda row: (*_segment_order(row["segment"]), row["model"]))
    ]
    head = ("Group", "Model", "Visitors", f"{name}@{k}", element("span", "95 % interval", class_="wide"))
    return table(head, lines, left=2, class_="pictured")


def _by_segment(facts: Facts, metric: str, k: int) -> list[Mapping[str, Any]]:
    rows = [row for row in facts.segments if (row["metric"], row["k"]) == (metric, k) and row["value"] is not None]
    return [row for row in rows if row["model"] in {facts.model, C.POPULAR}]


def _names(facts: Facts) -> dict[str, str]:
    """Return what models are called: the chosen one is this model."""
    others = {C.ALS: _NOT_CHOSEN} if facts.model != C.ALS else {}
    return {**MODELS, **others, facts.model: MODELS[C.ALS]}


def _segment_order(name: str) -> tuple[bool, int, str]:
    digits = "".join(each if each.isdigit() else " " for each in name).split()
    return not name.startswith("history"), int(digits[0]) if digits else 0, name


def _order(metric: str) -> tuple[int, str]:
    """Return where a metric stands; one of a newer program comes last."""
    return METRICS.index(metric) if metric in METRICS else len(METRICS), metric


def _of_models(rows: Rows, metric: str, chosen: str) -> list[Mapping[str, Any]]:
    order = list(dict.fromkeys([chosen, *MODELS]))
    found = [row for row in rows if row["metric"] == metric]
    return sorted(found, key=lambda row: (order.index(row["model"]) if row["model"] in order else 99, row["model"]))


def _card(facts: Facts, metric: str, k: int) -> Markup:
    """Return a metric: a line per model, with its value and its interval."""
    rows = [row for row in facts.metrics if row["k"] == k]
    on_page = [row for each in facts.on_page for row in each.metrics if (row["metric"], row["k"]) == (metric, k)]
    end = scale([max(row["value"] or 0.0, row["high"] or 0.0) for row in on_page])
    names = _names(facts)
    lines = [
        element(
            "div",
            element("span", names.get(row["model"], row["model"]), class_="model"),
            interval(row["value"], row["low"], row["high"], 0.0, end)
            if row["low"] is not None
            else bar(row["value"] or 0.0, end),
            element("span", number(row["value"], "{:.4f}"), class_="n"),
            class_="row ours" if row["model"] == facts.model else "row",
        )
        for row in _of_models(rows, metric, facts.model)
    ]
    head = element("h3", f"{metric}@{k}"), element("p", _SAYS.get(metric, ""), class_="note")
    return element("div", head, lines, class_="card")


def _comparisons(facts: Facts) -> Markup:
    compared, names = facts.gate["compared"], _names(facts)
    all_ = [each for shown in facts.on_page for each in shown.gate.get("compared") or ()]
    ends = [abs(each[key]) for each in all_ for key in ("difference", "low", "high") if each.get(key) is not None]
    end = scale(ends)
    lines = [
        (
            names.get(each["model"], each["model"]),
            number(each["candidate"], "{:.4f}"),
            number(each["other"], "{:.4f}"),
            number(each["difference"], "{:+.4f}"),
            interval(each["difference"], each["low"], each["high"], -end, end, accent=True),
            [number(each["low"], "{:+.4f}"), " to ", number(each["high"], "{:+.4f}")]
            if each["low"] is not None
            else "–",
            "–" if "passed" not in each else "passed" if each["passed"] else "not passed",
        )
        for each in compared
    ]
    head = ("Compared with", "this model", "other", "difference", "around 0", "95 % interval", "")
    return table(head, lines, class_="pictured")


def _all_cutoffs(facts: Facts) -> Markup:
    rows, names = facts.metrics, _names(facts)
    order = sorted(rows, key=lambda row: (*_order(row["metric"]), row["k"]))
    lines = [
        (
            f"{row['metric']}@{row['k']}",
            names.get(row["model"], row["model"]),
            *(number(row[key], "{:.4f}") for key in ("value", "low", "high")),
            number(row["visitors"]),
        )
        for name in dict.fromkeys((row["metric"], row["k"]) for row in order)
        for row in _of_models([each for each in rows if each["k"] == name[1]], name[0], facts.model)
    ]
    whole = table(("Metric", "Model", "value", "low", "high", "visitors"), lines, left=2)
    return element("details", element("summary", f"All {len(lines):,} values"), whole)
