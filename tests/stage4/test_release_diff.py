"""The difference of two versions' lists, against pandas."""

import random
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession

from recommender.errors import ConfigError
from recommender.stage4.steps import ReleaseDiff

COLUMNS = ["visitorid", "rank", "itemid", "score", "source"]
SCHEMA = "visitorid long, rank int, itemid long, score float, source string"
K = 5
Rows = list[tuple[int, int, int, float, str]]


def lists(seed: int, visitors: range, items: range) -> Rows:
    """Return lists by chance, some of them short, longer than what is compared."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    return [
        (visitor, place + 1, item, 1.0 / (place + 1), "als")
        for visitor in visitors
        for place, item in enumerate(draw.sample(items, draw.choice([2, K, K + 2])))
    ]


NEW, OLD = lists(1, range(60), range(25)), lists(2, range(20, 90), range(5, 30))


def frame(spark: SparkSession, rows: Rows) -> DataFrame:
    return spark.createDataFrame(rows, SCHEMA).repartition(3)


@pytest.fixture(scope="module")
def found(spark: SparkSession) -> dict[str, Any]:
    return ReleaseDiff(k=K, examples=4).execute(frame(spark, NEW), frame(spark, OLD), item_count=40)


@pytest.fixture(scope="module")
def sets() -> pd.DataFrame:
    """Return the items of each visitor in both versions, computed another way."""
    columns = {}
    for name, rows in (("new", NEW), ("old", OLD)):
        table = pd.DataFrame(rows, columns=COLUMNS)
        columns[name] = table[table["rank"] <= K].groupby("visitorid")["itemid"].agg(set)
    return pd.DataFrame(columns)


def overlap(row: Any) -> float:
    return len(row.new & row.old) / max(len(row.new), len(row.old))


def test_the_overlap_is_the_mean_of_the_visitors_in_both(found: dict[str, Any], sets: pd.DataFrame) -> None:
    both = sets.dropna()
    assert found["overlap"] == pytest.approx(both.apply(overlap, axis=1).mean())
    assert found["unchanged"] == pytest.approx((both["new"] == both["old"]).mean())


def test_visitors_are_gained_and_lost(found: dict[str, Any]) -> None:
    assert found["visitors"] == {"candidate": 60, "live": 70, "gained": 20, "lost": 30}


def test_items_are_gained_and_lost(found: dict[str, Any], sets: pd.DataFrame) -> None:
    new, old = (set().union(*sets[name].dropna()) for name in ("new", "old"))
    counts = {name: found["items"][name] for name in ("candidate", "live", "gained", "lost")}
    expected = {"candidate": len(new), "live": len(old), "gained": len(new - old), "lost": len(old - new)}
    assert counts == expected
    assert found["coverage"] == {"candidate": len(new) / 40, "live": len(old) / 40}


@pytest.mark.parametrize(("name", "sign"), [("most_gained", 1), ("most_lost", -1)])
def test_the_items_that_change_most_are_named(found: dict[str, Any], sets: pd.DataFrame, name: str, sign: int) -> None:
    counts = [sets[version].dropna().explode().value_counts() for version in ("new", "old")]
    change = counts[0].sub(counts[1], fill_value=0).astype(int)
    expected = sorted(((-sign * lists, item) for item, lists in change.items() if sign * lists > 0))[:4]
    assert [(-sign * each["lists"], each["itemid"]) for each in found["items"][name]] == expected


def test_the_visitors_that_change_most_are_named_with_what_changes(found: dict[str, Any], sets: pd.DataFrame) -> None:
    both = sets.dropna()
    overlaps = both.apply(overlap, axis=1)
    assert [each["overlap"] for each in found["most_changed"]] == pytest.approx(sorted(overlaps)[:4])
    for each in found["most_changed"]:
        row = both.loc[each["visitorid"]]
        assert each["gained"] == sorted(row.new - row.old)
        assert each["lost"] == sorted(row.old - row.new)


def test_a_version_does_not_differ_from_itself(spark: SparkSession) -> None:
    same = ReleaseDiff(k=K).execute(frame(spark, NEW), frame(spark, NEW), item_count=40)
    assert (same["overlap"], same["unchanged"], same["most_changed"]) == (1.0, 1.0, [])
    assert (same["items"]["gained"], same["items"]["most_gained"], same["items"]["most_lost"]) == (0, [], [])


def test_the_order_of_a_list_does_not_matter_and_places_beyond_k_do_not(spark: SparkSession) -> None:
    turned = [(visitor, K + 1 - rank, item, score, source) for visitor, rank, item, score, source in NEW if rank <= K]
    same = ReleaseDiff(k=K).execute(frame(spark, NEW), frame(spark, turned), item_count=40)
    assert same["overlap"] == 1.0


def test_of_nobody_in_both_there_is_no_overlap(spark: SparkSession) -> None:
    apart = ReleaseDiff().execute(frame(spark, NEW[:5]), frame(spark, [(999, 1, 1, 0.5, "als")]), item_count=40)
    assert (apart["overlap"], apart["unchanged"]) == (None, None)


def test_nothing_is_compared_with_nothing(spark: SparkSession) -> None:
    nothing = spark.createDataFrame([], SCHEMA)
    empty = ReleaseDiff().execute(nothing, nothing, item_count=0)
    assert empty["visitors"] == {"candidate": 0, "live": 0, "gained": 0, "lost": 0}
    assert empty["coverage"] == {"candidate": 0.0, "live": 0.0}


def test_ids_may_be_texts(spark: SparkSession) -> None:
    schema = "visitorid string, rank int, itemid string, score float, source string"
    new, old = ([("ann", 1, item, 0.5, "als")] for item in ("tea", "jam"))
    found = ReleaseDiff().execute(spark.createDataFrame(new, schema), spark.createDataFrame(old, schema), item_count=2)
    assert found["most_changed"] == [{"visitorid": "ann", "overlap": 0.0, "gained": ["tea"], "lost": ["jam"]}]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"k": 0}, "CFG_RANGE k must be 1..1000, got 0"),
        ({"examples": 51}, "CFG_RANGE examples must be 0..50, got 51"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_rule_and_value(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        ReleaseDiff(**given)
    assert str(error.value) == sentence
