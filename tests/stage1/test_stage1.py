"""Stage 1 against the seed's own computation in pandas."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pyspark.sql import DataFrame, SparkSession

from recommender.errors import ConfigError, DataQualityError
from recommender.stage1.main import Stage1
from recommender.tables import schemas

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "retailrocket"


def seed_config(path: Path) -> dict[str, Any]:
    """Return the config of the seed's Stage1 docstring, with a real path."""
    return {
        "data_loader": {
            "event_filename": str(path),
        },
        "event_validator": {"earliest": None},  # the toy times are in 1970
        "score_events": {
            "input_column_name": "event",
            "score_column_name": "score",
            "score_map": {
                "view": 1,
                "addtocart": 5,
                "transaction": 10,
            },
        },
        "encode_itemids": {
            "column_name": "itemid",
        },
        "group_scores": {
            "key": ["visitorid", "itemid"],
        },
        "score_filter": {
            "min_score": 10,
        },
    }


def pandas_scores(events: pd.DataFrame, percentile: float = 90, min_score: float = 10) -> dict[tuple[int, int], float]:
    """Return the seed's result: the score of each (visitorid, position of the itemid among the kept ones)."""
    train = events[events.visitorid < np.percentile(events.visitorid, percentile)]
    score = train.event.map({"view": 1, "addtocart": 5, "transaction": 10}).fillna(0)
    grouped = score.groupby([train.visitorid, train.itemid]).sum()
    kept = grouped[grouped >= min_score].reset_index(name="score")
    codes = np.searchsorted(np.unique(kept.itemid), kept.itemid)
    return {(v, int(i)): float(s) for v, i, s in zip(kept.visitorid, codes, kept.score, strict=True)}


def spark_scores(result: dict[str, DataFrame]) -> dict[tuple[int, int], float]:
    decoded = result["scores"].join(result["visitors"].select("visitorid", "visitor_index"), "visitor_index")
    return {(row.visitorid, row.item_index): row.score for row in decoded.collect()}


@pytest.fixture(scope="module")
def sample(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, DataFrame]:
    path = DATA / "sample_10k.csv"
    if not path.exists():
        pytest.skip(f"the real events are not there: {path}")
    stage, out = Stage1(seed_config(path)), str(tmp_path_factory.mktemp("stage1"))
    stage.execute_persist(out)
    rows = {step.step: (step.rows_in, step.rows_out) for step in stage.report(stage.counter.rows())}
    assert stage.split.split_value == 1266565.1
    assert rows["train_test_split"] == (10_000, 9_000)
    assert rows["group_scores"] == (9_000, 8_978)
    assert rows["score_filter"] == (8_978, 80)
    return {name: spark.read.parquet(f"{out}/{name}") for name in ("scores", "visitors", "items", "interactions")}


def test_the_seed_s_config_gives_the_seed_s_result(sample: dict[str, DataFrame]) -> None:
    scores = sample["scores"].toPandas()
    assert (len(scores), scores.score.sum()) == (80, 800)
    assert (scores.visitor_index.nunique(), scores.item_index.nunique()) == (76, 79)
    assert (scores.visitor_index.max(), scores.item_index.max()) == (75, 78)
    assert spark_scores(sample) == pandas_scores(pd.read_csv(DATA / "sample_10k.csv"))


def test_the_whole_log_is_in_the_interactions(sample: dict[str, DataFrame]) -> None:
    events = pd.read_csv(DATA / "sample_10k.csv")
    assert sample["interactions"].count() == len(events[["visitorid", "itemid", "event"]].drop_duplicates())
    assert sample["visitors"].toPandas().events.sum() == 10_000
    assert sample["items"].toPandas().events.sum() == 10_000


