"""Search the parameters of ALS, or of the neighbours of items, that make the best lists.

Example usage:
>>> from recommender.tune.trial import Judged
>>> def objective(parameters, share):
...     value = 1 - abs(parameters["rank"] - 32) / 64
...     return Judged(value, means=(value, value))
>>> tuner = ModelTuner(trials=3, rank=[16, 32, 64], max_iter=[5])
>>> start = {"rank": 8, "max_iter": 5, "reg_param": 0.1, "alpha": 1.0}
>>> found = tuner.execute(objective, start, Density(pairs=1_000_000, visitors=20_000, mean_score=1.0))
>>> found.best.parameters["rank"], str(found.gain)
(32, '+0.3750 (95 % interval +0.3750 to +0.3750)')
"""

from collections.abc import Callable, Mapping
from typing import Literal

import recommender.constants as C
from recommender.settings.step import Annotated, Field, field, step
from recommender.tune.draws import Density, Draws
from recommender.tune.search import Found, Search
from recommender.tune.space import KIND, WALK, Choices, Range, Space, range_mistake
from recommender.tune.trial import Objective, Parameters, TrialLog
from recommender.tune.trial_runner import TrialRunner

_CORES_PER_FIT = 8
_PAIRS_OF_A_SAMPLE = 250_000  # with fewer, Spark's own time is most of that of a trial
_LEAST_SHARE = 1 / 16
_POWER_OF_BLOCKS, _POWER_OF_MLLIB = 1.5, 2.0  # of the rank, that the time of a fit grows with
_MOST_EXPONENT = 2  # of ItemToItem
_OF_ALS = ("rank", "max_iter", "reg_exponent", "reg_param", "alpha")
_FILTERS = ("min_score", "min_items_per_visitor", "min_visitors_per_item")

Rank = Annotated[int, Field(ge=1, le=1000)]
Exponent = Annotated[float, Field(ge=0, le=2)]


