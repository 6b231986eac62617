"""Run trials as far as the time goes, each of them once: what ended in a run that was killed is not run again.

Example usage:
>>> judged = []
>>> def objective(parameters, share):
...     judged.append(parameters["alpha"])
...     return Judged(parameters["alpha"] / 10)
>>> runner = TrialRunner(objective, least_iterations=1)
>>> settings = [Setting({"rank": 8, "max_iter": 5, "alpha": alpha}) for alpha in (1.0, 2.0, 1.0)]
>>> [trial.value for trial in runner.run(settings)], judged
([0.1, 0.2], [1.0, 2.0])
>>> len(runner.run(settings)), judged
(2, [1.0, 2.0])
"""

import json
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from recommender.errors import DataQualityError
from recommender.terminal.text import age
from recommender.tune.trial import COMPLETE, FAILED, SHORT, Judged, Objective, Parameters, Trial, TrialLog, best

_SECONDS_PER_MINUTE = 60
_SAME = 1e-9


class Setting(NamedTuple):
    """Parameters, and the share of the visitors that are fitted with them."""

    parameters: Parameters
    share: float = 1.0

    @property
    def key(self) -> str:
        """The setting as text; equal settings have equal keys."""
        return json.dumps([self.parameters, self.share], sort_keys=True)

    def work(self, rank_power: float) -> float:
        """Return the arithmetic of a fit, but for a factor."""
        parameters = self.parameters
        return float(self.share * parameters.get("max_iter", 1) * parameters.get("rank", 1) ** rank_power)


