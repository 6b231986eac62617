"""The arithmetic of recommending, on numpy arrays and without Spark."""

from recommender.ranking.als_kernel import random_factors, solve_rows
from recommender.ranking.chosen import best_of, multiplied
from recommender.ranking.explain import explain
from recommender.ranking.fold_in import Solver, fold_in, gram
from recommender.ranking.neighbours import SIMILARITY_UNIT, Nearest
from recommender.ranking.popular import fill_up
from recommender.ranking.top_k import (
    EMPTY,
    NONE,
    Items,
    Keys,
    arranged,
    can_improve,
    found,
    improve,
    norms_of,
    nothing_found,
    top_k,
)

__all__ = [
    "EMPTY",
    "NONE",
    "SIMILARITY_UNIT",
    "Items",
    "Keys",
    "Nearest",
    "Solver",
    "arranged",
    "best_of",
    "can_improve",
    "explain",
    "fill_up",
    "fold_in",
    "found",
    "gram",
    "improve",
    "multiplied",
    "norms_of",
    "nothing_found",
    "random_factors",
    "solve_rows",
    "top_k",
]
