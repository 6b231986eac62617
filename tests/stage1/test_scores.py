"""Scoring, grouping, filtering and validating: the rules, nulls, empty input and every error."""

from collections import Counter

import numpy as np
import pytest
from chispa import assert_df_equality
from pyspark.sql import SparkSession

from recommender.errors import ConfigError, DataQualityError, SchemaError
from recommender.stage1.steps import ScoreEvents, ScoreFilter, ScoreGrouper


def test_a_kind_has_its_weight_and_others_weigh_nothing(spark: SparkSession) -> None:
    events = spark.createDataFrame(
        [(1, "view"), (2, "transaction"), (3, "wave"), (4, None)], "itemid long, event string"
    )
    expected = spark.createDataFrame(
        [(1, "view", 1.0), (2, "transaction", 10.0), (3, "wave", 0.0), (4, None, 0.0)],
        "itemid long, event string, score double",
    )
    scored = ScoreEvents().execute(events)
    assert_df_equality(scored, expected, ignore_row_order=True, ignore_nullable=True)


def test_an_empty_map_weighs_nothing(spark: SparkSession) -> None:
    events = spark.createDataFrame([("view",)], "event string")
    assert ScoreEvents(score_map={}).execute(events).collect()[0]["score"] == 0.0


def test_the_columns_of_scoring_can_be_named(spark: SparkSession) -> None:
    events = spark.createDataFrame([("view",)], "kind string")
    scored = ScoreEvents(input_column_name="kind", score_column_name="weight", score_map={"view": 3}).execute(events)
    assert scored.collect()[0].asDict() == {"kind": "view", "weight": 3.0}


def test_scoring_names_a_missing_column(spark: SparkSession) -> None:
    with pytest.raises(SchemaError, match=r"SCHEMA_MISSING event; found \[id\]; see score_events.input_column_name"):
        ScoreEvents().execute(spark.range(1))


@pytest.mark.parametrize("weight", [-1, float("inf"), float("nan")])
def test_a_weight_that_is_no_weight_is_refused(weight: float) -> None:
    with pytest.raises(ConfigError, match=r"score_map must be >= 0, got view -1|score_map\.view must be finite, got"):
        ScoreEvents(score_map={"view": weight})


def test_33_a_weight_that_no_float_holds_is_refused() -> None:
    told = r"score_map must be <= 3\.4e\+38 in size, got rare 1e\+39, return -1e\+300"
    with pytest.raises(ConfigError, match=told):
        ScoreEvents(score_map={"view": 1, "rare": 1e39, "return": -1e300}, negative_weights="subtract")


@pytest.mark.parametrize("weights", [{"view": 1, "rare": 2e38}, {"view": 1, "return": -2e38}])
def test_33_weights_are_refused_with_which_a_score_may_be_infinite(weights: dict[str, float]) -> None:
    scoring = ScoreEvents(score_map=weights, negative_weights="subtract")
    scoring.check(1)
    told = (
        r"BAD_SCORE 2 events of a visitor may weigh 2e\+38 each, and a score 3\.4e\+38 at most; lower the weights of "
    )
    with pytest.raises(DataQualityError, match=told):
        scoring.check(2)


def test_scores_are_summed_per_pair_with_the_last_timestamp(spark: SparkSession) -> None:
    scored = spark.createDataFrame(
        [(7, 1, 1.0, 5), (7, 1, 10.0, 9), (7, 2, 1.0, 6), (8, 1, 5.0, 4)],
        "visitorid long, itemid long, score double, timestamp long",
    )
    expected = spark.createDataFrame(
        [(7, 1, 11.0, 9), (7, 2, 1.0, 6), (8, 1, 5.0, 4)],
        "visitorid long, itemid long, score double, last_timestamp long",
    )
    for order in (scored, scored.orderBy("score")):
        assert_df_equality(ScoreGrouper().execute(order), expected, ignore_row_order=True, ignore_nullable=True)


def test_the_last_timestamp_is_that_of_an_event_that_counts(spark: SparkSession) -> None:
    scored = spark.createDataFrame(
        [(7, 1, 1.0, 5), (7, 1, 0.0, 9), (7, 2, 0.0, 6), (7, 2, 0.0, 8), (7, 3, 2.0, 4), (7, 3, -1.0, 7)],
        "visitorid long, itemid long, score double, timestamp long",
    )
    for order in (scored, scored.orderBy("timestamp")):
        found = {row.itemid: row.last_timestamp for row in ScoreGrouper().execute(order).collect()}
        assert found == {1: 5, 2: 8, 3: 7}  # where no event counts it is the last of all


