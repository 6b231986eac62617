"""A whole night: the workflow beside what a data scientist would write for one machine, with pandas and implicit.

    python -m venv .venv-peers
    .venv-peers/bin/pip install implicit==0.7.3 pandas pyarrow
    python benchmarks/nightly.py --peers .venv-peers/bin/python [--events 300000 3000000] [--some 100000]

Both read the same generated CSV files, each in a process of its own, on two cores, one after the other. Both remove
duplicates, split by the 90th percentile of visitorid, fit rank 32 in 10 iterations (implicit by conjugate gradients),
fold in the visitors above the percentile and judge them by NDCG@10 on the same last five events, and write the ten best
unseen items of every visitor as Parquet. benchmarks/contenders/night.py is the program for one machine.

The workflow runs with its defaults, except that viewed items are not recommended either. So it does more:

- stage 1, beside reading and grouping, validates, profiles, checks for leaks and stores its tables
- the fit is the part "fitting ALS" of stage 2; the rest of stage 2 stands beside folding in and judging, and judges
  the baselines too, at four cut-offs, by eleven metrics, with intervals
- stage 3, beside the lists, finds the similar items; it writes and reads back what it has made
- stage 4, beside writing Parquet, publishes the lists and makes the snapshot that the service answers from

Seconds are those of the commit records, and of the program's own clock; "start" is what the whole process took beyond
its parts. CPU seconds and memory are those of the process and all that it started (Linux only): memory is the largest
sum of the resident memory. They are read five times a second, so the CPU time of a part is good to 0.4 s.

The lists of the one machine take most of its time, which grows with visitors times items: 100 times as long for 10
times the events. --some ranks only so many of the visitors, evenly spaced, and scales the time of that part to all.
"""

import argparse
import json
import math
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from contenders.measuring import processor_seconds
from memory import family, resident
from stages import REPOSITORY, metric

Figures = dict[str, float]  # seconds, cpu, peak
Parts = dict[str, Figures]

SINGLE = REPOSITORY / "benchmarks" / "contenders" / "night.py"
FIT = {"rank": 32, "max_iter": 10, "alpha": 1, "reg_param": 0.1}
STAGES = ("stage1", "stage2", "stage3", "stage4")
FITTING = "stage2: fitting ALS"
ANNOUNCED = re.compile(r"^(stage\d) \w+(: .+)? \.\.\.$", re.MULTILINE)  # what a job says when it begins a part
ROWS = {  # row -> parts of the program for one machine
    "read and group": ("read", "group"),
    "fit": ("fit",),
    "fold in and judge": ("judge",),
    "lists": ("lists",),
    "Parquet": ("Parquet",),
}


class Failed(Exception):  # noqa: N818 - the process has
    """A program has ended with an error."""


def run(*command: object, **environment: str) -> tuple[str, Figures, Parts]:
    """Run a program; return what it printed, its figures, and the CPU and memory of each part that it announced."""
    total: Figures = {"seconds": 0.0, "cpu": 0.0, "peak": 0.0}
    parts: Parts = {}
    with tempfile.TemporaryFile() as log:
        started, before = time.monotonic(), _ended()
        program = [str(each) for each in command]
        process = subprocess.Popen(program, stdout=log, stderr=log, env={**os.environ, **environment})
        while process.poll() is None:
            memory, cpu = sum(map(resident, family(process.pid))), sum(processor_seconds(process.pid))
            told = ANNOUNCED.findall(os.pread(log.fileno(), 2**20, 0).decode(errors="replace"))
            part = parts.setdefault("".join(told[-1]) if told else "", {"cpu": 0.0, "peak": 0.0})
            part["cpu"] += max(cpu - total["cpu"], 0.0)
            part["peak"] = max(part["peak"], memory)
            total["cpu"], total["peak"] = max(total["cpu"], cpu), max(total["peak"], memory)
            time.sleep(0.2)
        total["seconds"] = time.monotonic() - started
        total["cpu"] = max(total["cpu"], _ended() - before)
        log.seek(0)
        printed = log.read().decode(errors="replace")
    if process.returncode:
        raise Failed(f"{' '.join(program[:3])} ended with {process.returncode}:\n{printed[-3000:]}")
    return printed, total, parts


