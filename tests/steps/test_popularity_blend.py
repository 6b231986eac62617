from math import sqrt
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession

from recommender.errors import ConfigError
from recommender.steps import PopularityBlend, TopKRecommender

VISITORS = "visitor_index int, source string, features array<float>"
FACTORS = "id int, features array<float>"
POPULARITY = "item_index int, score double"
HISTORY = "visitor_index int, item_index int, event string"

Floats = NDArray[np.float64]


def random_factors(number: int, seed: int) -> Floats:
    """Factors of a rank of 3 that are exact as 32 bit floats."""
    return np.random.default_rng(seed).integers(-4, 5, (number, 3)) / 4


def visitor_frame(spark: SparkSession, factors: Floats) -> DataFrame:
    rows = [(n, "als", row.tolist()) for n, row in enumerate(factors)]
    return spark.createDataFrame([*rows, (len(rows), None, None)], VISITORS)


def item_frame(spark: SparkSession, factors: Floats) -> DataFrame:
    return spark.createDataFrame([(n, row.tolist()) for n, row in enumerate(factors)], FACTORS)


def blended_scores(visitors: Floats, items: Floats, popularity: Floats, weight: float, power: float) -> Floats:
    """The scores of all items by the formula."""
    typical = sqrt(np.mean(np.sum(items**2, axis=1)))
    gain = weight * typical**2 * (np.maximum(popularity, 0) / popularity.max()) ** power
    scores: Floats = visitors @ items.T + gain[None, :]
    return scores


@pytest.mark.parametrize(("weight", "power"), [(0.3, 0.5), (2.0, 1.0), (1000.0, 0.25)])
def test_the_blended_k_best_are_those_of_the_formula(spark: SparkSession, weight: float, power: float) -> None:
    visitors, items = random_factors(20, 1), random_factors(50, 2)
    popularity = np.random.default_rng(3).uniform(-1, 30, 50)
    popularity[-5:] = 0  # these have no row
    popular = spark.createDataFrame([(n, float(p)) for n, p in enumerate(popularity[:-5])], POPULARITY)
    blended = PopularityBlend(weight=weight, power=power).execute(
        visitor_frame(spark, visitors), item_frame(spark, items), popular
    )
    nothing = spark.createDataFrame([], HISTORY)
    step = TopKRecommender(k=8, fill_with_popular=False)
    found: dict[int, list[tuple[int, float]]] = {}
    rows = step.execute(*blended, popular, nothing, visitor_count=20).collect()
    for row in sorted(rows, key=lambda row: (row["visitor_index"], row["rank"])):
        found.setdefault(row["visitor_index"], []).append((row["item_index"], row["score"]))
    assert found.keys() == set(range(20))
    scores = blended_scores(visitors, items, popularity, weight, power)
    for visitor, places in found.items():
        best = np.sort(scores[visitor])[::-1][:8]
        assert [score for _, score in places] == pytest.approx(best.tolist(), rel=1e-5, abs=1e-5)
        assert scores[visitor, [item for item, _ in places]] == pytest.approx(best, rel=1e-5, abs=1e-5)


def test_with_a_weight_of_0_the_frames_are_the_same(spark: SparkSession) -> None:
    visitors, items = visitor_frame(spark, random_factors(2, 1)), item_frame(spark, random_factors(2, 2))
    popular = spark.createDataFrame([(0, 1.0)], POPULARITY)
    assert PopularityBlend().execute(visitors, items, popular) == (visitors, items)


@pytest.mark.parametrize("rows", [[], [(0, 0.0)], [(0, -3.0)]])
def test_where_nothing_is_popular_the_factors_stay_as_they_are(spark: SparkSession, rows: list[Any]) -> None:
    visitors, items = visitor_frame(spark, random_factors(2, 1)), item_frame(spark, random_factors(2, 2))
    popular = spark.createDataFrame(rows, POPULARITY)
    assert PopularityBlend(weight=1.0).execute(visitors, items, popular) == (visitors, items)


def test_a_visitor_without_factors_has_none_afterwards_and_columns_stay_where_they_are(spark: SparkSession) -> None:
    frame, popular = visitor_frame(spark, random_factors(1, 1)), spark.createDataFrame([(0, 1.0)], POPULARITY)
    visitors, items = PopularityBlend(weight=1.0).execute(frame, item_frame(spark, random_factors(2, 2)), popular)
    assert [row["visitor_index"] for row in visitors.collect() if row["features"] is None] == [1]
    assert (visitors.dtypes, items.dtypes) == (frame.dtypes, item_frame(spark, random_factors(1, 2)).dtypes)


def test_the_gain_does_not_depend_on_how_the_items_are_partitioned(spark: SparkSession) -> None:
    random = np.random.default_rng(6)
    factors = [(n, random.standard_normal(5).tolist()) for n in range(300)]
    popular = spark.createDataFrame([(n, float(random.uniform(0, 9))) for n in range(300)], POPULARITY)
    visitors = spark.createDataFrame([], VISITORS)
    found = []
    for rows, parts in ((factors, 1), (factors[::-1], 7)):
        items = spark.createDataFrame(rows, FACTORS).repartition(parts)
        found.append(sorted(map(tuple, PopularityBlend(weight=0.7).execute(visitors, items, popular)[1].collect())))
    assert found[0] == found[1]


def test_items_whose_factors_are_all_zero_gain_nothing(spark: SparkSession) -> None:
    items = spark.createDataFrame([(0, [0.0, 0.0])], FACTORS)
    popular = spark.createDataFrame([(0, 1.0)], POPULARITY)
    _, blended = PopularityBlend(weight=1.0).execute(spark.createDataFrame([], VISITORS), items, popular)
    assert blended.collect() == [(0, [0.0, 0.0, 0.0])]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"weight": -0.1}, "CFG_RANGE weight must be >= 0, got -0.1"),
        ({"power": 0.0}, "CFG_RANGE power must be > 0 and <= 1, got 0.0"),
        ({"power": 1.5}, "CFG_RANGE power must be > 0 and <= 1, got 1.5"),
        ({"wieght": 1.0}, "CFG_UNKNOWN_KEY wieght, did you mean weight"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_rule_and_value(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        PopularityBlend(**given)
    assert str(error.value) == sentence
