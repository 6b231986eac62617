"""Scores by other weights, without the log: compared with what the events themselves add up to."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from recommender.errors import ConfigError
from recommender.tune.scoring import Scoring, is_prepared, of_training
from recommender.tune.space import Choices, Range

DAY = 86_400_000
PAIRS = "visitor_index int, item_index int, score float, last_timestamp long"
ROWS = "visitor_index int, item_index int, event string, score float, last_timestamp long"
SCORE_MAP = {"view": 1.0, "addtocart": 5.0, "transaction": 10.0, "wave": 0.0}
# (visitor, item, kind, time in days): the training events.
EVENTS = [
    *((0, 0, "view", day) for day in (1, 2, 3)),
    (0, 0, "addtocart", 2),
    (0, 1, "transaction", 4),
    (0, 1, "wave", 4),
    *((1, 0, "view", day) for day in (5, 6)),
    (1, 2, "view", 7),
    (1, 2, "transaction", 8),
    (2, 1, "view", 9),
]
NEWEST = 10 * DAY

Scores = dict[tuple[int, int], float]


def scoring(newest: int = NEWEST, **changes: Any) -> Scoring:
    score_filter = {"score_column_name": "score", "min_score": 1.0, **changes.pop("score_filter", {})}
    return Scoring({"score_map": SCORE_MAP, **changes}, {"max_score": None}, score_filter, newest)


def stored(spark: SparkSession, later: Sequence[tuple[int, int, str, int]] = ()) -> tuple[DataFrame, DataFrame]:
    """Return scores and interactions as stage 1 makes them; `later` events are in the whole log only."""
    scores: Scores = defaultdict(float)
    last: dict[tuple[int, int], int] = defaultdict(int)
    for visitor, item, kind, day in EVENTS:
        scores[visitor, item] += SCORE_MAP[kind]
        last[visitor, item] = max(last[visitor, item], day * DAY)
    counts = Counter((v, i, kind) for v, i, kind, _ in [*EVENTS, *later])
    lasts = {key: max(day for v, i, kind, day in [*EVENTS, *later] if (v, i, kind) == key) for key in counts}
    rows = [(*key, SCORE_MAP[key[2]] * number, lasts[key] * DAY) for key, number in counts.items()]
    pairs = [(*pair, score, last[pair]) for pair, score in scores.items()]
    return spark.createDataFrame(pairs, PAIRS), spark.createDataFrame(rows, ROWS)


def as_dict(rows: DataFrame) -> Scores:
    return {(row["visitor_index"], row["item_index"]): row["score"] for row in rows.collect()}


def added_up(weights: dict[str, float]) -> Scores:
    found: Scores = defaultdict(float)
    for visitor, item, kind, _ in EVENTS:
        found[visitor, item] += weights[kind]
    return dict(found)


def test_other_weights_score_as_the_events_would(spark: SparkSession) -> None:
    pairs, rows = stored(spark)
    counted = scoring().events_by_kind(pairs, rows)
    found = as_dict(scoring().scored(counted, {"score_map.view": 0.25, "score_map.transaction": 7.0, "rank": 3}))
    assert found == pytest.approx(added_up({"view": 0.25, "addtocart": 5, "transaction": 7, "wave": 0}))


def test_the_weights_of_stage_1_score_as_stage_1(spark: SparkSession) -> None:
    pairs, rows = stored(spark)
    found = as_dict(scoring().scored(scoring().events_by_kind(pairs, rows), {"score_map.view": 1.0}))
    assert found == as_dict(pairs)


def test_a_kind_may_weigh_nothing(spark: SparkSession) -> None:
    pairs, rows = stored(spark)
    found = as_dict(scoring().scored(scoring().events_by_kind(pairs, rows), {"score_map.view": 0.0}))
    assert found == pytest.approx(added_up({"view": 0, "addtocart": 5, "transaction": 10, "wave": 0}))


@pytest.mark.parametrize("as_of", [None, "1970-01-08T00:00:00Z"])
def test_a_kind_fades_from_its_last_event_on(spark: SparkSession, as_of: str | None) -> None:
    pairs, rows = stored(spark)
    changed = scoring(as_of=as_of)
    found = as_dict(changed.scored(changed.events_by_kind(pairs, rows), {"half_life_days": 2.0}))
    today = 10 if as_of is None else 7
    # Visitor 0 has viewed item 0 on days 1 to 3, and put it into the cart on day 2.
    views, carts = max(today - 3, 0), max(today - 2, 0)
    assert found[0, 0] == pytest.approx(3 * 0.5 ** (views / 2) + 5 * 0.5 ** (carts / 2))
    assert found[1, 2] == pytest.approx(0.5 ** (max(today - 7, 0) / 2) + 10 * 0.5 ** (max(today - 8, 0) / 2))


def test_what_came_after_training_is_left_out(spark: SparkSession) -> None:
    later = [(0, 0, "view", 20), (1, 0, "transaction", 20), (2, 1, "view", 20), (2, 2, "view", 20)]
    pairs, rows = stored(spark, later)
    known = {(r["visitor_index"], r["item_index"], r["event"]) for r in of_training(rows, pairs).collect()}
    assert known == {(v, i, kind) for v, i, kind, _ in EVENTS} - {(0, 0, "view"), (2, 1, "view")}
    found = as_dict(scoring().scored(scoring().events_by_kind(pairs, rows), {"score_map.view": 3.0}))
    assert found[0, 0] == pytest.approx(5)  # the views are lost with the later one
    assert found[1, 0] == pytest.approx(2 * 3)
    assert found[2, 1] == pytest.approx(1)  # no row is left: the score of stage 1
    assert (2, 2) not in found


def test_without_other_weights_the_scores_stay_and_are_filtered(spark: SparkSession) -> None:
    pairs, rows = stored(spark)
    own = scoring().scored(scoring().events_by_kind(pairs, rows), {"min_score": 2})
    assert as_dict(own) == as_dict(pairs)
    assert as_dict(scoring().filtered(own, {"min_score": 2})) == {
        pair: score for pair, score in as_dict(pairs).items() if score >= 2
    }


def test_the_filter_of_stage_1_holds_for_new_scores_too(spark: SparkSession) -> None:
    pairs, rows = stored(spark)
    changed = scoring(score_filter={"min_score": 1.0, "min_visitors_per_item": 2})
    parameters = {"score_map.view": 0.5}
    kept = changed.filtered(changed.scored(changed.events_by_kind(pairs, rows), parameters), parameters)
    assert kept.dtypes == [
        ("visitor_index", "int"),
        ("item_index", "int"),
        ("score", "float"),
        ("last_timestamp", "bigint"),
    ]
    # Item 1 has one visitor left, as 2 scores 0.5 on it; item 2 had one all along.
    assert as_dict(kept) == pytest.approx({(0, 0): 3 * 0.5 + 5, (1, 0): 2 * 0.5})


def test_the_start_is_what_stage_1_was_configured_with() -> None:
    space = {
        "rank": Choices((1,)),
        "score_map.view": Range(0, 2),
        "half_life_days": Range(1, 9),
        "min_score": Choices((1,)),
    }
    assert scoring().start(space) == {"score_map.view": 1.0, "half_life_days": None, "min_score": 1.0}


def test_only_what_changes_scores_or_filters_needs_other_pairs() -> None:
    assert is_prepared({"rank": Choices((1,)), "alpha": Range(1, 2)})
    for name in ("score_map.view", "half_life_days", "min_score", "min_visitors_per_item"):
        assert not is_prepared({"rank": Choices((1,)), name: Choices((1,))})


WEIGHTS = {"score_map.view": Range(0, 2)}


@pytest.mark.parametrize(
    ("made", "space", "expected"),
    [
        (
            Scoring({"score_map": SCORE_MAP, "half_life_days": 30.0}, {}, {}, 0),
            WEIGHTS,
            (
                "score_map.view cannot be searched: the scores of stage 1 fade already (stage1.score_events."
                "half_life_days is 30, null is needed); run stage 1 so first"
            ),
        ),
        (
            Scoring({"score_map": SCORE_MAP}, {"max_score": 20.0}, {}, 0),
            {"half_life_days": Range(1, 9)},
            (
                "half_life_days cannot be searched: the scores of stage 1 are capped (stage1.group_scores.max_score is "
                "20, null is needed); run stage 1 so first"
            ),
        ),
        (
            Scoring({"score_map": SCORE_MAP, "input_column_name": "kind"}, {}, {}, 0),
            WEIGHTS,
            (
                "score_map.view cannot be searched: the scores of stage 1 are by kind (stage1.score_events."
                "input_column_name), not by event; run stage 1 so first"
            ),
        ),
        (
            Scoring({"score_map": SCORE_MAP}, {"aggregate": "last"}, {}, 0),
            WEIGHTS,
            (
                "score_map.view cannot be searched: the scores of stage 1 are no sums (stage1.group_scores.aggregate "
                "is last, sum is needed); run stage 1 so first"
            ),
        ),
        (
            Scoring({"score_map": SCORE_MAP}, {}, {}, 0, weighed=True),
            {"half_life_days": Range(1, 9)},
            (
                "half_life_days cannot be searched: the scores of stage 1 hold the events' own weights (stage1."
                "data_loader.columns.weight, leave it out); run stage 1 so first"
            ),
        ),
        (
            scoring(),
            {"score_map.wave": Range(0, 2)},
            (
                "score_map.wave cannot be searched: stage 1 has given wave no weight above 0; it has for view, "
                "addtocart, transaction"
            ),
        ),
        (
            scoring(score_filter={"min_score": 2.0}),
            {"min_score": Choices((3.0, 1.0, 1.5))},
            (
                "min_score cannot be searched below the 2 of stage 1, which has filtered by it; run stage 1 with "
                "stage1.score_filter.min_score 1 first"
            ),
        ),
    ],
)
def test_what_the_tables_do_not_tell_is_refused(made: Scoring, space: Any, expected: str) -> None:
    with pytest.raises(ConfigError) as raised:
        made.check(space)
    assert str(raised.value) == f"TUNE_SPACE {expected}"


def test_a_space_that_the_tables_tell_is_accepted() -> None:
    scoring().check({**WEIGHTS, "half_life_days": Range(1, 9), "min_score": Choices((1.0, 2.0)), "rank": Choices((1,))})
