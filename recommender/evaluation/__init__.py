"""Judge lists of recommendations by what the visitors did afterwards."""

from recommender.evaluation.accuracy import PER_VISITOR, VisitorMetric
from recommender.evaluation.exposure import OF_EXPOSURE, ExposureMetric
from recommender.evaluation.metrics import METRICS, Evaluation, evaluation, ranking_metrics

__all__ = [
    "METRICS",
    "OF_EXPOSURE",
    "PER_VISITOR",
    "Evaluation",
    "ExposureMetric",
    "VisitorMetric",
    "evaluation",
    "ranking_metrics",
]
