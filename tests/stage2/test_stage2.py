from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import DataFrame, Row, SparkSession

from recommender.errors import ConfigError
from recommender.evaluation import METRICS, PER_VISITOR
from recommender.settings.step import parameters
from recommender.spark.row_counts import StepRows
from recommender.stage import Previous
from recommender.stage2.main import Stage2
from recommender.stage2.steps import ModelGate
from recommender.tables import schemas
from recommender.tables.parquet import read_table

Factors = Mapping[int, NDArray[np.float64]]

CONFIG: Mapping[str, Mapping[str, Any]] = {
    "als": {"rank": 2, "max_iter": 1, "alpha": 3.0, "reg_param": 0.2},
    "evaluator": {"cutoffs": [1, 2], "replicates": 50},
    "gate": {"k": 2},
}
MODELS = ("als", "popular", "recent_popular", "item_to_item")
# Summed: item 0 has 12, item 1 has 9, item 2 has 6, item 3 has 2.
PAIRS = [(0, 0, 5.0), (0, 1, 4.0), (1, 0, 7.0), (1, 3, 1.0), (2, 1, 5.0), (2, 2, 3.0), (3, 2, 3.0), (3, 3, 1.0)]
SCORES = [(*pair, 8) for pair in PAIRS]
HISTORY = [
    (10, 0, "addtocart", 5.0, 1),
    (11, 1, "view", 1.0, 2),
    (11, 1, "transaction", 10.0, 3),
    (11, 2, "view", 1.0, 4),
    (12, 99, "view", 1.0, 5),  # an item that was not in training
]
HOLDOUT = [(10, 2, 1.0, 9), (11, 0, 1.0, 9), (11, 3, 1.0, 9), (12, 0, 1.0, 9)]
POPULAR = [0, 1, 2, 3]


class Watched:
    """A step, and the options that it was executed with."""

    def __init__(self, step: Any) -> None:
        self.step = step
        self.options: dict[str, Any] = {}

    def execute(self, *tables: DataFrame, **options: Any) -> Any:
        self.options = options
        return self.step.execute(*tables, **options)


class Run(NamedTuple):
    stage: Stage2
    fold_in: Watched
    path: Path
    data: dict[str, Any]


DAY = 86_400_000
# Item 0 was last seen two days before the others in the training part, and last of all in the log.
ITEMS = [(500, 0, 9, 9.0, 9 * DAY, 3 * DAY), *((500 + n, n, 9, 9.0, 5 * DAY, 5 * DAY) for n in (1, 2, 3))]


def tables(spark: SparkSession) -> dict[str, DataFrame]:
    rows: dict[str, Sequence[Any]] = {"scores": SCORES, "history": HISTORY, "holdout": HOLDOUT, "items": ITEMS}
    types = {name: schemas.TABLES[name].replace("itemid id", "itemid long") for name in rows}
    return {name: spark.createDataFrame(rows[name], types[name]) for name in rows}


