"""Logs without a header, with other times, with nested names and with a filter, against a computation in pandas."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from support import reading
from support.by_pandas import DAY

START = 1_616_803_200_000  # 2021-03-27: summer time begins in Berlin the day after
COLUMNS = ["timestamp", "visitorid", "event", "itemid"]


def log_of(seed: int) -> pd.DataFrame:
    """Return events of whole minutes in two days, in another order than that of their times."""
    random = np.random.default_rng(seed)
    rows = 500
    events = pd.DataFrame(
        {
            "timestamp": START + random.integers(0, 2 * DAY // 60_000, rows) * 60_000,
            "visitorid": random.integers(0, 25, rows),
            "event": random.choice(["rating", "review", "view"], rows, p=[0.5, 0.2, 0.3]),
            "itemid": random.integers(100, 140, rows),
        }
    )
    return events.drop_duplicates().assign(rating=1.0)


def without_header(events: pd.DataFrame, path: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    lines = ["::".join(map(str, row)) for row in events[["itemid", "event", "timestamp", "visitorid"]].to_numpy()]
    path.write_text("\n".join(["exported by a shop", *lines]) + "\n")
    names = ["itemid", "event", "timestamp", "visitorid"]
    return {"header": False, "column_names": names, "skip_rows": 1, "delimiter": "::"}, events


def with_local_times(events: pd.DataFrame, path: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    local = pd.to_datetime(events.timestamp, unit="ms", utc=True).dt.tz_convert("Europe/Berlin")
    events.assign(timestamp=local.dt.strftime("%d.%m.%Y %H:%M")).to_csv(path, index=False)
    return {"timestamp_format": "dd.MM.yyyy HH:mm", "timezone": "Europe/Berlin"}, events


def nested(events: pd.DataFrame, path: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    rows = [
        {"at": row.timestamp, "user": {"id": row.visitorid}, "what": row.event, "page": {"product": {"id": row.itemid}}}
        for row in events.astype(object).itertuples()
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = {"timestamp": "at", "visitorid": "user.id", "event": "what", "itemid": "page.product.id"}
    return {"columns": columns, "file_format": "json"}, events


def filtered(events: pd.DataFrame, path: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    country = np.where(events.index % 3 == 0, "FR", np.where(events.index % 3 == 1, "DE", ""))
    events.assign(country=country).to_csv(path, index=False)
    return {"where": "country = 'DE' OR (country IS NULL AND itemid < 120)"}, events[
        (country == "DE") | ((country == "") & (events.itemid < 120))
    ]


@pytest.mark.parametrize("way", [without_header, with_local_times, nested, filtered])
def test_the_events_are_those_of_pandas(
    spark: SparkSession, tmp_path: Path, way: Callable[[pd.DataFrame, Path], tuple[dict[str, Any], pd.DataFrame]]
) -> None:
    path = tmp_path / "events.csv"
    loader, wanted = way(log_of(len(way.__name__)).sample(frac=1, random_state=1), path)
    assert len(wanted) > 100
    assert reading.events(path, **loader) == sorted(wanted[COLUMNS].itertuples(index=False, name=None))
