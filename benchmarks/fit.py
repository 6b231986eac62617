"""A fit of the matrix model: AlsFitter by either solver beside MLlib's ALS as it comes, implicit and irspack.

    python -m venv .venv-peers
    .venv-peers/bin/pip install implicit==0.7.3 irspack==0.5.2 pyarrow
    python benchmarks/fit.py --train ../shared/data/gowalla/train.txt.gz --test ../shared/data/gowalla/test.txt.gz \
        --peers .venv-peers/bin/python

All fit the same pairs with a score of 1 each, in a process of its own (benchmarks/contenders/fit_*.py), on two threads;
the runs alternate. The time is that of the fit alone, from the first read of the pairs to factors that are ready:
without Spark's start and the imports, but with a JVM that has done nothing yet (--warm: that has fitted one iteration).
"setup" is a second fit, without iterations: reading, blocks, and the random start; an iteration is what the fit took
beyond that. CPU seconds are those of the JVM and of all Python processes; memory is the largest sum of the resident
memory of all processes, from start to end (Linux only).

MLlib as it comes cuts visitors and items into ten blocks each; ours chooses by the number of pairs (--blocks: also with
these numbers). "blocks" is AlsFitter with solver blocks. implicit solves by Cholesky, as MLlib does, or by conjugate
gradients (CG), which is its default; irspack by CG, or in subspaces of 64 factors (iALS++).

Quality: every visitor of the test file gets the 20 items with the largest products, of all items but its own of the
training file. Recall@20 is the share of its test items among them; NDCG@20 has a gain of 1 for these, over the best
order there is. Both are means over the visitors, by the same code for all.
"""

import argparse
import json
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from factors import read_pairs, write_history
from numpy.typing import NDArray
from topk import Failed, run
from topk_tables import cpu, median, verdict

BENCHMARKS = Path(__file__).resolve().parent
AIM = 1.3  # times as fast as MLlib as it comes
SAME_QUALITY = 0.99
CUTOFF = 20
BATCH = 512  # visitors
TIMES_MLLIB = {64: 5.0, 128: 10.0}  # rank -> how many times as fast blocks, CG should be as MLlib as it comes
TIMES_CG = 3.0  # implicit's time by CG that blocks, CG may take
OURS, MLLIB, CHOLESKY, CG = "AlsFitter", "MLlib ALS()", "implicit, Cholesky", "implicit, CG"
BLOCKS_CG, BLOCKS_EXACT, IRSPACK_CG, IRSPACK = "blocks, CG", "blocks, Cholesky", "irspack, CG", "irspack, iALS++"
CONTENDERS: dict[str, tuple[str, list[object]]] = {
    OURS: ("fit_ours.py", []),
    MLLIB: ("fit_mllib.py", []),
    BLOCKS_CG: ("fit_ours.py", ["--method", "cg"]),
    BLOCKS_EXACT: ("fit_ours.py", ["--method", "cholesky"]),
    CHOLESKY: ("fit_implicit.py", []),
    CG: ("fit_implicit.py", ["--cg"]),
    IRSPACK_CG: ("fit_irspack.py", ["--cg"]),
    IRSPACK: ("fit_irspack.py", []),
}
PEERS = (CHOLESKY, CG, IRSPACK_CG, IRSPACK)  # that need an environment of their own

Figures = dict[str, float]
Pairs = tuple[NDArray[np.int32], NDArray[np.int32]]  # visitors and items


class Quality:
    """Judges factors by what the visitors of a test file took.

    Init parameters:
        train, test: pairs of a visitor and an item.
    """

    def __init__(self, train: Pairs, test: Pairs) -> None:
        self.visitors = np.unique(test[0])
        self._train, self._test = _by_visitor(train), _by_visitor(test)

    def of(self, users: NDArray[np.floating], items: NDArray[np.floating]) -> Figures:
        """Return recall and NDCG."""
        discounts = 1 / np.log2(np.arange(2, CUTOFF + 2))
        users = np.pad(users, ((0, max(0, self.visitors[-1] + 1 - len(users))), (0, 0)))  # who was not in training
        recall = ndcg = 0.0
        for start in range(0, len(self.visitors), BATCH):
            visitors = self.visitors[start : start + BATCH]
            scores = users[visitors].astype(np.float32) @ items.astype(np.float32).T
            scores[_places(self._train, visitors, len(items))] = -np.inf
            held = np.zeros(scores.shape, dtype=bool)
            held[_places(self._test, visitors, len(items))] = True
            best = np.argpartition(-scores, CUTOFF, axis=1)[:, :CUTOFF]
            order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
            hits = np.take_along_axis(held, np.take_along_axis(best, order, axis=1), axis=1)
            counts = _counts(self._test, visitors)  # an item that the model does not know is missed
            recall += float((hits.sum(axis=1) / counts).sum())
            ideal = np.cumsum(discounts)[np.minimum(counts, CUTOFF) - 1]
            ndcg += float((hits @ discounts / ideal).sum())
        return {"recall": recall / len(self.visitors), "ndcg": ndcg / len(self.visitors)}