def _ended() -> float:
    """Return the CPU seconds of the programs that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def added(parts: list[Figures]) -> Figures:
    """Return the sum of seconds and CPU seconds, and the peak of all."""
    sums = {name: sum(part[name] for part in parts) for name in ("seconds", "cpu")}
    return {**sums, "peak": max(part["peak"] for part in parts)}


def theirs(log: Path, folder: Path, options: argparse.Namespace) -> tuple[Parts, dict[str, Any]]:
    """Run the program for one machine; return its rows, and what it found."""
    fit = ["--rank", FIT["rank"], "--iterations", FIT["max_iter"], "--alpha", FIT["alpha"], "--reg-param"]
    some = ["--some", options.some] if options.some else []
    out = folder / f"{log.stem}.parquet"
    printed, whole, _ = run(
        options.peers, SINGLE, log, out, *fit, FIT["reg_param"], *some, OPENBLAS_NUM_THREADS="1"
    )  # implicit has threads of its own
    found: dict[str, Any] = json.loads(printed.rstrip().rsplit("\n", 1)[-1])
    for name in ("lists", "Parquet"):
        for figure in ("seconds", "cpu"):
            measured = found["parts"][name][figure]
            found["parts"][name][figure] = scaled = measured * found["visitors"] / found["ranked"]
            whole[figure] += scaled - measured
    rows = {row: added([found["parts"][name] for name in names]) for row, names in ROWS.items()}
    return {**rows, "whole": whole}, found


def ours(log: Path, folder: Path, options: argparse.Namespace) -> tuple[Parts, dict[str, Any]]:
    """Run the workflow; return its rows, and what it found."""
    root = folder / f"out-{log.stem}"
    settings = [f"stage1.data_loader.event_filename={log}", "stage1.data_loader.file_format=csv"]
    settings += [f"stage2.als.{name}={value}" for name, value in FIT.items()] + options.set
    overrides = [argument for setting in settings for argument in ("--set", setting)]
    _, whole, sampled = run(REPOSITORY / "spark-submit.sh", "workflow", "--root", root, *overrides)
    records = [json.loads(max((root / stage / "commits").glob("*.json")).read_text()) for stage in STAGES]
    parts: Parts = {}
    for stage, record in zip(STAGES, records, strict=True):
        timings = {f"{stage}: {part}": seconds for part, seconds in record["timings"].items()}
        timings = {stage: record["seconds"] - sum(timings.values()), **timings}  # first what is in no part
        parts |= {part: {"seconds": seconds, "cpu": 0.0, "peak": 0.0} for part, seconds in timings.items()}
    for part, figures in sampled.items():
        of_part = parts.get(part) or parts.get(part.split(":")[0])
        if of_part:  # else it was before the first stage
            of_part.update(cpu=of_part["cpu"] + figures["cpu"], peak=max(of_part["peak"], figures["peak"]))
    of = {stage: [figures for part, figures in parts.items() if part.startswith(stage)] for stage in STAGES}
    fit = parts[FITTING]
    judging = [figures for figures in of["stage2"] if figures is not fit]
    each = [of["stage1"], [fit], judging, of["stage3"], of["stage4"]]
    rows = {row: added(figures) for row, figures in zip(ROWS, each, strict=True)}
    als = metric(records[1], "ndcg", 10)["als"]
    return {**rows, "whole": whole}, {"ndcg": als["value"], "judged": als["visitors"], "parts": parts}


def with_start(rows: Parts) -> Parts:
    """Return the rows with what the whole took beyond them."""
    sums = added([rows[row] for row in ROWS])
    start = {figure: rows["whole"][figure] - sums[figure] for figure in ("seconds", "cpu")}
    return {**{row: rows[row] for row in ROWS}, "start": {**start, "peak": math.nan}, "whole": rows["whole"]}


def table(events: int, found: dict[str, tuple[Parts, dict[str, Any]]]) -> str:
    """Return the rows of a log, and a sentence about what was found in it."""
    lines = []
    sides = {name: with_start(rows) for name, (rows, _) in found.items()}
    for row in [*ROWS, "start", "whole"]:
        cells = [cell for name in ("theirs", "ours") for cell in _cells(sides.get(name, {}).get(row))]
        ratios = ["", "", ""]
        if len(sides) == len(("theirs", "ours")):
            own, other = sides["ours"][row], sides["theirs"][row]
            ratios = [_text(own[name] / other[name], ".2f") for name in ("seconds", "cpu", "peak")]
        lines.append(f"| {events:,} | {row} | {' | '.join([*cells, *ratios])} |")
    return "\n".join(lines)


def _cells(figures: Figures | None) -> list[str]:
    if figures is None:
        return ["", "", ""]
    return [_text(figures["seconds"], ".1f"), _text(figures["cpu"], ".1f"), _text(figures["peak"] / 1e6, ",.0f")]


def _text(value: float, form: str) -> str:
    return "" if math.isnan(value) else format(value, form)


def sentence(found: dict[str, tuple[Parts, dict[str, Any]]]) -> str:
    """Return what the two have found."""
    said = [f"{who}: NDCG@10 {each['ndcg']:.4f} of {each['judged']:,} visitors" for who, (_, each) in found.items()]
    if "theirs" in found:
        one = found["theirs"][1]
        said.append(f"{one['visitors']:,} visitors, {one['items']:,} items trained with")
        if one["ranked"] < one["visitors"]:
            said.append(f"theirs ranked {one['ranked']:,} visitors, scaled to all")
    return "; ".join(said)


def main() -> None:
    """Print a table of both, the quality of both, and a table of the workflow's parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = [300_000, 3_000_000, 30_000_000]
    parser.add_argument("--events", type=int, nargs="*", default=sizes, help="sizes of the logs (default: %(default)s)")
    parser.add_argument("--peers", default=sys.executable, help="Python of an environment with implicit")
    parser.add_argument("--only", choices=["theirs", "ours"], help="leave the other out")
    parser.add_argument("--some", type=int, help="theirs: visitors to rank, instead of all")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for the jobs")
    options = parser.parse_args()
    names = [f"{who}, {what}" for who in ("theirs", "ours") for what in ("s", "CPU s", "peak MB")]
    names += ["time, of theirs", "CPU, of theirs", "memory, of theirs"]
    print(f"| events | part | {' | '.join(names)} |\n|{'---|' * (2 + len(names))}", flush=True)
    said, ours_parts = [], {}
    with tempfile.TemporaryDirectory() as temporary:
        for events in sorted(options.events):
            log = Path(temporary, f"{events}.csv")
            run(REPOSITORY / "spark-submit.sh", "sample", "--events", events, "--out", log)
            found = {}
            for name, contender in {"theirs": theirs, "ours": ours}.items():
                if options.only in (None, name):
                    try:
                        found[name] = contender(log, Path(temporary), options)
                    except Failed as failure:
                        print(failure, file=sys.stderr)
            print(table(events, found), flush=True)
            said.append(f"{events:,} events: {sentence(found)}")
            if "ours" in found:
                ours_parts[events] = found["ours"][1]["parts"]
    print("\n" + "\n".join(said))
    print_parts(ours_parts)


def print_parts(found: dict[int, Parts]) -> None:
    """Print the seconds of the workflow's parts."""
    if found:
        print(f"\n| part of the workflow, s (CPU s) | {' | '.join(f'{events:,}' for events in found)} |")
        print(f"|---|{'---|' * len(found)}")
    for part in dict.fromkeys(part for parts in found.values() for part in parts):
        each = [parts.get(part) for parts in found.values()]
        cells = ["" if one is None else f"{one['seconds']:.1f} ({one['cpu']:.1f})" for one in each]
        print(f"| {part} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
