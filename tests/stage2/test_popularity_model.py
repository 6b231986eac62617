from math import fsum
from typing import Any

import numpy as np
import pytest
from chispa import assert_df_equality
from pyspark.sql import SparkSession

from recommender.errors import ConfigError
from recommender.stage2.steps import PopularityModel

SCORES = "visitor_index int, item_index int, score float"
POPULARITY = "item_index int, score double"


def popularity(spark: SparkSession, rows: list[tuple[int, int, float | None]]) -> dict[int, float]:
    return dict(PopularityModel().execute(spark.createDataFrame(rows, SCORES)).collect())


def test_the_scores_of_an_item_are_summed_over_all_visitors(spark: SparkSession) -> None:
    scores = spark.createDataFrame([(2, 7, 1.5), (0, 3, 1.0), (1, 3, 5.0), (2, 3, -0.5), (0, 0, 0.0)], SCORES)
    expected = spark.createDataFrame([(0, 0.0), (3, 5.5), (7, 1.5)], POPULARITY)
    assert_df_equality(PopularityModel().execute(scores), expected, ignore_row_order=True, ignore_nullable=True)


def test_the_sum_is_as_precise_as_a_double(spark: SparkSession) -> None:
    big, small = 16_777_216.0, float(np.float32(0.1))
    found = popularity(spark, [(0, 1, big), *((visitor, 1, small) for visitor in range(1, 11))])
    assert found[1] == pytest.approx(fsum([big, *[small] * 10]), rel=1e-15)


def test_a_score_that_is_null_adds_nothing(spark: SparkSession) -> None:
    assert popularity(spark, [(0, 3, None), (1, 3, 2.0)]) == {3: 2.0}


def test_no_scores_make_nothing_popular(spark: SparkSession) -> None:
    assert popularity(spark, []) == {}


def test_a_parameter_is_an_error_since_the_step_has_none() -> None:
    given: dict[str, Any] = {"min_score": 1}
    with pytest.raises(ConfigError, match=r"^CFG_UNKNOWN_KEY min_score, "):
        PopularityModel(**given)
