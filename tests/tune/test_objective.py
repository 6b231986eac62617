"""What a trial is judged by: a fit of the training pairs, folded in and ranked by the rules that serve."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import log2
from typing import Any

import numpy as np
import pytest
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import DataFrame, SparkSession

from recommender.errors import DataQualityError
from recommender.ruled_stage import RuledSteps
from recommender.stage2.steps import AlsFitter, RecentPopularityModel
from recommender.steps import FoldIn, ItemRules, PopularityBlend, TopKRecommender
from recommender.tune.objective import TrialObjective
from recommender.tune.prepared import Prepared
from recommender.tune.scoring import Scoring
from recommender.tune.steps import ModelTuner
from recommender.tune.steps.validation_split import Parts

DAY = 86_400_000
PAIRS = "visitor_index int, item_index int, score float, last_timestamp long"
ROWS = "visitor_index int, item_index int, event string, score float, last_timestamp long"
TRAIN = [(v, i, float(1 + (v * i) % 3), (v + i) * DAY) for v in range(8) for i in range(6) if (v + 2 * i) % 3]
HISTORY = [(20, 0, 5.0, 3 * DAY), (20, 1, 1.0, 4 * DAY), (21, 4, 2.0, 5 * DAY)]
HOLDOUT = [(20, 2, 1.0, 6 * DAY), (20, 5, 1.0, 7 * DAY), (21, 3, 1.0, 8 * DAY)]
# What the whole log has: also what the visitors did with what is held out, and what they did later.
INTERACTIONS = [
    (20, 0, "addtocart", 5.0, 3 * DAY),
    (20, 1, "view", 1.0, 4 * DAY),
    (20, 1, "transaction", 10.0, 30 * DAY),
    (20, 2, "transaction", 10.0, 6 * DAY),
    (21, 4, "view", 2.0, 5 * DAY),
    (21, 3, "transaction", 10.0, 8 * DAY),
    (21, 0, "transaction", 10.0, 30 * DAY),
]
PARAMETERS = {"rank": 3, "max_iter": 4, "reg_param": 0.2, "alpha": 3.0}


@dataclass(frozen=True)
class WatchedAls:
    """The fitter, and the models that it has fitted, of all copies."""

    rank: int = 2
    max_iter: int = 2
    reg_param: float = 0.1
    alpha: float = 1.0
    implicit_prefs: bool = True
    nonnegative: bool = False
    fitted: list[tuple[int, list[tuple[Any, ...]], ALSModel]] = field(default_factory=list)

    def execute(self, scores: DataFrame) -> ALSModel:
        als = AlsFitter(rank=self.rank, max_iter=self.max_iter, reg_param=self.reg_param, alpha=self.alpha)
        model = als.execute(scores)
        pairs = scores.select("visitor_index", "item_index", "score")
        self.fitted.append((self.max_iter, sorted(map(tuple, pairs.collect())), model))
        return model


def scoring() -> Scoring:
    return Scoring({"score_map": {"view": 1.0, "addtocart": 5.0, "transaction": 10.0}}, {}, {}, newest=30 * DAY)


def prepare(spark: SparkSession, *, same_pairs: bool = True, recent: RecentPopularityModel | None = None) -> Prepared:
    parts = Parts(*(spark.createDataFrame(rows, PAIRS) for rows in (TRAIN, HISTORY, HOLDOUT)))
    items = spark.createDataFrame([(f"i{n}", n) for n in range(6)], "itemid string, item_index int")
    rows = spark.createDataFrame(INTERACTIONS, ROWS)
    return Prepared(parts, rows, items, scoring(), same_pairs=same_pairs, recent=recent)


@pytest.fixture(scope="module")
def prepared(spark: SparkSession) -> Iterator[Prepared]:
    made = prepare(spark)
    yield made
    made.release()


def objective(
    prepared: Prepared,
    als: Any,
    allowed: DataFrame | None = None,
    blend: PopularityBlend = PopularityBlend(),  # noqa: B008
    **tuner: Any,
) -> TrialObjective:
    serving = RuledSteps(fold_in=FoldIn(), item_rules=ItemRules(), blend=blend, recommend=TopKRecommender())
    return TrialObjective(als, serving, ModelTuner(k=2, **tuner), prepared, allowed)


def by_hand(model: ALSModel) -> float:
    """Return NDCG@2, by the paper's equation 4, without what was seen by then."""
    factors = {row["id"]: np.array(row["features"], dtype=float) for row in model.itemFactors.collect()}
    y = np.array([factors[item] for item in range(6)])
    barred = {20: {0, 1}, 21: {4}}
    total = 0.0
    for visitor, excluded in barred.items():
        scores = np.zeros(6)
        for who, item, score, _ in HISTORY:
            scores[item] += score if who == visitor else 0
        preference = (scores > 0).astype(float)
        left = y.T @ np.diag(1 + 3.0 * scores) @ y + 0.2 * preference.sum() * np.eye(3)
        own = np.linalg.solve(left, y.T @ ((1 + 3.0 * scores) * preference))
        ranked = [item for item in sorted(range(6), key=lambda item: -own @ factors[item]) if item not in excluded][:2]
        held = {item for who, item, _, _ in HOLDOUT if who == visitor}
        ideal = sum(1 / log2(place + 2) for place in range(min(2, len(held))))
        total += sum(1 / log2(place + 2) for place, item in enumerate(ranked) if item in held) / ideal
    return total / 2


