from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from chispa import assert_df_equality
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession, functions as F

from recommender.errors import ConfigError
from recommender.stage2.steps import AlsFitter
from recommender.steps import FoldIn

Row = tuple[int, int, float]
Factors = Mapping[int, NDArray[np.float64]]

INTERACTIONS = "visitor_index int, item_index int, score float"
FACTORS = "id int, features array<float>"
ITEMS = [(0, [1.0, 0.5]), (1, [-0.5, 1.0]), (2, [0.25, 0.75]), (4, [1.0, -1.0])]
IMPLICIT: Mapping[str, Any] = {"implicit_prefs": True, "alpha": 2.0, "reg_param": 0.3}
EXPLICIT: Mapping[str, Any] = {"implicit_prefs": False, "alpha": 2.0, "reg_param": 0.3}

PLAIN, WITH_UNKNOWN, IN_PARTS, ONLY_UNKNOWN, ZERO, NEGATIVE, OTHER = range(3, 10)
HISTORIES: Mapping[int, list[tuple[int, float]]] = {
    PLAIN: [(0, 1.0), (2, 4.0)],
    WITH_UNKNOWN: [(0, 1.0), (3, 7.0), (2, 4.0), (99, 7.0), (-1, 7.0)],
    IN_PARTS: [(0, 0.25), (2, 4.5), (0, 0.75), (2, -0.5)],
    ONLY_UNKNOWN: [(3, 1.0), (99, 2.0)],
    ZERO: [(0, 0.0)],
    NEGATIVE: [(0, -1.0), (1, -2.0)],
    OTHER: [(4, 2.0), (1, 0.5)],
}
ROWS = [(visitor, *pair) for visitor, history in HISTORIES.items() for pair in history]


def factors_of(rows: DataFrame) -> Factors:
    collected = [(row["id"], np.array(row["features"], dtype=np.float64)) for row in rows.collect()]
    assert len(collected) == len(dict(collected))
    return dict(collected)


