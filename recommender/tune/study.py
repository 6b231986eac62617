"""Optuna's samplers and pruner, over trials that are kept elsewhere.

What is tried next depends on the seed, the number of the trial, and the trials that have ended before, on nothing
else: each trial has a sampler of its own, seeded by its number, and trials that ended in a run that was killed are put
into the study as they were. So a search that goes on tries what it would have tried.

Example usage:
>>> space = {"rank": Choices((16, 32, 64)), "alpha": Range(0.1, 10.0)}
>>> study, again = (Study(space, sampler="tpe", pruning="none", seed=7) for _ in range(2))
>>> first = study.ask(0)
>>> study.tell(Trial(0, first, COMPLETE, 0.5))
>>> again.replay(Trial(0, first, COMPLETE, 0.5))
>>> study.ask(1) == again.ask(1)
True
"""

import random
import warnings
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from recommender.errors import ConfigError, Mistake
from recommender.tune.space import Choices, Range, Space, holds
from recommender.tune.trial import COMPLETE, FAILED, PRUNED, Parameters, Trial

_SEEDS = 32  # bits of a sampler's seed
_STARTUP = 10  # trials by chance before TPE has seen enough
_TO_COMPARE = 5  # complete trials before one is pruned


def require_optuna() -> None:
    """Refuse to search without Optuna.

    Raises:
        ConfigError: it is not installed.
    """
    if find_spec("optuna") is None:
        sentence = "tune needs the package optuna, which is not installed; install the extra tune of recommender"
        raise ConfigError(Mistake("TUNE_EXTRA", "tune", f"{sentence} (pip install 'recommender[tune]'), or optuna"))


class Study:
    """A study of Optuna in memory.

    Init parameters:
        space: what is searched.
        sampler: tpe (a tree of Parzen estimators over all parameters together: Bergstra et al. 2011, Falkner et al.
            2018) or random.
        pruning: median (a trial is given up below the median of the complete ones after as many iterations) or none.
        seed: of the sampling.
    Raises:
        ConfigError: Optuna is not installed.
    """

    def __init__(self, space: Space, *, sampler: str, pruning: str, seed: int) -> None:
        require_optuna()
        self._optuna = optuna = import_module("optuna")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        self._sampler = sampler
        self._seed = seed
        self._distributions = {name: self._distribution(searched) for name, searched in space.items()}
        pruner = optuna.pruners.MedianPruner(_TO_COMPARE) if pruning == "median" else optuna.pruners.NopPruner()
        self._study = optuna.create_study(direction="maximize", pruner=pruner, sampler=optuna.samplers.RandomSampler(0))
        self._asked: dict[int, Any] = {}

    def ask(self, number: int, fixed: Parameters | None = None) -> dict[str, Any]:
        """Return what a trial should try.

        Args:
            number: of the trial.
            fixed: what it tries in any case; what lies outside the space is tried, but nothing is learnt from it.
        """
        if fixed is not None:
            if not holds(self._space, fixed):
                return dict(fixed)
            self._study.enqueue_trial(dict(fixed))
        self._study.sampler = self._new_sampler(number)
        asked = self._asked[number] = self._study.ask(self._distributions)
        return dict(asked.params)

    def is_hopeless(self, number: int, iterations: int, value: float) -> bool:
        """Return whether a trial should be given up, whose metric after so many iterations is this."""
        if number not in self._asked:
            return False
        self._asked[number].report(value, iterations)
        return bool(self._asked[number].should_prune())

    def tell(self, trial: Trial) -> None:
        """Learn from a trial that was asked for."""
        asked = self._asked.pop(trial.number, None)
        if asked is not None:
            value = trial.value if trial.state == COMPLETE else None
            self._study.tell(asked, value, state=self._state(trial))

    def replay(self, trial: Trial) -> None:
        """Learn from a trial that has ended in another run."""
        if holds(self._space, trial.parameters):
            ended = self._optuna.trial.create_trial(
                state=self._state(trial),
                value=trial.value,
                params=dict(trial.parameters),
                distributions=self._distributions,
                intermediate_values=dict(trial.rungs),
            )
            self._study.add_trial(ended)

    def _state(self, trial: Trial) -> Any:
        states = self._optuna.trial.TrialState
        return {COMPLETE: states.COMPLETE, PRUNED: states.PRUNED, FAILED: states.FAIL}[trial.state]

    def _new_sampler(self, number: int) -> Any:
        seed = random.Random(f"{self._seed} {number}").getrandbits(_SEEDS)  # noqa: S311 - for no secret
        samplers = self._optuna.samplers
        if self._sampler == "random":
            return samplers.RandomSampler(seed)
        with warnings.catch_warnings():
            # What is experimental: alpha and reg_param are sampled together, and running trials count as bad ones.
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            together: Mapping[str, Any] = {"multivariate": True, "constant_liar": True}
            return samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP, **together)

    def _distribution(self, searched: Choices | Range) -> Any:
        distributions = self._optuna.distributions
        if isinstance(searched, Choices):
            return distributions.CategoricalDistribution(searched.values)
        return distributions.FloatDistribution(float(searched.low), float(searched.high), log=searched.low > 0)
