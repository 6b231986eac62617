"""What an evaluated visitor's model may see, and what it must predict."""

import pytest
from pyspark.sql import DataFrame, SparkSession

from recommender.errors import ConfigError
from recommender.stage1.steps import HoldoutSplit

SCHEMA = "timestamp long, visitorid long, itemid long, event string"
Event = tuple[int, int, int, str]


def frame(spark: SparkSession, *events: Event) -> DataFrame:
    return spark.createDataFrame(list(events), SCHEMA)


def rows(events: DataFrame) -> list[tuple[int, int]]:
    return sorted((row.visitorid, row.itemid) for row in events.collect())


def test_the_last_events_of_an_unknown_visitor_are_held_out(spark: SparkSession) -> None:
    test = frame(spark, (3, 7, 103, "view"), (1, 7, 101, "view"), (4, 7, 104, "view"), (2, 7, 102, "view"))
    history, holdout = HoldoutSplit(last_events=2).execute(frame(spark), test)
    assert rows(history) == [(7, 101), (7, 102)]
    assert rows(holdout) == [(7, 103), (7, 104)]


def test_one_event_stays_in_the_history(spark: SparkSession) -> None:
    test = frame(spark, (1, 7, 101, "view"), (2, 7, 102, "view"), (1, 8, 101, "view"))
    history, holdout = HoldoutSplit(last_events=5).execute(frame(spark), test)
    assert rows(history) == [(7, 101), (8, 101)]
    assert rows(holdout) == [(7, 102)]


def test_events_of_the_same_time_are_ordered_by_item(spark: SparkSession) -> None:
    events = [(1, 7, item, "view") for item in (105, 101, 103)]
    for order in (events, events[::-1]):
        _, holdout = HoldoutSplit(last_events=1).execute(frame(spark), frame(spark, *order))
        assert rows(holdout) == [(7, 105)]


def test_a_known_visitor_is_judged_by_what_it_did_after_the_cut(spark: SparkSession) -> None:
    train = frame(spark, (1, 7, 101, "view"), (2, 8, 101, "view"))
    test = frame(spark, (5, 7, 102, "view"), (6, 7, 103, "view"))
    history, holdout = HoldoutSplit(last_events=1).execute(train, test)
    assert rows(history) == [(7, 101)]
    assert rows(holdout) == [(7, 102), (7, 103)]


def test_known_and_unknown_visitors_can_meet_in_one_test_part(spark: SparkSession) -> None:
    train = frame(spark, (1, 7, 101, "view"))
    test = frame(spark, (5, 7, 102, "view"), (5, 9, 102, "view"), (6, 9, 103, "view"))
    history, holdout = HoldoutSplit(last_events=1).execute(train, test)
    assert rows(history) == [(7, 101), (9, 102)]
    assert rows(holdout) == [(7, 102), (9, 103)]


def test_a_share_chosen_by_hash_does_not_depend_on_order_or_partitions(spark: SparkSession) -> None:
    test = frame(spark, *((i, i % 50, i % 97, "view") for i in range(1000)))
    step = HoldoutSplit(last_events=None, share=0.3)
    _, once = step.execute(frame(spark), test)
    _, again = step.execute(frame(spark), test.orderBy("itemid").repartition(5))
    assert rows(once) == rows(again)
    assert 200 < len(rows(once)) < 400


def test_a_share_keeps_all_events_of_a_pair_together(spark: SparkSession) -> None:
    test = frame(spark, *((i, 1, i % 20, "view") for i in range(60)))
    history, holdout = HoldoutSplit(last_events=None, share=0.5).execute(frame(spark), test)
    assert not {item for _, item in rows(history)} & {item for _, item in rows(holdout)}
    assert len(rows(history)) + len(rows(holdout)) == 60


def test_another_seed_chooses_others(spark: SparkSession) -> None:
    test = frame(spark, *((i, 1, i, "view") for i in range(200)))
    chosen = [
        rows(HoldoutSplit(last_events=None, share=0.5, seed=seed).execute(frame(spark), test)[1]) for seed in (0, 1)
    ]
    assert chosen[0] != chosen[1]


def test_a_pair_of_the_history_is_no_prediction(spark: SparkSession) -> None:
    history = frame(spark, (1, 7, 101, "view"), (2, 7, 101, "view"))
    holdout = frame(spark, (3, 7, 101, "transaction"), (4, 7, 102, "view"), (4, 8, 101, "view"))
    assert rows(HoldoutSplit.unseen(holdout, history)) == [(7, 102), (8, 101)]


def test_nothing_gives_nothing(spark: SparkSession) -> None:
    history, holdout = HoldoutSplit().execute(frame(spark), frame(spark))
    assert (rows(history), rows(holdout)) == ([], [])


@pytest.mark.parametrize("given", [{"last_events": None}, {"last_events": 3, "share": 0.1}])
def test_exactly_one_rule_is_given(given: dict[str, float | None]) -> None:
    with pytest.raises(ConfigError, match="give either last_events or share, and set the other to null"):
        HoldoutSplit(**given)  # type: ignore[arg-type]


def test_a_share_of_everything_is_refused() -> None:
    with pytest.raises(ConfigError, match="share must be > 0 and < 1, got 1"):
        HoldoutSplit(last_events=None, share=1)
