"""Duplicates count once, and only the latest events of a visitor that has too many count."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pyspark.sql import SparkSession

from recommender.stage1.steps import EventCap, EventDeduplicator

SCHEMA = "timestamp long, visitorid long, event string, itemid long"
Event = tuple[int, int, str, int]

EVENTS = st.sets(
    st.tuples(st.integers(1, 9), st.integers(0, 2), st.sampled_from(["view", "wave"]), st.integers(0, 2)),
    min_size=20,
    max_size=60,
)


def latest(events: set[Event], limit: int, by_item: bool) -> set[Event]:
    """Return the latest events of each key; among those of one time the greatest visitor, kind and item."""
    kept: set[Event] = set()
    count: Counter[tuple[int, int]] = Counter()
    for event in sorted(events, reverse=True):
        key = (event[1], event[3] if by_item else 0)
        count[key] += 1
        if count[key] <= limit:
            kept.add(event)
    return kept


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, per_visitor=st.integers(1, 9), per_pair=st.integers(1, 4))
def test_32_the_latest_events_count(spark: SparkSession, events: set[Event], per_visitor: int, per_pair: int) -> None:
    cap = EventCap(max_per_visitor=per_visitor, max_per_pair=per_pair)
    rows = spark.createDataFrame(sorted(events), SCHEMA)
    heavy = cap.heavy(rows)
    count = Counter(visitor for _, visitor, _, _ in events)
    limit = min(per_visitor, per_pair)
    assert {row.visitorid: row.events for row in heavy.collect()} == {v: n for v, n in count.items() if n > limit}
    kept = cap.execute(rows, heavy)
    found = [tuple(row) for row in kept.collect()]
    left = Counter(visitor for _, visitor, _, _ in found)
    reduced = {row.visitorid: row.events for row in cap.reduced(heavy, kept).collect()}
    assert reduced == {visitor: number for visitor, number in count.items() if number > left[visitor]}
    pairs = Counter((visitor, item) for _, visitor, _, item in events)
    heavy_pairs = {tuple(row)[:2]: row.events for row in cap.heavy_pairs(rows, heavy).collect()}
    assert heavy_pairs == {pair: number for pair, number in pairs.items() if number > per_pair}
    assert len(found) == len(set(found))
    assert set(found) == latest(latest(events, per_pair, by_item=True), per_visitor, by_item=False)


def test_32_no_visitors_are_sent_to_every_task_by_force(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(n, n % 3, "view", n) for n in range(9)], SCHEMA)
    cap = EventCap(max_per_visitor=2)
    assert "ResolvedHint" not in cap.execute(rows, cap.heavy(rows))._jdf.queryExecution().analyzed().toString()


def test_32_nothing_is_heavy_without_limits(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(n, 7, "view", 3) for n in range(9)], SCHEMA)
    assert EventCap(max_per_visitor=None, max_per_pair=None).heavy(rows).isEmpty()


@pytest.mark.parametrize("keep", [False, True])
def test_27_rows_that_agree_in_all_columns_are_one(spark: SparkSession, keep: bool) -> None:
    rows = [(5, 7, "view", None), (5, 7, "view", None), (5, 7, "view", 3), (6, 7, "view", 3)]
    found = EventDeduplicator(keep_duplicates=keep).execute(spark.createDataFrame(rows, SCHEMA)).collect()
    expected = Counter(dict.fromkeys(rows, 1)) if keep else Counter(rows)
    assert {tuple(row)[:4]: row.rows for row in found} == expected
    assert len(found) == (4 if keep else 3)
