"""RankingEvaluator beside RePlay's OfflineMetrics: all metrics at k = 1, 5, 10, 20, 50, 100 on lists of 100 places.

    python -m venv .venv-peers
    .venv-peers/bin/pip install replay-rec==0.22.0 pyspark==4.3.0
    python benchmarks/evaluate.py --peers .venv-peers/bin/python

Both judge the same generated lists (benchmarks/judged_lists.py tells how), each in a process of its own
(benchmarks/contenders/), on Spark with two cores. Ours computes eleven metrics, with intervals by 1,000 replicates of
the bootstrap; RePlay the eight that have a counterpart, without intervals. The time is from the first read of the
tables to the last value: without Spark's start and the imports, but with a JVM and Python workers that have done
nothing yet. CPU seconds are those of the JVM and of all Python processes, memory is the largest sum of the resident
memory of all processes, from start to end (Linux only).

RePlay's time grows with the number of visitors, to hours: --replay-visitors lets it judge the first so many only, and
scales its time and CPU seconds to all; the table says so. Its values are compared with ours where it has judged all.
The largest difference is that of the metrics of which both have the same definition: NDCG, recall, precision, MAP, MRR,
hit rate, and coverage. They differ in

- novelty: ours is -log2 of the item's share of the training score, in bits, the mean over all shown places. RePlay's
  Surprisal takes the share of the visitors that have the item, divides by log2 of their number, and takes the mean over
  visitors. RePlay's Novelty is another thing: the share of a list that the visitor had not seen before;
- Gini index and overlap: RePlay has neither;
- intervals: RePlay's ConfidenceInterval is by the normal distribution, and a metric with it is computed once more.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from topk import Failed, run

BENCHMARKS = Path(__file__).resolve().parent
SAME = ("ndcg", "recall", "precision", "map", "mrr", "hit_rate", "coverage")  # by definition
AIM = 5  # times as fast

Figures = dict[str, float]
Values = dict[str, float]


def lists(options: argparse.Namespace, folder: Path, visitors: int) -> Path:
    """Make lists, unless they are there."""
    out = folder / f"lists-{visitors}"
    if not out.exists():
        run(options, sys.executable, BENCHMARKS / "judged_lists.py", out, "--visitors", visitors)
    return out


def judge(
    options: argparse.Namespace, python: str, script: str, folder: Path, visitors: int, some: int
) -> tuple[Figures, Values]:
    """Let a contender judge; return its figures, scaled to all visitors, and what it found."""
    out = folder / "found.json"
    arguments: list[object] = [folder, out, ",".join(map(str, options.cutoffs))]
    arguments += ["--visitors", some] if some < visitors else []
    line, peak = run(options, python, BENCHMARKS / "contenders" / script, *arguments)
    figures = {name: value * visitors / some for name, value in json.loads(line).items()}
    return {**figures, "peak": peak}, json.loads(out.read_text())


def largest_difference(ours: Values, theirs: Values) -> tuple[float, str]:
    """Return the largest difference of metrics that have the same definition, and of which one."""
    return max((abs(ours[name] - theirs[name]), name) for name in theirs if name.split("@")[0] in SAME)


def row(visitors: int, who: str, figures: Figures, ours: Figures, note: str) -> str:
    """Return a row of the table."""
    cpu, our_cpu = (each["java"] + each["python"] for each in (figures, ours))
    cells = [f"{visitors:,}", who, f"{figures['seconds']:.1f}", f"{figures['java']:.1f}", f"{figures['python']:.1f}"]
    cells += [f"{figures['peak'] / 1e6:,.0f}", f"{figures['seconds'] / ours['seconds']:.1f}", f"{cpu / our_cpu:.1f}"]
    return f"| {' | '.join([*cells, note])} |"


def beside(options: argparse.Namespace, folder: Path, visitors: int, ours: Figures, found: Values) -> float | None:
    """Let RePlay judge, and print its row; return how many times our time it took, None if it failed."""
    some = min(options.replay_visitors or visitors, visitors)
    try:
        figures, theirs = judge(options, options.peers, "replay_judge.py", folder, visitors, some)
    except Failed as failure:
        print(failure, file=sys.stderr)
        print(f"| {visitors:,} | RePlay | failed | | | | | | |", flush=True)
        return None
    if some < visitors:
        note = f"of {some:,} visitors, times {visitors / some:.4g}"
    else:
        difference, name = largest_difference(found, theirs)
        note = f"{difference:.1e}, {name}"
    print(row(visitors, "RePlay", figures, ours, note), flush=True)
    return figures["seconds"] / ours["seconds"]


def measure(options: argparse.Namespace, folder: Path) -> dict[int, float]:
    """Measure all sizes, and print a row as soon as there is one; return visitors -> RePlay's time, of ours."""
    names = ["visitors", "who", "s", "CPU JVM, s", "CPU Python, s", "peak MB", "s, of ours", "CPU, of ours"]
    print(f"| {' | '.join([*names, 'largest difference to ours'])} |\n|{'---|' * (len(names) + 1)}", flush=True)
    ratios = {}
    for visitors in options.visitors:
        made = lists(options, folder, visitors)
        ours, found = judge(options, sys.executable, "our_judge.py", made, visitors, visitors)
        print(row(visitors, "ours", ours, ours, ""), flush=True)
        ratio = beside(options, made, visitors, ours, found) if options.peers else None
        if ratio is not None:
            ratios[visitors] = ratio
    return ratios


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visitors", type=int, nargs="+", default=[30_000, 100_000, 1_000_000], metavar="N")
    parser.add_argument("--cutoffs", type=int, nargs="+", default=[1, 5, 10, 20, 50, 100], metavar="K")
    parser.add_argument("--peers", help="Python of an environment with RePlay")
    parser.add_argument("--replay-visitors", type=int, metavar="N", help="that RePlay judges where there are more")
    parser.add_argument("--driver-memory", default="4g", help="heap of Spark's JVM (default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the lists there, and take them from there")
    options = parser.parse_args()
    if not options.peers:
        print("RePlay is left out: --peers names no Python.\n")
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary)).resolve()
        try:
            ratios = measure(options, folder)
        except Failed as failure:
            sys.exit(str(failure))
    if ratios:
        worst = min(ratios.values())
        met = "met" if worst >= AIM else f"missed by a factor of {AIM / worst:.2f}"
        print(f"\n| aim | figure | |\n|---|---|---|\n| times as fast as RePlay | {worst:.1f}, at least {AIM} | {met} |")


if __name__ == "__main__":
    main()
