"""The search without Spark: what is tried, what is kept, and what a search that was killed goes on with."""

import threading
from collections.abc import Mapping
from math import log10
from typing import Any

import numpy as np
import pytest

from recommender.errors import ConfigError, DataQualityError
from recommender.settings.step import build_steps
from recommender.tune import study as study_module
from recommender.tune.steps import AlsTuner
from recommender.tune.trial import COMPLETE, FAILED, PRUNED, Judged, Parameters, Report, Trial, best

START = {"rank": 16, "max_iter": 5, "reg_param": 0.1, "alpha": 1.0}


class Log:
    """A log of trials in memory; each record passes through JSON's types as it would on a disk."""

    def __init__(self) -> None:
        self.records: dict[int, Mapping[str, Any]] = {}

    def finished(self) -> Mapping[int, Mapping[str, Any]]:
        return dict(reversed(self.records.items()))  # in no order that matters

    def finish(self, trial: int, record: Mapping[str, Any]) -> Mapping[str, Any]:
        return self.records.setdefault(trial, record)


class Lists:
    """An objective with its best at alpha 10, rank 64, that is less good after few iterations.

    It notes what it is asked for, and may die at a call.
    """

    def __init__(self, dies_at: int | None = None, first_rungs: tuple[int, ...] = ()) -> None:
        self.asked: list[Parameters] = []
        self.dies_at = dies_at
        self.first_rungs = first_rungs

    def __call__(self, parameters: Parameters, report: Report) -> Judged:
        self.asked.append(parameters)
        if len(self.asked) - 1 == self.dies_at:
            raise RuntimeError("killed")
        value = 1 - abs(log10(parameters["alpha"]) - 1) / 4 - abs(parameters["rank"] - 64) / 200
        for iterations in self.first_rungs:
            if report(iterations, value * 0.9):
                return Judged(value * 0.9, pruned=True)
        return Judged(value, value - 0.01, value + 0.01)


def facts(trials: list[Trial]) -> list[tuple[Any, ...]]:
    """Return what does not depend on how long the trials took."""
    return [(t.number, dict(t.parameters), t.state, t.value, t.rungs) for t in trials]


def test_the_first_trial_is_what_is_configured() -> None:
    first = AlsTuner(trials=2).execute(Lists(), START)[0]
    assert (first.number, first.parameters, first.state) == (0, START, COMPLETE)
    assert first.value == pytest.approx(1 - 1 / 4 - 48 / 200)
    assert (first.low, first.high) == (pytest.approx(first.value - 0.01), pytest.approx(first.value + 0.01))


def test_what_is_configured_is_tried_also_where_it_is_outside_of_what_is_searched() -> None:
    outside = {**START, "rank": 7, "half_life_days": None}
    tuner = AlsTuner(trials=12, half_life_days={"low": 1, "high": 9})
    trials = tuner.execute(Lists(), outside)
    assert trials[0].parameters == outside
    assert all(trial.parameters["rank"] in {16, 32, 64} for trial in trials[1:])
    assert all(1 <= trial.parameters["half_life_days"] <= 9 for trial in trials[1:])


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_same_seed_tries_the_same_and_another_seed_does_not(sampler: Any) -> None:
    one, same, other = (AlsTuner(trials=14, sampler=sampler, seed=s).execute(Lists(), START) for s in (3, 3, 4))
    assert facts(one) == facts(same)
    assert facts(one)[1:] != facts(other)[1:]


def test_all_that_is_tried_lies_in_the_space() -> None:
    tuner = AlsTuner(trials=30, rank=[4, 8], max_iter=[2], reg_param={"low": 0, "high": 2}, alpha={"low": 3, "high": 3})
    for trial in tuner.execute(Lists(), START)[1:]:
        assert trial.parameters["rank"] in {4, 8}
        assert (trial.parameters["max_iter"], trial.parameters["alpha"]) == (2, 3)
        assert 0 <= trial.parameters["reg_param"] <= 2


def test_it_finds_more_than_what_is_configured() -> None:
    trials = AlsTuner(trials=30).execute(Lists(), START)
    first = best(trials)
    assert first is not None
    assert first.value == max(trial.value or 0 for trial in trials)
    assert first.value > 0.9 > (trials[0].value or 0)


