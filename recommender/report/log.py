"""Sections about the log: events per day and kind, what was quarantined, drift, and the weights of the pairs."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from recommender.report.charts import SHADES, bar, columns, scale
from recommender.report.facts import Facts
from recommender.report.html import Child, Markup, element, facts as definitions, joined, moment, number, table

_MOST_COLUMNS: Final = 200
_MOST_LINES: Final = 10


def log(facts: Facts) -> Markup | None:
    """Return what the log holds."""
    profile = facts.record("stage1").get("profile")
    if not profile:
        return None
    named = [("Events", "events"), ("Visitors", "visitors"), ("Items", "items"), ("Pairs (about)", "pairs")]
    pairs: list[tuple[Child, Child]] = [(name, number(profile[key])) for name, key in named if key in profile]
    pairs += [("Rows read", number(profile["rows"]))] if "rows" in profile else []
    pairs += [("Newest event (UTC)", moment(profile["newest"]))] if profile.get("newest") else []
    parts = [
        definitions(pairs),
        _days(profile),
        _counts("Kind of event", profile.get("events_by_kind") or {}),
        _left_out(profile),
        _drift(profile),
        _heaviest(profile),
    ]
    return joined(parts)


def weights(facts: Facts) -> Markup | None:
    """Return how many pairs have which weight."""
    bins = [each for each in facts.record("stage2").get("weights") or () if each["pairs"]]
    if not bins:
        return None
    end = scale([each["pairs"] for each in bins])
    lines = [
        (
            [number(each["from"], "{:g}"), " or more" if each["to"] is None else [" to ", number(each["to"], "{:g}")]],
            bar(each["pairs"], end),
            number(each["pairs"]),
        )
        for each in bins
    ]
    return table(("Weight", "", "pairs"), lines, class_="pictured first")


def _days(profile: Mapping[str, Any]) -> Markup | None:
    days = profile.get("events_by_day") or {}
    if not days:
        return None
    names = _all_days(min(days), max(days)) or sorted(days)
    series = _by_kind(profile, names) or {"events": [days.get(day, 0) for day in names]}
    unit, names, series = _grouped(names, series)
    keys = [element("span", element("i", class_=f"s{place % SHADES}"), name) for place, name in enumerate(series)]
    most = max(sum(values) for values in zip(*series.values(), strict=True))
    caption = element(
        "figcaption", f"Events per {unit}; the highest has ", number(most), keys if len(keys) > 1 else None
    )
    ends = element("div", element("span", names[0]), element("span", names[-1]), class_="ends")
    return element("figure", caption, columns(names, series), ends)


def _all_days(first: str, last: str) -> list[str]:
    """Return all days of a span; none if that is not a span of the calendar, or longer than the record's ten years."""
    try:
        start, number_of_days = date.fromisoformat(first), (date.fromisoformat(last) - date.fromisoformat(first)).days
    except ValueError:
        return []
    return [(start + timedelta(day)).isoformat() for day in range(number_of_days + 1)] if number_of_days < 4000 else []  # noqa: PLR2004


def _by_kind(profile: Mapping[str, Any], names: Sequence[str]) -> dict[str, list[int]]:
    """Return the events of the most frequent kinds for each day, and of the others; nothing if not recorded."""
    kinds: Mapping[str, Mapping[str, int]] = profile.get("events_by_kind_and_day") or {}
    if not kinds:
        return {}
    series = {
        kind: [by_day.get(day, 0) for day in names] for kind, by_day in kinds.items() if isinstance(by_day, Mapping)
    }
    days = profile["events_by_day"]
    others = [days.get(day, 0) - sum(values[place] for values in series.values()) for place, day in enumerate(names)]
    return {**series, "other kinds": others} if any(others) else series


def _grouped(names: list[str], series: dict[str, list[int]]) -> tuple[str, list[str], dict[str, list[int]]]:
    """Return fewer columns, each of a week, or of a number of days if that is still too many."""
    if len(names) <= _MOST_COLUMNS:
        return "day", names, series
    size = 7 if len(names) <= 7 * _MOST_COLUMNS else -(-len(names) // _MOST_COLUMNS)
    starts = range(0, len(names), size)
    summed = {name: [sum(values[at : at + size]) for at in starts] for name, values in series.items()}
    return "week" if size == 7 else f"{size} days", [names[at] for at in starts], summed  # noqa: PLR2004


def _counts(head: str, counts: Mapping[str, int]) -> Markup | None:
    """Return a table of names and how often each occurs; a name like a secret's has stars instead of a number."""
    counts = {name: count for name, count in counts.items() if isinstance(count, int)}
    if not counts:
        return None
    end, total = scale(list(counts.values())), sum(counts.values()) or 1
    lines: list[Sequence[Child]] = [
        (name, bar(count, end), number(count), f"{count / total:.1%}")
        for name, count in list(counts.items())[:_MOST_LINES]
    ]
    rest = sum(list(counts.values())[_MOST_LINES:])
    lines += (
        [(f"{len(counts) - _MOST_LINES} more", bar(rest, end), number(rest), f"{rest / total:.1%}")] if rest else []
    )
    return table((head, "", "number", "share"), lines, class_="pictured first")


def _left_out(profile: Mapping[str, Any]) -> Markup | None:
    """Return the rows that became no event, by reason."""
    found = dict(sorted((profile.get("quarantined") or {}).items(), key=lambda each: -each[1]))
    more = {"duplicates": profile.get("duplicates"), "left out by where": profile.get("left_out")}
    more["of visitors with too many events"] = (profile.get("capped") or {}).get("events")
    others = {name: count for name, count in more.items() if count}
    if not found and not others:
        return element("p", "No row was quarantined, repeated or capped.", class_="note") if "rows" in profile else None
    return joined([_counts("Quarantined, by reason", found), _counts("Other rows without an event", others)])


def _drift(profile: Mapping[str, Any]) -> Markup | None:
    """Return the log beside those before."""
    runs = (profile.get("base") or {}).get("runs") or []
    let_pass = profile.get("let_pass")
    new = profile.get("new") or {}
    lines: list[Sequence[Child]] = []
    if len(runs) > 1:
        end = scale([events for _, events in runs])
        lines = [(day, bar(events, end), number(events)) for day, events in runs[-_MOST_LINES:]]
    found = [f"{name}: {count:,} of {profile.get(name, 0):,} were in no log before" for name, count in new.items()]
    found += [f"let pass ({let_pass['reason']}): {each}" for each in let_pass["found"]] if let_pass else []
    if not lines and not found:
        return None
    logs = table(("Newest day of the log", "", "events"), lines, class_="pictured first") if lines else None
    return joined(
        [element("h3", "Drift"), logs, element("ul", [element("li", each) for each in found]) if found else None]
    )


def _heaviest(profile: Mapping[str, Any]) -> Markup | None:
    rows = [(what, profile.get(f"heaviest_{what}s") or ()) for what in ("visitor", "item")]
    shown = [
        table((f"Most active {what}s", "events"), [(each["id"], number(each["events"])) for each in most[:5]])
        for what, most in rows
        if most
    ]
    return element("div", shown, class_="cards") if shown else None
