"""AlternatingLeastSquares of the library implicit on two threads, by Cholesky or by conjugate gradients.

Its confidence of an observed pair is alpha times the score, where MLlib's is 1 + alpha times the score: it gets
1 + alpha. Its regularisation is one number for everybody, where MLlib's grows with the pairs of a visitor or an item:
it gets regParam times the mean number of these, so that the two are of one size.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from fitting import Fitted, contend
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

THREADS = 2


def pairs(folder: Path) -> csr_matrix:
    """Return the pairs with a score of 1 each, a row per visitor."""
    table = pq.read_table(folder / "history", columns=["visitor_index", "item_index"])
    rows, columns = (table[name].to_numpy() for name in ("visitor_index", "item_index"))
    return csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)))


def fit(_: None, options: argparse.Namespace) -> AlternatingLeastSquares:
    """Fit."""
    scores = pairs(options.folder)
    model = AlternatingLeastSquares(
        factors=options.rank,
        iterations=options.iterations,
        alpha=1 + options.alpha,
        regularization=options.reg_param * 2 * scores.nnz / sum(scores.shape),
        use_cg=options.cg,
        num_threads=THREADS,
        random_state=0,
    )
    model.fit(scores, show_progress=False)
    return model


def factors(model: AlternatingLeastSquares) -> Fitted:
    """Return the factors of a model."""
    return model.user_factors, model.item_factors


if __name__ == "__main__":
    contend(lambda: None, fit, factors)
