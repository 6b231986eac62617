"""What is bought together, compared with counting pairs in plain Python."""

import random
from collections import Counter
from itertools import permutations
from typing import Any

import pytest
from pyspark.sql import SparkSession

from recommender.errors import ConfigError
from recommender.stage3.steps import BoughtTogether

HOUR = 3_600_000
SCHEMA = "visitor_index int, item_index int, event string, score float, last_timestamp long"


def found(spark: SparkSession, rows: list[Any], allowed: list[int] | None = None, **parameters: Any) -> dict[int, Any]:
    """Return item -> [(other item, visitors)], in the order of the ranks."""
    may = None if allowed is None else spark.createDataFrame([(i,) for i in allowed], "item_index int")
    lists: dict[int, Any] = {}
    together = BoughtTogether(**parameters).execute(spark.createDataFrame(rows, SCHEMA), may)
    for row in sorted(together.collect(), key=lambda row: (row["item_index"], row["rank"])):
        lists.setdefault(row["item_index"], []).append((row["together_item_index"], row["visitors"]))
        assert row["rank"] == len(lists[row["item_index"]])
    return lists


def test_pairs_are_those_of_counting_by_hand(spark: SparkSession) -> None:
    draw = random.Random(3)  # noqa: S311 - no secret
    bought = {(draw.randrange(12), draw.randrange(6)): draw.randrange(100) for _ in range(60)}
    rows = [(visitor, item, "order", 1.0, hour * HOUR) for (visitor, item), hour in bought.items()]
    views = [(visitor, item, "view", 1.0, 0) for visitor in range(12) for item in range(6)]
    pairs: Counter[tuple[int, int]] = Counter()
    for visitor in range(12):
        own = sorted((-hour, item) for (v, item), hour in bought.items() if v == visitor)[:4]
        pairs.update((a, b) for (x, a), (y, b) in permutations(own, 2) if abs(x - y) <= 30 and b != 5)
    expected = {
        item: sorted(((b, n) for (a, b), n in pairs.items() if a == item), key=lambda each: (-each[1], each[0]))[:2]
        for item in {a for a, _ in pairs}
    }
    limits = {"k": 2, "events": ["order"], "max_hours_apart": 30, "max_items_per_visitor": 4}
    assert found(spark, draw.sample(rows + views, len(rows + views)), list(range(5)), **limits) == expected


def test_nothing_is_counted_for_lists_of_no_length(spark: SparkSession) -> None:
    rows = [(0, item, "transaction", 1.0, 0) for item in (1, 2)]
    assert found(spark, rows) == {1: [(2, 1)], 2: [(1, 1)]}
    assert found(spark, rows, k=0) == {}


def test_parameters_have_bounds() -> None:
    with pytest.raises(ConfigError, match=r"max_items_per_visitor must be 2\.\.10000, got 1"):
        BoughtTogether(max_items_per_visitor=1)