def test_the_metric_is_that_of_the_lists_by_the_rules_that_serve(prepared: Prepared) -> None:
    als = WatchedAls()
    judged = objective(prepared, als)(PARAMETERS)
    ((iterations, fitted, model),) = als.fitted
    assert judged.value == pytest.approx(by_hand(model))
    assert (model.rank, iterations) == (3, 4)
    assert len(judged.means) == 500
    means = np.array(judged.means, dtype=float)
    assert np.nanquantile(means, (0.025, 0.975)) == pytest.approx((judged.low, judged.high))
    assert fitted == sorted((v, i, score) for v, i, score, _ in TRAIN)


def test_only_what_is_training_is_known_of_the_evaluated_visitors(prepared: Prepared) -> None:
    with prepared.scored(PARAMETERS) as scored:
        rows = {tuple(row) for row in scored.history.collect()}
    pairs = {(visitor, item, None, score) for visitor, item, score, _ in HISTORY}
    assert rows == pairs | {(20, 0, "addtocart", 0.0), (20, 1, "view", 0.0), (21, 4, "view", 0.0)}


def test_neighbours_are_judged_by_the_lists_that_they_make(prepared: Prepared) -> None:
    judged = objective(prepared, AlsFitter(), model="item_to_item")(
        {"item_to_item.neighbours": 2, "item_to_item.alpha": 0.5, "item_to_item.beta": 0.3}
    )
    own = {item: {v for v, i, _, _ in TRAIN if i == item} for item in range(6)}
    sizes = {visitor: sum(v == visitor for v, _, _, _ in TRAIN) for visitor in range(8)}
    similar = {
        (i, j): len(own[i]) ** -0.5 * len(own[j]) ** -0.3 * sum(sizes[v] ** -0.5 for v in own[i] & own[j])
        for i in own
        for j in own
        if i != j and own[i] & own[j]
    }
    total = 0.0
    for visitor, known in {20: (0, 1), 21: (4,)}.items():
        scores: dict[int, float] = {}
        for i in known:
            nearest = sorted((-value, j) for (of, j), value in similar.items() if of == i)[:2]
            for value, j in nearest:
                scores[j] = scores.get(j, 0) - value
        listed = sorted((j for j in scores if j not in known), key=lambda j: (-scores[j], j))
        popular = sorted(range(6), key=lambda i: -sum(s for _, item, s, _ in TRAIN if item == i))
        listed += [item for item in popular if item not in known and item not in listed]
        held = {item for who, item, _, _ in HOLDOUT if who == visitor}
        ideal = sum(1 / log2(place + 2) for place in range(min(2, len(held))))
        total += sum(1 / log2(place + 2) for place, item in enumerate(listed[:2]) if item in held) / ideal
    assert judged.value == pytest.approx(total / 2)


def test_when_an_item_was_last_seen_is_counted_in_what_is_fitted(prepared: Prepared) -> None:
    found = {row["item_index"]: row["last_timestamp"] for row in prepared.items.collect()}
    assert found == {item: max(t for _, i, _, t in [*TRAIN, *HISTORY] if i == item) for item in range(6)}