@pytest.mark.parametrize("pruning", ["none", "median"])
@pytest.mark.parametrize("dies_at", [2, 13])
def test_a_search_that_was_killed_goes_on_and_tries_what_it_would_have_tried(pruning: Any, dies_at: int) -> None:
    tuner = AlsTuner(trials=16, pruning=pruning, seed=5)
    rungs = tuple(tuner.rungs(15)[:-1])
    log, killed, again = Log(), Lists(dies_at, first_rungs=rungs), Lists(first_rungs=rungs)
    with pytest.raises(RuntimeError, match="killed"):
        tuner.execute(killed, START, log=log)
    assert sorted(log.records) == list(range(dies_at))
    resumed = tuner.execute(again, START, log=log)
    assert len(again.asked) == 16 - dies_at
    assert facts(resumed) == facts(tuner.execute(Lists(first_rungs=rungs), START))


def test_a_search_with_more_trials_goes_on_from_one_with_less() -> None:
    log, more = Log(), Lists()
    AlsTuner(trials=12).execute(Lists(), START, log=log)
    found = AlsTuner(trials=15).execute(more, START, log=log)
    assert len(more.asked) == 3
    assert facts(found) == facts(AlsTuner(trials=15).execute(Lists(), START))
    assert facts(AlsTuner(trials=4).execute(Lists(dies_at=0), START, log=log)) == facts(found)[:4]


def test_what_another_run_has_kept_of_a_trial_counts() -> None:
    theirs = Trial(1, {**START, "alpha": 9.0}, COMPLETE, 0.99)

    class Shared(Log):
        def finish(self, trial: int, record: Mapping[str, Any]) -> Mapping[str, Any]:
            return super().finish(trial, theirs.as_record() if trial == 1 else record)

    assert AlsTuner(trials=2).execute(Lists(), START, log=Shared())[1] == theirs


def test_a_trial_below_the_median_of_the_complete_ones_is_given_up() -> None:
    trials = AlsTuner(trials=40, pruning="median", sampler="random").execute(Lists(first_rungs=(3,)), START)
    complete: list[float] = []
    for trial in trials:
        ((iterations, value),) = trial.rungs
        is_below = len(complete) >= 5 and value < np.median(complete)
        assert (iterations, trial.state) == (3, PRUNED if is_below else COMPLETE)
        assert trial.value == pytest.approx(value if is_below else value / 0.9)
        if not is_below:
            complete.append(value)
    assert len(complete) < 40


def test_a_fit_is_cut_in_two_only_where_that_is_asked_for_and_shorter() -> None:
    assert AlsTuner().rungs(15) == [15]
    assert AlsTuner(pruning="median").rungs(15) == [3, 15]
    assert AlsTuner(pruning="median", pruning_iterations=5).rungs(5) == [5]


def test_parameters_that_leave_nothing_to_fit_are_a_failed_trial() -> None:
    def objective(parameters: Parameters, report: Report) -> Judged:
        if parameters["rank"] == 16:
            raise DataQualityError("NO_ROWS", "nothing is left")
        return Judged(0.5)

    trials = AlsTuner(trials=8).execute(objective, START)
    states = {trial.parameters["rank"]: (trial.state, trial.value, trial.reason) for trial in trials}
    assert states[16] == (FAILED, None, "nothing is left")
    first = best(trials)
    assert first is not None
    assert first.parameters["rank"] != 16


def test_a_search_in_which_no_trial_could_be_judged_says_why() -> None:
    def objective(parameters: Parameters, report: Report) -> Judged:
        raise DataQualityError("NO_ROWS", "nothing is left")

    text = "TUNE_NO_TRIAL none of 3 trials could be judged, the last because nothing is left; search milder filters"
    with pytest.raises(DataQualityError, match=text):
        AlsTuner(trials=3).execute(objective, START)


def test_no_trial_begins_when_the_time_is_over_but_one_is_always_run() -> None:
    tuner, log = AlsTuner(trials=9, timeout_minutes=1e-9), Log()
    assert [trial.number for trial in tuner.execute(Lists(), START, log=log)] == [0]
    assert [trial.number for trial in tuner.execute(Lists(dies_at=0), START, log=log)] == [0]


def test_several_fits_run_at_once() -> None:
    together = threading.Barrier(3, timeout=30)

    def objective(parameters: Parameters, report: Report) -> Judged:
        together.wait()  # breaks, unless three are here at the same time
        return Judged(parameters["alpha"])

    trials = AlsTuner(trials=6).execute(objective, START, at_once=3)
    assert [trial.number for trial in trials] == list(range(6))
    assert all(trial.value == trial.parameters["alpha"] for trial in trials)


def test_an_error_in_one_of_several_fits_ends_the_search_and_keeps_what_has_ended() -> None:
    log, lists = Log(), Lists(dies_at=3)
    with pytest.raises(RuntimeError, match="killed"):
        AlsTuner(trials=9).execute(lists, START, at_once=2, log=log)
    assert {0, 1} <= set(log.records) <= {0, 1, 2, 4}