def _by_visitor(pairs: Pairs) -> Pairs:
    order = np.argsort(pairs[0], kind="stable")
    return pairs[0][order], pairs[1][order]


def _counts(pairs: Pairs, visitors: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the number of pairs of each visitor."""
    return np.searchsorted(pairs[0], visitors, side="right") - np.searchsorted(pairs[0], visitors)


def _places(pairs: Pairs, visitors: NDArray[np.int32], items: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return rows and columns of the pairs of some visitors, in ascending order, but of items beyond the last."""
    low, high = np.searchsorted(pairs[0], visitors[0]), np.searchsorted(pairs[0], visitors[-1], side="right")
    whose, columns = pairs[0][low:high], pairs[1][low:high]
    rows = np.searchsorted(visitors, whose)
    known = (visitors[rows] == whose) & (columns < items)
    return rows[known], columns[known]


def fit(options: argparse.Namespace, name: str, rank: int, folder: Path, quality: Quality) -> Figures:
    """Let a contender fit; return its figures."""
    script, flags = CONTENDERS[name]
    stored = folder / "factors.npz"
    python = options.peers if name in PEERS else sys.executable
    arguments: list[object] = [folder, stored, "--rank", rank, "--iterations", options.iterations, *flags]
    arguments += ["--alpha", options.alpha, "--reg-param", options.reg_param, *(["--warm"] if options.warm else [])]
    line, peak = run(options, python, BENCHMARKS / "contenders" / script, *arguments)
    figures: Figures = json.loads(line)
    figures["iteration"] = (figures["seconds"] - figures["setup"]) / options.iterations
    found = np.load(stored)
    return {**figures, "peak": peak, **quality.of(found["users"], found["items"])}


def in_turn(options: argparse.Namespace, rank: int, folder: Path, quality: Quality) -> dict[str, Figures]:
    """Return the figures of each contender, the median of the runs; one that fails is left out."""
    runs: dict[str, list[Figures]] = {name: [] for name in options.only}
    for _ in range(options.runs):
        for name in list(runs):
            try:
                runs[name].append(fit(options, name, rank, folder, quality))
            except Failed as failure:
                print(failure, file=sys.stderr)
                del runs[name]
    return {name: median(each) for name, each in runs.items()}


def head() -> str:
    """Return the head of the table of the fits."""
    names = ["rank", "who", "s", "setup, s", "s/iteration", "CPU JVM, s", "CPU Python, s", "peak MB"]
    names += [f"Recall@{CUTOFF}", f"NDCG@{CUTOFF}", "s, of ours", "CPU, of ours", "NDCG, of ours"]
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}"


def row(rank: int, name: str, found: dict[str, Figures]) -> str:
    """Return the row of a contender."""
    if name not in found:
        return f"| {rank} | {name} | failed |{' |' * 10}"
    own, ours = found[name], found.get(OURS)
    cells = [f"{own['seconds']:.1f}", f"{own['setup']:.1f}", f"{own['iteration']:.2f}"]
    cells += [f"{own['java']:.1f}", f"{own['python']:.1f}", f"{own['peak'] / 1e6:,.0f}"]
    cells += [f"{own['recall']:.4f}", f"{own['ndcg']:.4f}"]
    ratios = [own["seconds"] / ours["seconds"], cpu(own) / cpu(ours), own["ndcg"] / ours["ndcg"]] if ours else []
    cells += [f"{ratio:.2f}" for ratio in ratios] or [""] * 3
    return f"| {rank} | {name} | {' | '.join(cells)} |"


