"""Trials are run as far as the time goes, each of them once, and kept when they end."""

import threading
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from support.trials_in_memory import TrialsInMemory

from recommender.tune import trial_runner
from recommender.tune.trial import COMPLETE, Judged, Parameters, Trial
from recommender.tune.trial_runner import Setting, TrialRunner


def setting(alpha: float, rank: int = 8) -> Setting:
    return Setting({"rank": rank, "max_iter": 5, "alpha": alpha})


def judge(parameters: Parameters, share: float) -> Judged:
    return Judged(parameters["alpha"])


def test_several_fits_run_at_once() -> None:
    together = threading.Barrier(3, timeout=30)

    def objective(parameters: Parameters, share: float) -> Judged:
        together.wait()  # breaks, unless three are here at the same time
        return Judged(parameters["alpha"])

    runner = TrialRunner(objective, least_iterations=1, at_once=3)
    assert [trial.value for trial in runner.run([setting(each) for each in range(6)])] == list(range(6))
    assert sorted(runner.used) == list(range(6))


def test_an_error_in_one_of_several_fits_ends_the_search_and_keeps_the_others() -> None:
    def objective(parameters: Parameters, share: float) -> Judged:
        if parameters["alpha"] == 3:
            raise RuntimeError("killed")
        return Judged(parameters["alpha"])

    log = TrialsInMemory()
    with pytest.raises(RuntimeError, match="killed"):
        TrialRunner(objective, least_iterations=1, at_once=2, log=log).run([setting(each) for each in range(6)])
    assert sorted(log.records) == [0, 1, 2]


def test_a_trial_of_another_run_under_the_same_number_counts() -> None:
    theirs = Trial(1, {**setting(9).parameters}, COMPLETE, 0.99)

    class Shared(TrialsInMemory):
        def finish(self, trial: int, record: Mapping[str, Any]) -> Mapping[str, Any]:
            return super().finish(trial, theirs.as_record() if trial == 1 else record)

    runner = TrialRunner(judge, least_iterations=1, log=Shared())
    assert [trial.number for trial in runner.run([setting(1), setting(2), setting(9)])] == [0, 2, 1]
    assert runner.used[1] == theirs


def test_the_time_of_a_trial_is_estimated_from_those_before(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def objective(parameters: Parameters, share: float) -> Judged:
        now[0] += 4 + parameters["rank"] ** 2 / 100
        return Judged(0.5)

    monkeypatch.setattr(trial_runner, "time", SimpleNamespace(monotonic=lambda: now[0]))
    runner = TrialRunner(objective, least_iterations=1, minutes=1)
    assert runner.estimate(setting(1)) == 0
    runner.run([setting(1, rank=10)])
    assert runner.estimate(setting(1, rank=10)) == pytest.approx(5)
    assert runner.estimate(setting(1, rank=20)) == pytest.approx(20)  # one trial does not show what is Spark's own
    assert runner.estimate(setting(1, rank=5)) == pytest.approx(5 * (1 + 1 / 4) / 2)
    runner.run([setting(1, rank=20)])
    assert runner.estimate(setting(1, rank=40)) == pytest.approx(20)
    assert runner.minutes_for(setting(1, rank=80)) == 3  # 13 s are over, and 68 more are needed
    assert runner.run([setting(1, rank=80)]) == []
    assert [trial.seconds for trial in runner.run([setting(1, rank=40)])] == [20]


def test_a_solver_whose_time_grows_less_with_the_rank_is_expected_to_end_earlier(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]

    def objective(parameters: Parameters, share: float) -> Judged:
        now[0] += 5 + parameters["rank"] ** 1.5 / 100
        return Judged(0.5)

    monkeypatch.setattr(trial_runner, "time", SimpleNamespace(monotonic=lambda: now[0]))
    runner = TrialRunner(objective, least_iterations=1, rank_power=1.5)
    runner.run([setting(1, rank=16), setting(1, rank=64)])
    assert runner.estimate(setting(1, rank=256)) == pytest.approx(5 + 256**1.5 / 100)


def test_the_progress_says_what_is_tried_and_the_last_and_the_best_trial() -> None:
    told: list[str] = []
    runner = TrialRunner(judge, least_iterations=6, minutes=12, metric="ndcg@5", announce=told.append)
    runner.run([setting(0.25)], what="as configured")
    runner.run([setting(0.5)], what="halving")
    runner.run([setting(0.75)])
    assert told == [
        "trial 0; as configured, 0 of 1",
        "trial 1; halving, 0 of 1; trial 0: 0.2500 in 0 s; best complete trial 0: ndcg@5 0.2500; 0 s of 12 min",
        "trial 2; trial 1: 0.5000 in 0 s; best complete trial 0: ndcg@5 0.2500; 0 s of 12 min",
    ]