def test_only_items_that_may_be_recommended_are_in_the_lists(spark: SparkSession, prepared: Prepared) -> None:
    allowed = ItemRules(max_days_unseen=0.5).execute(prepared.items)
    assert allowed is not None
    latest = {row["item_index"] for row in allowed.collect()}
    assert latest == {5}  # the only one of day 12, where visitor 7 has it
    judged = objective(prepared, WatchedAls(), allowed)(PARAMETERS)
    assert judged.value == pytest.approx((1 / (1 + 1 / log2(3)) + 0) / 2)  # item 5 alone, the first of two for 20


def test_what_is_popular_now_is_blended_in_as_it_is_when_lists_are_served(spark: SparkSession) -> None:
    made = prepare(spark, recent=RecentPopularityModel(half_life_days=1))
    weighed = {
        item: sum(score * 0.5 ** (12 - time / DAY) for _, i, score, time in TRAIN if i == item) for item in range(6)
    }
    first_two = sorted(weighed, key=lambda item: -weighed[item])[:2]
    judged = objective(made, WatchedAls(), blend=PopularityBlend(weight=1e6))(PARAMETERS)
    made.release()
    total = 0.0
    for held in ({2, 5}, {3}):  # of visitors 20 and 21, who have item 0 in the cart, or nothing
        ideal = sum(1 / log2(place + 2) for place in range(len(held)))
        total += sum(1 / log2(place + 2) for place, item in enumerate(first_two) if item in held) / ideal
    assert 0 not in first_two
    assert judged.value == pytest.approx(total / 2)


def test_a_share_of_the_visitors_is_fitted_and_all_of_the_holdout_is_judged(prepared: Prepared) -> None:
    als = WatchedAls()
    objective(prepared, als)(PARAMETERS, share=0.6)
    ((_, fitted, model),) = als.fitted
    visitors = {visitor for visitor, _, _ in fitted}
    assert 0 < len(visitors) < 8
    assert fitted == sorted((v, i, score) for v, i, score, _ in TRAIN if v in visitors)
    assert objective(prepared, als)(PARAMETERS, share=0.6).value == pytest.approx(by_hand(model))


def test_how_dense_the_fitted_pairs_are_is_known(prepared: Prepared) -> None:
    density = prepared.density
    assert (density.pairs, density.visitors) == (len(TRAIN), 8)
    assert density.mean_score == pytest.approx(np.mean([score for _, _, score, _ in TRAIN]))


def test_other_weights_and_filters_change_what_is_fitted_and_folded_in(spark: SparkSession) -> None:
    made = prepare(spark, same_pairs=False)
    als = WatchedAls()
    objective(made, als)({**PARAMETERS, "score_map.addtocart": 3.0, "min_score": 2})
    ((_, fitted, _),) = als.fitted
    # No training pair here has a row in the interactions, so all keep their scores, and those of 1 leave.
    assert fitted == sorted((v, i, score) for v, i, score, _ in TRAIN if score >= 2)
    with made.scored({"score_map.addtocart": 3.0}) as scored:
        rows = {tuple(row) for row in scored.history.where("event is null").collect()}
    assert rows == {(20, 0, None, 3.0), (20, 1, None, 1.0), (21, 4, None, 2.0)}
    made.release()


def test_a_filter_that_leaves_nothing_is_no_fit(spark: SparkSession) -> None:
    made = prepare(spark, same_pairs=False)
    with pytest.raises(DataQualityError, match="NO_ROWS als has no scores to fit"):
        objective(made, AlsFitter())({**PARAMETERS, "min_score": 99})
    made.release()


@pytest.mark.parametrize(
    ("train", "holdout", "expected"),
    [
        (TRAIN, [], "VALIDATION_EMPTY the validation part leaves nothing to predict: it has 0 pairs, and 32 are left"),
        ([], HOLDOUT, "VALIDATION_EMPTY the validation part leaves nothing to fit: it has 3 pairs, and 0 are left"),
    ],
)
def test_an_empty_part_is_told(spark: SparkSession, train: list[Any], holdout: list[Any], expected: str) -> None:
    parts = Parts(*(spark.createDataFrame(rows, PAIRS) for rows in (train, [], holdout)))
    items = spark.createDataFrame([], "itemid string, item_index int")
    with pytest.raises(DataQualityError, match=expected):
        Prepared(parts, spark.createDataFrame([], ROWS), items, scoring(), same_pairs=True)
