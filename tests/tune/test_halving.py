"""Halving and climbing with a scorer that is a formula: what is tried, what it costs, and what is said at the end."""

from dataclasses import replace
from math import log10
from types import SimpleNamespace
from typing import Any

import pytest
from support.trials_in_memory import TrialsInMemory

from recommender.errors import DataQualityError
from recommender.tune import trial_runner
from recommender.tune.draws import Density, Draws
from recommender.tune.search import Found, Search
from recommender.tune.space import Choices, Range, Space
from recommender.tune.steps import ModelTuner
from recommender.tune.trial import COMPLETE, FAILED, SHORT, Judged, Parameters, Trial, gain
from recommender.tune.trial_runner import TrialRunner

START = {"rank": 32, "max_iter": 10, "alpha": 1.0, "reg_param": 0.1}
SPACE: Space = {
    "rank": Choices((128, 32, 64)),
    "max_iter": Choices((6, 12)),
    "reg_param": Range(0.001, 100),
    "alpha": Range(0.1, 200),
}
NOISE = tuple(0.0001 * step for step in range(-10, 11))  # of the replicates; the same visitors for all trials


class Scorer:
    """An objective with its best at alpha 30, reg_param 2, that gains with the rank up to one and with iterations.

    A fit takes share * max_iter * rank ** 2 / 1000 seconds of a clock of its own. It may die at a call.
    """

    def __init__(self, best_rank: int = 64, best_iterations: int = 6, dies_at: int | None = None) -> None:
        self.asked: list[tuple[Parameters, float]] = []
        self.now = 0.0
        self.best_rank, self.best_iterations, self.dies_at = best_rank, best_iterations, dies_at

    def __call__(self, parameters: Parameters, share: float) -> Judged:
        if len(self.asked) == self.dies_at:
            raise RuntimeError("killed")
        self.asked.append((parameters, share))
        self.now += share * parameters["max_iter"] * parameters["rank"] ** 2 / 1000
        value = 0.2 - 0.05 * abs(log10(parameters["alpha"] / 30)) - 0.05 * abs(log10(parameters["reg_param"] / 2))
        value += 0.01 * log10(min(parameters["rank"], self.best_rank))
        value += 0.01 * log10(min(parameters["max_iter"], self.best_iterations))
        return Judged(value, value - 0.01, value + 0.01, tuple(value + each for each in NOISE))


def search(
    monkeypatch: pytest.MonkeyPatch,
    scorer: Any,
    *,
    candidates: int = 18,
    start: Parameters = START,
    space: Space = SPACE,
    first_share: float = 0.25,
    **runner: Any,
) -> Found:
    monkeypatch.setattr(trial_runner, "time", SimpleNamespace(monotonic=lambda: getattr(scorer, "now", 0.0)))
    draws = Draws(space, Density(pairs=270, visitors=10, mean_score=1.0), implicit=True, seed=0)
    made = TrialRunner(scorer, least_iterations=6, **runner)
    return Search(made, draws, space, candidates=candidates, first_share=first_share).execute(start)


def facts(trial: Trial) -> Trial:
    """Return a trial without its seconds, which are differences of rounded times."""
    return replace(trial, seconds=0)


def test_the_configured_parameters_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    found = search(monkeypatch, Scorer())
    assert (found.start.number, found.start.parameters, found.start.state) == (0, START, COMPLETE)
    assert found.trials[0] == found.start


