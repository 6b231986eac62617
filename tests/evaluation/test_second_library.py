"""The metrics of visitors beside those of the library ranx, on random lists with graded relevance.

ranx divides the average precision by |R|, not by min(k, |R|): the two are compared where k is not less.
"""

import warnings
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from recommender.evaluation import PER_VISITOR, ranking_metrics

MODELS = ("als", "popular")
CUTOFFS = (1, 5, 12)
MOST_RELEVANT = 8


@pytest.fixture(scope="module")
def ranx() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("ranx", reason="ranx is not installed; it is needed for this comparison alone")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("is_graded", [False, True])
def test_random_lists_have_the_values_of_another_library(spark: SparkSession, ranx: Any, is_graded: bool) -> None:
    random = np.random.default_rng(6)
    relevant = {
        visitor: {item: int(random.integers(1, 6)) for item in random.permutation(15)[: 1 + visitor % MOST_RELEVANT]}
        for visitor in range(60)
    }
    lists = {
        (model, visitor): random.permutation(25)[: random.integers(1, 16)].tolist()
        for model in MODELS
        for visitor in range(60)
        if visitor % 7  # some have none
    }
    rows = [(model, v, rank, item) for (model, v), items in lists.items() for rank, item in enumerate(items, start=1)]
    held = [(v, int(item), float(score)) for v, items in relevant.items() for item, score in items.items()]
    found = ranking_metrics(
        spark.createDataFrame(rows, "model string, visitor_index int, rank int, item_index int"),
        spark.createDataFrame(held, "visitor_index int, item_index int, score float"),
        MODELS,
        CUTOFFS,
        is_graded=is_graded,
    )
    ours = {(row["model"], row["metric"], row["k"]): row["value"] for row in found.collect()}
    qrels = ranx.Qrels(
        {
            str(visitor): {str(item): score if is_graded else 1 for item, score in items.items()}
            for visitor, items in relevant.items()
        }
    )
    names = {f"{metric}@{k}": (metric, k) for metric in PER_VISITOR for k in CUTOFFS}
    for model in MODELS:
        run = ranx.Run(
            {
                str(visitor): {str(item): 1 / place for place, item in enumerate(lists[model, visitor], start=1)}
                for visitor in relevant
                if (model, visitor) in lists
            }
        )
        theirs = ranx.evaluate(qrels, run, list(names), make_comparable=True)
        for name, (metric, k) in names.items():
            if metric != "map" or k >= MOST_RELEVANT:
                assert ours[model, metric, k] == pytest.approx(theirs[name], abs=1e-9), name
