from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import DataFrame, SparkSession
from support.clusters import MASTERS, on_cluster
from test_als_fitter import SCORES, VISITORS, factors_of, random_pairs

from recommender.errors import ConfigError, DataQualityError
from recommender.ranking import random_factors
from recommender.spark.session import checkpoints
from recommender.stage2 import block_als
from recommender.stage2.rating_blocks import BLOCK, rating_blocks
from recommender.stage2.steps import AlsFitter
from recommender.steps import FoldIn, solver_of
from recommender.tables.als_model import load_model

Floats = NDArray[np.float64]
EXACT: dict[str, Any] = {"solver": "blocks", "method": "cholesky"}


def fitted(scores: DataFrame, **parameters: Any) -> list[Floats]:
    """The factors of visitors and items, sorted by id."""
    model = AlsFitter(**{"rank": 4, "max_iter": 2, "solver": "blocks", **parameters}).execute(scores)
    return [np.array(rows) for rows in factors_of(model)]  # type: ignore[arg-type]


def signed_pairs() -> list[tuple[int, int, float]]:
    """Pairs of which a quarter has a negative score, and a few have none above 0."""
    return [(v, i, -r if (v + i) % 4 == 0 else r) for v, i, r in random_pairs()]


def dense(pairs: list[tuple[int, int, float]]) -> tuple[Floats, Floats]:
    """Which pairs have a score, and the scores, as matrices."""
    visitors, items = (np.unique([pair[side] for pair in pairs], return_inverse=True)[1] for side in (0, 1))
    scores = np.zeros((visitors.max() + 1, items.max() + 1))
    scored = scores.copy()
    scores[visitors, items], scored[visitors, items] = [pair[2] for pair in pairs], 1
    return scored, scores


def best(scored: Floats, scores: Floats, fixed: Floats, als: AlsFitter) -> Floats:
    """The factors of each row that minimise the sum of the docstring of AlsFitter, in double precision."""
    weights = 1 + als.alpha * np.abs(scores) if als.implicit_prefs else scored
    target = weights * (scores > 0) if als.implicit_prefs else scores
    counts = ((scores > 0) if als.implicit_prefs else scored > 0).sum(axis=1)
    result = np.zeros((len(scored), fixed.shape[1]))
    for row in np.flatnonzero(counts):
        ridge = als.reg_param * counts[row] ** als.reg_exponent * np.eye(fixed.shape[1])
        result[row] = np.linalg.solve((fixed.T * weights[row]) @ fixed + ridge, fixed.T @ target[row])
    return result


@pytest.mark.parametrize(("implicit", "exponent"), [(True, 0.5), (False, 1.0)])
def test_exact_factors_equal_dense_half_steps_from_the_same_start(
    spark: SparkSession, implicit: bool, exponent: float
) -> None:
    pairs = signed_pairs()
    parameters: dict[str, Any] = {"implicit_prefs": implicit, "alpha": 1.5, "reg_param": 0.2, "reg_exponent": exponent}
    als = AlsFitter(rank=4, max_iter=2, seed=7, nonpositive_scores="keep", **EXACT, **parameters)
    scored, scores = dense(pairs)
    x = random_factors(np.unique([pair[0] for pair in pairs]), 4, seed=7).astype(np.float64)
    for _ in range(2):
        y = best(scored.T, scores.T, x, als)
        x = best(scored, scores, y, als)
    found = als.execute(spark.createDataFrame(pairs, SCORES))
    for one, other in zip(factors_of(found), (x, y), strict=True):  # type: ignore[arg-type]
        np.testing.assert_allclose(np.array(one), other, rtol=0, atol=2e-5)


