"""The difference between two versions for people: plain text for the terminal.

Example usage:
>>> print(_measured({"value": 0.05, "low": 0.04, "high": 0.06}), _ids([1, 2]))
0.0500 (0.0400–0.0600) 1, 2
"""

from collections.abc import Mapping, Sequence
from typing import Any

from recommender.text import indented, table, visible

_SHOWN_IDS = 5
_CUSTOMARY_CUTOFF = 10


def release_text(release: Mapping[str, Any]) -> str:
    """Return what changes from the live version to a candidate; see ``recommender.releases.release``.

    >>> print(release_text({"candidate": "tuesday", "live": None, "lists": None, "metrics": {}}))
    tuesday is the first version of the channel: there is nothing to compare it with
    """
    if release["live"] is None:
        return f"{release['candidate']} is the first version of the channel: there is nothing to compare it with"
    runs = (release["candidate"], release["live"])
    parts = [f"from {runs[1]} to {runs[0]}"]
    lists = release["lists"]
    if lists is None:
        parts.append("  their lists were not compared: something else was live when stage 4 made the candidate's")
    else:
        parts += [indented(_lists_table(lists, runs)), *filter(None, [_items_text(lists), _visitors_text(lists)])]
    if release["metrics"]:
        names = _customary(release["metrics"])
        rows: list[tuple[str, ...]] = [("", *runs)]
        rows += [(name, *(_measured(each) for each in release["metrics"][name])) for name in names]
        parts.append(indented(table(rows, right=(1, 2))))
    return "\n".join(parts)


def _customary(metrics: Mapping[str, Any]) -> list[str]:
    """Return the metrics at the cut-off that is nearest to the customary one.

    >>> _customary({"ndcg@5": [], "ndcg@20": [], "recall@5": []})
    ['ndcg@5', 'recall@5']
    """
    cutoffs = {name: int(name.rpartition("@")[2]) for name in metrics}
    nearest = min(cutoffs.values(), key=lambda k: abs(k - _CUSTOMARY_CUTOFF))
    return [name for name, k in cutoffs.items() if k == nearest]


def _lists_table(lists: Mapping[str, Any], runs: tuple[str, str]) -> str:
    """Return what is counted of both versions."""
    k, visitors, items = lists["k"], lists["visitors"], lists["items"]
    return table(
        [
            (f"first {k} places", *runs, "gained", "lost"),
            ("visitors", *(_number(visitors[key]) for key in ("candidate", "live", "gained", "lost"))),
            ("items", *(_number(items[key]) for key in ("candidate", "live", "gained", "lost"))),
            ("coverage", *(f"{lists['coverage'][key]:.4f}" for key in ("candidate", "live")), "", ""),
            (f"overlap@{k}", "" if lists["overlap"] is None else f"{lists['overlap']:.4f}", "", "", ""),
            ("same lists", "" if lists["unchanged"] is None else f"{lists['unchanged']:.1%}", "", "", ""),
        ],
        right=(1, 2, 3, 4),
    )


def _items_text(lists: Mapping[str, Any]) -> str:
    """Return the items that most lists have gained and lost."""
    named = {
        what: ", ".join(f"{each['itemid']} ({each['lists']:+,})" for each in lists["items"][f"most_{what}"])
        for what in ("gained", "lost")
    }
    return "\n".join(f"  most {what} by lists: {visible(text)}" for what, text in named.items() if text)


def _visitors_text(lists: Mapping[str, Any]) -> str:
    """Return the visitors whose lists have changed most."""
    return "\n".join(
        visible(
            f"  visitor {each['visitorid']}: overlap {each['overlap']:.2f}, "
            f"gained {_ids(each['gained'])}, lost {_ids(each['lost'])}"
        )
        for each in lists["most_changed"]
    )


def _ids(ids: Sequence[Any]) -> str:
    shown = ", ".join(map(str, ids[:_SHOWN_IDS]))
    return (f"{shown}, ..." if len(ids) > _SHOWN_IDS else shown) or "nothing"


def _measured(row: Mapping[str, Any] | None) -> str:
    """Return a value with its 95 % interval."""
    if row is None or row["value"] is None:
        return "-"
    interval = "" if row["low"] is None else f" ({max(row['low'], 0):.4f}–{row['high']:.4f})"
    return f"{row['value']:.4f}{interval}"


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