def items(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(ITEMS, FACTORS)


def execute(spark: SparkSession, rows: list[Row], options: Mapping[str, Any], **init: int) -> DataFrame:
    interactions = spark.createDataFrame(rows, INTERACTIONS)
    return FoldIn(**init).execute(interactions, items(spark), **options, visitor_count=7)


@pytest.fixture(scope="module")
def implicit(spark: SparkSession) -> Factors:
    return factors_of(execute(spark, ROWS, IMPLICIT))


@pytest.fixture(scope="module")
def explicit(spark: SparkSession) -> Factors:
    return factors_of(execute(spark, ROWS, EXPLICIT))


def assert_same(found: Factors, expected: Factors) -> None:
    assert found.keys() == expected.keys()
    for visitor, factors in expected.items():
        np.testing.assert_array_equal(found[visitor], factors)


def training_scores(seed: int) -> list[Row]:
    """About 7 of 40 items for each of 60 visitors, a fifth of the scores negative or zero, one positive at least."""
    random = np.random.default_rng(seed)
    rows = []
    for visitor in range(60):
        chosen = random.choice(40, size=1 + random.integers(0, 14), replace=False)
        scores = random.choice([-2.0, 0.0, 1.0, 1.5, 3.0, 5.0, 10.0], size=len(chosen), p=[0.1, 0.1, *[0.16] * 5])
        scores[0] = 1.0
        rows += [(visitor, int(item), float(score)) for item, score in zip(chosen, scores, strict=True)]
    return rows


@pytest.mark.parametrize(("implicit_prefs", "alpha"), [(True, 0.7), (True, 40.0), (False, 0.7)])
def test_a_trained_visitor_folded_in_gets_the_factors_that_als_gave_it(
    spark: SparkSession, implicit_prefs: bool, alpha: float
) -> None:
    scores = spark.createDataFrame(training_scores(seed=3), INTERACTIONS)
    als = AlsFitter(
        rank=5, max_iter=1, reg_param=0.05, implicit_prefs=implicit_prefs, alpha=alpha, nonpositive_scores="keep"
    )
    model = als.execute(scores)
    solver: dict[str, Any] = {"implicit_prefs": implicit_prefs, "alpha": alpha, "reg_param": 0.05}
    found = factors_of(FoldIn().execute(scores, model.itemFactors, **solver, visitor_count=60))
    expected = factors_of(model.userFactors)
    assert found.keys() == expected.keys() == set(range(60))
    errors = [np.linalg.norm(found[v] - expected[v]) / np.linalg.norm(expected[v]) for v in expected]
    assert max(errors) < 1e-5


def test_the_implicit_solution_is_that_of_the_paper(implicit: Factors) -> None:
    y = np.zeros((5, 2))
    for item, features in ITEMS:
        y[item] = features
    confidence = np.diag([1 + 2.0 * 1, 1, 1 + 2.0 * 4, 1, 1])
    left = y.T @ confidence @ y + 0.3 * 2 * np.eye(2)
    expected = np.linalg.inv(left) @ y.T @ confidence @ np.array([1, 0, 1, 0, 0])
    np.testing.assert_allclose(implicit[PLAIN], expected, rtol=1e-6)


def test_the_explicit_solution_is_ridge_regression(explicit: Factors) -> None:
    y, ratings = np.array([[1.0, 0.5], [0.25, 0.75]]), np.array([1.0, 4.0])
    expected = np.linalg.inv(y.T @ y + 0.3 * 2 * np.eye(2)) @ y.T @ ratings
    np.testing.assert_allclose(explicit[PLAIN], expected, rtol=1e-6)


def test_items_without_factors_are_ignored(implicit: Factors, explicit: Factors) -> None:
    np.testing.assert_array_equal(implicit[WITH_UNKNOWN], implicit[PLAIN])
    np.testing.assert_array_equal(explicit[WITH_UNKNOWN], explicit[PLAIN])


def test_the_scores_of_rows_of_one_pair_are_summed(implicit: Factors, explicit: Factors) -> None:
    np.testing.assert_array_equal(implicit[IN_PARTS], implicit[PLAIN])
    np.testing.assert_array_equal(explicit[IN_PARTS], explicit[PLAIN])


def test_a_visitor_whose_items_all_lack_factors_has_none(implicit: Factors, explicit: Factors) -> None:
    assert ONLY_UNKNOWN not in implicit
    assert ONLY_UNKNOWN not in explicit


def test_only_visitors_with_a_positive_implicit_score_have_factors(implicit: Factors) -> None:
    assert implicit.keys() == {PLAIN, WITH_UNKNOWN, IN_PARTS, OTHER}


def test_a_negative_rating_gives_explicit_factors(explicit: Factors) -> None:
    assert explicit[NEGATIVE].any()


def test_the_result_has_exactly_the_columns_of_a_table_of_factors(spark: SparkSession) -> None:
    assert execute(spark, ROWS, IMPLICIT).dtypes == [("id", "int"), ("features", "array<float>")]


def test_small_blocks_give_the_same_factors_as_one(spark: SparkSession) -> None:
    rows = [row for row in training_scores(seed=4) if row[1] in {0, 1, 2, 4}]
    whole = factors_of(execute(spark, rows, IMPLICIT))
    assert len(whole) > 20
    assert_same(factors_of(execute(spark, rows, IMPLICIT, visitors_per_block=1)), whole)


def test_neither_the_order_of_the_rows_nor_further_columns_matter(spark: SparkSession, implicit: Factors) -> None:
    interactions = spark.createDataFrame(ROWS[::-1], INTERACTIONS).withColumn("event", F.lit("view"))
    factors = spark.createDataFrame(ITEMS[::-1], FACTORS).withColumn("more", F.lit(1))
    assert_same(factors_of(FoldIn().execute(interactions, factors, **IMPLICIT, visitor_count=7)), implicit)


def test_no_interactions_give_no_factors(spark: SparkSession) -> None:
    assert_df_equality(execute(spark, [], IMPLICIT), spark.createDataFrame([], FACTORS))


def test_no_item_factors_give_no_factors(spark: SparkSession) -> None:
    interactions, nothing = spark.createDataFrame(ROWS, INTERACTIONS), spark.createDataFrame([], FACTORS)
    result = FoldIn().execute(interactions, nothing, **IMPLICIT, visitor_count=7)
    assert_df_equality(result, nothing)


@pytest.mark.parametrize("size", [0, 10_000_001])
def test_a_block_size_out_of_range_is_an_error(size: int) -> None:
    with pytest.raises(ConfigError, match=f"visitors_per_block must be 1..10000000, got {size}$"):
        FoldIn(visitors_per_block=size)


def test_a_nonnegative_fit_is_folded_in_without_negative_factors(spark: SparkSession) -> None:
    rows = [(v, i, float(1 + (v * i) % 3)) for v in range(12) for i in range(8) if (v + 3 * i) % 4]
    scores = spark.createDataFrame(rows, "visitor_index int, item_index int, score float")
    als = AlsFitter(rank=3, max_iter=3, nonnegative=True)
    model = als.execute(scores)
    folded = FoldIn().execute(
        scores, model.itemFactors, implicit_prefs=True, alpha=1.0, reg_param=0.1, nonnegative=True, visitor_count=12
    )
    found = {row.id: np.array(row.features) for row in folded.collect()}
    for row in model.userFactors.collect():
        assert np.linalg.norm(found[row.id] - row.features) <= 1e-4 * np.linalg.norm(row.features)
