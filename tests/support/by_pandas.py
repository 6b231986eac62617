"""Scores, history and holdout of a log, computed with pandas alone."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame

DAY = 86_400_000
SCORE_MAP = {"rating": 1.0, "review": 0.5}  # a view says nothing
PERCENTILE, LAST_EVENTS = 70, 3
PAIR = ["visitorid", "itemid"]


def together(scored: pd.DataFrame, aggregate: str, max_score: float | None) -> pd.Series:
    """Return the score of each pair: that of the events which say something, 0 where none does."""
    said = scored[scored.event.isin(SCORE_MAP)].sort_values(["timestamp", "score"], kind="stable")
    score = said.groupby(PAIR).score.agg(aggregate)  # last: the largest of those of equal times
    score = score.reindex(pd.MultiIndex.from_frame(scored[PAIR].drop_duplicates()), fill_value=0.0)
    return score if max_score is None else score.clip(upper=max_score)


def expected(
    events: pd.DataFrame, aggregate: str, max_score: float | None, half_life: float | None, least: float | None
) -> dict[str, dict[Any, float]]:
    """Return scores, history and holdout: (visitor, item) -> score."""
    age = (events.timestamp.max() - events.timestamp) / DAY
    fade = 1.0 if half_life is None else 0.5 ** (age / half_life)
    scored = events.assign(score=events.event.map(SCORE_MAP).fillna(0.0) * events.rating * fade)
    cut = np.percentile(events.visitorid, PERCENTILE)
    train, test = scored[scored.visitorid < cut], scored[scored.visitorid >= cut]
    latest = test.sort_values(["timestamp", "itemid", "event", "rating"], ascending=False)
    place, number = latest.groupby("visitorid").cumcount(), latest.groupby("visitorid").itemid.transform("size")
    is_held = place < np.minimum(LAST_EVENTS, number - 1)
    history, held = latest[~is_held], together(latest[is_held], aggregate, max_score)
    known = set(map(tuple, history[PAIR].to_numpy().tolist()))
    scores = together(train, aggregate, max_score)
    return {
        "scores": scores[scores >= 0.5].to_dict(),
        "history": together(history, aggregate, max_score).to_dict(),
        "holdout": {
            pair: score
            for pair, score in held.items()
            if pair not in known and (score > 0 if least is None else score >= least)
        },
    }


def decoded(tables: dict[str, DataFrame], name: str) -> pd.DataFrame:
    ids = (tables["visitors"].select("visitorid", "visitor_index"), tables["items"].select("itemid", "item_index"))
    return tables[name].join(ids[0], "visitor_index").join(ids[1], "item_index").toPandas()


def pairs_of(tables: dict[str, DataFrame], name: str) -> dict[Any, float]:
    found: dict[Any, float] = decoded(tables, name).groupby(PAIR).score.sum().to_dict()
    return found


def same(found: dict[Any, float], wanted: dict[Any, float]) -> bool:
    return found.keys() == wanted.keys() and all(found[key] == pytest.approx(wanted[key], rel=1e-6) for key in wanted)
