"""The search: halving over settings at a small rank, then more iterations and larger ranks while they gain.

Many settings are tried with few iterations on a part of the visitors; the best third of them goes on with more, twice
(successive halving: Jamieson and Talwalkar, Non-stochastic best arm identification and hyperparameter optimization,
2016). The best of those on all visitors is fitted with more iterations, then at larger ranks, one step after the other,
as long as the metric gains more than its paired error. In the time that is left some settings around it are tried at
the rank that was reached, since what is best moves a little with the rank, and then some around the best of these.

Example usage:
>>> def objective(parameters, share):
...     value = min(parameters["rank"], 64) / 100 - abs(parameters["alpha"] - 40) / 1000
...     return Judged(value, means=(value, value))
>>> runner = TrialRunner(objective, least_iterations=5)
>>> space = {"rank": Choices((32, 64, 128)), "max_iter": Choices((5,)), "alpha": Range(1, 200)}
>>> draws = Draws(space, Density(pairs=27, visitors=1, mean_score=1.0), implicit=True, seed=0)
>>> search = Search(runner, draws, space, candidates=8, first_share=0.25)
>>> found = search.execute({"rank": 32, "max_iter": 5, "alpha": 1.0})
>>> found.best.parameters["rank"], found.gain.is_proven
(64, True)
>>> found.notes
['rank 128 gains no more than its error over rank 64: +0.0000 (95 % interval +0.0000 to +0.0000)']
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import NamedTuple

from recommender.errors import DataQualityError
from recommender.terminal.text import age
from recommender.tune.draws import CLIMBED, Density, Draws  # noqa: F401 - Density is for the example
from recommender.tune.space import Choices, Range, Space, holds
from recommender.tune.trial import COMPLETE, FAILED, Gain, Judged, Parameters, Trial, gain  # noqa: F401 - for the example
from recommender.tune.trial_runner import Setting, TrialRunner

_KEPT = 3  # one of so many goes on
_REFINED = 4  # so many times as few settings are tried at the end, at once
_ROUNDS = 6  # of these at most
_HALVING = (0.4, 0.55, 0.7)  # share of the time that is over when a round of the halving has ended


class Found(NamedTuple):
    """What a search has found.

    trials: all, by number. start: the trial of what is configured. best: the best complete trial. gain: that of the
    best over the start; None if the start has failed. notes: what was not tried, or gained nothing, a sentence each.
    """

    trials: Sequence[Trial]
    start: Trial
    best: Trial
    gain: Gain | None
    notes: Sequence[str]

    def verdict(self, metric: str) -> str:
        """Say what was gained over the configured parameters.

        >>> one, other = Trial(0, {}, COMPLETE, 0.2), Trial(1, {}, COMPLETE, 0.3)
        >>> Found([one], one, one, gain(one, one), []).verdict("ndcg@10")
        'Nothing was gained over the configured parameters (trial 0): no complete trial has a larger ndcg@10.'
        >>> Found([one, other], one, other, gain(other, one), []).verdict("ndcg@10")
        'Nothing is proven: trial 1 gains +0.1000 (no interval) of ndcg@10 over the configured parameters (trial 0).'
        """
        configured = f"over the configured parameters (trial {self.start.number})"
        if self.best == self.start:
            return f"Nothing was gained {configured}: no complete trial has a larger {metric}."
        if self.gain is None:
            return f"The configured parameters could not be judged: {self.start.reason}."
        if self.gain.is_proven:
            return f"Trial {self.best.number} gains {self.gain} of {metric} {configured}, on the same visitors."
        if self.gain.low is None:
            return f"Nothing is proven: trial {self.best.number} gains {self.gain} of {metric} {configured}."
        return f"Nothing was gained {configured}: {self.gain} of {metric}, and the interval holds 0."


@dataclass(frozen=True)
class _Round:
    """A round of the halving: how its trials are fitted."""

    iterations: int | None  # None: there are none
    share: float
    until: float

    def of(self, parameters: Parameters) -> Setting:
        iterations = {} if self.iterations is None else {"max_iter": self.iterations}
        return Setting({**parameters, **iterations}, self.share)

    def __str__(self) -> str:
        visitors = "all visitors" if self.share == 1 else f"{self.share:.0%} of the visitors"
        iterations = "" if self.iterations is None else f"with {self.iterations} iterations "
        return f"halving {iterations}on {visitors}"


class Search:
    """Search with trials that a runner runs; what is tried follows from their values alone, and from the time.

    Init parameters:
        runner: runs the trials.
        draws: the settings of the halving.
        space: what is searched; of rank and max_iter, if they are, the smallest value is that of the halving.
        candidates: how many settings the halving begins with.
        first_share: share (0 to 1) of the visitors that its first round fits.
    """

    def __init__(self, runner: TrialRunner, draws: Draws, space: Space, *, candidates: int, first_share: float) -> None:
        self._runner = runner
        self._draws = draws
        self._space = space
        self._candidates = candidates
        self._steps = {name: _rising(space[name]) for name in CLIMBED if name in space}
        iterations = int(self._steps["max_iter"][0]) if "max_iter" in self._steps else None
        few = None if iterations is None else ceil(iterations / 2)
        plan = ((few, first_share), (iterations, sqrt(first_share)), (iterations, 1.0))
        self._rounds = [_Round(*each, until) for each, until in zip(plan, _HALVING, strict=True)]
        self._notes: list[str] = []
        self._gained = ""  # by the last step

    def execute(self, start: Parameters) -> Found:
        """Return the trials, and the best of them.

        Args:
            start: the parameters that are configured; they are judged first, whatever time that takes.

        Raises:
            DataQualityError: no trial could be judged.
        """
        (first,) = self._runner.run([Setting(start)], what="as configured")
        survivor = self._halved(start)
        best = self._refined(self._climbed(survivor)) if survivor else first
        if best.value is None or (first.value is not None and first.value >= best.value):
            best = first
        trials = [self._runner.used[number] for number in sorted(self._runner.used)]
        if best.value is None:
            reasons = [trial.reason for trial in trials if trial.reason]
            sentence = f"none of {len(trials):,} trials could be judged, the last because {reasons[-1]}"
            raise DataQualityError("TUNE_NO_TRIAL", f"{sentence}; search milder filters, see tune.tuner")
        return Found(trials, first, best, gain(best, first), self._notes)

    def _halved(self, start: Parameters) -> Trial | None:
        """Return the best trial of the last round; None if there was no time for it, or all have failed."""
        trials = self._first_round(start)
        for round_ in self._rounds[1:]:
            survivors = _best_first(trials)[: ceil(len(trials) / _KEPT)]
            settings = [round_.of(trial.parameters) for trial in survivors]
            trials = self._runner.run(settings, round_.until, str(round_)) or trials
        best = next(iter(_best_first(trials)), None)
        last = self._rounds[-1]
        if best and last.of(best.parameters) == Setting(best.parameters, best.share):
            return best
        if trials and best:
            self._left("no setting of the halving was fitted on all visitors: the best", last.of(best.parameters))
        elif not trials:
            self._left(
                "nothing but the configured parameters was tried: the next", self._rounds[0].of(self._smallest(start))
            )
        return None

    def _first_round(self, start: Parameters) -> list[Trial]:
        """Return the trials of the first round: half of them around what suits the log, half around their best."""
        first = self._rounds[0]
        drawn = {name: value for name, value in start.items() if name not in CLIMBED}
        is_inside = holds({name: each for name, each in self._space.items() if name not in CLIMBED}, drawn)
        wide = ceil(self._candidates / 2)
        settings = [self._smallest(self._draws.draw(number)) for number in range(wide)]
        if is_inside:
            settings[0] = self._smallest(start)
        trials = self._runner.run([first.of(each) for each in settings], first.until / 2, str(first))
        leader = next(iter(_best_first(trials)), None)
        if leader:
            near = [self._draws.draw(number, leader.parameters) for number in range(wide, self._candidates)]
            settings += map(self._smallest, near)
            tried = [trial.parameters for trial in trials]  # all of those before, or as many as there was time for
            trials = self._runner.run([first.of(each) for each in [*tried, *settings[wide:]]], first.until, str(first))
        if trials and len(trials) < _different(first, settings):
            self._notes.append(f"there was time for {len(trials):,} of {self._candidates:,} settings at the first rank")
        return trials

    def _climbed(self, best: Trial) -> Trial:
        """Return the best trial after more iterations and larger ranks."""
        for name, values in self._steps.items():
            for value in values:
                if value > best.parameters[name]:
                    tried = self._step(name, value, best)
                    if tried is None:
                        break
                    best = tried
            else:
                if name == "rank" and len(values) > 1:
                    self._notes.append(f"rank {value:g} is the largest of tune.tuner.rank: larger ones may gain more")
        return best

    def _refined(self, best: Trial) -> Trial:
        """Return the best of some settings around the best, at its rank; and of some around that, while they gain."""
        at = f" at rank {best.parameters['rank']}" if "rank" in best.parameters else ""
        number = ceil(self._candidates / _REFINED)
        for first in range(self._candidates, self._candidates + number * _ROUNDS, number):
            drawn = [self._draws.draw(each, best.parameters) for each in range(first, first + number)]
            settings = [Setting({**best.parameters, **each}) for each in drawn]
            trials = self._runner.run(settings, what=f"around the best{at}")
            winner = _best_first([best, *trials])[0]
            if len(trials) < len({setting.key for setting in settings}):
                tried = f"{len(trials):,} of {len(settings):,} settings around the best were tried"
                self._left(f"{tried}: the next", settings[-1])
                return winner
            if winner == best:
                break
            best = winner
        return best

    def _step(self, name: str, value: float, best: Trial) -> Trial | None:
        """Return the trial with a larger value, if it gains more than its error."""
        setting = Setting({**best.parameters, name: value})
        larger, before = f"{name} {value:g}", f"{name} {best.parameters[name]:g}"
        found = self._runner.run([setting], what=larger)
        if not found:
            self._left(f"{larger} was not tried{self._gained}: it", setting)
            return None
        won = gain(found[0], best)
        if won is not None and won.is_proven:
            self._gained = f", although {larger} gained {won} over {before}"
            return found[0]
        if won is None:
            self._notes.append(f"{larger} failed: {found[0].reason}")
        else:
            self._notes.append(f"{larger} gains no more than its error over {before}: {won}")
        return None

    def _left(self, what: str, setting: Setting) -> None:
        """Note what there was no time for."""
        seconds, minutes = self._runner.estimate(setting), self._runner.minutes_for(setting)
        hint = f"tune.tuner.timeout_minutes={minutes} has room for it"
        self._notes.append(f"{what} would take about {age(seconds)} more, {hint}")

    def _smallest(self, parameters: Parameters) -> dict[str, float]:
        """Return parameters at the first rank, in the order of the space."""
        both = {**parameters, **{name: values[0] for name, values in self._steps.items()}}
        return {name: both[name] for name in self._space}


def _rising(searched: Choices | Range) -> list[float]:
    """Return the values of choices, rising."""
    return sorted(searched.values) if isinstance(searched, Choices) else [searched.low]


def _different(round_: _Round, settings: Sequence[Parameters]) -> int:
    """Return how many of some settings differ."""
    return len({round_.of(each).key for each in settings})


def _best_first(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials of a round that could be judged, the best first."""
    judged = [trial for trial in trials if trial.state != FAILED]
    return sorted(judged, key=lambda trial: (-(trial.value or 0.0), trial.number))