def test_each_round_of_the_halving_keeps_a_third_and_fits_more(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer()
    search(monkeypatch, scorer)
    rounds = [(p["max_iter"], share) for p, share in scorer.asked[1:] if p["rank"] == 32 and p["max_iter"] <= 6]
    assert rounds == [(3, 0.25)] * 18 + [(6, 0.5)] * 6 + [(6, 1.0)] * 2
    of_round: dict[float, list[tuple[float, float]]] = {0.25: [], 0.5: [], 1.0: []}
    for parameters, share in scorer.asked[1:27]:
        of_round[share].append((parameters["alpha"], parameters["reg_param"]))
    for fewer, more in ((0.5, 0.25), (1.0, 0.5)):
        by_value = sorted(of_round[more], key=lambda each: abs(log10(each[0] / 30)) + abs(log10(each[1] / 2)))
        assert set(of_round[fewer]) == set(by_value[: len(of_round[fewer])])


def test_it_comes_close_to_the_best_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    best = search(monkeypatch, Scorer(), candidates=24).best.parameters
    assert 30 / 1.6 < best["alpha"] < 30 * 1.6
    assert 2 / 1.6 < best["reg_param"] < 2 * 1.6


def test_the_configured_settings_take_part_at_the_small_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    perfect = {**START, "rank": 16, "alpha": 30.0, "reg_param": 2.0}
    best = search(monkeypatch, Scorer(), start=perfect).best.parameters
    assert (best["alpha"], best["reg_param"], best["rank"]) == (30.0, 2.0, 64)


@pytest.mark.parametrize(("best_rank", "expected"), [(32, 32), (64, 64), (128, 128)])
def test_the_rank_is_raised_as_long_as_it_gains(monkeypatch: pytest.MonkeyPatch, best_rank: int, expected: int) -> None:
    found = search(monkeypatch, Scorer(best_rank))
    assert found.best.parameters["rank"] == expected
    tried = max(trial.parameters["rank"] for trial in found.trials)
    assert tried == min(2 * expected, 128)
    if expected < 128:
        assert found.notes[-1].startswith(
            f"rank {tried} gains no more than its error over rank {expected}: +0.0000 (95"
        )
    else:
        assert found.notes[-1] == "rank 128 is the largest of tune.tuner.rank: larger ones may gain more"


def test_more_iterations_are_kept_where_they_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    assert search(monkeypatch, Scorer(best_iterations=12)).best.parameters["max_iter"] == 12
    found = search(monkeypatch, Scorer(best_iterations=6))
    assert found.best.parameters["max_iter"] == 6
    assert found.notes[0].startswith("max_iter 12 gains no more than its error over max_iter 6: +0.0000")


def test_a_gain_within_the_error_does_not_raise_the_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    class Noisy(Scorer):
        def __call__(self, parameters: Parameters, share: float) -> Judged:
            judged = super().__call__(parameters, share)
            # Rank 64 has the larger mean, but not in all replicates.
            worse = tuple(mean - 0.1 * (number % 2) for number, mean in enumerate(judged.means))
            return judged._replace(means=worse if parameters["rank"] == 64 else judged.means)

    found = search(monkeypatch, Noisy())
    assert found.best.parameters["rank"] == 32
    larger = next(trial for trial in found.trials if trial.parameters["rank"] == 64)
    of_small = [trial for trial in found.trials if trial.parameters["rank"] == 32 and trial.number < larger.number]
    assert (larger.value or 0) > max(trial.value or 0 for trial in of_small)


def test_the_time_is_kept_and_what_was_not_tried_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer(best_rank=128)
    found = search(monkeypatch, scorer, minutes=2.5)
    assert scorer.now <= 2.5 * 60
    assert found.best.parameters["rank"] == 64
    note = next(note for note in found.notes if note.startswith("rank 128"))
    assert note.startswith("rank 128 was not tried, although rank 64 gained +0.0030 (95 % interval +0.0030 to +0.0030)")
    assert ": it would take about 1 min more, tune.tuner.timeout_minutes=" in note
    minutes = float(note.split("timeout_minutes=")[1].split()[0])
    assert search(monkeypatch, Scorer(best_rank=128), minutes=minutes).best.parameters["rank"] == 128


@pytest.mark.parametrize("minutes", [1, 1.5, 2])
def test_little_time_makes_a_small_search_of_all_rounds(monkeypatch: pytest.MonkeyPatch, minutes: float) -> None:
    scorer = Scorer()
    found = search(monkeypatch, scorer, minutes=minutes, candidates=60)
    assert scorer.now <= minutes * 60
    assert found.best.number > 0
    assert found.best.state == COMPLETE
    assert found.notes[0].startswith("there was time for ")


def test_without_time_the_configured_parameters_are_judged_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer()
    found = search(monkeypatch, scorer, minutes=0.01)
    assert [share for _, share in scorer.asked] == [1.0]
    assert (found.best, found.gain and found.gain.value) == (found.start, 0)
    assert found.notes[0].startswith("nothing but the configured parameters was tried: the next would take about ")


def test_a_search_that_was_killed_goes_on_and_tries_what_it_would_have_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = search(monkeypatch, Scorer(), minutes=2.5)
    for dies_at in (0, 1, 7, 12, 20, len(whole.trials) - 1):
        log, again = TrialsInMemory(), Scorer()
        with pytest.raises(RuntimeError, match="killed"):
            search(monkeypatch, Scorer(dies_at=dies_at), minutes=2.5, log=log)
        assert sorted(log.records) == list(range(dies_at))
        resumed = search(monkeypatch, again, minutes=2.5, log=log)
        assert len(again.asked) == len(whole.trials) - dies_at
        assert [facts(trial) for trial in resumed.trials] == [facts(trial) for trial in whole.trials]
        assert (facts(resumed.best), resumed.notes) == (facts(whole.best), whole.notes)


def test_with_more_time_a_search_goes_on_where_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    log, more = TrialsInMemory(), Scorer(best_rank=128)
    search(monkeypatch, Scorer(best_rank=128), minutes=2.5, log=log)
    kept = len(log.records)
    found = search(monkeypatch, more, minutes=8, log=log)
    assert found.best.parameters["rank"] == 128
    assert 0 < len(more.asked) < kept
    assert len(log.records) == kept + len(more.asked)


def test_several_fits_at_once_try_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    one, three = (search(monkeypatch, Scorer(), at_once=at_once) for at_once in (1, 3))
    assert three.best.parameters == one.best.parameters
    assert sorted(str(trial.parameters) for trial in three.trials) == sorted(str(t.parameters) for t in one.trials)


def test_in_the_time_that_is_left_settings_around_the_best_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    class Moving(Scorer):
        def __call__(self, parameters: Parameters, share: float) -> Judged:
            # What is best moves with the rank: alpha to 15 at rank 64.
            doubled = parameters["alpha"] * parameters["rank"] / 32
            judged = super().__call__({**parameters, "alpha": doubled}, share)
            more = 0.05 * (parameters["rank"] == 64)
            return Judged(judged.value + more, means=tuple(mean + more for mean in judged.means))

    found = search(monkeypatch, Moving(), candidates=24)
    *_, last = [trial for trial in found.trials if trial.parameters["rank"] == 32]
    assert found.best.parameters["rank"] == 64
    assert abs(log10(found.best.parameters["alpha"] / 15)) < abs(log10(last.parameters["alpha"] / 15))
    around = [trial for trial in found.trials if trial.parameters["rank"] == 64][1:]
    assert all(trial.state == COMPLETE for trial in around)
    assert found.best in around[:-6]  # the last six gain nothing
    assert len(around) in {12, 18, 24, 30}
    assert 15 / 1.25 < found.best.parameters["alpha"] < 15 * 1.25
    little = search(monkeypatch, Scorer(best_rank=128), minutes=2.5).notes
    assert any(note.startswith("2 of 5 settings around the best were tried: the next would take") for note in little)


def test_nothing_is_gained_where_the_configured_parameters_are_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    perfect = {"rank": 128, "max_iter": 12, "alpha": 30.0, "reg_param": 2.0}
    found = search(monkeypatch, Scorer(best_rank=128, best_iterations=12), start=perfect, minutes=60)
    assert (found.best, found.gain and found.gain.is_proven) == (found.start, False)


def test_parameters_that_leave_nothing_to_fit_fail_and_the_search_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class Strict(Scorer):
        def __call__(self, parameters: Parameters, share: float) -> Judged:
            if parameters["min_score"] == 5:
                raise DataQualityError("NO_ROWS", "nothing is left")
            return super().__call__(parameters, share)

    space = {**SPACE, "min_score": Choices((1, 5))}
    found = search(monkeypatch, Strict(), space=space, start={**START, "min_score": 1})
    failed = [trial for trial in found.trials if trial.state == FAILED]
    assert {(trial.parameters["min_score"], trial.value, trial.reason) for trial in failed} == {
        (5, None, "nothing is left")
    }
    assert found.best.parameters["min_score"] == 1
    outside = search(monkeypatch, Strict(), space=space, start={**START, "min_score": 5})
    assert (outside.start.state, outside.gain, outside.best.state) == (FAILED, None, COMPLETE)


def test_a_search_in_which_no_trial_could_be_judged_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def objective(parameters: Parameters, share: float) -> Judged:
        raise DataQualityError("NO_ROWS", "nothing is left")

    text = "TUNE_NO_TRIAL none of 5 trials could be judged, the last because nothing is left; search milder filters"
    with pytest.raises(DataQualityError, match=text):
        search(monkeypatch, objective, candidates=8)


def test_a_small_log_is_not_cut_into_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer()
    found = search(monkeypatch, scorer, first_share=1.0)
    assert {share for _, share in scorer.asked} == {1.0}
    assert [trial.state for trial in found.trials[:19]] == [COMPLETE, *[SHORT] * 18]
    assert len([p for p, _ in scorer.asked if p["rank"] == 32 and p["max_iter"] == 6]) == 6  # none is fitted twice


def test_neighbours_are_halved_on_more_and_more_visitors_without_a_climb(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Parameters, float]] = []

    def objective(parameters: Parameters, share: float) -> Judged:
        asked.append((parameters, share))
        # The more neighbours, the larger the best beta.
        beta = 0.1 * log10(parameters["item_to_item.neighbours"])
        value = 0.3 - abs(parameters["item_to_item.alpha"] - 0.6) - abs(parameters["item_to_item.beta"] - beta)
        value += 0.1 * log10(parameters["item_to_item.neighbours"])
        return Judged(value, means=tuple(value + each for each in NOISE))

    start = {"item_to_item.neighbours": 30, "item_to_item.alpha": 1.0, "item_to_item.beta": 0.0}
    best = search(monkeypatch, objective, start=start, space=ModelTuner(model="item_to_item").space()).best.parameters
    assert best["item_to_item.neighbours"] == 400
    assert abs(best["item_to_item.alpha"] - 0.6) < 0.1
    assert abs(best["item_to_item.beta"] - 0.26) < 0.1
    assert [share for _, share in asked[1:27]] == [0.25] * 18 + [0.5] * 6 + [1.0] * 2
    assert all(share == 1 for _, share in asked[27:])


