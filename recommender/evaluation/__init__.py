"""Judge lists of recommendations by what the visitors did afterwards."""

from recommender.evaluation.metrics import METRICS, ranking_metrics

__all__ = ["METRICS", "ranking_metrics"]
