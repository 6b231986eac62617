"""The steps that only stage 3 has."""

from recommender.stage3.steps.visitor_shards import VisitorShards

__all__ = ["VisitorShards"]