@pytest.mark.parametrize(
    ("values", "means", "expected"),
    [
        ((0.2, 0.3), (0.0, None), "Trial 1 gains +0.1000 (95 % interval +0.1000 to +0.1000) of ndcg@10 over"),
        ((0.2, 0.3), (0.0, 0.1), "Trial 1 gains +0.1000 (95 % interval +0.1000 to +0.1000) of ndcg@10 over"),
        (
            (0.2, 0.3),
            (0.9, 0.1),
            "Nothing was gained over the configured parameters (trial 0): +0.1000 (95 % interval -0",
        ),
        (
            (0.3, 0.2),
            (0.0, 0.1),
            "Nothing was gained over the configured parameters (trial 0): no complete trial has a",
        ),
        ((None, 0.2), (0.0, 0.1), "The configured parameters could not be judged: all is filtered."),
    ],
)
def test_the_verdict_says_what_was_gained_and_that_nothing_was(values: Any, means: Any, expected: str) -> None:
    start = Trial(0, {}, "complete" if values[0] else "failed", values[0], means=means, reason="all is filtered")
    other = Trial(1, {}, "complete", values[1], means=(0.1, 0.2))
    best = start if (values[0] or 0) > values[1] else other
    found = Found([start, other], start, best, gain(best, start), [])
    assert found.verdict("ndcg@10").startswith(expected)