def test_the_last_timestamp_stays_where_pairs_are_left_out(spark: SparkSession) -> None:
    rows = [(1, 1, 3.0, 11), (1, 2, 3.0, 12), (2, 1, 3.0, 21), (2, 2, 3.0, 22), (3, 2, 3.0, 32), (2, 3, 0.5, 23)]
    scores = spark.createDataFrame(rows, "visitorid long, itemid long, score double, last_timestamp long")
    core = ScoreFilter(min_items_per_visitor=2, min_visitors_per_item=2).execute(scores)
    assert sorted(tuple(row) for row in core.collect()) == rows[:4]


def test_parts_of_a_pair_share_what_a_pair_may_score(spark: SparkSession) -> None:
    schema = "visitorid long, itemid long, event string, score double"
    parts = [(7, 1, "view", 10.0), (7, 1, "transaction", 30.0), (7, 2, "view", 20.0), (8, 1, "view", 80.0)]
    expected = [(7, 1, "transaction", 15.0), (7, 1, "view", 5.0), (7, 2, "view", 20.0), (8, 1, "view", 20.0)]
    limited = ScoreGrouper(max_score=20).limited(spark.createDataFrame(parts, schema))
    assert sorted(tuple(row) for row in limited.collect()) == expected


def test_parts_of_a_pair_may_score_anything_by_default(spark: SparkSession) -> None:
    parts = spark.createDataFrame([(7, 1, 1e9)], "visitorid long, itemid long, score double")
    assert ScoreGrouper().limited(parts).collect() == [(7, 1, 1e9)]


def test_another_key_is_grouped_by(spark: SparkSession) -> None:
    scored = spark.createDataFrame([(1, 1.0), (1, 2.0)], "itemid long, score double")
    assert ScoreGrouper(key=["itemid"]).execute(scored).collect()[0]["score"] == 3.0


def test_no_events_have_no_groups(spark: SparkSession) -> None:
    empty = spark.createDataFrame([], "visitorid long, itemid long, score double")
    assert ScoreGrouper().execute(empty).count() == 0


def test_grouping_names_missing_columns(spark: SparkSession) -> None:
    with pytest.raises(
        SchemaError, match=r"SCHEMA_MISSING visitorid, itemid, score; found \[id\]; see group_scores.key"
    ):
        ScoreGrouper().execute(spark.range(1))


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="CFG_RANGE key must not be empty"):
        ScoreGrouper(key=[])


def test_the_least_score_is_kept(spark: SparkSession) -> None:
    scores = spark.createDataFrame([(1, 10.0), (2, 9.99), (3, 11.0), (4, None)], "itemid long, score double")
    kept = ScoreFilter(min_score=10).execute(scores)
    assert sorted(row.itemid for row in kept.collect()) == [1, 3]
    assert scores.count() == 4


def test_a_negative_least_score_is_refused() -> None:
    with pytest.raises(ConfigError, match="min_score must be >= 0, got -1"):
        ScoreFilter(min_score=-1)


def core_of(pairs: set[tuple[int, int]], least_items: int, least_visitors: int) -> set[tuple[int, int]]:
    """Return the pairs that stay when those with too few of each other leave, until nothing changes."""
    while True:
        items, visitors = Counter(v for v, _ in pairs), Counter(i for _, i in pairs)
        left = {(v, i) for v, i in pairs if items[v] >= least_items and visitors[i] >= least_visitors}
        if left == pairs:
            return pairs
        pairs = left


@pytest.mark.parametrize(
    ("seed", "least_items", "least_visitors"), [(0, 2, 3), (1, 3, 2), (2, 1, 4), (3, 4, 1), (4, 9, 9)]
)
def test_a_core_is_what_is_left_when_nothing_leaves_any_more(
    spark: SparkSession, seed: int, least_items: int, least_visitors: int
) -> None:
    random = np.random.default_rng(seed)
    pairs = {(int(v), int(i)) for v, i in zip(random.zipf(1.4, 150) % 40, random.zipf(1.3, 150) % 30, strict=True)}
    scores = spark.createDataFrame(
        [(*pair, 1.0) for pair in sorted(pairs)], "visitorid long, itemid long, score double"
    )
    step = ScoreFilter(min_items_per_visitor=least_items, min_visitors_per_item=least_visitors)
    found = {(row.visitorid, row.itemid) for row in step.execute(scores).collect()}
    expected = core_of(pairs, least_items, least_visitors)
    assert found == expected
    assert bool(expected) == (seed != 4) and expected != pairs  # noqa: PT018 - the examples are of use


def test_removing_a_visitor_may_remove_an_item_and_so_on_to_the_end(spark: SparkSession) -> None:
    chain = [(n, n) for n in range(6)] + [(n, n + 1) for n in range(6)]  # a path: its ends leave, round after round
    scores = spark.createDataFrame([(*pair, 1.0) for pair in chain], "visitorid long, itemid long, score double")
    rows, rounds = ScoreFilter(min_items_per_visitor=2, min_visitors_per_item=2).core(scores)
    assert (rows.count(), rounds > 3) == (0, True)