@pytest.fixture(scope="module")
def run(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Run:
    stage, path = Stage2(CONFIG), tmp_path_factory.mktemp("stage2")
    fold_in = stage.steps.fold_in = Watched(stage.steps.fold_in)
    return Run(stage, fold_in, path, stage.execute_persist(str(path), **tables(spark)))


def with_the_model_of(run: Run, config: Mapping[str, Mapping[str, Any]]) -> Stage2:
    """A stage that takes a model that is fitted already."""
    stage = Stage2(config)
    als = stage.steps.als
    stage.steps.als = SimpleNamespace(
        **parameters(als), execute=lambda *_: run.data["model"], facts=als.facts, histogram=als.histogram
    )
    return stage


@pytest.fixture(scope="module")
def metrics(run: Run) -> dict[tuple[str, str, int], Row]:
    rows = read_table(f"{run.path}/metrics", run.data["metrics"].schema).collect()
    return {(row["model"], row["metric"], row["k"]): row for row in rows}


def folded_in(item_factors: Factors, visitor: int) -> NDArray[np.float64] | None:
    """The paper's equation 4, with alpha 3 and regParam 0.2; the scores of a pair are summed."""
    y = np.array([item_factors[item] for item in POPULAR])
    scores = np.zeros(4)
    for who, item, _, score, _ in HISTORY:
        if who == visitor and item in POPULAR:
            scores[item] += score
    if not scores.any():
        return None
    confidence = np.diag(1 + 3 * scores)
    preference = (scores > 0).astype(float)
    left = y.T @ confidence @ y + 0.2 * preference.sum() * np.eye(2)
    solution: NDArray[np.float64] = np.linalg.solve(left, y.T @ confidence @ preference)
    return solution


def first_two(visitor: int, factors: Factors | None) -> list[int]:
    """The list by the rules: nothing that the visitor has seen, popular items where there are no factors."""
    barred = {item for who, item, *_ in HISTORY if who == visitor}
    own = folded_in(factors, visitor) if factors else None
    ranked = sorted(POPULAR, key=lambda item: -own @ factors[item]) if factors and own is not None else POPULAR
    return [item for item in ranked if item not in barred][:2]


def test_the_result_has_the_model_and_the_tables_of_the_contract(run: Run) -> None:
    assert list(run.data) == ["model", "popularity", "recent_popularity", "metrics", "segment_metrics", "bootstrap"]
    assert isinstance(run.data["model"], ALSModel)
    for name in list(run.data)[1:]:
        assert schemas.mismatch(name, run.data[name].dtypes) == ""


def test_the_stored_model_and_tables_can_be_read_again(spark: SparkSession, run: Run) -> None:
    for name, count in (("userFactors", 4), ("itemFactors", 4)):
        stored = spark.read.parquet(f"{run.path}/model/{name}")
        assert schemas.mismatch(f"model/{name}", stored.dtypes) == ""
        assert stored.count() == count
    popularity = read_table(f"{run.path}/popularity", run.data["popularity"].schema)
    assert dict(popularity.collect()) == {0: 12.0, 1: 9.0, 2: 6.0, 3: 2.0}


def test_every_metric_of_all_models_is_reported_for_all_visitors_with_a_holdout(
    metrics: dict[tuple[str, str, int], Row],
) -> None:
    assert metrics.keys() == {(model, name, k) for model in MODELS for name in METRICS for k in (1, 2)}
    assert {row["visitors"] for row in metrics.values()} == {3}


def test_the_visitors_are_looked_at_apart_by_what_is_known_of_them(run: Run) -> None:
    rows = read_table(f"{run.path}/segment_metrics", run.data["segment_metrics"].schema)
    found = {row["segment"]: row["visitors"] for row in rows.collect()}
    assert found == {"history 1": 2, "history 2-5": 1, "new": 3}


def test_the_replicates_are_stored_for_all_models(run: Run) -> None:
    rows = read_table(f"{run.path}/bootstrap", run.data["bootstrap"].schema).collect()
    assert {(row["model"], row["metric"], row["k"]) for row in rows} == {
        (model, name, k) for model in MODELS for name in PER_VISITOR for k in (1, 2)
    }
    assert {len(row["means"]) for row in rows} == {CONFIG["evaluator"]["replicates"]}


def test_nothing_stays_cached(run: Run) -> None:
    for name in ("metrics", "segment_metrics", "bootstrap"):
        plan = run.data[name].select("*")._jdf.queryExecution().optimizedPlan().toString()  # type: ignore[operator]
        assert "InMemoryRelation" not in plan


def test_the_popular_lists_are_judged_by_the_rules_of_the_shop(metrics: dict[tuple[str, str, int], Row]) -> None:
    # 10 gets 1, 2 (and took 2); 11 gets 0, 3 (took both); 12 gets 0, 1 (took 0).
    assert [first_two(visitor, None) for visitor in (10, 11, 12)] == [[1, 2], [0, 3], [0, 1]]
    assert metrics["popular", "mrr", 2]["value"] == pytest.approx((1 / 2 + 1 + 1) / 3)
    assert metrics["popular", "recall", 2]["value"] == 1
    assert metrics["popular", "hit_rate", 1]["value"] == pytest.approx(2 / 3)


def test_the_evaluated_visitors_are_folded_in_with_the_parameters_of_the_fit(run: Run) -> None:
    assert run.fold_in.options == {
        "implicit_prefs": True,
        "alpha": 3.0,
        "reg_param": 0.2,
        "nonnegative": False,
        "reg_exponent": 1.0,
        "visitor_count": 3,
    }


def test_the_lists_of_als_are_judged_as_folded_in_by_hand(run: Run, metrics: dict[tuple[str, str, int], Row]) -> None:
    factors = {row["id"]: np.array(row["features"]) for row in run.data["model"].itemFactors.collect()}
    held = {10: {2}, 11: {0, 3}, 12: {0}}
    hits = {visitor: [item in held[visitor] for item in first_two(visitor, factors)] for visitor in held}
    assert metrics["als", "recall", 2]["value"] == pytest.approx(sum(sum(hits[v]) / len(held[v]) for v in held) / 3)
    assert metrics["als", "hit_rate", 1]["value"] == pytest.approx(sum(hits[v][0] for v in held) / 3)
    reciprocal = [1.0 if first else second / 2 for first, second in hits.values()]
    assert metrics["als", "mrr", 2]["value"] == pytest.approx(sum(reciprocal) / 3)


def test_the_report_counts_the_rows_of_each_step(run: Run) -> None:
    assert run.stage.report(run.stage.counter.rows()) == [
        StepRows("als", 8, None, "rank 2, regParam 0.2, implicit, alpha 3"),
        StepRows("popularity", 8, 4),
        StepRows("evaluator", 3, 4 * 11 * 2, f"held-out visitors, their lists by {', '.join(MODELS)}"),
        StepRows("gate", None, None, run.stage.verdict.sentence if run.stage.verdict else ""),
    ]


def test_the_verdict_and_the_weights_are_in_the_record(run: Run, metrics: dict[tuple[str, str, int], Row]) -> None:
    details = run.stage.details()
    als, popular = (metrics[model, "ndcg", 2]["value"] for model in ("als", "popular"))
    assert details["blessed"] is (als >= popular)
    (compared,) = details["gate"]["compared"]
    assert (compared["model"], compared["candidate"], compared["other"]) == ("popular", als, popular)
    assert details["gate"]["live"] is None
    weights = {(each["from"], each["to"]): each["pairs"] for each in details["weights"] if each["pairs"]}
    assert weights == {(4.0, 8.0): 2, (8.0, 16.0): 3, (16.0, 32.0): 3}  # 1 + 3 * score


def test_neighbours_and_recent_popularity_are_judged_by_the_same_rules(
    metrics: dict[tuple[str, str, int], Row],
) -> None:
    # All events are of the same time, so what is recent is what is popular.
    for name in PER_VISITOR:
        assert metrics["recent_popular", name, 2]["value"] == metrics["popular", name, 2]["value"]
    # Item 0 goes with 1 and 3, as much with one as with the other, 1 with 0 and 2, 2 with 1 and 3. So 10, who has 0 in
    # the cart, gets 1, 3; 11, who has viewed 2 and bought 1, gets 0, 3; 12 knows no item and gets 0, 1.
    assert metrics["item_to_item", "recall", 2]["value"] == pytest.approx((0 + 1 + 1) / 3)
    assert metrics["item_to_item", "hit_rate", 1]["value"] == pytest.approx((0 + 1 + 1) / 3)


def test_the_live_model_is_judged_beside_the_candidate(spark: SparkSession, run: Run, tmp_path: Path) -> None:
    config = {**CONFIG, "evaluator": {"cutoffs": [2], "metrics": ["ndcg"]}, "gate": {"k": 2, "beat": []}}
    record = {"run": "sunday", "attempt": "a", "fitted_pairs": 100, "config": {"als": parameters(run.stage.steps.als)}}
    live = Previous(record, {"model/itemFactors": run.data["model"].itemFactors})
    stage = with_the_model_of(run, config)
    assert stage.continues() == ["model/itemFactors", "neighbours"]
    stage.execute_persist(str(tmp_path), **tables(spark), previous=live)
    details = stage.details()
    (compared,) = details["gate"]["compared"]
    assert (compared["model"], compared["difference"], compared["low"], compared["high"]) == ("live", 0, 0, 0)
    assert details["gate"]["live"] == {"run": "sunday", "attempt": "a"}
    assert [reason["sentence"] for reason in details["gate"]["reasons"]] == [
        "8 pairs to learn from, 92% fewer than the live model's 100, limit 50%"
    ]


def test_neighbours_are_stored_if_the_gate_chooses_them_and_compared_with_if_they_are_live(
    spark: SparkSession, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = {"evaluator": {"cutoffs": [2], "metrics": ["ndcg"], "replicates": 20}, "blend": {"weight": 0.1}}
    config = {**CONFIG, **only, "gate": {"k": 2, "beat": [], "publish_model": "best"}}
    near = Stage2({}).steps.item_to_item.execute(tables(spark)["scores"]).where("neighbour_index > 1")
    als = {"als": parameters(run.stage.steps.als)}
    live = Previous({"run": "sunday", "attempt": "a", "config": als}, {})
    for chosen, of_live in (("als", {}), ("item_to_item", {"neighbours": near})):
        monkeypatch.setattr(ModelGate, "_chosen", lambda *_, chosen=chosen: (chosen, f"{chosen} is chosen"))
        stage = with_the_model_of(run, config)
        previous = replace(live, tables={"model/itemFactors": run.data["model"].itemFactors, **of_live})
        data = stage.execute_persist(f"{tmp_path}/{chosen}", **tables(spark), previous=previous)
        details = stage.details()
        values = {row["model"]: row["value"] for row in details["metrics"]}
        (compared,) = details["gate"]["compared"]
        assert (compared["model"], compared["candidate"]) == ("live", values[chosen])
        assert (details["gate"]["model"], details["gate"]["choice"]) == (chosen, f"{chosen} is chosen")
        is_stored = chosen == "item_to_item"
        assert ("neighbours" in data, (tmp_path / chosen / "neighbours").exists()) == (is_stored, is_stored)
        assert ("neighbours" in stage.counter.rows()) is is_stored
        ignored = ["stage3.blend.weight has no effect: the lists of item_to_item are not blended"]
        assert details.get("warnings", []) == (ignored if is_stored else [])
    # The live neighbours lack items 0 and 1, so that 11 and 12 get 0 as a popular item only.
    assert values["live"] != values["als"]
    assert schemas.mismatch("neighbours", data["neighbours"].dtypes) == ""
    assert data["neighbours"].count() == stage.counter.rows()["neighbours"] == 8


def test_no_live_model_is_asked_for_where_it_does_not_matter() -> None:
    assert Stage2({"gate": {"min_gain_over_live": None, "max_drop": None}}).continues() is None


def test_a_gate_that_looks_at_what_is_not_measured_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^CFG_VALUE gate.k must be one of evaluator.cutoffs \(1, 5\), got 10$"):
        Stage2({"evaluator": {"cutoffs": [1, 5]}})
    with pytest.raises(ConfigError, match=r"gate looks at ndcg, overlap, which evaluator.metrics does not have"):
        Stage2({"evaluator": {"metrics": ["recall"]}, "gate": {"max_overlap": 0.5}})


def test_the_judged_lists_follow_the_settings_of_the_recommendations(
    spark: SparkSession, run: Run, metrics: dict[tuple[str, str, int], Row]
) -> None:
    other_rules = {**CONFIG, "recommend": {"exclude_events": [], "k": 1}, "evaluator": {"cutoffs": [2]}}
    stage = with_the_model_of(run, other_rules)
    rows = stage.execute(**tables(spark))["metrics"].where("metric = 'mrr'").collect()
    values = {row["model"]: row["value"] for row in rows}
    # Everybody gets 0, 1 now: 10 took 2, 11 took 0 and 3, 12 took 0.
    assert values["popular"] == pytest.approx((0 + 1 + 1) / 3)
    assert values["popular"] != metrics["popular", "mrr", 2]["value"]


def test_without_a_holdout_there_is_a_model_and_nothing_to_judge(spark: SparkSession, run: Run, tmp_path: Path) -> None:
    stage = with_the_model_of(run, {**CONFIG, "evaluator": {"cutoffs": [1]}, "gate": {"k": 1}})
    inputs = {**tables(spark), "holdout": spark.createDataFrame([], schemas.TABLES["holdout"])}
    data = stage.execute_persist(str(tmp_path), **inputs)
    assert read_table(f"{tmp_path}/metrics", data["metrics"].schema).collect() == []
    counted = [(rows.rows_in, rows.rows_out) for rows in stage.report(stage.counter.rows())]
    assert counted == [(8, None), (8, 4), (0, 0), (None, None)]
    assert [reason["id"] for reason in stage.details()["gate"]["reasons"]] == ["EVAL_EMPTY"]


def test_all_mistakes_of_a_config_are_listed() -> None:
    with pytest.raises(ConfigError) as error:
        Stage2({"evalutor": {}, "als": {"rank": 0}, "recommend": {"k": 0}})
    assert error.value.sentence == (
        "evalutor, did you mean evaluator; als.rank must be 1..1000, got 0; recommend.k must be 1..1000, got 0"
    )


def test_only_the_baselines_that_are_asked_for_are_judged(spark: SparkSession, run: Run, tmp_path: Path) -> None:
    stage = with_the_model_of(
        run, {**CONFIG, "baselines": {"models": ["recent_popular"]}, "gate": {"k": 2, "beat": []}}
    )
    data = stage.execute_persist(str(tmp_path), **tables(spark))
    assert stage.models == ["als", "recent_popular"]
    found = {row["model"] for row in read_table(f"{tmp_path}/metrics", data["metrics"].schema).collect()}
    assert found == {"als", "recent_popular"}


def test_the_gate_asks_for_no_baseline_that_is_not_judged() -> None:
    with pytest.raises(ConfigError, match=r"gate\.beat asks for popular, which baselines\.models does not have"):
        Stage2({"baselines": {"models": []}})
    with pytest.raises(ConfigError, match=r"baselines\.models"):
        Stage2({"baselines": {"models": ["best"]}})