@pytest.mark.parametrize("implicit", [True, False])
def test_the_factors_of_mllib_do_not_change_in_a_half_step_of_blocks(spark: SparkSession, implicit: bool) -> None:
    """What mllib has found for the visitors is what `solve_rows` finds, given the items of mllib."""
    pairs = signed_pairs()
    als = AlsFitter(rank=4, max_iter=3, alpha=1.5, reg_param=0.2, implicit_prefs=implicit, nonpositive_scores="keep")
    x, y = (np.array(rows) for rows in factors_of(als.execute(spark.createDataFrame(pairs, SCORES))))  # type: ignore[arg-type]
    visitors, items = (np.unique([pair[side] for pair in pairs], return_inverse=True)[1] for side in (0, 1))
    order = np.lexsort((items, visitors))
    offsets = np.searchsorted(visitors[order], np.arange(visitors.max() + 2))
    scores = np.array([pair[2] for pair in pairs])[order]
    solver = block_als.Solver(implicit, 1.5, 0.2)
    fixed = y.astype(np.float32)
    found = block_als.solve_rows((items[order], offsets), scores, fixed, block_als.gram(fixed), solver)
    np.testing.assert_allclose(found, x, rtol=0, atol=1e-5)


def test_a_few_steps_of_conjugate_gradients_come_near_exact_factors(spark: SparkSession) -> None:
    scores = spark.createDataFrame(random_pairs(), SCORES)
    exact, cg = fitted(scores, method="cholesky"), fitted(scores, cg_steps=8)
    for one, other in zip(exact, cg, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-3)


def test_the_factors_do_not_depend_on_order_partitions_and_blocks(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = random_pairs()
    expected = fitted(spark.createDataFrame(pairs, SCORES).coalesce(1))
    other = spark.createDataFrame(pairs[::-1], SCORES).repartition(5, "score")
    different = [fitted(other, num_user_blocks=5, num_item_blocks=3)]
    monkeypatch.setattr(block_als, "room_for_a_block", lambda _: 0)  # each block gets just the factors that it needs
    different.append(fitted(other, num_user_blocks=1, num_item_blocks=4))
    for found in different:
        for one, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, wanted, rtol=0, atol=1e-5)


def test_each_block_is_in_a_partition_of_its_own(spark: SparkSession) -> None:
    scores = spark.createDataFrame(random_pairs(), SCORES)
    for blocks, number in zip(rating_blocks(scores, 7, 4), (7, 4), strict=True):
        found = blocks.selectExpr(BLOCK, "spark_partition_id() place").collect()
        assert len({row[BLOCK] for row in found}) == len({row["place"] for row in found}) == len(found) == number


def test_another_seed_finds_other_factors(spark: SparkSession) -> None:
    scores = spark.createDataFrame(random_pairs(), SCORES)
    one, other = (fitted(scores, seed=seed, max_iter=0) for seed in (0, 1))
    assert not np.isclose(one[0], other[0]).any()
    assert not np.isclose(one[0][: len(one[1])], one[1]).any()
    np.testing.assert_allclose(np.linalg.norm(one[1], axis=1), 1, rtol=1e-6)


def test_visitors_are_folded_in_as_they_were_fitted(spark: SparkSession) -> None:
    scores = spark.createDataFrame(random_pairs(), SCORES)
    als = AlsFitter(rank=4, max_iter=2, alpha=2.0, reg_param=3.0, reg_exponent=0.5, **EXACT)
    model = als.execute(scores)
    folded = FoldIn().execute(scores, model.itemFactors, **solver_of(vars(als)), visitor_count=VISITORS)
    found = {row["id"]: row["features"] for row in folded.collect()}
    expected = {row["id"]: row["features"] for row in model.userFactors.collect()}
    assert found.keys() == expected.keys()
    for visitor, features in expected.items():
        np.testing.assert_allclose(found[visitor], features, rtol=0, atol=1e-5)


# The stored model


