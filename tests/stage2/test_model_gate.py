import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from recommender.errors import ConfigError
from recommender.stage2.steps import ModelGate
from recommender.stage2.steps.model_gate import Verdict

METRICS = "model string, metric string, k int, value double, visitors long"
BOOTSTRAP = "model string, metric string, k int, means array<double>"


def judge(
    spark: SparkSession,
    gate: ModelGate,
    values: Mapping[str, float | None],
    means: Mapping[str, Sequence[float]] | None = None,
    *,
    others: Mapping[str, float] | None = None,
    visitors: int = 90,
    **pairs: Any,
) -> Verdict:
    """The gate's verdict on models of which one metric is given, with further metrics of als."""
    rows: list[Any] = [(model, gate.metric, gate.k, value, visitors) for model, value in values.items()]
    rows += [(model, gate.metric, gate.k + 1, 0.0, visitors) for model in values]  # another cut-off does not matter
    rows += [("als", name, gate.k, value, visitors) for name, value in (others or {}).items()]
    replicates = [(model, gate.metric, gate.k, list(each)) for model, each in (means or {}).items()]
    return gate.execute(
        spark.createDataFrame(rows, METRICS),
        spark.createDataFrame(replicates, BOOTSTRAP),
        **{"pairs": 100, **pairs},
    )


def sentences(verdict: Verdict) -> list[str]:
    return [str(reason.sentence) for reason in verdict.reasons]


def test_a_model_that_is_better_than_popularity_is_blessed(spark: SparkSession) -> None:
    verdict = judge(spark, ModelGate(), {"als": 0.034, "popular": 0.031})
    assert verdict.blessed
    assert (verdict.metric, verdict.visitors) == ("ndcg@10", 90)
    [comparison] = verdict.compared
    assert (comparison.model, comparison.passed, comparison.low) == ("popular", True, None)
    assert comparison.difference == pytest.approx(0.003)


def test_a_model_that_is_worse_than_popularity_is_not(spark: SparkSession) -> None:
    verdict = judge(spark, ModelGate(), {"als": 0.031, "popular": 0.034})
    assert not verdict.blessed
    assert [reason.id for reason in verdict.reasons] == ["NOT_BLESSED"]
    assert sentences(verdict) == ["ndcg@10 0.031 < 0.034, that of popular"]


def test_the_interval_of_the_difference_is_that_of_paired_replicates(spark: SparkSession) -> None:
    draws = np.random.default_rng(1)
    easy = draws.normal(0.5, 0.1, 400)  # what makes a replicate easy for both cancels
    means = {"als": easy + draws.normal(0.01, 0.001, 400), "popular": easy}
    verdict = judge(spark, ModelGate(), {"als": 0.51, "popular": 0.5}, {m: v.tolist() for m, v in means.items()})
    [comparison] = verdict.compared
    low, high = np.quantile(means["als"] - means["popular"], [0.025, 0.975])
    assert comparison.low == pytest.approx(low)
    assert comparison.high == pytest.approx(high)
    assert high - low < 0.01 < np.ptp(easy)  # far narrower than either mean's own interval


@pytest.mark.parametrize(
    ("evidence", "spread", "difference", "passes"),
    [
        ("low", 0.001, 0.01, True),
        ("low", 0.02, 0.01, False),
        ("value", 0.02, 0.01, True),
        ("value", 0.02, -0.01, False),
        ("high", 0.02, -0.01, True),
        ("high", 0.001, -0.01, False),
    ],
)
def test_the_evidence_says_which_end_of_the_interval_must_reach_the_gain(
    spark: SparkSession, evidence: Any, spread: float, difference: float, passes: bool
) -> None:
    means = {"als": np.linspace(0.3 + difference - spread, 0.3 + difference + spread, 201), "live": np.full(201, 0.3)}
    gate = ModelGate(beat=[], evidence_over_live=evidence)
    verdict = judge(spark, gate, {"als": 0.3 + difference, "live": 0.3}, {m: v.tolist() for m, v in means.items()})
    assert verdict.blessed is passes
    assert [comparison.passed for comparison in verdict.compared] == [passes]


