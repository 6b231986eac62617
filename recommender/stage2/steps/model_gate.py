"""Decide which model is published, and whether it is good enough.

Example usage:
>>> metrics = spark.createDataFrame([("als", "ndcg", 10, 0.031, 90), ("popular", "ndcg", 10, 0.034, 90)],
...                                 "model string, metric string, k int, value double, visitors long")
>>> bootstrap = spark.createDataFrame([("als", "ndcg", 10, [0.030, 0.032]), ("popular", "ndcg", 10, [0.035, 0.033])],
...                                   "model string, metric string, k int, means array<double>")
>>> verdict = ModelGate().execute(metrics, bootstrap, pairs=100)
>>> verdict.blessed, verdict.reasons
(False, [Reason(id='NOT_BLESSED', sentence='ndcg@10 0.031 < 0.034, that of popular (difference -0.0049 to -0.0011)')])
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pyspark.sql import DataFrame, Row, functions as F

import recommender.constants as C
from recommender.evaluation import VisitorMetric
from recommender.settings.step import Annotated, Field, field, step
from recommender.spark.aggregates import fetch

Means = Mapping[str, np.ndarray[Any, Any]]
Evidence = Literal["low", "value", "high"]
_INTERVAL = (0.025, 0.975)
_FEWEST = 2  # visitors, for an interval
_SHORT = "short_lists"


@dataclass(frozen=True)
class Reason:
    """Why a model is not blessed: an id for machines, a sentence for people."""

    id: str
    sentence: str


@dataclass(frozen=True)
class Comparison:
    """The candidate beside another model, on the same visitors.

    candidate, other: the metric of both. difference: candidate - other; low, high: its 95 % interval, null where there
    is none. needed: what the metric of the candidate had to reach. passed: whether the evidence asked for is there.
    """

    model: str
    candidate: float
    other: float
    difference: float
    low: float | None
    high: float | None
    needed: float
    passed: bool


@dataclass(frozen=True)
class Verdict:
    """The decision of the gate: blessed if there is no reason against it.

    model: the one that the decision is about, als or item_to_item. choice: why it is that one; empty if there was no
    choice.
    """

    metric: str
    visitors: int
    compared: Sequence[Comparison]
    reasons: Sequence[Reason]
    model: str = C.ALS
    choice: str = ""

    @property
    def blessed(self) -> bool:
        """Return whether the model may be published."""
        return not self.reasons

    @property
    def sentence(self) -> str:
        """Return it for people."""
        chosen = f"{self.choice}; " if self.choice else ""
        if self.reasons:
            return f"{chosen}not blessed: {'; '.join(reason.sentence for reason in self.reasons)}"
        if not self.compared:
            return f"{chosen}blessed"
        others = ", ".join(f"{each.model} {each.other:.3g}" for each in self.compared)
        return f"{chosen}blessed: {self.metric} {self.compared[0].candidate:.3g}, {others}"


@step
class ModelGate:
    """Choose the candidate, compare it with the live model and with baselines, and look at its guardrails.

    All models are compared on the same visitors. The candidate is ALS, or with `publish_model: best` the neighbour
    model item_to_item if that is proven better: if the paired 95 % bootstrap interval of the difference of the metric,
    as below, is above 0. Everything else that is asked here is asked of the candidate.

    Let c and o be the means of the metric over the evaluated visitors, of the candidate and of another model, and g the
    least gain. The candidate passes if c - (1 + g) o >= 0, by the evidence that is asked for: `low` wants the lower end
    of its paired 95 % bootstrap interval there (it is proven), `value` the estimate, `high` only the upper end (it is
    not disproven). Paired means that both models are weighed alike in each replicate, so that what makes a visitor easy
    for both cancels (Efron and Tibshirani 1993, chapter 8; Sakai 2006 for ranking metrics).

    A model that is fitted anew every night is as often a little worse than the live one as it is better: against it the
    default asks only that it is not proven worse. Against the baselines the estimate decides.

    Init parameters:
        metric: what is compared.
        k: at how many places; one of the evaluator's cut-offs.
        publish_model: als: ALS is published; best: item_to_item is if it is proven better than ALS, else ALS.
        beat: baselines that must be reached: popular, recent_popular, item_to_item; the candidate is not compared with
            itself.
        min_gain_over_baselines: least gain, a ratio; 0.1 asks for 10 % more.
        min_gain_over_live: the same over the model in the channel live; negative allows a loss; null: not compared.
        evidence_over_baselines: low, value or high, as above.
        evidence_over_live: the same.
        min_coverage: least share (0 to 1) of the catalogue in the first `k` places of all lists; null: any.
        max_overlap: largest mean share (0 to 1) of places that the lists of two visitors have in common; null: any.
        max_short_lists: largest share (0 to 1) of visitors with fewer than `k` items; null: any.
        max_drop: largest share (0 to 1) by which there may be fewer pairs to learn from than the live model had; null:
            any.
    Execution args:
        metrics: model string, metric string, k int, value double, visitors long.
        bootstrap: model string, metric string, k int, means array<double>: the replicates, in the same order.
        pairs: how many pairs the candidate was fitted on.
        live_pairs: how many the live model was fitted on; null if there is none.
        not_compared: why the live model is not among the models, although there is one; empty if there is none.
    Execution returns:
        The `Verdict`. Without a visitor to judge by the reason is EVAL_EMPTY, with a metric that is not a number
        METRIC_NAN, without a model that it must be compared with NOT_COMPARED, else NOT_BLESSED. With nothing asked,
        nothing is refused.
    Raises:
        ConfigError: a parameter is out of range.
    Persist strategy: none; stage 2 puts the verdict into its commit's record.
    """

    metric: VisitorMetric = "ndcg"
    k: Annotated[int, Field(ge=1, le=1000)] = 10
    publish_model: Literal["als", "best"] = "als"
    beat: list[Literal["popular", "recent_popular", "item_to_item"]] = field(default_factory=lambda: ["popular"])
    min_gain_over_baselines: Annotated[float, Field(ge=-1)] = 0.0
    min_gain_over_live: Annotated[float, Field(ge=-1)] | None = 0.0
    evidence_over_baselines: Evidence = "value"
    evidence_over_live: Evidence = "high"
    min_coverage: Annotated[float, Field(ge=0, le=1)] | None = None
    max_overlap: Annotated[float, Field(ge=0, le=1)] | None = None
    max_short_lists: Annotated[float, Field(ge=0, le=1)] | None = None
    max_drop: Annotated[float, Field(ge=0, le=1)] | None = 0.5

    @property
    def chooses(self) -> bool:
        """Return whether another model than ALS may be published."""
        return self.publish_model == "best"

    def execute(
        self,
        metrics: DataFrame,
        bootstrap: DataFrame,
        *,
        pairs: int,
        live_pairs: int | None = None,
        not_compared: str = "",
    ) -> Verdict:
        """Return the verdict; see the class."""
        found = fetch(metrics=metrics.where(F.col("k") == self.k), bootstrap=self.compared(bootstrap))
        rows = found["metrics"], found["bootstrap"]
        return self.judge(*rows, pairs=pairs, live_pairs=live_pairs, not_compared=not_compared)

    def compared(self, bootstrap: DataFrame) -> DataFrame:
        """Return the replicates that are compared."""
        return bootstrap.where((F.col("k") == self.k) & (F.col(C.METRIC) == self.metric))

    def judge(
        self,
        metrics: Sequence[Row],
        bootstrap: Sequence[Row],
        *,
        pairs: int,
        live_pairs: int | None = None,
        not_compared: str = "",
    ) -> Verdict:
        """Return the verdict, given the rows of the metrics and those that `compared` has left of the replicates."""
        rows = [row for row in metrics if row["k"] == self.k]
        values = {(row[C.MODEL], row[C.METRIC]): row["value"] for row in rows}
        means = {row[C.MODEL]: np.array(row["means"], dtype=np.float64) for row in bootstrap}
        judged = [row["visitors"] for row in rows if row[C.METRIC] == self.metric]
        visitors = max(judged or [row["visitors"] for row in rows], default=0)
        if visitors < _FEWEST:
            means = {}  # there is no interval, however many replicates
        model, choice = self._chosen(values, means)
        listed = {row["visitors"] for row in rows if (row[C.MODEL], row[C.METRIC]) == (model, _SHORT)}
        if visitors and listed and values[model, _SHORT] is not None:  # who has no list at all has a short one, too
            values[model, _SHORT] = 1 - (1 - values[model, _SHORT]) * max(listed) / visitors
        candidate = _Candidate(model, values, means)
        compared = [self._compare(candidate, other) for other in self._opponents(candidate)]
        reasons = self._reasons(visitors, candidate, compared)
        reasons += self._void(candidate, not_compared) if visitors else []
        reasons += self._drop(pairs, live_pairs)
        return Verdict(self._name, visitors, compared, reasons, model, choice)

    def missing_from(
        self,
        cutoffs: Sequence[int],
        metrics: Sequence[str],
        replicates: int = 1000,
        baselines: Sequence[str] = (C.POPULAR, C.RECENT, C.ITEM_TO_ITEM),
    ) -> str:
        """Return a sentence about metrics that the gate needs and nobody measures; "" if all are measured."""
        unjudged = [model for model in self.beat if model not in baselines]
        if unjudged:
            return f"gate.beat asks for {', '.join(unjudged)}, which baselines.models does not have"
        if self.chooses and C.ITEM_TO_ITEM not in baselines:
            return f"gate.publish_model best looks at {C.ITEM_TO_ITEM}, which baselines.models does not have"
        wanted = self._looked_at
        proofs = {"evidence_over_baselines": self.evidence_over_baselines if self.beat else ""}
        proofs["evidence_over_live"] = self.evidence_over_live if self.min_gain_over_live is not None else ""
        unproven = [f"gate.{name} low" for name, evidence in proofs.items() if evidence == "low" and not replicates]
        unproven += ["gate.publish_model best"] if self.chooses and not replicates else []
        if unproven:
            return f"{' and '.join(unproven)} asks for an interval, and evaluator.replicates is 0"
        missing = [name for name in wanted if name not in metrics]
        if missing:
            return f"gate looks at {', '.join(missing)}, which evaluator.metrics does not have"
        if wanted and self.k not in cutoffs:
            return f"gate.k must be one of evaluator.cutoffs ({', '.join(map(str, cutoffs))}), got {self.k}"
        return ""

    @property
    def _name(self) -> str:
        return f"{self.metric}@{self.k}"

    @property
    def _limits(self) -> list[tuple[str, float, int]]:
        """The guardrails: the metric, its limit, and 1 for the largest value allowed, -1 for the smallest."""
        limits = (
            ("coverage", self.min_coverage, -1),
            ("overlap", self.max_overlap, 1),
            (_SHORT, self.max_short_lists, 1),
        )
        return [(name, limit, sign) for name, limit, sign in limits if limit is not None]

    @property
    def _looked_at(self) -> list[str]:
        """The metrics that something is asked of."""
        compared = [self.metric] if self.beat or self.chooses or self.min_gain_over_live is not None else []
        return [*compared, *(name for name, _, _ in self._limits)]

    def _chosen(self, values: Mapping[tuple[str, str], float], means: Means) -> tuple[str, str]:
        """Return the model that may be published, and why it is that one."""
        if not self.chooses:
            return C.ALS, ""
        als, other = (values.get((model, self.metric)) for model in (C.ALS, C.ITEM_TO_ITEM))
        if als is None or other is None:
            return C.ALS, f"{C.ALS} is chosen, {C.ITEM_TO_ITEM} was not compared with it"
        low, high = _interval(means, C.ITEM_TO_ITEM, C.ALS) or (math.nan, math.nan)
        interval = "no interval" if math.isnan(low) else f"difference {low:.3g} to {high:.3g}"
        found = f"{self._name} {other:.3g} against {als:.3g} ({interval})"
        if low > 0:
            return C.ITEM_TO_ITEM, f"{C.ITEM_TO_ITEM} is chosen, proven better than {C.ALS}: {found}"
        return C.ALS, f"{C.ALS} is chosen, {C.ITEM_TO_ITEM} is not proven better: {found}"

    def _opponents(self, candidate: "_Candidate") -> list[str]:
        if candidate.value(self.metric) is None:
            return []
        beat = [*self.beat, *([C.LIVE] if self.min_gain_over_live is not None else [])]
        found = (each for each in beat if each != candidate.model and (each, self.metric) in candidate.values)
        return list(dict.fromkeys(found))

    def _compare(self, judged: "_Candidate", model: str) -> Comparison:
        values, means = judged.values, judged.means
        candidate, other = values[judged.model, self.metric], values[model, self.metric]
        is_live = model == C.LIVE
        gain = (self.min_gain_over_live or 0.0) if is_live else self.min_gain_over_baselines
        evidence = self.evidence_over_live if is_live else self.evidence_over_baselines
        margin = candidate - (1 + gain) * other
        low, high = _interval(means, judged.model, model) or (None, None)
        if low is not None and evidence != "value":
            share = _INTERVAL[evidence == "high"]
            margin = float(np.nanquantile(means[judged.model] - (1 + gain) * means[model], share))
        is_proven = evidence != "low" or low is not None
        needed = (1 + gain) * other
        return Comparison(model, candidate, other, candidate - other, low, high, needed, margin >= 0 and is_proven)

    def _reasons(self, visitors: int, candidate: "_Candidate", compared: Sequence[Comparison]) -> list[Reason]:
        """Return what the metrics say against the model."""
        if not self._looked_at:
            return []
        if not visitors:
            sentence = "no visitor has a holdout, so nothing says how good the model is"
            return [Reason("EVAL_EMPTY", f"{sentence}; see stage1.holdout, or ask for nothing: stage2.gate.beat=[]")]
        if self.metric not in self._looked_at:
            return self._guarded(candidate)
        value = candidate.value(self.metric)
        measured = {candidate.model: value, **{c.model: c.other for c in compared}}
        unknown = ", ".join(model for model, value in measured.items() if value is None or not math.isfinite(value))
        if unknown:
            return [Reason("METRIC_NAN", f"{self._name} of {unknown} is not a number")]
        if value == 0:
            return [Reason("NOT_BLESSED", f"{self._name} is 0: no list has an item that its visitor took")]
        lost = [Reason("NOT_BLESSED", _lost(self._name, c)) for c in compared if not c.passed]
        return lost + self._guarded(candidate)

    def _void(self, candidate: "_Candidate", not_compared: str) -> list[Reason]:
        """Return the comparisons that were asked for and compare nothing: they would be passed by any model."""
        values = candidate.values
        absent = [model for model in self.beat if (model, self.metric) not in values]
        found = [f"{', '.join(absent)} was not judged; see stage2.gate.beat"] if absent else []
        if self.min_gain_over_live is not None:
            found += [not_compared] if not_compared else []
            if values.get((C.LIVE, self.metric)) == 0 < (candidate.value(self.metric) or 0):
                found.append(f"{self._name} of the live model is 0: it knows none of these visitors and items")
        return [Reason("NOT_COMPARED", sentence) for sentence in found]

    def _guarded(self, candidate: "_Candidate") -> list[Reason]:
        """Return the guardrails that are broken."""
        found = []
        for name, limit, sign in self._limits:
            value = candidate.value(name)
            if value is None or not math.isfinite(value):
                found.append(Reason("METRIC_NAN", f"{name}@{self.k} of {candidate.model} is not a number"))
            elif (value - limit) * sign > 0:
                is_over = ">" if sign > 0 else "<"
                found.append(Reason("NOT_BLESSED", f"{name}@{self.k} {value:.3g} {is_over} limit {limit:g}"))
        return found

    def _drop(self, pairs: int, live_pairs: int | None) -> list[Reason]:
        if self.max_drop is None or not live_pairs or pairs >= live_pairs * (1 - self.max_drop):
            return []
        sentence = f"{pairs:,} pairs to learn from, {1 - pairs / live_pairs:.0%} fewer than the live model's"
        return [Reason("NOT_BLESSED", f"{sentence} {live_pairs:,}, limit {self.max_drop:.0%}")]


@dataclass(frozen=True)
class _Candidate:
    """The model that may be published, beside the metrics and the replicates of all models."""

    model: str
    values: Mapping[tuple[str, str], float]
    means: Means

    def value(self, metric: str) -> float | None:
        """Return a metric of the candidate, None if it was not measured."""
        return self.values.get((self.model, metric))


def _interval(means: Means, model: str, other: str) -> tuple[float, float] | None:
    """Return the 95 % interval of the difference of two models, None without replicates of both."""
    ours, theirs = means.get(model, np.array([])), means.get(other, np.array([]))
    if not ours.size or ours.size != theirs.size:
        return None
    low, high = np.nanquantile(ours - theirs, _INTERVAL)
    return float(low), float(high)


def _lost(name: str, comparison: Comparison) -> str:
    """Return how a comparison was lost."""
    c = comparison
    interval = "" if c.low is None else f" (difference {c.low:.3g} to {c.high:.3g})"
    if c.candidate < c.needed:
        of = f"that of {c.model}" if c.needed == c.other else f"what {c.model}'s {c.other:.3g} asks for"
        return f"{name} {c.candidate:.3g} < {c.needed:.3g}, {of}{interval}"
    return f"{name} {c.candidate:.3g} is not proven to reach {c.needed:.3g}, asked for by {c.model}{interval}"