def ranks_table(found: dict[int, dict[str, Figures]]) -> str:
    """Return what an iteration costs from rank to rank, nothing for a single rank."""
    ranks = sorted(found)
    if len(ranks) == 1:
        return ""
    names = [name for name in CONTENDERS if all(name in found[rank] for rank in ranks)]
    steps = list(pairwise(ranks))
    lines = ["\nAn iteration, of the time at the rank before\n", f"| who | {' | '.join(str(r) for _, r in steps)} |"]
    lines.append(f"|{'---|' * (1 + len(steps))}")
    for name in names:
        ratios = [f"{found[rank][name]['iteration'] / found[before][name]['iteration']:.1f}" for before, rank in steps]
        lines.append(f"| {name} | {' | '.join(ratios)} |")
    return "\n".join(lines)


def aims_table(found: dict[int, dict[str, Figures]]) -> str:
    """Return the table of what we aim at: the worst of all ranks counts."""
    both = [each for each in found.values() if {OURS, MLLIB} <= each.keys()]
    faster = [each[MLLIB]["seconds"] / each[OURS]["seconds"] for each in both]
    better = [each[OURS]["ndcg"] / each[MLLIB]["ndcg"] for each in both]
    aims = [
        f"| blocks, CG at rank {rank}: times as fast as MLlib as it comes | "
        f"{verdict([each[MLLIB]['seconds'] / each[BLOCKS_CG]['seconds']], TIMES_MLLIB[rank])} |"
        for rank, each in found.items()
        if rank in TIMES_MLLIB and {MLLIB, BLOCKS_CG} <= each.keys()
    ]
    slower = [
        each[CG]["seconds"] / each[BLOCKS_CG]["seconds"] for each in found.values() if {CG, BLOCKS_CG} <= each.keys()
    ]
    return "\n".join(
        [
            "\n| aim | figure | |\n|---|---|---|",
            f"| times as fast as MLlib as it comes | {verdict(faster, AIM)} |",
            f"| NDCG@{CUTOFF}, of MLlib's | {verdict(better, SAME_QUALITY)} |",
            *aims,
            f"| implicit's time by CG, of that of blocks, CG | {verdict(slower, 1 / TIMES_CG)} |",
        ]
    )


def arguments() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="gzip, a line per visitor: visitor item item ...")
    parser.add_argument("--test", type=Path, required=True, help="the same for what is to be predicted")
    parser.add_argument("--ranks", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--alpha", type=float, default=10.0, help="MLlib's (default: %(default)s)")
    parser.add_argument("--reg-param", type=float, default=0.1, help="MLlib's (default: %(default)s)")
    parser.add_argument("--blocks", type=int, nargs="+", default=[], help="ours also with these numbers of blocks")
    parser.add_argument("--runs", type=int, default=1, help="whose median counts (default: %(default)s)")
    parser.add_argument("--peers", help="Python of an environment with implicit and irspack")
    parser.add_argument("--only", nargs="+", choices=list(CONTENDERS), help="leave the others out")
    parser.add_argument("--warm", action="store_true", help="each has fitted one iteration before")
    parser.add_argument("--driver-memory", default="4g", help="heap of Spark's JVM (default: %(default)s)")
    options = parser.parse_args()
    for blocks in options.blocks:
        CONTENDERS[f"{OURS}, {blocks} blocks"] = ("fit_ours.py", ["--blocks", blocks])
    options.only = [
        name for name in CONTENDERS if not options.only or name in options.only or name.startswith(f"{OURS},")
    ]
    if not options.peers:
        print("implicit and irspack are left out: --peers names no Python.\n")
        options.only = [name for name in options.only if name not in PEERS]
    return options


def main() -> None:
    """Print the tables."""
    options = arguments()
    train, test = read_pairs(options.train), read_pairs(options.test)
    quality = Quality(train, test)
    print(
        f"{len(train[0]):,} pairs of {len(np.unique(train[0])):,} visitors and {len(np.unique(train[1])):,} items, "
        f"{len(quality.visitors):,} visitors judged; {options.iterations} iterations, alpha {options.alpha:g}, "
        f"regParam {options.reg_param:g}\n\n{head()}",
        flush=True,
    )
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        write_history(Path(temporary, "history"), *train)
        for rank in options.ranks:
            found[rank] = in_turn(options, rank, Path(temporary), quality)
            for name in options.only:
                print(row(rank, name, found[rank]), flush=True)
    print(f"{ranks_table(found)}\n{aims_table(found)}")


if __name__ == "__main__":
    main()
