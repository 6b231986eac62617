"""The steps of stage 1: from the log to scores with dense indexes."""

from recommender.stage1.steps.column_encoder import ColumnEncoder, VisitorEncoder
from recommender.stage1.steps.data_loader import DataLoader
from recommender.stage1.steps.drift_check import DriftCheck
from recommender.stage1.steps.event_cap import EventCap
from recommender.stage1.steps.event_deduplicator import EventDeduplicator
from recommender.stage1.steps.event_profile import EventProfile
from recommender.stage1.steps.event_validator import EventValidator
from recommender.stage1.steps.holdout_split import HoldoutSplit
from recommender.stage1.steps.leak_check import LeakCheck
from recommender.stage1.steps.score_events import ScoreEvents
from recommender.stage1.steps.score_filter import ScoreFilter
from recommender.stage1.steps.score_grouper import ScoreGrouper
from recommender.stage1.steps.train_test_split import TrainTestSplit

__all__ = [
    "ColumnEncoder",
    "DataLoader",
    "DriftCheck",
    "EventCap",
    "EventDeduplicator",
    "EventProfile",
    "EventValidator",
    "HoldoutSplit",
    "LeakCheck",
    "ScoreEvents",
    "ScoreFilter",
    "ScoreGrouper",
    "TrainTestSplit",
    "VisitorEncoder",
]
