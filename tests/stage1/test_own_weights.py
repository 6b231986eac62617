"""Events with weights of their own, ratings for example, against a computation in pandas."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from support.by_pandas import DAY, LAST_EVENTS, PAIR, PERCENTILE, SCORE_MAP, decoded, expected, pairs_of, same

from recommender.errors import ConfigError, DataQualityError, SchemaError
from recommender.stage1.main import Stage1
from recommender.stage1.steps import HoldoutSplit, ScoreEvents, ScoreGrouper

START = 12 * 10**11


def log_of(seed: int, rows: int = 900) -> pd.DataFrame:
    """Return events with equal times, several of a pair, and half stars."""
    random = np.random.default_rng(seed)
    events = pd.DataFrame(
        {
            "timestamp": START + random.integers(0, 60, rows) * DAY,
            "visitorid": random.integers(0, 30, rows),
            "event": random.choice(["rating", "review", "view"], rows, p=[0.5, 0.2, 0.3]),
            "itemid": random.integers(100, 160, rows),
            "rating": random.integers(1, 11, rows) / 2,
        }
    )
    return events.drop_duplicates()


CASES = [
    pytest.param("last", {}, {}, {}, marks=pytest.mark.slow),
    pytest.param("max", {}, {}, {}, marks=pytest.mark.slow),
    ("mean", {}, {}, {"min_score": 3.0}),
    ("sum", {"max_score": 6.0}, {}, {}),
    ("last", {"max_score": 4.0}, {"half_life_days": 30.0}, {}),
    pytest.param("max", {}, {"half_life_days": 30.0}, {}, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("aggregate", "grouping", "scoring", "holdout"), CASES)
def test_scores_split_and_holdout_are_those_of_pandas(
    spark: SparkSession,
    tmp_path: Path,
    aggregate: str,
    grouping: dict[str, float],
    scoring: dict[str, float],
    holdout: dict[str, float],
) -> None:
    events = log_of(len(aggregate) + len(scoring))
    events.sample(frac=1, random_state=1).to_csv(tmp_path / "ratings.csv", index=False)
    config = {
        "data_loader": {"event_filename": str(tmp_path / "ratings.csv"), "columns": {"weight": "rating"}},
        "train_test_split": {"train_percentile": PERCENTILE},
        "holdout": {"last_events": LAST_EVENTS, **holdout},
        "score_events": {"score_map": SCORE_MAP, **scoring},
        "group_scores": {"aggregate": aggregate, **grouping},
        "score_filter": {"min_score": 0.5},
    }
    stage = Stage1(config)
    tables = stage.execute()
    wanted = expected(
        events, aggregate, grouping.get("max_score"), scoring.get("half_life_days"), holdout.get("min_score")
    )
    try:
        for name, pairs in wanted.items():
            assert len(pairs) > 3, name
            assert same(pairs_of(tables, name), pairs), name
        whole = decoded(tables, "interactions")
        assert not whole.duplicated([*PAIR, "event"]).any()
        if aggregate in {"last", "max"}:  # one part of a pair has its score
            assert (whole[whole.score != 0].groupby(PAIR).size() == 1).all()
    finally:
        stage.release()


def run_of(tmp_path: Path, columns: dict[str, str], rows: list[str], **config: Any) -> Stage1:
    (tmp_path / "ratings.csv").write_text("\n".join(["timestamp,visitorid,event,itemid,rating", *rows]) + "\n")
    steps = {"data_loader": {"event_filename": str(tmp_path / "ratings.csv"), "columns": columns}}
    scoring = {"score_map": {"rating": 1.0}, **config.pop("score_events", {})}
    return Stage1({**steps, "score_events": scoring, "train_test_split": {"train_percentile": 100.0}, **config})


RATED = [f"{START + n},{n % 6},rating,{n % 5},{n % 10 / 2 + 0.5}" for n in range(60)]


@pytest.mark.slow
def test_pairs_below_the_least_score_are_told(tmp_path: Path) -> None:
    columns = {"weight": "rating"}
    stage = run_of(tmp_path, columns, RATED, group_scores={"aggregate": "last"})
    stage.execute_persist(str(tmp_path / "out"))
    told = "of 25 pairs have a score below 1 and are not trained with; see score_filter.min_score"
    assert [one.split(" ", 1)[1] for one in stage.details()["warnings"]] == [told]
    stage = run_of(tmp_path, columns, RATED, group_scores={"aggregate": "last"}, score_filter={"min_score": 0.5})
    stage.execute_persist(str(tmp_path / "all"))
    assert stage.details()["warnings"] == []


@pytest.mark.parametrize("aggregate", ["sum", "last"])
def test_weights_below_0_are_refused_or_count(tmp_path: Path, aggregate: str) -> None:
    columns, grouping = {"weight": "rating"}, {"aggregate": aggregate}
    rows = [*RATED, f"{START + 99},0,rating,0,-2"]
    told = r"BAD_WEIGHT 1 of 61 events have a weight below 0; set score_events\.negative_weights: subtract, or shift "
    with pytest.raises(DataQualityError, match=told):
        run_of(tmp_path, columns, rows, group_scores=grouping).execute()
    stage = run_of(tmp_path, columns, rows, group_scores=grouping, score_events={"negative_weights": "subtract"})
    scores = stage.scoring.grouped(stage.log.load(), [*PAIR, "event"]).where("visitorid = 0 AND itemid = 0")
    [found] = [row.score for row in scores.collect()]
    own = [n % 10 / 2 + 0.5 for n in range(60) if n % 6 == 0 and n % 5 == 0]
    assert found == (sum(own) - 2 if aggregate == "sum" else -2)
    stage.release()


def test_the_mean_of_what_fades_is_refused() -> None:
    told = "CFG_VALUE group_scores.aggregate mean and score_events.half_life_days do not go together"
    with pytest.raises(ConfigError, match=told):
        Stage1({"group_scores": {"aggregate": "mean"}, "score_events": {"half_life_days": 7.0}})


def test_weights_that_no_score_can_hold_are_refused() -> None:
    scoring = ScoreEvents()
    told = "BAD_WEIGHT 3 of 9 events have a weight that is not a number a score can hold; see data_loader.columns"
    with pytest.raises(DataQualityError, match=told):
        scoring.check_own(9, 3, 0)
    scoring.check(10, 1e30)
    with pytest.raises(DataQualityError, match=r"BAD_SCORE 10 events of a visitor may weigh 1e\+38 each"):
        scoring.check(10, 1e37)


def test_the_facts_of_weights_are_those_of_the_events(spark: SparkSession) -> None:
    rows = [(1.5, True), (-2.0, True), (None, True), (float("nan"), True), (float("inf"), True), (-9.0, False)]
    events = spark.createDataFrame(rows, "weight double, good boolean")
    assert tuple(events.agg(*ScoreEvents.own_facts(events, events.good)).first() or ()) == (3, 1, 2.0)
    bare = events.drop("weight")
    assert tuple(bare.agg(*ScoreEvents.own_facts(bare, bare.good)).first() or ()) == (0, 0, 1.0)


def test_the_last_needs_a_time(spark: SparkSession) -> None:
    scored = spark.createDataFrame([(7, 1, 1.0)], "visitorid long, itemid long, score double")
    with pytest.raises(SchemaError, match=r"SCHEMA_MISSING timestamp; found \[visitorid, itemid, score\]"):
        ScoreGrouper(aggregate="last").execute(scored)


@pytest.mark.parametrize("aggregate", ["sum", "last", "max", "mean"])
def test_parts_add_up_to_the_score(spark: SparkSession, aggregate: Any) -> None:
    random = np.random.default_rng(3)
    rows = [
        (int(v), int(i), str(kind), float(score), int(time))
        for v, i, kind, score, time in zip(
            random.integers(0, 6, 200),
            random.integers(0, 4, 200),
            random.choice(["a", "b", "c"], 200),
            random.integers(-4, 9, 200) / 2,
            random.integers(0, 9, 200),
            strict=True,
        )
    ]
    scored = spark.createDataFrame(rows, "visitorid long, itemid long, event string, score double, timestamp long")
    counts = scored.event != "c"
    if aggregate == "sum":
        scored = scored.where(counts)
    grouper = ScoreGrouper(aggregate=aggregate)
    whole = {(r.visitorid, r.itemid): r.score for r in grouper.execute(scored, counts).collect()}
    parts = grouper.parts(scored, [*PAIR, "event"], counts).toPandas()
    assert len(parts) > len(whole) == 24
    assert same(parts.groupby(PAIR).score.sum().to_dict(), whole)
    frame = pd.DataFrame(rows, columns=[*PAIR, "event", "score", "timestamp"])
    by_hand = frame[frame.event != "c"].sort_values(["timestamp", "score"], kind="stable")
    assert same(whole, by_hand.groupby(PAIR).score.agg(aggregate).to_dict())


def test_a_pair_of_which_nothing_counts_has_0(spark: SparkSession) -> None:
    scored = spark.createDataFrame(
        [(7, 1, "c", 3.0, 5)], "visitorid long, itemid long, event string, score double, timestamp long"
    )
    for aggregate in ("last", "max", "mean"):
        grouper = ScoreGrouper(aggregate=aggregate)  # type: ignore[arg-type]
        for rows in (
            grouper.execute(scored, scored.event != "c"),
            grouper.parts(scored, [*PAIR, "event"], scored.event != "c"),
        ):
            assert [(row.score, row.last_timestamp) for row in rows.collect()] == [(0.0, 5)]


def test_a_low_rating_is_none_to_predict(spark: SparkSession) -> None:
    held = spark.createDataFrame([(7, 1, 4.0), (7, 2, 3.5), (7, 3, 5.0)], "visitorid long, itemid long, score double")
    assert [row.itemid for row in HoldoutSplit(min_score=4.0).high_enough(held).collect()] == [1, 3]
    assert HoldoutSplit().high_enough(held) is held
    assert HoldoutSplit(min_score=4.0).note(3, 1) == "2 of 3 pairs left the holdout: already in the history, or below 4"
