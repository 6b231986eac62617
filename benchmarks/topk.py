"""The k best items for every visitor: TopKRecommender beside MLlib, implicit and RePlay, and the kernel alone.

    python -m venv .venv-peers
    .venv-peers/bin/pip install implicit==0.7.3 replay-rec==0.22.0 pyspark==4.3.0
    python benchmarks/topk.py --train ../shared/data/gowalla/train.txt.gz --peers .venv-peers/bin/python

All read the same factors, those of a real fit and generated ones (benchmarks/factors.py tells how), each in a process
of its own (benchmarks/contenders/), on two threads; the runs alternate. The time is that of the ranking alone, from the
first read of the factors to the last result: without Spark's start and the imports, but with a JVM and Python workers
that have done nothing yet (--warm: that have ranked everybody once). Spark's results go to its noop sink. CPU seconds
are those of the JVM and of all Python processes, memory is the largest sum of the resident memory of all processes,
from start to end (Linux only). Ours, implicit and RePlay exclude the history of each visitor, MLlib excludes nothing.

The kernel is measured on one thread, on visitors drawn evenly: beside the plain float32 matrix product, and beside the
product with chunk selection: all scores, the maxima of chunks of 128 items, the k best chunks, the k best of these.
"arithmetic" is what the kernel alone would need for everybody, of the time of two cores.

The lists of ours and of implicit are compared with a full sort in double precision, for 200 visitors: ours must be the
same, implicit's in 99 of 100 places. The last table compares with what we aim at. --replay adds RePlay, which takes
minutes where the others take seconds. --mllib-visitors lets MLlib rank the first so many visitors only, and scales its
time to all; its cost is in proportion to them. --heavy is a benchmark of its own: ordinary visitors with and without
one that has a very long history.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from contenders.measuring import count, history, matrix, sample
from memory import family, resident
from topk_tables import (
    AIM_HEAVY,
    CORES,
    GENERATED,
    Factors,
    Found,
    aims_table,
    kernel_table,
    median,
    ranked_head,
    ranked_row,
    verdict,
)

BENCHMARKS = Path(__file__).resolve().parent
CONTENDERS = {"ours": "ours.py", "MLlib": "mllib.py", "implicit": "implicit_als.py", "RePlay": "replay_als.py"}
PEERS = ("implicit", "RePlay")  # that need an environment of their own
SAME = 0.99  # of the places of implicit's lists; float32 scores order the rest in another way


class Failed(Exception):  # noqa: N818 - the process has
    """A program has ended with an error."""


def run(options: argparse.Namespace, python: str, script: Path, *arguments: object) -> tuple[str, int]:
    """Run a program; return the last line that it printed, and the peak of its memory."""
    conf = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR"}
    conf["spark.sql.shuffle.partitions"] = conf["spark.sql.files.minPartitionNum"] = str(4 * CORES)
    settings = " ".join([*(f"--conf {key}={value}" for key, value in conf.items()), "pyspark-shell"])
    environment = {
        **{key: value for key, value in os.environ.items() if key != "SPARK_HOME"},
        "PYSPARK_SUBMIT_ARGS": f"--master local[{CORES}] --driver-memory {options.driver_memory} {settings}",
        "PYSPARK_PYTHON": python,
        "PYTHONPATH": f"{BENCHMARKS}:{BENCHMARKS.parent}",
    }
    if script.name in ("kernel.py", "implicit_als.py", "fit_implicit.py"):  # implicit has threads of its own
        environment["OPENBLAS_NUM_THREADS"] = "1"
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([python, script, *map(str, arguments)], stdout=log, stderr=log, env=environment)
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(map(resident, family(process.pid))))
            time.sleep(0.2)
        log.seek(0)
        printed = log.read().decode()
    if process.returncode:
        raise Failed(f"{script.name} ended with {process.returncode}:\n{printed[-3000:]}")
    return printed.rstrip().rsplit("\n", 1)[-1], peak


def all_factors(options: argparse.Namespace, folder: Path) -> Iterator[Factors]:
    """Make all factors that are asked for, one after the other, or take them where they are already."""
    kinds: list[tuple[str, bool, list[object]]] = []
    if options.train and options.train.exists():
        kinds.append((options.train.resolve().parent.name, True, ["--train", options.train]))
    if options.generated:
        name = f"{GENERATED} {' × '.join(f'{size:,}' for size in options.generated)}"
        kinds.append((name, False, ["--generated", *options.generated]))
    for name, is_real, arguments in kinds:
        for rank in options.ranks:
            out = folder / f"{name.replace(' × ', 'x').replace(',', '').replace(' ', '-')}-{rank}"
            yield made(options, Factors(name, out, rank, is_real), arguments)


def made(options: argparse.Namespace, factors: Factors, arguments: list[object]) -> Factors:
    """Make factors, unless they are there."""
    if not factors.folder.exists():
        run(options, sys.executable, BENCHMARKS / "factors.py", factors.folder, "--rank", factors.rank, *arguments)
    factors.size = count(factors.folder / "model" / "userFactors")
    return factors


def rank(options: argparse.Namespace, name: str, factors: Factors, k: int, lists: Path | None) -> dict[str, float]:
    """Let a contender rank everybody; return its figures, and check its lists."""
    python = options.peers if name in PEERS else sys.executable
    arguments: list[object] = [factors.folder, k, *(["--warm"] if options.warm else [])]
    arguments += ["--lists", lists] if lists else []
    some = min(options.mllib_visitors or factors.size, factors.size) if name == "MLlib" else factors.size
    arguments += ["--some", some] if some < factors.size else []
    line, peak = run(options, python, BENCHMARKS / "contenders" / CONTENDERS[name], *arguments)
    figures: dict[str, float] = {key: value * factors.size / some for key, value in json.loads(line).items()}
    figures["peak"] = peak
    if lists and lists.exists():
        check(name, factors, k, lists)
        lists.unlink()
    return figures


def check(name: str, factors: Factors, k: int, lists: Path) -> None:
    """Compare the lists of some visitors with a full sort."""
    users, items = (
        matrix(factors.folder / "model" / part).astype(np.float64) for part in ("userFactors", "itemFactors")
    )
    values, offsets = history(factors.folder, len(users))
    found = np.load(lists)
    same = 0
    for row, visitor in enumerate(ids := sample(factors.folder)):
        scores = (items @ users[visitor]).astype(np.float32)
        scores[values[offsets[visitor] : offsets[visitor + 1]]] = -np.inf
        best = np.lexsort((np.arange(len(scores)), -scores))[:k]
        best = best[scores[best] > -np.inf]
        its_items, its_scores = found["items"][row][: len(best)], found["scores"][row][: len(best)]
        close = np.isclose(its_scores, scores[best], rtol=1e-3 if name in PEERS else 1e-6, atol=1e-6)
        assert close.all(), f"{name}: visitor {visitor} has other scores than a full sort"
        same += int((its_items == best).sum()) + k - len(best)
    assert same >= (SAME if name in PEERS else 1) * k * len(ids), f"{name}: {same} of {k * len(ids)} places are right"


def measure_kernel(options: argparse.Namespace, factors: Factors, k: int, equal_norms: bool) -> dict[str, float]:
    """Measure the kernel alone."""
    script = BENCHMARKS / "contenders" / "kernel.py"
    flags = ["--equal-norms"] if equal_norms else []
    line, _ = run(options, sys.executable, script, factors.folder, k, "--visitors", options.kernel_visitors, *flags)
    figures: dict[str, float] = json.loads(line)
    return figures


def measure(options: argparse.Namespace, folder: Path) -> Found:
    """Measure everything, and print a row as soon as there is one."""
    found = Found()
    print(ranked_head(), flush=True)
    for factors in all_factors(options, folder):
        for k in options.k:
            place = (factors.name, factors.rank, k)
            if "kernel" in options.only:
                for equal_norms in (False, True):
                    found.kernel[(*place, equal_norms)] = measure_kernel(options, factors, k, equal_norms)
            with_replay = options.replay_everywhere or (factors.is_real and k == min(options.k))
            who = [name for name in CONTENDERS if name in options.only and (name != "RePlay" or with_replay)]
            found.ranked[place] = rank_in_turn(options, who, factors, k, folder / "lists.npz")
            for name in who:
                print(ranked_row(factors, k, name, found), flush=True)
    return found


def rank_in_turn(
    options: argparse.Namespace, who: list[str], factors: Factors, k: int, lists: Path
) -> dict[str, dict[str, float]]:
    """Return the figures of each contender, the median of the runs; one that fails is left out."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in who}
    for number in range(options.runs):
        for name in list(runs):
            try:
                runs[name].append(rank(options, name, factors, k, None if number else lists))
            except Failed as failure:
                print(failure, file=sys.stderr)
                del runs[name]
    return {name: median(each) for name, each in runs.items()}