class TrialRunner:
    """Run trials, and know those that have ended.

    The time is that of the trials, also of those that ended in a run before: so a search that was killed decides as it
    would have.

    Init parameters:
        objective: judges parameters.
        least_iterations: a fit with fewer is short.
        log: where trials are kept as they end, and were; None: nowhere.
        minutes: for all trials; None: no limit.
        at_once: how many trials run at once.
        rank_power: the time of a fit grows with this power of the rank.
        metric: its name, for the progress.
        announce: shows what is running.
    Attributes:
        used: number -> trial: those that were asked for.
    """

    def __init__(
        self,
        objective: Objective,
        *,
        least_iterations: int,
        log: TrialLog | None = None,
        minutes: float | None = None,
        at_once: int = 1,
        rank_power: float = 2.0,
        metric: str = "metric",
        announce: Callable[[str], None] = lambda part: None,  # noqa: ARG005
    ) -> None:
        self.used: dict[int, Trial] = {}
        self._objective = objective
        self._least_iterations = least_iterations
        self._log = log
        self._seconds = math.inf if minutes is None else minutes * _SECONDS_PER_MINUTE
        self._at_once = at_once
        self._rank_power = rank_power
        self._metric = metric
        self._announce = announce
        self._lock = threading.Lock()
        kept = (Trial.from_record(record) for record in (log.finished() if log else {}).values())
        self._known = {_key(trial): trial for trial in sorted(kept, key=lambda trial: -trial.number)}
        self._numbers = {trial.number for trial in self._known.values()}

    @property
    def spent(self) -> float:
        """The seconds of the trials that were asked for."""
        return sum(trial.seconds for trial in self.used.values()) / self._at_once

    def run(self, settings: Sequence[Setting], until: float = 1.0, what: str = "") -> list[Trial]:
        """Return the trials of different settings, in their order, as far as the time goes.

        Args:
            settings: what is tried.
            until: share (0 to 1) of the time after trial 0 that may be over when the last of them ends.
            what: for the progress: what is tried now.
        """
        different = list({setting.key: setting for setting in settings}.values())
        trials: list[Trial] = []
        for start in range(0, len(different), self._at_once):
            together = different[start : start + self._at_once]
            new = [setting for setting in together if setting.key not in self._known]
            if new and self.used and self.spent + max(map(self.estimate, new)) > self._limit(until):
                break
            self._run_together(new, f"{what}, {len(trials)} of {len(different)}" if what else "")
            ended = [self._known[setting.key] for setting in together]
            self.used.update((trial.number, trial) for trial in ended)
            trials += ended
        return trials

    def estimate(self, setting: Setting) -> float:
        """Return the seconds that a trial may take: a straight line through those that have ended, by their work."""
        power = self._rank_power
        ended = [(_setting(trial).work(power), trial.seconds) for trial in self.used.values() if trial.state != FAILED]
        if not ended:
            return 0.0
        works, seconds = ([float(each[of]) for each in ended] for of in (0, 1))
        work, second = sum(works) / len(ended), sum(seconds) / len(ended)
        spread = sum((each - work) ** 2 for each in works)
        if spread <= _SAME * work**2:
            ratio = setting.work(power) / work  # of less work, half of the time may be Spark's own
            return second * max(ratio, (1 + min(ratio, 1.0)) / 2)
        slope = sum((w - work) * (s - second) for w, s in ended) / spread
        return max(second + max(slope, 0.0) * (setting.work(power) - work), min(seconds))

    def minutes_for(self, setting: Setting) -> int:
        """Return a limit, in whole minutes, within which a trial may end that has no time now."""
        return math.ceil((self.spent + self.estimate(setting)) / _SECONDS_PER_MINUTE) + 1

    def _limit(self, until: float) -> float:
        first = self.used[0].seconds / self._at_once if 0 in self.used else 0.0
        return first + until * max(self._seconds - first, 0.0)

    def _run_together(self, settings: Sequence[Setting], what: str) -> None:
        """Run trials at once, and keep each as it ends; the first error is raised when all have ended."""
        numbered = [(self._next_number(), setting) for setting in settings]
        if numbered:
            self._announce(self._progress(numbered[0][0], what))
        if len(numbered) < 2:  # noqa: PLR2004 - no thread is needed
            for number, setting in numbered:
                self._run_one(number, setting)
            return
        with ThreadPoolExecutor(len(numbered)) as pool:
            running = [pool.submit(self._run_one, *each) for each in numbered]
        for each in running:
            each.result()

    def _run_one(self, number: int, setting: Setting) -> None:
        begun = time.monotonic()
        parameters, share = setting
        reason, judged = "", Judged(math.nan)
        try:
            judged = self._objective(parameters, share)
        except DataQualityError as error:  # these parameters leave nothing to fit
            reason = error.sentence
        seconds = time.monotonic() - begun
        if reason:
            self._keep(Trial(number, parameters, FAILED, seconds=seconds, share=share, reason=reason))
            return
        iterations = parameters.get("max_iter", self._least_iterations)
        is_short = number > 0 and (share < 1 or iterations < self._least_iterations)
        means = () if is_short else judged.means
        self._keep(Trial(number, parameters, SHORT if is_short else COMPLETE, *judged[:3], seconds, share, means))

    def _keep(self, trial: Trial) -> None:
        """Keep a trial, under the next number if another run has used its own meanwhile."""
        if self._log is not None:
            kept = Trial.from_record(self._log.finish(trial.number, trial.as_record()))
            if _key(kept) != _key(trial):
                with self._lock:
                    self._known.setdefault(_key(kept), kept)
                self._keep(Trial(**{**vars(trial), "number": self._next_number()}))
                return
            trial = kept
        with self._lock:
            self._known[_key(trial)] = trial

    def _next_number(self) -> int:
        """Return the smallest number that no trial has, and reserve it."""
        with self._lock:
            number = next(number for number in range(len(self._numbers) + 1) if number not in self._numbers)
            self._numbers.add(number)
        return number

    def _progress(self, number: int, what: str) -> str:
        """Say which trial begins, what the last and the best have found, and how much time is left."""
        text = f"trial {number}" + (f"; {what}" if what else "")
        if not self.used:
            return text
        last, first = list(self.used.values())[-1], best(self.used.values())
        value = last.state if last.value is None else f"{last.value:.4f}"
        text += f"; trial {last.number}: {value} in {age(last.seconds)}"
        text += f"; best complete trial {first.number}: {self._metric} {first.value:.4f}" if first else ""
        if self._seconds < math.inf:
            text += f"; {age(self.spent)} of {age(self._seconds)}"
        return text


def _setting(trial: Trial) -> Setting:
    return Setting(trial.parameters, trial.share)


def _key(trial: Trial) -> str:
    return _setting(trial).key
