"""The arithmetic of recommending, on blocks of numpy arrays and without Spark.

Positions are places in a block (rows of its matrix), not indexes of the catalogue; the caller translates them.
"""

from recommender.ranking.fold_in import fold_in
from recommender.ranking.popular import fill_up
from recommender.ranking.top_k import NONE, top_k

__all__ = ["NONE", "fill_up", "fold_in", "top_k"]
