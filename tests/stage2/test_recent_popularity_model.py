from collections import defaultdict
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from chispa import assert_df_equality
from pyspark.sql import SparkSession

from recommender.errors import ConfigError
from recommender.stage2.steps import RecentPopularityModel
from recommender.tables import schemas

SCORES = "visitor_index int, item_index int, score float, last_timestamp long"
DAY = 86_400_000

Pair = tuple[int, int, float | None, int | None]


def popularity(spark: SparkSession, rows: list[Pair], **init: Any) -> dict[int, float]:
    return dict(RecentPopularityModel(**init).execute(spark.createDataFrame(rows, SCORES)).collect())


def random_scores() -> list[Pair]:
    random = np.random.default_rng(3)
    return [
        (
            visitor,
            int(random.integers(0, 20)),
            float(np.float32(random.uniform(0.1, 9))),
            int(random.integers(0, 10**9)),
        )
        for visitor in range(400)
    ]


def test_a_score_counts_half_for_every_half_life_since_the_newest_event(spark: SparkSession) -> None:
    now = 1_700_000_000_000
    scores = spark.createDataFrame([(0, 7, 8.0, now - 14 * DAY), (1, 7, 1.0, now), (2, 3, 8.0, now - 28 * DAY)], SCORES)
    expected = spark.createDataFrame([(3, 2.0), (7, 5.0)], schemas.TABLES["recent_popularity"])
    assert_df_equality(RecentPopularityModel().execute(scores), expected, ignore_row_order=True, ignore_nullable=True)


def test_the_half_life_can_be_part_of_a_day(spark: SparkSession) -> None:
    found = popularity(spark, [(0, 7, 8.0, 0), (1, 3, 1.0, DAY)], half_life_days=0.5)
    assert found == pytest.approx({7: 2.0, 3: 1.0}, rel=1e-12)


def test_the_sums_of_a_random_log_are_those_of_exact_arithmetic(spark: SparkSession) -> None:
    rows = random_scores()
    newest = max(time for *_, time in rows if time is not None)
    expected: dict[int, Fraction] = defaultdict(Fraction)
    for _, item, score, time in rows:
        assert score is not None
        assert time is not None
        expected[item] += Fraction(score) * Fraction(2.0 ** (-(newest - time) / (3 * DAY)))
    found = popularity(spark, rows, half_life_days=3)
    assert found == pytest.approx({item: float(total) for item, total in expected.items()}, rel=1e-12)


def test_neither_the_order_nor_the_partitions_of_the_rows_change_a_bit_of_the_result(spark: SparkSession) -> None:
    rows = random_scores()
    shuffled = [rows[place] for place in np.random.default_rng(4).permutation(len(rows))]
    step = RecentPopularityModel(half_life_days=3)
    found = [
        dict(step.execute(spark.createDataFrame(order, SCORES).repartition(parts)).collect())
        for order, parts in ((rows, 1), (shuffled, 7))
    ]
    assert found[0] == found[1]


def test_scores_that_are_large_or_small_keep_their_precision(spark: SparkSession) -> None:
    large = popularity(spark, [(0, 1, 3e38, 0), (1, 1, 3e38, DAY)], half_life_days=1)
    assert large[1] == pytest.approx(1.5 * float(np.float32(3e38)), rel=1e-12)
    small = popularity(spark, [(0, 1, 1e-30, 0), (1, 1, 1e-30, DAY)], half_life_days=1)
    assert small[1] == pytest.approx(1.5 * float(np.float32(1e-30)), rel=1e-12)


def test_an_item_that_is_long_forgotten_stays_with_the_popularity_0(spark: SparkSession) -> None:
    assert popularity(spark, [(0, 1, 1.0, 0), (1, 2, 1.0, 5000 * DAY)]) == {1: 0.0, 2: 1.0}


def test_a_negative_score_is_subtracted_and_scores_of_0_add_up_to_0(spark: SparkSession) -> None:
    assert popularity(spark, [(0, 1, 4.0, 5), (1, 1, -1.0, 5), (2, 3, 0.0, 5)]) == {1: 3.0, 3: 0.0}
    assert popularity(spark, [(0, 1, 0.0, 5)]) == {1: 0.0}


def test_a_null_adds_nothing(spark: SparkSession) -> None:
    assert popularity(spark, [(0, 3, None, 5), (1, 3, 2.0, 5), (2, 4, 1.0, None)]) == {3: 2.0, 4: 0.0}


def test_no_scores_make_nothing_popular(spark: SparkSession) -> None:
    assert popularity(spark, []) == {}


@pytest.mark.parametrize("half_life", [0, -1.5])
def test_a_half_life_that_is_not_positive_is_an_error(half_life: float) -> None:
    with pytest.raises(ConfigError, match=rf"^CFG_RANGE half_life_days must be > 0, got {half_life}$"):
        RecentPopularityModel(half_life_days=half_life)