@step
class ModelTuner:
    """Search alpha, reg_param and what else is asked for at a small rank, then raise iterations and rank.

    First the configured parameters are judged. Then many settings are tried at the smallest rank, with few iterations
    on a part of the visitors; the best third goes on, twice (successive halving). The best of them is fitted with more
    iterations and at larger ranks, as long as the metric gains more than its paired 95 % interval; then some settings
    around it are tried. The search keeps to its time: a trial that would not end in time, by what those before it took,
    is not begun. The neighbours of item_to_item are searched likewise, without the climb.

    Init parameters:
        model: what is searched: als or item_to_item.
        trials: with how many settings the halving begins, 1 to 10,000.
        timeout_minutes: for all trials, also those of runs before that were killed; null: no limit.
        metric: what is searched for; the definitions are in ``recommender.evaluation``.
        k: places of a list that are looked at, 1 to 1000.
        seed: of the settings and of the intervals.
        parallel_fits: fits at once, 1 to 1000; null: one per eight cores.
        solver: blocks: the trials are fitted by blocks, whatever stage2.als.solver is; null: by that one.
        rank: the smallest is that of the halving; the others are tried, rising, while they gain.
        max_iter: likewise.
        reg_param: low and high, >= 0.
        alpha: low and high, >= 0; only implicit.
        reg_exponent: choices, 0 to 2 each; only solver blocks.
        neighbours: choices of item_to_item, 1 to 1000 each.
        walk_alpha: low and high of item_to_item's alpha, 0 to 2.
        walk_beta: likewise of its beta.
        score_map: low and high of the weight of a kind of event, for each kind that is searched; null: none is.
        half_life_days: low and high, > 0; null: not searched.
        min_score: choices for score_filter; null: not searched.
        min_items_per_visitor: choices for score_filter; null: not searched.
        min_visitors_per_item: choices for score_filter; null: not searched.
    Execution args:
        objective: takes the parameters of a trial and the share of the visitors that are fitted; returns the metric.
        start: the parameters that are configured, by the names of `space`.
        density: of the pairs that are fitted: the first settings follow from it.
        implicit: whether the scores are implicit feedback.
        blocks: whether the trials are fitted by solver blocks.
        log: where trials are kept as they end, and were; null: nowhere.
        at_once: fits at once.
        announce: shows what is running.
    Execution returns:
        The trials, the best of them, and what it gains over the configured parameters (`Found`).
    Raises:
        ConfigError: a choice or range is empty or out of range. DataQualityError: no trial could be judged
        (TUNE_NO_TRIAL).
    Persist strategy: each trial as a record in `log`; the stage stores the table trials.
    """

    model: Literal["als", "item_to_item"] = "als"
    trials: Annotated[int, Field(ge=1, le=10_000)] = 24
    timeout_minutes: Annotated[float, Field(gt=0)] | None = 12.0
    metric: Literal["ndcg", "recall", "precision", "map", "mrr", "hit_rate"] = "ndcg"
    k: Annotated[int, Field(ge=1, le=1000)] = 10
    seed: int = 0
    parallel_fits: Annotated[int, Field(ge=1, le=1000)] | None = 1
    solver: Literal["blocks"] | None = None
    rank: Annotated[list[Rank], Field(min_length=1)] = field(default_factory=lambda: [32, 64, 128, 256, 512])
    max_iter: Annotated[list[Rank], Field(min_length=1)] = field(default_factory=lambda: [5, 10, 15])
    reg_param: Mapping[str, float] = field(default_factory=lambda: {"low": 0.001, "high": 100.0})
    alpha: Mapping[str, float] = field(default_factory=lambda: {"low": 0.1, "high": 200.0})
    reg_exponent: Annotated[list[Exponent], Field(min_length=1)] = field(default_factory=lambda: [0.5, 0.75, 1.0])
    neighbours: Annotated[list[Rank], Field(min_length=1)] = field(default_factory=lambda: [50, 100, 200, 400])
    walk_alpha: Mapping[str, float] = field(default_factory=lambda: {"low": 0.3, "high": 1.2})
    walk_beta: Mapping[str, float] = field(default_factory=lambda: {"low": 0.0, "high": 0.8})
    score_map: Mapping[str, Mapping[str, float]] | None = None
    half_life_days: Mapping[str, float] | None = None
    min_score: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=1)] | None = None
    min_items_per_visitor: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] | None = None
    min_visitors_per_item: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] | None = None

    def __post_init__(self) -> None:
        mistakes = [
            *(range_mistake(name, given) for name, given in self._ranges().items() if name != "half_life_days"),
            range_mistake("walk_alpha", self.walk_alpha, most=_MOST_EXPONENT),
            range_mistake("walk_beta", self.walk_beta, most=_MOST_EXPONENT),
            range_mistake("half_life_days", self.half_life_days, above_zero=True) if self.half_life_days else "",
            "half_life_days must have low and high, got neither" if self.half_life_days == {} else "",
        ]
        if any(mistakes):
            raise ValueError("; ".join(filter(None, mistakes)))

    def space(self, *, implicit: bool = True, blocks: bool = False) -> Space:
        """Return what is searched, by name; alpha has no effect on ratings, and only blocks has another exponent."""
        choices: dict[str, Choices | Range] = {
            name: Choices(tuple(dict.fromkeys(given)))
            for name in ("rank", "max_iter", "reg_exponent", *_FILTERS)
            if (given := getattr(self, name)) is not None
        }
        ranges = {name: Range(given["low"], given["high"]) for name, given in self._ranges().items()}
        searched = {**choices, **ranges}
        if self.model == C.ITEM_TO_ITEM:
            neighbours = Choices(tuple(dict.fromkeys(self.neighbours)))
            alpha, beta = (Range(given["low"], given["high"]) for given in (self.walk_alpha, self.walk_beta))
            walk: Space = {f"{WALK}neighbours": neighbours, f"{WALK}alpha": alpha, f"{WALK}beta": beta}
            return {**walk, **{name: each for name, each in searched.items() if name not in _OF_ALS}}
        without = {name for name, is_searched in (("alpha", implicit), ("reg_exponent", blocks)) if not is_searched}
        return {name: each for name, each in searched.items() if name not in without}

    def fits_at_once(self, cores: int) -> int:
        """Return how many fits share so many cores."""
        return self.parallel_fits or max(1, cores // _CORES_PER_FIT)

    def execute(
        self,
        objective: Objective,
        start: Parameters,
        density: Density,
        *,
        implicit: bool = True,
        blocks: bool = False,
        log: TrialLog | None = None,
        at_once: int = 1,
        announce: Callable[[str], None] = lambda part: None,  # noqa: ARG005
    ) -> Found:
        """Return the trials, and the best of them; see the class."""
        space = self.space(implicit=implicit, blocks=blocks)
        runner = TrialRunner(
            objective,
            least_iterations=min(self.max_iter),
            log=log,
            minutes=self.timeout_minutes,
            at_once=at_once,
            rank_power=_POWER_OF_BLOCKS if blocks else _POWER_OF_MLLIB,
            metric=f"{self.metric}@{self.k}",
            announce=announce,
        )
        draws = Draws(space, density, implicit=implicit, seed=self.seed)
        share = min(1.0, max(_LEAST_SHARE, _PAIRS_OF_A_SAMPLE / max(density.pairs, 1)))
        search = Search(runner, draws, space, candidates=self.trials, first_share=round(share, 4))
        return search.execute(start)

    def _ranges(self) -> dict[str, Mapping[str, float]]:
        """Return the ranges that are searched, as they were given."""
        kinds = {f"{KIND}{kind}": given for kind, given in (self.score_map or {}).items()}
        half_life = {"half_life_days": self.half_life_days} if self.half_life_days else {}
        return {"reg_param": self.reg_param, "alpha": self.alpha, **kinds, **half_life}