def test_the_number_of_fits_at_once_follows_the_cores_where_that_is_asked_for() -> None:
    assert AlsTuner().fits_at_once(64) == 1
    assert [AlsTuner(parallel_fits=None).fits_at_once(cores) for cores in (2, 16, 100)] == [1, 2, 12]
    assert AlsTuner(parallel_fits=3).fits_at_once(2) == 3


def test_the_progress_tells_the_last_and_the_best_trial_and_how_long_it_takes() -> None:
    told: list[str] = []
    AlsTuner(trials=3, k=5).execute(Lists(), START, announce=told.append)
    assert told[0] == "trial 0; 0 of 3 done"
    start = f"trial 0: {1 - 1 / 4 - 48 / 200:.4f} in 0 s; best trial 0: ndcg@5 {1 - 1 / 4 - 48 / 200:.4f}"
    assert told[1] == f"trial 1; 1 of 3 done; {start}; about 0 s left"
    assert told[2].startswith("trial 2; 2 of 3 done; trial 1: ")


def test_ratings_are_searched_without_alpha() -> None:
    assert "alpha" in AlsTuner().space()
    assert "alpha" not in AlsTuner().space(implicit=False)


def test_what_is_not_asked_for_is_not_searched() -> None:
    assert sorted(AlsTuner().space()) == ["alpha", "max_iter", "rank", "reg_param"]
    asked = AlsTuner(score_map={"view": {"low": 0, "high": 2}}, half_life_days={"low": 1, "high": 9}, min_score=[1, 2])
    assert sorted(set(asked.space()) - set(AlsTuner().space())) == ["half_life_days", "min_score", "score_map.view"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"rank": []}, "CFG_RANGE tune.tuner.rank must not be empty"),
        ({"rank": [0]}, "CFG_RANGE tune.tuner.rank[0] must be 1..1000, got 0"),
        ({"max_iter": []}, "CFG_RANGE tune.tuner.max_iter must not be empty"),
        ({"min_score": []}, "CFG_RANGE tune.tuner.min_score must not be empty"),
        ({"min_score": [-1]}, "CFG_RANGE tune.tuner.min_score[0] must be >= 0, got -1"),
        ({"min_items_per_visitor": [2, 0]}, "CFG_RANGE tune.tuner.min_items_per_visitor[1] must be >= 1, got 0"),
        ({"alpha": {"low": 2, "high": 1}}, "CFG_VALUE tune.tuner: alpha must have low <= high, got low 2 and high 1"),
        ({"alpha": {"low": 2}}, "CFG_VALUE tune.tuner: alpha must have low and high, got low"),
        ({"alpha": {}}, "CFG_VALUE tune.tuner: alpha must have low and high, got neither"),
        ({"reg_param": {"low": -1, "high": 1}}, "CFG_VALUE tune.tuner: reg_param.low must be >= 0, got -1"),
        ({"half_life_days": {"low": 0, "high": 1}}, "CFG_VALUE tune.tuner: half_life_days.low must be > 0, got 0"),
        ({"half_life_days": {}}, "CFG_VALUE tune.tuner: half_life_days must have low and high, got neither"),
        (
            {"score_map": {"view": {"low": 3, "high": 1}}},
            "CFG_VALUE tune.tuner: score_map.view must have low <= high, got low 3 and high 1",
        ),
        ({"score_map": {"view": {"low": "x"}}}, "CFG_TYPE tune.tuner.score_map.view.low must be a number, got 'x'"),
        ({"trials": 0}, "CFG_RANGE tune.tuner.trials must be 1..10000, got 0"),
        ({"timeout_minutes": 0}, "CFG_RANGE tune.tuner.timeout_minutes must be > 0, got 0"),
        ({"metric": "rmse"}, "CFG_RANGE tune.tuner.metric must be one of ndcg, recall, precision, map, mrr, hit_rate"),
        ({"sampler": "grid"}, "CFG_RANGE tune.tuner.sampler must be one of tpe, random, got 'grid'"),
        ({"tirals": 3}, "CFG_UNKNOWN_KEY tune.tuner.tirals, did you mean trials"),
    ],
)
def test_a_space_that_is_none_is_refused(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as raised:
        build_steps({"tuner": AlsTuner}, {"tuner": given}, "tune.")
    assert str(raised.value.mistakes[0]).startswith(expected)
    assert len(raised.value.mistakes) == 1


def test_without_optuna_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_module, "find_spec", lambda _: None)
    text = r"TUNE_EXTRA tune needs the package optuna, which is not installed; install the extra tune of recommender"
    with pytest.raises(ConfigError, match=text):
        AlsTuner().execute(Lists(), START)