def heavy(options: argparse.Namespace, folder: Path) -> None:
    """Compare ordinary visitors with the same and one more, with a very long history."""
    visitors, history_ = options.heavy
    sizes = ["--generated", visitors, history_ + history_ // 5]
    print(f"{visitors:,} visitors, with and without one that has {history_:,} items in its history\n")
    print("| rank | k | without, s | with, s | ratio |\n|---|---|---|---|---|", flush=True)
    ratios = []
    for rank_ in options.ranks:
        plain = made(options, Factors("without", folder / f"without-{rank_}", rank_, False), sizes)
        more = [*sizes, "--heavy", history_]
        with_one = made(options, Factors("with", folder / f"with-{rank_}", rank_, False), more)
        for k in options.k:
            seconds: dict[str, list[float]] = {"without": [], "with": []}
            for _ in range(options.runs):
                for factors in (plain, with_one):
                    seconds[factors.name].append(rank(options, "ours", factors, k, None)["seconds"])
            without, with_ = (statistics.median(each) for each in seconds.values())
            ratios.append(with_ / without)
            print(f"| {rank_} | {k} | {without:.1f} | {with_:.1f} | {with_ / without:.2f} |", flush=True)
    print(
        f"\n| aim | figure | |\n|---|---|---|\n| time with the one, of the time without | "
        f"{verdict(ratios, AIM_HEAVY, is_least=False)} |"
    )


def arguments() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--train", type=Path, help="factors of a fit of this: a line per visitor, visitor item item ..."
    )
    parser.add_argument(
        "--generated",
        type=int,
        nargs="*",
        default=[200_000, 235_000],
        metavar="SIZE",
        help="generated visitors and items; nothing: none (default: 200000 235000)",
    )
    parser.add_argument("--ranks", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--k", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--runs", type=int, default=1, help="whose median counts (default: %(default)s)")
    parser.add_argument("--peers", help="Python of an environment with implicit and RePlay")
    parser.add_argument("--replay", action="store_true", help="RePlay too, on the real fit at the smallest k: minutes")
    parser.add_argument("--replay-everywhere", action="store_true", help="RePlay on all factors: hours")
    parser.add_argument(
        "--mllib-visitors", type=int, help="that MLlib ranks where there are more; its figures are scaled to all"
    )
    parser.add_argument("--only", nargs="+", choices=[*CONTENDERS, "kernel"], help="leave the others out")
    parser.add_argument("--warm", action="store_true", help="each has ranked everybody once before")
    parser.add_argument(
        "--kernel-visitors", type=int, default=4000, help="that the kernel ranks (default: %(default)s)"
    )
    parser.add_argument("--driver-memory", default="4g", help="heap of Spark's JVM (default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the factors there, and take them from there")
    parser.add_argument(
        "--heavy",
        type=int,
        nargs="*",
        metavar="SIZE",
        help="only: a visitor with a long history among others (default: 100000 visitors 100000 items)",
    )
    options = parser.parse_args()
    options.only = set(options.only or [*CONTENDERS, "kernel"])
    if not (options.replay or options.replay_everywhere):
        options.only -= {"RePlay"}
    if options.heavy is not None:
        options.heavy = options.heavy or [100_000, 100_000]
        return options
    if not options.peers:
        print("implicit and RePlay are left out: --peers names no Python.\n")
        options.only -= set(PEERS)
    if not (options.train and options.train.exists()):
        print("Factors of a real fit are left out: --train names no file that exists.\n")
    return options


def main() -> None:
    """Print the tables."""
    options = arguments()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary)).resolve()
        try:
            if options.heavy:
                heavy(options, folder)
            else:
                found = measure(options, folder)
                print(f"{kernel_table(found)}\n{aims_table(found)}")
        except Failed as failure:
            sys.exit(str(failure))


if __name__ == "__main__":
    main()
