"""The steps of stage 2: fit, judge, and decide."""

from recommender.stage2.steps.als_fitter import AlsFitter
from recommender.stage2.steps.baselines import Baselines
from recommender.stage2.steps.item_to_item import ItemToItem
from recommender.stage2.steps.model_gate import ModelGate
from recommender.stage2.steps.popularity_model import PopularityModel
from recommender.stage2.steps.ranking_evaluator import RankingEvaluator
from recommender.stage2.steps.recent_popularity_model import RecentPopularityModel

__all__ = [
    "AlsFitter",
    "Baselines",
    "ItemToItem",
    "ModelGate",
    "PopularityModel",
    "RankingEvaluator",
    "RecentPopularityModel",
]
