"""Search the parameters of ALS that make the best lists.

Example usage:
>>> from recommender.tune.trial import Judged
>>> def objective(parameters, report):
...     return Judged(1 - abs(parameters["rank"] - 32) / 64)
>>> tuner = AlsTuner(trials=3, rank=[16, 32, 64], max_iter=[5])
>>> found = tuner.execute(objective, {"rank": 32, "max_iter": 5, "reg_param": 0.1, "alpha": 1.0})
>>> best(found).parameters["rank"], len(found)
(32, 3)
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from typing import Literal

from recommender.errors import DataQualityError
from recommender.settings.step import Annotated, Field, field, step
from recommender.terminal.text import age
from recommender.tune.space import KIND, Choices, Range, Space, range_mistake
from recommender.tune.study import Study
from recommender.tune.trial import COMPLETE, FAILED, PRUNED, Objective, Parameters, Trial, TrialLog, best

_CORES_PER_FIT = 8
_SECONDS_PER_MINUTE = 60

Rank = Annotated[int, Field(ge=1, le=1000)]
Submit = Callable[..., "Future[Trial]"]


@step
class AlsTuner:
    """Try parameters of ALS one after the other, each where those before it did best, and judge each by a metric.

    The first trial is what is configured. A range is searched on a logarithmic scale, and on a linear one where low is
    0. alpha and reg_param are sampled together: reg_param holds back what alpha pulls at.

    Init parameters:
        trials: how many, 1 to 10,000, those of runs before that were killed included.
        timeout_minutes: after which no new trial is begun; null: none.
        metric: what is searched for; the definitions are in ``recommender.evaluation``.
        k: places of a list that are looked at, 1 to 1000.
        seed: of the sampling.
        sampler: tpe, which learns from the trials before, or random.
        pruning: median: a trial is fitted with few iterations first, and given up if that is below the median of the
            others; or none.
        pruning_iterations: how many iterations that are, 1 to 1000.
        parallel_fits: fits at once, 1 to 1000; null: one per eight cores. Only with 1 the same seed tries the same.
        rank: choices.
        max_iter: choices.
        reg_param: low and high, >= 0.
        alpha: low and high, >= 0; only implicit.
        score_map: low and high of the weight of a kind of event, for each kind that is searched; null: none is.
        half_life_days: low and high, > 0; null: not searched.
        min_score: choices for score_filter; null: not searched.
        min_items_per_visitor: choices for score_filter; null: not searched.
        min_visitors_per_item: choices for score_filter; null: not searched.
    Execution args:
        objective: takes the parameters of a trial and a function that takes iterations and metric of an unfinished
            fit, which returns whether to give up; returns the metric of the fit.
        start: the parameters that are configured, by the names of `space`.
        implicit: whether the scores are implicit feedback.
        log: where trials are kept as they end, and were; null: nowhere.
        at_once: fits at once.
        announce: shows what is running.
    Execution returns:
        The trials that have ended, by number.
    Raises:
        ConfigError: a choice or range is empty or out of range; Optuna is not installed. DataQualityError: no trial
        could be judged (TUNE_NO_TRIAL).
    Persist strategy: each trial as a record in `log`; the stage stores the table trials.
    """

    trials: Annotated[int, Field(ge=1, le=10_000)] = 20
    timeout_minutes: Annotated[float, Field(gt=0)] | None = None
    metric: Literal["ndcg", "recall", "precision", "map", "mrr", "hit_rate"] = "ndcg"
    k: Annotated[int, Field(ge=1, le=1000)] = 10
    seed: int = 0
    sampler: Literal["tpe", "random"] = "tpe"
    pruning: Literal["median", "none"] = "none"
    pruning_iterations: Annotated[int, Field(ge=1, le=1000)] = 3
    parallel_fits: Annotated[int, Field(ge=1, le=1000)] | None = 1
    rank: Annotated[list[Rank], Field(min_length=1)] = field(default_factory=lambda: [16, 32, 64])
    max_iter: Annotated[list[Rank], Field(min_length=1)] = field(default_factory=lambda: [5, 10, 15])
    reg_param: Mapping[str, float] = field(default_factory=lambda: {"low": 0.001, "high": 1.0})
    alpha: Mapping[str, float] = field(default_factory=lambda: {"low": 0.1, "high": 100.0})
    score_map: Mapping[str, Mapping[str, float]] | None = None
    half_life_days: Mapping[str, float] | None = None
    min_score: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=1)] | None = None
    min_items_per_visitor: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] | None = None
    min_visitors_per_item: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] | None = None

    def __post_init__(self) -> None:
        mistakes = [
            *(range_mistake(name, given) for name, given in self._ranges().items() if name != "half_life_days"),
            range_mistake("half_life_days", self.half_life_days, above_zero=True) if self.half_life_days else "",
            "half_life_days must have low and high, got neither" if self.half_life_days == {} else "",
        ]
        if any(mistakes):
            raise ValueError("; ".join(filter(None, mistakes)))

    def space(self, implicit: bool = True) -> Space:
        """Return what is searched, by name; alpha means nothing where scores are ratings."""
        choices: dict[str, Choices | Range] = {
            name: Choices(tuple(dict.fromkeys(given)))
            for name in ("rank", "max_iter", "min_score", "min_items_per_visitor", "min_visitors_per_item")
            if (given := getattr(self, name)) is not None
        }
        ranges = {name: Range(given["low"], given["high"]) for name, given in self._ranges().items()}
        return {name: searched for name, searched in {**choices, **ranges}.items() if implicit or name != "alpha"}

    def rungs(self, max_iter: int) -> list[int]:
        """Return the iterations of each fit of a trial: MLlib cannot go on from a fit, so the last begins anew."""
        first = [self.pruning_iterations] if self.pruning == "median" and self.pruning_iterations < max_iter else []
        return [*first, max_iter]

    def fits_at_once(self, cores: int) -> int:
        """Return how many fits share so many cores."""
        return self.parallel_fits or max(1, cores // _CORES_PER_FIT)

    def execute(
        self,
        objective: Objective,
        start: Parameters,
        *,
        implicit: bool = True,
        log: TrialLog | None = None,
        at_once: int = 1,
        announce: Callable[[str], None] = lambda part: None,  # noqa: ARG005
    ) -> list[Trial]:
        """Return the trials; see the class."""
        study = Study(self.space(implicit), sampler=self.sampler, pruning=self.pruning, seed=self.seed)
        found = {number: Trial.from_record(record) for number, record in (log.finished() if log else {}).items()}
        ended = {number: found[number] for number in sorted(found) if number < self.trials}
        for trial in ended.values():
            study.replay(trial)
        with closing(self._search(study, objective, start, ended, at_once, announce)) as trials:
            for trial in trials:
                kept = trial if log is None else Trial.from_record(log.finish(trial.number, trial.as_record()))
                study.tell(kept)
                ended[kept.number] = kept
        if best(ended.values()) is None:
            reasons = [trial.reason for trial in ended.values() if trial.reason]
            sentence = f"none of {len(ended):,} trials could be judged, the last because {reasons[-1]}"
            raise DataQualityError("TUNE_NO_TRIAL", f"{sentence}; search milder filters, see tune.tuner")
        return [ended[number] for number in sorted(ended)]

    def _search(
        self,
        study: Study,
        objective: Objective,
        start: Parameters,
        ended: Mapping[int, Trial],
        at_once: int,
        announce: Callable[[str], None],
    ) -> Generator[Trial, None, None]:
        """Run the trials that are missing, and give each when it has ended; `ended` has those that were given."""
        waiting = [number for number in range(self.trials) if number not in ended]
        begun = time.monotonic()
        running: set[Future[Trial]] = set()
        with _workers(at_once) as submit:
            while waiting or running:
                while waiting and len(running) < at_once and not (self._is_late(begun) and (ended or running)):
                    number = waiting.pop(0)
                    announce(self._progress(number, ended, at_once))
                    asked = study.ask(number, start if number == 0 else None)
                    running.add(submit(self._run, study, number, asked, objective))
                if not running:
                    return  # no time is left
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=lambda future: future.exception() is not None):
                    yield future.result()

    @staticmethod
    def _run(study: Study, number: int, parameters: Parameters, objective: Objective) -> Trial:
        """Run one trial."""
        begun = time.monotonic()
        rungs: list[tuple[int, float]] = []

        def report(iterations: int, value: float) -> bool:
            rungs.append((iterations, value))
            return study.is_hopeless(number, iterations, value)

        try:
            value, low, high, pruned = objective(parameters, report)
        except DataQualityError as error:  # these parameters leave nothing to fit
            seconds = time.monotonic() - begun
            return Trial(number, parameters, FAILED, seconds=seconds, rungs=tuple(rungs), reason=error.sentence)
        seconds = time.monotonic() - begun
        state = PRUNED if pruned else COMPLETE
        return Trial(number, parameters, state, value, low, high, seconds, tuple(rungs))

    def _progress(self, number: int, ended: Mapping[int, Trial], at_once: int) -> str:
        """Say which trial begins, what the last and the best have found, and how long it may take."""
        text = f"trial {number}; {len(ended)} of {self.trials} done"
        if not ended:
            return text
        last, first = list(ended.values())[-1], best(ended.values())
        value = last.state if last.value is None else f"{last.value:.4f}"
        text += f"; trial {last.number}: {value} in {age(last.seconds)}"
        text += f"; best trial {first.number}: {self.metric}@{self.k} {first.value:.4f}" if first else ""
        mean = sum(trial.seconds for trial in ended.values()) / len(ended)
        return f"{text}; about {age(mean * (self.trials - len(ended)) / at_once)} left"

    def _is_late(self, begun: float) -> bool:
        minutes = self.timeout_minutes
        return minutes is not None and time.monotonic() - begun > minutes * _SECONDS_PER_MINUTE

    def _ranges(self) -> dict[str, Mapping[str, float]]:
        """Return the ranges that are searched, as they were given."""
        kinds = {f"{KIND}{kind}": given for kind, given in (self.score_map or {}).items()}
        half_life = {"half_life_days": self.half_life_days} if self.half_life_days else {}
        return {"reg_param": self.reg_param, "alpha": self.alpha, **kinds, **half_life}


@contextmanager
def _workers(number: int) -> Iterator[Submit]:
    """Give what starts a trial: in a thread of its own, or here where there is one at a time."""
    if number == 1:
        yield _here
        return
    pool = ThreadPoolExecutor(number)
    try:
        yield pool.submit
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)  # a fit that is running ends with the session
        raise
    pool.shutdown()


def _here(function: Callable[..., Trial], *arguments: object) -> "Future[Trial]":
    future: Future[Trial] = Future()
    future.set_result(function(*arguments))
    return future
