"""recommend of the library implicit on two threads, with the items of the history excluded."""

from pathlib import Path

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from measuring import Lists, contend, history, matrix
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

BATCH = 10_000  # visitors
THREADS = 2


def load(folder: Path) -> tuple[AlternatingLeastSquares, csr_matrix]:
    """Return the model and the history."""
    users, items = (matrix(folder / "model" / name) for name in ("userFactors", "itemFactors"))
    model = AlternatingLeastSquares(factors=users.shape[1], num_threads=THREADS)
    model.user_factors, model.item_factors = users, items
    columns, offsets = history(folder, len(users))
    ones = np.ones(len(columns), dtype=np.float32)
    return model, csr_matrix((ones, columns, offsets), shape=(len(users), len(items)))


def rank(_: None, folder: Path, k: int) -> float:
    """Rank everybody."""
    model, seen = load(folder)
    total = 0.0
    for start in range(0, seen.shape[0], BATCH):
        ids = np.arange(start, min(start + BATCH, seen.shape[0]))
        _, scores = model.recommend(ids, seen[ids], N=k, filter_already_liked_items=True)
        total += float(scores.sum())
    return total


def lists(_: None, folder: Path, k: int, ids: NDArray[np.int32]) -> Lists:
    """Return some lists."""
    model, seen = load(folder)
    return model.recommend(ids, seen[ids], N=k, filter_already_liked_items=True)


if __name__ == "__main__":
    contend(lambda: None, rank, lists)
