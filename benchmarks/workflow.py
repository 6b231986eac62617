"""Time and peak memory of each stage, as the jobs that users run, on logs of several sizes.

    python benchmarks/workflow.py [--events 300000 3000000] [--file events.csv.gz]

Each stage is a process of its own. Its time is what its commit record says: from the first read to the commit, without
Spark's start. Memory is the largest sum of the resident memory of the process and all that it started (Linux only).
The cost per event must not rise with the size of the log: the last column compares it with the smallest generated log.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from memory import family, resident

REPOSITORY = Path(__file__).resolve().parent.parent
STAGES = ("stage1", "stage2", "stage3", "stage4")


def run(*arguments: str) -> int:
    """Run spark-submit.sh and return the peak of its memory in bytes."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([REPOSITORY / "spark-submit.sh", *arguments], stdout=log, stderr=log)
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(map(resident, family(process.pid))))
            time.sleep(0.2)
        if process.returncode:
            log.seek(0)
            sys.exit(f"{' '.join(arguments)} ended with {process.returncode}:\n{log.read().decode()[-3000:]}")
    return peak


def measure(name: str, events: str, folder: Path, settings: list[str]) -> dict[str, dict[str, float]]:
    """Run the four stages on one log and return stage -> figures."""
    found = {}
    for stage in STAGES:
        overrides = [argument for setting in settings for argument in ("--set", setting)]
        source = f"stage1.data_loader.event_filename={events}"
        peak = run(stage, "--root", str(folder / name), "--set", source, *overrides)
        record = json.loads(next((folder / name / stage / "commits").glob("*.json")).read_text())
        found[stage] = {"events": record["events"], "seconds": record["seconds"], "peak": peak}
    return found


def main() -> None:
    """Print a table: log, stage, seconds, microseconds per event, peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="*", default=[300_000, 3_000_000], help="sizes of generated logs")
    parser.add_argument("--file", type=Path, help="a log of your own")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for the jobs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        logs = {options.file.name: str(options.file.resolve())} if options.file else {}
        for events in sorted(options.events):
            logs[f"generated {events:,}"] = str(folder / f"{events}.parquet")
            run("sample", "--events", str(events), "--out", logs[f"generated {events:,}"])
        print("| log | stage | s | µs per event | peak MB | cost per event, relative |")
        print("|---|---|---|---|---|---|")
        smallest: dict[str, float] = {}
        for name, events in logs.items():
            for stage, figures in measure(name, events, folder, options.set).items():
                cost = 1e6 * figures["seconds"] / figures["events"]
                generated = name.startswith("generated")
                relative = f"{cost / smallest.setdefault(stage, cost):.2f}" if generated else ""
                row = f"{figures['seconds']:.1f} | {cost:.0f} | {figures['peak'] / 1e6:,.0f} | {relative}"
                print(f"| {name} | {stage} | {row} |", flush=True)


if __name__ == "__main__":
    main()
