"""The steps that only stage 3 has."""

from recommender.stage3.steps.bought_together import BoughtTogether
from recommender.stage3.steps.similar_items import SimilarItems
from recommender.stage3.steps.visitor_shards import VisitorShards

__all__ = ["BoughtTogether", "SimilarItems", "VisitorShards"]
