"""Stage 1 beside the seed's own pandas code, on generated logs of several sizes: time, memory, time per part.

    python benchmarks/prepare.py [--events 1000000 3000000 10000000 30000000] [--master local[2]] [--skew 10000000]

Both read the same CSV files, each in a process of its own. Stage 1 does more: it validates, removes duplicates, stores
the whole log grouped, numbers all ids, holds out what models are judged by, and audits what it wrote. pandas reads,
splits, scores, groups, filters and encodes, as the seed does. The time of stage 1 is what its commit record says, from
the first read to the commit, without Spark's start, which is a column of its own. Memory is the peak resident memory
(Linux only): of the driver with all that it starts but the executors, and of the executors, which there are with
--master local-cluster[1,2,4096]. Without them the driver's process does the work, and holds the cached events.

--skew adds a pair of logs of the same rows: in one of them that many events are a single visitor's.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from memory import family, is_executor, resident

REPOSITORY = Path(__file__).resolve().parent.parent

# The seed's stage 1, on all CSV files of a folder.
SEED = """
import sys
from pathlib import Path
import numpy as np
import pandas as pd

events = pd.concat([pd.read_csv(path) for path in sorted(Path(sys.argv[1]).glob("*.csv"))], ignore_index=True)
train = events[events["visitorid"] < np.percentile(events["visitorid"], 90)].copy()
train["score"] = train["event"].map({"view": 1, "addtocart": 5, "transaction": 10})
grouped = train.groupby(["visitorid", "itemid"])["score"].sum().reset_index()
kept = grouped[grouped["score"] >= 1].copy()
kept["item_index"] = np.unique(kept["itemid"], return_inverse=True)[1]
kept["visitor_index"] = np.unique(kept["visitorid"], return_inverse=True)[1]
kept.to_parquet(sys.argv[2])
print(len(kept))
"""

# Gives a log in which the first events of all are those of one visitor.
SKEW = """
import sys
from pathlib import Path
import pyarrow as pa
import pyarrow.parquet as pq

left = int(sys.argv[3])
Path(sys.argv[2]).mkdir()
for path in sorted(Path(sys.argv[1]).glob("*.parquet")):
    table = pq.read_table(path)
    number = min(left, table.num_rows)
    left -= number
    ids = table["visitorid"].to_pylist()[number:]
    column = pa.array([1] * number + ids, table.schema.field("visitorid").type)
    place = table.schema.get_field_index("visitorid")
    pq.write_table(table.set_column(place, "visitorid", column), Path(sys.argv[2]) / path.name)
"""


def run(*command: str, **environment: str) -> tuple[float, int, int, str]:
    """Run a program; return its seconds, the peaks of its memory without and in executors, and what it printed."""
    with tempfile.TemporaryFile() as log:
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **environment})
        driver = executors = 0
        while process.poll() is None:
            sizes = {one: resident(one) for one in family(process.pid)}
            working = [one for one in sizes if is_executor(one)]
            below = {one for each in working for one in family(each)}
            driver = max(driver, sum(size for one, size in sizes.items() if one not in below))
            executors = max(executors, sum(size for one, size in sizes.items() if one in below))
            time.sleep(0.2)
        seconds = time.monotonic() - started
        log.seek(0)
        printed = log.read().decode()
    if process.returncode:
        sys.exit(f"{' '.join(command[:3])} ended with {process.returncode}:\n{printed[-3000:]}")
    return seconds, driver, executors, printed


def stage1(root: Path, events: str, master: str, memory: str, file_format: str) -> tuple[dict, float, int, int]:
    """Run stage 1; return its record, the seconds of the whole process, and the peaks of its memory."""
    settings = [f"stage1.data_loader.event_filename={events}", f"stage1.data_loader.file_format={file_format}"]
    overrides = [argument for setting in settings for argument in ("--set", setting)]
    options = ["--master", master]
    if master.startswith("local-cluster"):
        options += ["--conf", f"spark.executor.memory={int(master.rstrip(']').split(',')[-1])}m"]
    program = [str(REPOSITORY / "spark-submit.sh"), *options, "stage1", "--root", str(root), *overrides]
    seconds, driver, executors, _ = run(*program, SPARK_DRIVER_MEMORY=memory)
    record = json.loads(next((root / "stage1" / "commits").glob("*.json")).read_text())
    return record, seconds, driver, executors


def main() -> None:
    """Print a table of both, and one of the parts of stage 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = [1_000_000, 3_000_000, 10_000_000, 30_000_000]
    parser.add_argument("--events", type=int, nargs="*", default=sizes, help="sizes of the logs")
    parser.add_argument("--master", default="local[2]", help="where stage 1 runs (default: %(default)s)")
    parser.add_argument("--driver-memory", default="2g", help="heap of the driver (default: %(default)s)")
    parser.add_argument("--skew", type=int, metavar="EVENTS", help="also a visitor with so many events")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        compare(folder, options)
        if options.skew:
            compare_skew(folder, options)


def compare(folder: Path, options: argparse.Namespace) -> None:
    """Compare stage 1 with pandas."""
    print("| events | who | s | events/s | whole process s | driver MB | executors MB | time, relative |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    parts: dict[int, dict[str, float]] = {}
    for events in sorted(options.events):
        log = folder / f"{events}.csv"
        run(str(REPOSITORY / "spark-submit.sh"), "sample", "--events", str(events), "--out", str(log))
        seed, peak, _, _ = run(sys.executable, "-c", SEED, str(log), str(folder / f"{events}.parquet"))
        record, whole, driver, executors = stage1(
            folder / f"out{events}", str(log), options.master, options.driver_memory, "csv"
        )
        parts[events] = record["timings"]
        took = record["seconds"]
        print(f"| {events:,} | pandas | {seed:.1f} | {events / seed:,.0f} | {seed:.1f} | {peak / 1e6:,.0f} | | 1 |")
        memory = f"{driver / 1e6:,.0f} | {executors / 1e6:,.0f}"
        print(
            f"| | stage 1 | {took:.1f} | {events / took:,.0f} | {whole:.1f} | {memory} | {took / seed:.2f} |",
            flush=True,
        )
    print(f"\n| part of stage 1, s | {' | '.join(f'{events:,}' for events in parts)} |")
    print(f"|---|{'---|' * len(parts)}")
    for part in next(iter(parts.values()), {}):
        print(f"| {part} | {' | '.join(f'{timings.get(part, 0):.1f}' for timings in parts.values())} |")


def compare_skew(folder: Path, options: argparse.Namespace) -> None:
    """Compare a log in which one visitor has very many events with the same rows without that."""
    even, skewed = folder / "even", folder / "skewed"
    number = options.skew + options.skew // 5
    run(str(REPOSITORY / "spark-submit.sh"), "sample", "--events", str(number), "--out", str(even))
    run(sys.executable, "-c", SKEW, str(even), str(skewed), str(options.skew))
    print(f"\n| {number:,} events | s | driver MB | time, relative |\n|---|---|---|---|")
    first = 0.0
    for name, log in {"even": even, f"{options.skew:,} of them one visitor's": skewed}.items():
        root = folder / f"out-{log.name}"
        record, _, driver, _ = stage1(root, str(log), options.master, options.driver_memory, "parquet")
        first = first or record["seconds"]
        print(
            f"| {name} | {record['seconds']:.1f} | {driver / 1e6:,.0f} | {record['seconds'] / first:.2f} |", flush=True
        )


if __name__ == "__main__":
    main()
