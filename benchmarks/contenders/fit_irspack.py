"""IALSRecommender of the library irspack on two threads, by conjugate gradients or in subspaces (iALS++).

Its original loss with alpha0 1 weighs pairs as MLlib does. As implicit, it gets regParam times the mean number of pairs
as the one regularisation of everybody.
"""

import argparse

from fit_implicit import THREADS, pairs
from fitting import Fitted, contend
from irspack import IALSRecommender


def fit(_: None, options: argparse.Namespace) -> IALSRecommender:
    """Fit."""
    scores = pairs(options.folder)
    model = IALSRecommender(
        scores * options.alpha,
        n_components=options.rank,
        alpha0=1.0,
        reg=options.reg_param * 2 * scores.nnz / sum(scores.shape),
        nu=0.0,
        init_std=1.0,
        loss_type="ORIGINAL",
        solver_type="CG" if options.cg else "IALSPP",
        train_epochs=options.iterations,
        random_seed=0,
        n_threads=THREADS,
    )
    return model.learn()


def factors(model: IALSRecommender) -> Fitted:
    """Return the factors of a model."""
    return model.get_user_embedding(), model.get_item_embedding()


if __name__ == "__main__":
    contend(lambda: None, fit, factors)