def test_a_tie_is_no_loss(spark: SparkSession) -> None:
    """The same log once more, by --force, makes the same model."""
    same = {model: [0.28, 0.3, 0.35] for model in ("als", "popular", "live")}
    for evidence in ("low", "value", "high"):
        gate = ModelGate(evidence_over_baselines=evidence, evidence_over_live=evidence)  # type: ignore[arg-type]
        assert judge(spark, gate, {"als": 0.31, "popular": 0.31, "live": 0.31}, same).blessed


def test_a_visitor_without_a_list_has_a_short_one(spark: SparkSession) -> None:
    rows = [("als", "ndcg", 10, 0.3, 100), ("popular", "ndcg", 10, 0.1, 100), ("als", "short_lists", 10, 0.2, 50)]
    metrics, bootstrap = spark.createDataFrame(rows, METRICS), spark.createDataFrame([], BOOTSTRAP)
    assert sentences(ModelGate(max_short_lists=0.5).execute(metrics, bootstrap, pairs=1)) == [
        "short_lists@10 0.6 > limit 0.5"
    ]
    assert ModelGate(max_short_lists=0.6).execute(metrics, bootstrap, pairs=1).blessed


def test_a_comparison_that_compares_nothing_is_no_pass(spark: SparkSession) -> None:
    def refused(verdict: Verdict) -> list[tuple[str, str]]:
        return [(reason.id, reason.sentence) for reason in verdict.reasons]

    gate = ModelGate(beat=["popular", "item_to_item"])
    absent = judge(spark, gate, {"als": 0.3, "popular": 0.1})
    assert refused(absent) == [("NOT_COMPARED", "item_to_item was not judged; see stage2.gate.beat")]
    void = judge(spark, ModelGate(), {"als": 0.3, "popular": 0.1, "live": 0.0})
    told = "ndcg@10 of the live model is 0: it knows none of these visitors and items"
    assert refused(void) == [("NOT_COMPARED", told)]
    values = {"als": 0.3, "popular": 0.1}
    why = "not compared with the live version: its visitors and items are numbered otherwise"
    assert refused(judge(spark, ModelGate(), values, not_compared=why)) == [("NOT_COMPARED", why)]
    assert judge(spark, ModelGate(min_gain_over_live=None), values, not_compared=why).blessed


def test_what_is_not_proven_is_said_so(spark: SparkSession) -> None:
    means = {"als": [0.28, 0.3, 0.35], "popular": [0.3, 0.3, 0.3]}
    verdict = judge(spark, ModelGate(evidence_over_baselines="low"), {"als": 0.31, "popular": 0.3}, means)
    assert sentences(verdict) == [
        "ndcg@10 0.31 is not proven to reach 0.3, asked for by popular (difference -0.019 to 0.0475)"
    ]


def test_a_gain_can_be_asked_for_and_a_loss_allowed(spark: SparkSession) -> None:
    values = {"als": 0.33, "popular": 0.31, "live": 0.34}
    strict = ModelGate(min_gain_over_baselines=0.1, evidence_over_live="value", min_gain_over_live=-0.05)
    assert sentences(judge(spark, strict, values)) == ["ndcg@10 0.33 < 0.341, what popular's 0.31 asks for"]
    loose = ModelGate(min_gain_over_baselines=0.05, evidence_over_live="value", min_gain_over_live=-0.05)
    assert judge(spark, loose, values).blessed
    equal = ModelGate(evidence_over_live="value")
    assert sentences(judge(spark, equal, values)) == ["ndcg@10 0.33 < 0.34, that of live"]


def test_the_live_model_does_not_matter_where_it_is_not_compared(spark: SparkSession) -> None:
    verdict = judge(spark, ModelGate(min_gain_over_live=None), {"als": 0.3, "popular": 0.1, "live": 0.9})
    assert verdict.blessed
    assert [comparison.model for comparison in verdict.compared] == ["popular"]


def test_every_reason_is_told(spark: SparkSession) -> None:
    gate = ModelGate(min_coverage=0.2, max_overlap=0.5, max_short_lists=0.1, beat=["popular", "item_to_item"])
    others = {"coverage": 0.1, "overlap": 0.75, "short_lists": 0.25}
    values = {"als": 0.1, "popular": 0.2, "item_to_item": 0.3}
    verdict = judge(spark, gate, values, others=others, pairs=40, live_pairs=100)
    assert sentences(verdict) == [
        "ndcg@10 0.1 < 0.2, that of popular",
        "ndcg@10 0.1 < 0.3, that of item_to_item",
        "coverage@10 0.1 < limit 0.2",
        "overlap@10 0.75 > limit 0.5",
        "short_lists@10 0.25 > limit 0.1",
        "40 pairs to learn from, 60% fewer than the live model's 100, limit 50%",
    ]