def test_mllib_loads_the_stored_model(spark: SparkSession, tmp_path: Path) -> None:
    als = AlsFitter(rank=3, max_iter=1, block_size=128, prediction_col="guess", **EXACT)
    path = str(tmp_path / "model")
    model = als.execute_persist(path, spark.createDataFrame(random_pairs(), SCORES))
    for loaded in (ALSModel.load(path), load_model(path)):
        assert (loaded.rank, loaded.getBlockSize(), loaded.getPredictionCol()) == (3, 128, "guess")
        assert (loaded.getUserCol(), loaded.getItemCol()) == ("visitor_index", "item_index")
        assert loaded.getColdStartStrategy() == "drop"
        assert factors_of(loaded) == factors_of(model)
    x, y = (np.array(rows) for rows in factors_of(loaded))
    row = loaded.recommendForAllUsers(1).orderBy("visitor_index").first()
    assert row is not None
    assert row["recommendations"][0]["rating"] == pytest.approx((x[0] @ y.T).max(), rel=1e-5)


# What is refused


def test_blocks_refuses_the_scores_that_mllib_refuses(spark: SparkSession) -> None:
    for rows, error in (
        ([], "NO_ROWS"),
        ([(0, 0, 1.0), (0, 1, float("nan"))], "BAD_SCORE 1 of the 2 pairs"),
        ([(0, 0, 1.0), (0, 1, 0.0)], "BAD_SCORE 1 of the 2 pairs"),
        ([(0, 0, 0.0)], "NO_POSITIVE"),
    ):
        with pytest.raises(DataQualityError, match=error):
            fitted(spark.createDataFrame(rows, SCORES))


@pytest.mark.parametrize("method", ["cg", "cholesky"])
def test_equations_without_a_single_solution_are_an_error(spark: SparkSession, method: str) -> None:
    scores = spark.createDataFrame([(0, 0, 1.0), (1, 1, 2.0)], SCORES)
    told = r"SINGULAR_MATRIX als cannot solve its equations with reg_param 0; raise als\.reg_param above 0"
    with pytest.raises(DataQualityError, match=told):
        fitted(scores, reg_param=0.0, implicit_prefs=False, method=method)


def test_factors_beyond_what_a_float_holds_are_an_error(spark: SparkSession) -> None:
    scores = spark.createDataFrame([(0, 0, 1e30), (1, 1, 2.0)], SCORES)
    with pytest.raises(DataQualityError, match="BAD_FACTORS als has fitted factors that are not finite"):
        fitted(scores, alpha=1e30)


def test_a_long_fit_without_a_folder_for_checkpoints_is_refused(spark: SparkSession) -> None:
    with pytest.raises(ConfigError, match="CHECKPOINT_FOLDER als has 11 iterations"):
        fitted(spark.createDataFrame(random_pairs(), SCORES), max_iter=11)


def test_every_half_step_is_in_the_folder_for_checkpoints_if_there_is_one(spark: SparkSession, tmp_path: Path) -> None:
    scores = spark.createDataFrame(random_pairs(), SCORES)
    expected = fitted(scores)
    with checkpoints(tmp_path.as_uri()):
        found = fitted(scores)
    assert len({path.parent for path in tmp_path.rglob("part-*")}) == 1 + 2 * 2
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_nothing_stays_cached(spark: SparkSession) -> None:
    before = len(spark.sparkContext._jsc.getPersistentRDDs())  # type: ignore[attr-defined]
    als = block_als.BlockAls(2, 0, block_als.Solver(implicit_prefs=True, alpha=1.0, reg_param=0.1))
    factors = als.fit(spark.createDataFrame(random_pairs(), SCORES))
    after = len(spark.sparkContext._jsc.getPersistentRDDs())  # type: ignore[attr-defined]
    assert after - before <= 2, factors  # the factors of visitors and of items


# Clusters


def on_any_cluster(spark: SparkSession) -> list[Any]:
    scores = spark.createDataFrame(random_pairs(), SCORES)
    return [[rows.tolist() for rows in fitted(scores, method=method)] for method in ("cg", "cholesky")]


@pytest.mark.job
@pytest.mark.slow
@pytest.mark.parametrize("master", MASTERS)
def test_the_factors_are_the_same_on_any_cluster(spark: SparkSession, master: str) -> None:
    for found, wanted in zip(on_cluster(master, on_any_cluster), on_any_cluster(spark), strict=True):
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(np.array(one), np.array(other), rtol=0, atol=1e-5)
