"""List the runs: status, size, quality, age, and the channels that name them."""

import argparse
from datetime import datetime, timezone
from typing import Any

from recommender.commands.overview import all_runs, at_least_one, ndcg_at_10
from recommender.store import Store
from recommender.terminal.text import age, size, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=at_least_one, default=20, metavar="N", help="how many at most (default: 20)")


def run(store: Store, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the runs, the one that was last active first."""
    return [
        {
            "run": each.id,
            "status": each.status,
            "stages": sorted(each.commits),
            "bytes": each.size,
            "ndcg@10": ndcg_at_10(each.commits.values()),
            "last_active": each.last,
            "channels": each.channels,
        }
        for each in all_runs(store)[: options.limit]
    ]


def text(result: list[dict[str, Any]]) -> str:
    now = datetime.now(timezone.utc)
    lines = [("run", "status", "stages", "size", "ndcg@10", "age", "channels")]
    for each in result:
        quality = "" if each["ndcg@10"] is None else f"{each['ndcg@10']:.4f}"
        old = age((now - datetime.fromisoformat(each["last_active"])).total_seconds())
        done = " ".join(stage.removeprefix("stage") for stage in each["stages"])
        channels = ", ".join(each["channels"])
        lines.append((each["run"], each["status"], done, size(each["bytes"]), quality, old, channels))
    return table(lines, right=[3, 4, 5])