def test_guardrails_that_are_kept_are_no_reason(spark: SparkSession) -> None:
    gate = ModelGate(min_coverage=0.2, max_overlap=0.5, max_short_lists=0.1)
    others = {"coverage": 0.2, "overlap": 0.5, "short_lists": 0.1}
    assert judge(spark, gate, {"als": 0.2, "popular": 0.1}, others=others, pairs=50, live_pairs=100).blessed


def test_guardrails_alone_need_no_metric_of_visitors(spark: SparkSession) -> None:
    gate = ModelGate(beat=[], min_gain_over_live=None, min_coverage=0.2)
    assert judge(spark, gate, {}, others={"coverage": 0.2}).blessed
    assert not judge(spark, gate, {}, others={"coverage": 0.1}).blessed
    assert judge(spark, gate, {"als": 0.0, "popular": 0.1}, others={"coverage": 0.2}).blessed


def test_a_single_visitor_proves_nothing(spark: SparkSession) -> None:
    gate = ModelGate(evidence_over_baselines="low")
    values, means = {"als": 0.4, "popular": 0.3}, {"als": [0.4] * 9, "popular": [0.3] * 9}
    assert judge(spark, gate, values, means).blessed
    verdict = judge(spark, gate, values, means, visitors=1)
    assert sentences(verdict) == ["ndcg@10 0.4 is not proven to reach 0.3, asked for by popular"]
    assert verdict.compared[0].low is None


def test_a_proof_without_replicates_is_refused() -> None:
    told = "gate.evidence_over_baselines low asks for an interval, and evaluator.replicates is 0"
    assert ModelGate(evidence_over_baselines="low").missing_from([10], ["ndcg"], 0) == told
    assert ModelGate(evidence_over_baselines="low").missing_from([10], ["ndcg"], 9) == ""


def test_a_guardrail_that_was_not_measured_is_a_reason(spark: SparkSession) -> None:
    verdict = judge(spark, ModelGate(max_overlap=0.5), {"als": 0.2, "popular": 0.1})
    assert [(reason.id, reason.sentence) for reason in verdict.reasons] == [
        ("METRIC_NAN", "overlap@10 of als is not a number")
    ]


def test_36_without_visitors_nothing_is_blessed(spark: SparkSession) -> None:
    verdict = judge(spark, ModelGate(), {})
    assert [reason.id for reason in verdict.reasons] == ["EVAL_EMPTY"]
    assert sentences(verdict)[0].startswith(
        "no visitor has a holdout, so nothing says how good the model is; see stage1"
    )


@pytest.mark.parametrize(
    "values",
    [
        {"als": math.nan, "popular": 0.1},
        {"als": 0.1, "popular": math.nan},
        {"als": math.inf, "popular": 0.1},
        {"popular": 0.1},
    ],
)
def test_36_a_metric_that_is_no_number_is_never_blessed(spark: SparkSession, values: Mapping[str, float]) -> None:
    gate = ModelGate() if "als" in values else ModelGate(beat=[])
    verdict = judge(spark, gate, values)
    assert [reason.id for reason in verdict.reasons] == ["METRIC_NAN"]


def test_a_model_without_a_single_hit_is_not_blessed(spark: SparkSession) -> None:
    verdict = judge(spark, ModelGate(), {"als": 0.0, "popular": 0.0})
    assert sentences(verdict) == ["ndcg@10 is 0: no list has an item that its visitor took"]


def test_with_nothing_asked_for_nothing_is_refused(spark: SparkSession) -> None:
    gate = ModelGate(beat=[], min_gain_over_live=None, max_drop=None)
    assert judge(spark, gate, {}, pairs=1, live_pairs=100).blessed


def test_another_metric_and_cut_off_can_decide(spark: SparkSession) -> None:
    verdict = judge(spark, ModelGate(metric="recall", k=20), {"als": 0.1, "popular": 0.2})
    assert sentences(verdict) == ["recall@20 0.1 < 0.2, that of popular"]


