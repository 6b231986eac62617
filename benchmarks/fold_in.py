"""Fold-in beside MLlib's own factors: how far apart they are, and what a visitor costs, together and alone.

    python benchmarks/factors.py FOLDER --rank 64 --train ../shared/data/gowalla/train.txt.gz
    python benchmarks/fold_in.py FOLDER

MLlib solves the visitors last. So a visitor that is folded in with the scores that it was trained with must get the
factors that MLlib gave it. The error is the norm of the difference, of the norm of MLlib's factors. A visitor alone is
folded in with YᵀY known, and then ranked among all items; the times are CPU milliseconds on one thread.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from contenders.measuring import history, matrix

from recommender.ranking import Solver, arranged, fold_in, gram, top_k

SOLVER = Solver(implicit_prefs=True, alpha=10.0, reg_param=0.1)  # as benchmarks/factors.py fits
ALONE = 500  # visitors that are folded in one by one


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="made by benchmarks/factors.py from a real log")
    parser.add_argument("--k", type=int, default=10)
    options = parser.parse_args()
    users, items = (matrix(options.folder / "model" / name) for name in ("userFactors", "itemFactors"))
    values, offsets = history(options.folder, len(users))
    known = gram(items)
    started = time.process_time()
    folded = fold_in((values, offsets), np.ones(len(values)), items, SOLVER, known)
    together = 1000 * (time.process_time() - started) / len(users)
    trained = np.linalg.norm(users, axis=1) > 0
    errors = np.linalg.norm(folded - users, axis=1)[trained] / np.linalg.norm(users, axis=1)[trained]
    catalogue = arranged(np.arange(len(items)), items)
    alone, ranked = [], []
    for visitor in range(0, len(users), -(-len(users) // ALONE)):
        own = values[offsets[visitor] : offsets[visitor + 1]]
        one = np.array([0, len(own)])
        started = time.process_time()
        factors = fold_in((own, one), np.ones(len(own)), items, SOLVER, known)
        alone.append(1000 * (time.process_time() - started))
        started = time.process_time()
        top_k(factors, catalogue, options.k, (own, one))
        ranked.append(1000 * (time.process_time() - started))
    print("| visitors | items | rank | largest error | ms a visitor, together | alone, median | its ranking, median |")
    print("|---|---|---|---|---|---|---|")
    sizes = f"| {len(users):,} | {len(items):,} | {items.shape[1]} | {errors.max():.1e} | {together:.3f}"
    print(f"{sizes} | {statistics.median(alone):.3f} | {statistics.median(ranked):.3f} |")
    print(f"\nThe aim is an error below 1e-5: {'met' if errors.max() < 1e-5 else 'missed'}.")  # noqa: PLR2004


if __name__ == "__main__":
    main()