EVENTS = st.lists(
    st.tuples(
        st.integers(10**11, 17 * 10**11),  # 1973 to 2023
        st.integers(0, 12) | st.integers(2**31, 2**31 + 3),
        st.sampled_from(["view", "addtocart", "transaction", "wave"]),
        st.integers(0, 8),
    ),
    min_size=20,
    max_size=60,
)


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, percentile=st.sampled_from([0, 50, 90, 99.5]), min_score=st.sampled_from([1, 5, 10]))
def test_any_log_gives_what_pandas_gives(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, events: Any, percentile: float, min_score: float
) -> None:
    frame = pd.DataFrame(events, columns=["timestamp", "visitorid", "event", "itemid"])
    path = tmp_path_factory.mktemp("log") / "events.csv"
    frame = frame.drop_duplicates()
    frame.to_csv(path)
    config = seed_config(path) | {
        "train_test_split": {"train_percentile": percentile},
        "score_filter": {"min_score": min_score},
    }
    config["score_events"]["max_unweighted"] = 1.0  # any share of the events may be a wave
    stage = Stage1(config)
    expected = pandas_scores(frame, percentile, min_score)
    try:
        if expected:
            assert spark_scores(stage.execute()) == expected
        else:
            with pytest.raises(DataQualityError, match=r"NO_ROWS_AFTER|NO_POSITIVE"):
                stage.execute()
    finally:
        stage.release()


@pytest.fixture(scope="module")
def by_time(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, DataFrame]:
    """Return the tables of a cut by time: visitor 1 is known, 2 is trained only, 3 comes after the cut."""
    path = tmp_path_factory.mktemp("log") / "events.csv"
    log = [(1, 1, "view", 10), (2, 2, "view", 10), (3, 1, "transaction", 11), (4, 2, "view", 12)]
    log += [(8, 1, "view", 12), (8, 1, "view", 10), (8, 3, "view", 10), (9, 3, "view", 11)]
    pd.DataFrame(log, columns=["timestamp", "visitorid", "event", "itemid"]).to_csv(path, index=False)
    stage = Stage1(
        {
            "data_loader": {"event_filename": str(path)},
            "event_validator": {"earliest": None},
            "train_test_split": {"column_name": "timestamp", "train_percentile": 50},
        }
    )
    out = str(tmp_path_factory.mktemp("stage1"))
    stage.execute_persist(out)
    return {name: spark.read.parquet(f"{out}/{name}") for name in schemas.TABLES if Path(out, name).exists()}


def named(tables: dict[str, DataFrame], name: str) -> list[tuple[int, int]]:
    rows = tables[name].join(tables["visitors"].select("visitorid", "visitor_index"), "visitor_index")
    rows = rows.join(tables["items"].select("itemid", "item_index"), "item_index")
    return sorted((row.visitorid, row.itemid) for row in rows.collect())


def test_a_cut_by_time_judges_known_visitors_by_what_came_after(by_time: dict[str, DataFrame]) -> None:
    assert named(by_time, "scores") == [(1, 10), (1, 11), (2, 10), (2, 12)]
    assert named(by_time, "history") == [(1, 10), (1, 11), (3, 10)]
    assert named(by_time, "holdout") == [(1, 12), (3, 11)]


def test_only_visitors_without_later_events_are_served_from_training(by_time: dict[str, DataFrame]) -> None:
    trained = {row.visitorid: row.trained for row in by_time["visitors"].collect()}
    assert trained == {1: False, 2: True, 3: False}


def test_the_tables_keep_their_contracts(by_time: dict[str, DataFrame]) -> None:
    assert set(by_time) == {"scores", "interactions", "history", "holdout", "visitors", "items", "quarantine"}
    for name, rows in by_time.items():
        assert schemas.mismatch(name, rows.dtypes) == ""


def test_all_mistakes_of_a_config_are_listed() -> None:
    with pytest.raises(ConfigError) as raised:
        Stage1({"event_filter": {"min_score": 10}, "score_filter": {"min_score": -1}})
    assert [m.path for m in raised.value.mistakes] == ["event_filter", "score_filter.min_score"]


def test_a_filter_that_leaves_nothing_is_an_error(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("timestamp,visitorid,event,itemid\n1,1,view,1\n2,2,view,1\n")
    stage = Stage1(seed_config(tmp_path / "events.csv"))
    with pytest.raises(
        DataQualityError, match=r"NO_ROWS_AFTER score_filter\(min_score=10\) in=1: no pair of the training"
    ):
        stage.execute_persist(str(tmp_path / "out"))


def test_events_that_cannot_be_read_are_an_error(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("timestamp,visitorid,event,itemid\n2015-05-03,1,view,1\n")
    with pytest.raises(DataQualityError, match=r"QUARANTINE_RATE 100\.0% > 1\.0%: 1 of 1 rows are .*BAD_TIMESTAMP 1"):
        Stage1(seed_config(tmp_path / "events.csv")).execute_persist(str(tmp_path / "out"))
