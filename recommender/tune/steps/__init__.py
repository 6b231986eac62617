"""The steps of the search: what is held out to judge trials by, and what is tried."""

from recommender.tune.steps.model_tuner import ModelTuner
from recommender.tune.steps.validation_split import ValidationSplit

__all__ = ["ModelTuner", "ValidationSplit"]
