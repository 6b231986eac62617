from typing import Any, NamedTuple

import pytest
from pyspark.sql import SparkSession

from recommender.errors import ConfigError
from recommender.stage4.steps import RunReport
from recommender.stage4.steps.run_report import Example, Shown

RECOMMENDATIONS = "visitorid long, rank int, itemid long, score float, source string"
INTERACTIONS = "visitor_index int, item_index int, event string, last_timestamp long"


class Tables(NamedTuple):
    recommendations: list[Any]
    interactions: list[Any]
    visitors: list[tuple[int, int]]
    items: list[tuple[int, int, int, int]]


# Visitor 70 and item 500 have the index 0, and so on.
TABLES = Tables(
    recommendations=[
        (70, 2, 501, 0.25, "popular"),
        (70, 1, 502, 0.123456, "als"),
        (71, 1, 500, 3.0, "popular"),
        (72, 1, 501, 0.5, "fold_in"),
    ],
    interactions=[
        (0, 0, "view", 10),
        (0, 1, "addtocart", 30),
        (0, 0, "transaction", 20),
        (0, 2, "view", 20),
        (2, 2, "view", 5),
        (3, 1, "view", 99),
    ],
    visitors=[(70, 0), (71, 1), (72, 2), (73, 3)],
    items=[(500, 0, 20, 3), (501, 1, 99, 1), (502, 2, 20, 2), (503, 3, 0, 0)],
)
MANY = Tables([(visitor, 1, 500, 1.0, "als") for visitor in range(30)] + [(99, 1, 500, 1.0, "popular")], [], [], [])


def report(spark: SparkSession, tables: Tables, **init: int) -> Shown:
    return RunReport(**init).execute(
        spark.createDataFrame(tables.recommendations, RECOMMENDATIONS).repartition(2),
        spark.createDataFrame(tables.interactions, INTERACTIONS),
        spark.createDataFrame(tables.visitors, "visitorid long, visitor_index int"),
        spark.createDataFrame(tables.items, "itemid long, item_index int, last_timestamp long, events long"),
    )


def examples(spark: SparkSession, tables: Tables, **init: int) -> list[Example]:
    return report(spark, tables, **init).examples


def known(tables: Tables) -> Tables:
    ids = sorted({row[0] for row in tables.recommendations})
    return tables._replace(visitors=[(visitor, index) for index, visitor in enumerate(ids)])


@pytest.fixture(scope="module")
def shown(spark: SparkSession) -> list[Example]:
    return examples(spark, TABLES, history_length=3)


def test_an_example_shows_the_last_events_and_the_list_of_one_visitor_of_each_source(shown: list[Example]) -> None:
    assert shown == [
        Example(70, "als", [("addtocart", 501), ("view", 502), ("transaction", 500)], [(502, 0.1235), (501, 0.25)]),
        Example(72, "fold_in", [("view", 502)], [(501, 0.5)]),
        Example(71, "popular", [], [(500, 3.0)]),
    ]


def test_the_order_of_the_rows_does_not_matter(spark: SparkSession, shown: list[Example]) -> None:
    recommendations, interactions, visitors, items = TABLES
    turned = Tables(recommendations[::-1], interactions[::-1], visitors[::-1], items[::-1])
    assert examples(spark, turned, history_length=3) == shown


def test_each_source_has_its_turn_before_one_has_a_second_and_nobody_is_shown_twice(spark: SparkSession) -> None:
    shown = examples(spark, known(MANY), examples=4)
    assert [example.source for example in shown[:2]] == ["als", "popular"]
    assert {example.source for example in shown[2:]} == {"als"}
    assert len({example.visitorid for example in shown}) == len(shown) >= 3


def test_only_the_first_place_of_a_list_says_what_its_source_is(spark: SparkSession) -> None:
    filled_up = TABLES._replace(recommendations=[row for row in TABLES.recommendations if row[0] != 71])
    shown = examples(spark, filled_up, examples=2)
    assert [(example.visitorid, example.source) for example in shown] == [(70, "als"), (72, "fold_in")]


def test_without_examples_the_places_of_each_item_are_counted_still(spark: SparkSession) -> None:
    # 501 has two places, 500 and 502 have one; 503 has no event in this log
    assert report(spark, TABLES, examples=0) == Shown([], [[1, 2], [2, 3], [3, 4]])


def test_without_recommendations_there_are_no_examples_and_no_places(spark: SparkSession) -> None:
    assert report(spark, TABLES._replace(recommendations=[])) == Shown([], [[1, 0], [2, 0], [3, 0]])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"examples": 21}, "CFG_RANGE examples must be 0..20, got 21"),
        ({"examples": -1}, "CFG_RANGE examples must be 0..20, got -1"),
        ({"history_length": 0}, "CFG_RANGE history_length must be 1..100, got 0"),
        ({"history_length": 101}, "CFG_RANGE history_length must be 1..100, got 101"),
        ({"example": 1}, "CFG_UNKNOWN_KEY example, did you mean examples"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_rule_and_value(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        RunReport(**given)
    assert str(error.value) == sentence
