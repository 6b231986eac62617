"""Compare what `recommender plan` forecasts with what a run then takes, on generated logs of several sizes.

    python benchmarks/forecast.py 50000 300000 1000000

The first forecast of each size is made from a look at the log, the second from the records of the size before.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
STAGES = ("stage1", "stage2", "stage3", "stage4")
_EVENTS = (
    *("spark.eventLog.enabled=true", "spark.eventLog.compress=false", "spark.eventLog.logStageExecutorMetrics=true"),
    "spark.ui.enabled=false",
)


def plan(root: Path, events: Path) -> dict[str, Any]:
    """Return the forecast of a run."""
    setting = f"stage1.data_loader.event_filename={events}"
    command = [sys.executable, "-m", "recommender", "plan", "--root", str(root), "--set", setting, "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=REPOSITORY)
    outlook: dict[str, Any] = json.loads(done.stdout)["outlook"]
    return outlook


def run(root: Path, events: Path, logs: Path) -> None:
    """Run the workflow, and let Spark log what it does."""
    logs.mkdir()
    settings = [word for each in (*_EVENTS, f"spark.eventLog.dir=file://{logs}") for word in ("--conf", each)]
    command = [sys.executable, "-m", "recommender", "run", "--root", str(root), "--override-gate", "a measurement"]
    command += ["--set", f"stage1.data_loader.event_filename={events}", "--set", "stage1.drift.override=a measurement"]
    environ = {**os.environ, "PYSPARK_SUBMIT_ARGS": f"{' '.join(settings)} pyspark-shell"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=REPOSITORY, env=environ)
    if done.returncode:
        sys.exit(done.stderr[-3000:])


def logged(logs: Path) -> Iterator[dict[str, Any]]:
    """Return Spark's events."""
    for file in sorted(path for path in logs.rglob("*") if path.is_file() and not path.name.startswith(".")):
        with file.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def measured(root: Path, logs: Path) -> dict[str, float]:
    """Return what a run has taken: seconds by stage, and disk, shuffle and heap in MB."""
    found: dict[str, float] = {}
    disk = 0
    for stage in STAGES:
        record = json.loads(max((root / stage / "commits").glob("*.json")).read_text())
        found[stage] = record["seconds"]
        disk += sum(facts["bytes"] for facts in record["files"].values())
    shuffle = heap = 0
    for event in logged(logs):
        if event["Event"] == "SparkListenerTaskEnd":
            shuffle += (
                (event.get("Task Metrics") or {}).get("Shuffle Write Metrics", {}).get("Shuffle Bytes Written", 0)
            )
        if event["Event"] == "SparkListenerStageExecutorMetrics":
            heap = max(heap, event["Executor Metrics"].get("JVMHeapMemory", 0))
    return {**found, "disk": disk / 1e6, "shuffle": shuffle / 1e6, "heap": heap / 1e6}


def forecast(outlook: dict[str, Any]) -> dict[str, float]:
    """Return the same numbers of a forecast."""
    stages = outlook["stages"]
    totals = {key: sum(each[key] for each in stages.values()) / 1e6 for key in ("disk", "shuffle")}
    seconds = {stage: stages[stage]["seconds"] for stage in STAGES}
    return {**seconds, **totals, "heap": outlook["memory"]["one_machine"] / 1e6}


def row(events: int, what: str, numbers: dict[str, float]) -> str:
    """Return a line of the table."""
    keys = (*STAGES, "disk", "shuffle", "heap")
    return f"| {events:,} | {what} | " + " | ".join(f"{numbers[key]:,.1f}" for key in keys) + " |"


def main() -> None:
    """Print the table."""
    print("| events | | stage1 s | stage2 s | stage3 s | stage4 s | disk MB | shuffle MB | heap MB |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="recommender-forecast-") as folder:
        same = Path(folder, "same")
        for number in map(int, sys.argv[1:] or ["50000", "300000", "1000000"]):
            events, fresh, logs = (
                Path(folder, f"{number}.parquet"),
                Path(folder, f"{number}"),
                Path(folder, f"log{number}"),
            )
            sample = [sys.executable, "-m", "recommender", "sample", "--events", str(number), "--out", str(events)]
            subprocess.run(sample, check=True, capture_output=True, cwd=REPOSITORY)
            first = forecast(plan(fresh, events))
            again = forecast(plan(same, events)) if same.exists() else None
            run(same, events, logs)
            print(row(number, "forecast, from the log", first))
            if again:
                print(row(number, "forecast, from the size before", again))
            print(row(number, "measured", measured(same, logs)), flush=True)


if __name__ == "__main__":
    main()