def test_a_limit_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError) as error:
        ModelGate(max_overlap=1.5, metric="rmse")  # type: ignore[arg-type]
    assert [str(mistake) for mistake in error.value.mistakes] == [
        "CFG_RANGE metric must be one of ndcg, recall, precision, map, mrr, hit_rate, got 'rmse'",
        "CFG_RANGE max_overlap must be 0..1, got 1.5",
    ]


BEST = {"als": 0.30, "item_to_item": 0.33, "popular": 0.1}


def spread(values: Mapping[str, float], by: float) -> dict[str, list[float]]:
    """Replicates whose difference from those of als has about this spread."""
    noise = np.linspace(-by, by, 101)
    return {
        model: (value + (noise if model == "item_to_item" else 0 * noise)).tolist() for model, value in values.items()
    }


def test_the_neighbour_model_is_chosen_where_it_is_proven_better(spark: SparkSession) -> None:
    gate = ModelGate(publish_model="best", beat=["popular", "item_to_item"])
    verdict = judge(spark, gate, BEST, spread(BEST, 0.01))
    assert (verdict.model, verdict.blessed) == ("item_to_item", True)
    assert verdict.choice == (
        "item_to_item is chosen, proven better than als: ndcg@10 0.33 against 0.3 (difference 0.0205 to 0.0395)"
    )
    assert [(each.model, each.candidate) for each in verdict.compared] == [("popular", 0.33)]  # not with itself
    assert verdict.sentence == f"{verdict.choice}; blessed: ndcg@10 0.33, popular 0.1"


@pytest.mark.parametrize(
    ("values", "by", "why"),
    [
        (BEST, 0.05, "item_to_item is not proven better: ndcg@10 0.33 against 0.3 (difference -0.0175 to 0.0775)"),
        (BEST, None, "item_to_item is not proven better: ndcg@10 0.33 against 0.3 (no interval)"),
        ({"als": 0.3, "popular": 0.1}, 0.01, "item_to_item was not compared with it"),
    ],
)
def test_als_stays_where_nothing_is_proven(
    spark: SparkSession, values: Mapping[str, float], by: float | None, why: str
) -> None:
    verdict = judge(spark, ModelGate(publish_model="best"), values, None if by is None else spread(values, by))
    assert (verdict.model, verdict.choice) == ("als", f"als is chosen, {why}")
    assert verdict.compared[0].candidate == 0.3


def test_als_is_published_unless_another_model_is_asked_for(spark: SparkSession) -> None:
    verdict = judge(spark, ModelGate(), BEST, spread(BEST, 0.001))
    assert (verdict.model, verdict.choice) == ("als", "")


def test_what_else_is_asked_is_asked_of_the_chosen_model(spark: SparkSession) -> None:
    rows = [(model, "ndcg", 10, value, 90) for model, value in {**BEST, "live": 0.4}.items()]
    rows += [("als", "coverage", 10, 0.9, 90), ("item_to_item", "coverage", 10, 0.1, 90)]
    rows += [("als", "short_lists", 10, 0.0, 90), ("item_to_item", "short_lists", 10, 0.2, 45)]
    means = [(model, "ndcg", 10, each) for model, each in spread({**BEST, "live": 0.4}, 0.01).items()]
    gate = ModelGate(publish_model="best", min_coverage=0.5, max_short_lists=0.5)
    frames = spark.createDataFrame(rows, METRICS), spark.createDataFrame(means, BOOTSTRAP)
    assert sentences(gate.execute(*frames, pairs=1)) == [
        "ndcg@10 0.33 < 0.4, that of live (difference -0.0795 to -0.0605)",
        "coverage@10 0.1 < limit 0.5",
        "short_lists@10 0.6 > limit 0.5",
    ]


def test_a_choice_needs_both_models_and_an_interval() -> None:
    gate = ModelGate(publish_model="best")
    assert gate.missing_from([10], ["ndcg"], 9, ["popular", "item_to_item"]) == ""
    told = "gate.publish_model best looks at item_to_item, which baselines.models does not have"
    assert gate.missing_from([10], ["ndcg"], 9, ["popular"]) == told
    told = "gate.publish_model best asks for an interval, and evaluator.replicates is 0"
    assert gate.missing_from([10], ["ndcg"], 0) == told
    alone = ModelGate(publish_model="best", beat=[], min_gain_over_live=None)
    assert alone.missing_from([10], ["recall"], 9) == "gate looks at ndcg, which evaluator.metrics does not have"
