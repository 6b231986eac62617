from typing import Any

from pyspark.sql import DataFrame, SparkSession

from recommender.stage2.segments import HISTORIES, visitor_segments

PAIRS = "visitor_index int, item_index int"


def found(spark: SparkSession, visitors: list[int], history: list[Any], scores: list[Any]) -> dict[int, list[str]]:
    rows: DataFrame = visitor_segments(
        spark.createDataFrame([(visitor,) for visitor in visitors], "visitor_index int"),
        spark.createDataFrame(history, PAIRS),
        spark.createDataFrame(scores, PAIRS),
    )
    assert rows.dtypes == [("visitor_index", "int"), ("segments", "array<string>")]
    fetched = rows.collect()
    assert len(fetched) == len(visitors)
    return dict(fetched)


def test_a_visitor_is_in_the_segment_of_the_number_of_different_items_in_its_history(spark: SparkSession) -> None:
    lengths = [0, 1, 2, 5, 6, 20, 21, 300]
    # Every item is there twice, as with two kinds of events.
    history = [(visitor, item) for visitor in lengths for item in range(visitor)] * 2
    segments = found(spark, lengths, history, [])
    expected = ["0", "1", "2-5", "2-5", "6-20", "6-20", "21+", "21+"]
    assert segments == {v: [f"history {name}", "new"] for v, name in zip(lengths, expected, strict=True)}
    assert set(HISTORIES.values()) == {first for first, _ in segments.values()}


def test_a_visitor_with_training_scores_is_known(spark: SparkSession) -> None:
    segments = found(spark, [1, 2], [(1, 7), (3, 7)], [(2, 7), (2, 8), (3, 7)])
    assert segments == {1: ["history 1", "new"], 2: ["history 0", "known"]}
