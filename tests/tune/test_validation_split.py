"""The validation part: who is in it, and that nothing is in two parts that must not be."""

from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from recommender.errors import ConfigError
from recommender.tune.steps import ValidationSplit, validation_split

TYPES = "visitor_index int, item_index int, score float, last_timestamp long"
# Visitor v has v % 5 + 1 pairs: of items 0 to v % 5, whose times fall in twos.
SCORES = [(v, i, float(i), 100 - i // 2) for v in range(200) for i in range(v % 5 + 1)]

Pair = tuple[int, int]


def pairs(rows: DataFrame) -> set[Pair]:
    found = [(row["visitor_index"], row["item_index"]) for row in rows.collect()]
    assert len(found) == len(set(found))
    return set(found)


def parts(spark: SparkSession, split: ValidationSplit, partitions: int = 2, **more: Any) -> list[set[Pair]]:
    scores = spark.createDataFrame(SCORES, TYPES).repartition(partitions, "score")
    made = split.execute(scores, **more)
    assert all(rows.dtypes == scores.dtypes for rows in made)
    return [pairs(rows) for rows in made]


def test_by_visitors_every_pair_is_in_one_part(spark: SparkSession) -> None:
    train, history, holdout = parts(spark, ValidationSplit(by="visitors", share=0.3, last_pairs=2))
    everything = {(v, i) for v, i, _, _ in SCORES}
    assert train | history | holdout == everything
    assert len(train) + len(history) + len(holdout) == len(everything)
    assert not {v for v, _ in train} & {v for v, _ in history | holdout}


def test_the_last_pairs_by_time_are_held_out_and_one_stays(spark: SparkSession) -> None:
    _, history, holdout = parts(spark, ValidationSplit(share=0.5, last_pairs=2))
    evaluated = {v for v, _ in holdout}
    assert evaluated == {v for v, _ in history}
    for visitor in evaluated:
        number = visitor % 5 + 1
        held = {i for v, i in holdout if v == visitor}
        assert len(held) == min(2, number - 1)
        assert held <= {0, 1}  # the latest two


def test_of_pairs_with_equal_times_a_hash_chooses_not_the_number_of_the_item(spark: SparkSession) -> None:
    rows = [(v, i, 1.0, 7) for v in range(200) for i in range(10)]
    split = ValidationSplit(share=0.9, last_pairs=3)
    one, other = (split.execute(spark.createDataFrame(rows, TYPES).repartition(n)).holdout for n in (1, 5))
    held = pairs(one)
    assert held == pairs(other)
    of_item = [sum(i == item for _, i in held) for item in range(10)]
    expected = len(held) / 10
    assert all(abs(number - expected) < 0.35 * expected for number in of_item)
    assert (
        pairs(ValidationSplit(share=0.9, last_pairs=3, seed=1).execute(spark.createDataFrame(rows, TYPES)).holdout)
        != held
    )


def test_many_equal_times_are_warned_of(spark: SparkSession) -> None:
    tied = [(v, i, 1.0, 7) for v in range(40) for i in range(4)]
    apart = [(v, i, 1.0, i) for v in range(40, 50) for i in range(4)]
    split = ValidationSplit(share=0.9999, last_pairs=2)
    both, few = (split.execute(spark.createDataFrame(rows, TYPES)) for rows in (tied + apart, tied[:8] + apart))
    found = split.chance(both)
    assert "40 of 50 evaluated visitors have pairs with equal times on both sides of the split" in found
    assert "so that a hash, not the time, chooses what is held out" in found
    assert split.remedy.startswith("set tune.validation.pairs_share to the share that your own test part has")
    assert split.chance(few) == ""
    assert ValidationSplit(share=0.9999, pairs_share=0.5).chance(both) == ""
    assert ValidationSplit(by="time").chance(both) == ""


def test_a_published_split_without_times_holds_out_a_fifth_unless_last_pairs_are_asked_for() -> None:
    own, asked = ValidationSplit(), ValidationSplit(last_pairs=3)
    split = own.following("own_holdout", {"last_events": 5}).untied(own, "own_holdout")
    assert (split.pairs_share, split.last_pairs) == (0.2, None)
    assert split.remedy.startswith("20% of each evaluated visitor's pairs are held out; set tune.validation.")
    assert asked.following("own_holdout", {}).untied(asked, "own_holdout").last_pairs == 3
    assert own.following("every_visitor", {"last_events": 5}).untied(own, "every_visitor").last_pairs == 5


def test_five_thousand_visitors_are_evaluated_if_there_are_so_many(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = spark.createDataFrame(SCORES, TYPES)  # 160 of the 200 visitors have several pairs
    sized = {by: ValidationSplit(by=by).sized(scores).share for by in ("visitors", "every_visitor", "time")}  # type: ignore[arg-type]
    assert sized == {"visitors": 0.2, "every_visitor": 0.5, "time": None}
    assert ValidationSplit(share=0.3).sized(scores).share == 0.3
    monkeypatch.setattr(validation_split, "_EVALUATED", 16)
    assert ValidationSplit(by="every_visitor").sized(scores).share == pytest.approx(0.1)


def test_a_share_of_the_pairs_is_held_out_by_a_hash_and_one_stays(spark: SparkSession) -> None:
    rows = [(v, i, 1.0, i) for v in range(100) for i in range(1 + 9 * (v % 2))]
    _, history, holdout = map(
        pairs, ValidationSplit(share=0.9, pairs_share=0.2).execute(spark.createDataFrame(rows, TYPES))
    )
    evaluated = {v for v, _ in holdout}
    assert all(v % 2 for v in evaluated)
    for visitor in evaluated:
        assert (len({i for v, i in holdout if v == visitor}), len({i for v, i in history if v == visitor})) == (2, 8)
    assert {i for _, i in holdout} == set(range(10))


def test_of_every_visitor_the_other_pairs_are_fitted_too(spark: SparkSession) -> None:
    train, history, holdout = parts(spark, ValidationSplit(by="every_visitor", share=0.3, last_pairs=2))
    by_visitors = parts(spark, ValidationSplit(by="visitors", share=0.3, last_pairs=2))
    assert (history, holdout) == (by_visitors[1], by_visitors[2])
    assert history <= train
    assert train == {(v, i) for v, i, _, _ in SCORES} - holdout


def test_a_held_out_pair_has_the_least_score_that_stage_1_asks_for(spark: SparkSession) -> None:
    _, history, holdout = parts(spark, ValidationSplit(share=0.5, last_pairs=4, min_score=2))
    assert holdout
    assert {i for _, i in holdout} == {2, 3}  # the score is the number of the item
    assert history


@pytest.mark.parametrize(
    ("protocol", "holdout", "expected"),
    [
        ("unknown_visitors", {"last_events": 3, "share": None}, {"by": "visitors", "last_pairs": 3}),
        ("every_visitor", {"last_events": None, "share": 0.2}, {"by": "every_visitor", "pairs_share": 0.2}),
        ("own_holdout", {"last_events": 5, "min_score": 4.0}, {"by": "every_visitor", "last_pairs": 5, "min_score": 4}),
        ("time_cut", {"last_events": 5}, {"by": "time", "last_pairs": 5}),
        ("column_cut", {}, {"by": "visitors"}),
        (None, {}, {"by": "visitors"}),
    ],
)
def test_it_has_the_protocol_of_the_final_holdout(
    protocol: str | None, holdout: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert ValidationSplit().following(protocol, holdout) == ValidationSplit(**expected)


def test_own_settings_come_before_those_of_stage_1() -> None:
    own = ValidationSplit(by="time", pairs_share=0.5, min_score=1)
    assert own.following("every_visitor", {"last_events": 3, "min_score": 4}) == own


def test_a_visitor_with_one_pair_is_fitted(spark: SparkSession) -> None:
    train, _, _ = parts(spark, ValidationSplit(share=0.9))
    assert {v for v in range(200) if v % 5 == 0} <= {v for v, _ in train}


def test_the_share_of_the_visitors_is_chosen_by_a_hash(spark: SparkSession) -> None:
    split = ValidationSplit(share=0.3)
    one, other = parts(spark, split, partitions=1), parts(spark, split, partitions=7)
    assert one == other
    evaluated = {v for v, _ in one[2]}
    assert 0.2 * 160 < len(evaluated) < 0.4 * 160  # of the 160 with several pairs
    assert {v for v, _ in parts(spark, ValidationSplit(share=0.3, seed=1))[2]} != evaluated


def test_by_time_the_later_pairs_of_known_visitors_are_held_out(spark: SparkSession) -> None:
    train, history, holdout = parts(spark, ValidationSplit(by="time"), cut=99)
    late = {(v, i) for v, i, _, time in SCORES if time >= 99}
    early = {(v, i) for v, i, _, time in SCORES if time < 99}
    assert train == early
    assert holdout == {(v, i) for v, i in late if v in {w for w, _ in early}}
    assert history == {(v, i) for v, i in early if v in {w for w, _ in late}}
    assert not train & holdout


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"by": "items"}, "CFG_RANGE by must be one of visitors, every_visitor, time or null, got 'items'"),
        ({"share": 0}, "CFG_RANGE share must be > 0 and < 1, got 0"),
        ({"last_pairs": 0}, "CFG_RANGE last_pairs must be >= 1, got 0"),
        ({"pairs_share": 1}, "CFG_RANGE pairs_share must be > 0 and < 1, got 1"),
        (
            {"pairs_share": 0.5, "last_pairs": 3},
            "CFG_VALUE give either last_pairs or pairs_share, and set the other to null",
        ),
        ({"percentile": 100}, "CFG_RANGE percentile must be > 0 and < 100, got 100"),
    ],
)
def test_a_parameter_out_of_range_is_named(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as raised:
        ValidationSplit(**given)
    assert str(raised.value) == expected
