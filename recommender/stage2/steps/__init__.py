"""The steps of stage 2: fit and judge."""

from recommender.stage2.steps.als_fitter import AlsFitter
from recommender.stage2.steps.model_gate import ModelGate
from recommender.stage2.steps.popularity_model import PopularityModel
from recommender.stage2.steps.ranking_evaluator import RankingEvaluator

__all__ = ["AlsFitter", "ModelGate", "PopularityModel", "RankingEvaluator"]
