"""The steps that more than one stage uses: stage 2 judges the lists that stage 3 makes, by the same steps."""

from recommender.steps.fold_in import FoldIn, solver_of
from recommender.steps.item_rules import ItemRules
from recommender.steps.popularity_blend import PopularityBlend
from recommender.steps.top_k_recommender import TopKRecommender

__all__ = ["FoldIn", "ItemRules", "PopularityBlend", "TopKRecommender", "solver_of"]
