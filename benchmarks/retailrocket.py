"""NDCG@10 of ALS beside popularity for unknown visitors, on a log of your own.

    python benchmarks/retailrocket.py --file events.csv.gz [--set stage2.als.alpha=5]

The stages run as the jobs that users run, with the default split: the visitors above the 90th percentile of visitorid
are not in training, and are judged by fold-in. Two ways to hold out, two ranks; intervals are 95 %.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
HOLDOUTS = {
    "last 5 events": ["stage1.holdout.last_events=5"],
    "20 % of the items, by hash": ["stage1.holdout.last_events=null", "stage1.holdout.share=0.2"],
}
RANKS = (32, 64)


def run(stage: str, root: str, settings: list[str]) -> dict[str, Any]:
    """Run one stage and return the record of its newest commit."""
    overrides = [argument for setting in settings for argument in ("--set", setting)]
    subprocess.run(
        [REPOSITORY / "spark-submit.sh", stage, "--root", root, *overrides], check=True, stdout=subprocess.DEVNULL
    )
    record: dict[str, Any] = json.loads(max(Path(root, stage, "commits").glob("*.json")).read_text())
    return record


def cells(record: dict[str, Any]) -> str:
    """Return the number of visitors and NDCG@10 of both models as cells of the table."""
    rows = {row["model"]: row for row in record["metrics"] if (row["metric"], row["k"]) == ("ndcg", 10)}
    values = [f"{row['value']:.4f} ({row['low']:.4f}–{row['high']:.4f})" for row in (rows["als"], rows["popular"])]
    return " | ".join([str(rows["als"]["visitors"]), *values])


def main() -> None:
    """Print a table: holdout, rank, visitors, NDCG@10 of both models, seconds of stage 2."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", required=True, help="the log")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for the jobs")
    options = parser.parse_args()
    print("| holdout | rank | visitors | ALS | popularity | s |")
    print("|---|---|---|---|---|---|")
    for name, holdout in HOLDOUTS.items():
        with tempfile.TemporaryDirectory() as root:
            settings = [f"stage1.data_loader.event_filename={options.file}", *holdout, *options.set]
            run("stage1", root, settings)
            for rank in RANKS:
                record = run("stage2", root, [*settings, f"stage2.als.rank={rank}"])
                print(f"| {name} | {rank} | {cells(record)} | {record['seconds']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
