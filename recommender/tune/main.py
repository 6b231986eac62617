"""Tune: search the parameters of the model that make the best lists for visitors that a fit does not know.

Example usage:
>>> types = "visitor_index int, item_index int, score float, last_timestamp long"
>>> scores = spark.createDataFrame([(v, i, 1.0, i) for v in range(8) for i in range(4) if (v + i) % 4], types)
>>> tables = {
...     "scores": scores,
...     "interactions": scores.selectExpr("visitor_index", "item_index", "'view' as event", "score", "last_timestamp"),
...     "items": spark.createDataFrame([(f"i{i}", i, 9) for i in range(4)],
...                                    "itemid string, item_index int, last_timestamp long"),
... }
>>> settings = {"score_events": {"score_map": {"view": 1}}, "group_scores": {}, "score_filter": {}}
>>> tuner = {"trials": 2, "rank": [2], "max_iter": [1]}
>>> stage = Tune({"tuner": tuner, "validation": {"share": 0.5}, "als": {"rank": 2}})
>>> stage.execute(**tables, **settings)["trials"].select("trial", "state").show()
+-----+--------+
|trial|   state|
+-----+--------+
|    0|complete|
|    1|complete|
|    2|complete|
|    3|complete|
+-----+--------+
<BLANKLINE>
>>> sorted(stage.best.parameters)
['alpha', 'max_iter', 'rank', 'reg_param']
>>> stage.release()
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, ClassVar

from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.errors import ConfigError, Mistake
from recommender.ruled_stage import RuledStage, RuledSteps
from recommender.spark.aggregates import single_row
from recommender.spark.cluster import cores
from recommender.spark.row_counts import StepRows
from recommender.stage import place_of
from recommender.stage1.steps import TrainTestSplit
from recommender.stage2.steps import AlsFitter, ItemToItem, RecentPopularityModel
from recommender.store import Commit, Store
from recommender.tables.parquet import as_stored
from recommender.terminal.summary import trials_table
from recommender.tune.best import FILE, best_text
from recommender.tune.objective import TrialObjective
from recommender.tune.prepared import Prepared
from recommender.tune.scoring import Scoring, is_prepared
from recommender.tune.search import Found
from recommender.tune.steps import ModelTuner, ValidationSplit
from recommender.tune.steps.validation_split import Parts
from recommender.tune.trial import Trial, TrialLog, ranked

# How long is searched does not change what a trial finds: a search that is given more goes on.
_EFFORT = ("trials", "timeout_minutes", "parallel_fits", "rank")
CONFIGURATION = "configuration"  # best.yaml has all of it
_ROW = "trial int, state string, value double, low double, high double, seconds double, share double, parameters string"


class TuneSteps(RuledSteps):
    """The steps of the search."""

    validation: ValidationSplit
    tuner: ModelTuner
    als: AlsFitter
    item_to_item: ItemToItem
    recent_popularity: RecentPopularityModel


class Tune(RuledStage):
    """Tune: search the model's parameters on a validation part of the training pairs, and write the best as YAML.

    It consists of the following steps:
    - validation: what is held out of the training pairs to judge the trials by; the final holdout is not read
    - tuner: what is tried
    - als, item_to_item, recent_popularity, fold_in, item_rules, blend, recommend: the steps and settings of stages 2
      and 3, with what a trial changes of them; when an item was last seen is counted in what is fitted

    Init parameters:
        config: step -> parameters; a step that is not named gets its defaults.
    Execution args:
        scores, interactions, items: the tables of stage 1.
        data_loader, score_events, group_scores, score_filter: the parameters that these were made with.
        holdout, protocol: the parameters of stage 1's holdout, and the name of its protocol: the validation part
        follows them.
        trials: where trials are kept as they end, and were; null: nowhere.
    Execution returns:
        Dictionary with the DataFrame trials (``recommender.tables.schemas``): one row per trial.
    Raises:
        ConfigError: the config is wrong, all mistakes are listed; what is searched cannot be found out from stage 1's
        tables (TUNE_SPACE).
        DataQualityError: nothing is left to fit or to predict (VALIDATION_EMPTY); no trial could be judged
        (TUNE_NO_TRIAL).
    Persist strategy:
        Parquet, a folder per table, below the given path; a job stores best.yaml beside them.
    """

    NAME = "tune"
    INPUTS: ClassVar[Mapping[str, tuple[str, str]]] = {
        name: ("stage1", name) for name in ("scores", "interactions", "items")
    }
    SETTINGS: ClassVar[Mapping[str, tuple[str, str]]] = {
        name: ("stage1", name) for name in ("data_loader", "score_events", "group_scores", "score_filter", "holdout")
    }
    RECORDS: ClassVar[Mapping[str, tuple[str, str]]] = {"protocol": ("stage1", "protocol")}
    steps: TuneSteps
    FIXED: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "als": {"user_col": C.VISITOR_INDEX, "item_col": C.ITEM_INDEX, "rating_col": C.SCORE},
    }

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self._als = self._fitter()
        self._found: Found | None = None
        self._split = self.steps.validation
        self._score_map: Mapping[str, float] = {}
        self._prepared: Prepared | None = None
        self._sizes = (0, 0, 0)  # pairs that are fitted, pairs and visitors that are held out

    @property
    def found(self) -> Found:
        """What the search has found; there is nothing before `execute`."""
        if self._found is None:
            raise RuntimeError("nothing has been searched yet")
        return self._found

    @property
    def best(self) -> Trial:
        """The best complete trial."""
        return self.found.best

    @property
    def trials(self) -> list[Trial]:
        """The trials, the best first."""
        return ranked(self.found.trials)

    @property
    def verdict(self) -> str:
        """What was gained over the configured parameters, in a sentence."""
        return self.found.verdict(self._metric)

    @property
    def _metric(self) -> str:
        return f"{self.steps.tuner.metric}@{self.steps.tuner.k}"

    def _fitter(self) -> AlsFitter:
        """Return what fits the trials: as configured, by the solver of the search."""
        als, solver = self.steps.als, self.steps.tuner.solver
        if solver is None:
            return als
        if als.nonnegative:
            sentence = "solver must be null with stage2.als.nonnegative, got blocks, whose factors may be negative"
            raise ConfigError(Mistake("CFG_VALUE", "tuner", sentence))
        return replace(als, solver=solver)

    def versions(self, started: bool) -> dict[str, str | None]:
        """Return the tables with the lists of items, and their versions; and that of the configuration, as a hash."""
        given = json.dumps(self.given, sort_keys=True, default=str)
        return {**super().versions(started), CONFIGURATION: hashlib.sha256(given.encode()).hexdigest()}

    def needs_checkpoints(self) -> bool:
        """Return whether a trial may have so many iterations that Spark needs a folder for checkpoints."""
        als, tuner = self._als, self.steps.tuner
        if tuner.model != C.ALS:
            return False
        return als.needs_checkpoints or 0 < als.checkpoint_interval < max(als.max_iter, *tuner.max_iter)

    def searched(self, made_of: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the trials depend on: not how many there are, and not what is configured of other stages."""
        tuner = {name: value for name, value in made_of["config"]["tuner"].items() if name not in _EFFORT}
        versions = {name: version for name, version in made_of["versions"].items() if name != CONFIGURATION}
        return {**made_of, "config": {**made_of["config"], "tuner": tuner}, "versions": versions}

    def execute(
        self,
        scores: DataFrame,
        interactions: DataFrame,
        items: DataFrame,
        score_events: Mapping[str, Any],
        group_scores: Mapping[str, Any],
        score_filter: Mapping[str, Any],
        data_loader: Mapping[str, Any] = MappingProxyType({}),
        holdout: Mapping[str, Any] = MappingProxyType({}),
        protocol: str | None = None,
        trials: TrialLog | None = None,
    ) -> dict[str, DataFrame]:
        """Return the table of the trials; see the class."""
        tuner, als = self.steps.tuner, self._als
        blocks = als.solver == "blocks"
        space = tuner.space(implicit=als.implicit_prefs, blocks=blocks)
        (newest,) = single_row(items.agg(F.max(C.LAST_TIMESTAMP)))
        weighed = C.WEIGHT in data_loader.get("columns", {})
        scoring = Scoring(score_events, group_scores, score_filter, newest or 0, weighed=weighed)
        scoring.check(space)
        self._score_map = scoring.score_map
        self.announce("dividing the training pairs")
        parts = self._divided(scores, protocol, holdout)
        recent = self.steps.recent_popularity if self.steps.blend.weight else None
        prepared = self._prepared = Prepared(
            parts, interactions, items, scoring, same_pairs=is_prepared(space), recent=recent
        )
        self._sizes = prepared.fitted_pairs, prepared.held_pairs, prepared.visitor_count
        allowed = self.steps.item_rules.execute(prepared.items, self.item_versions)
        objective = TrialObjective(als, self.steps, tuner, prepared, allowed, self.steps.item_to_item)
        found = self._found = tuner.execute(
            objective,
            {**objective.configured(space), **scoring.start(space)},
            prepared.density,
            implicit=als.implicit_prefs,
            blocks=blocks,
            log=trials,
            at_once=tuner.fits_at_once(cores(scores.sparkSession)),
            announce=self.announce,
        )
        return {"trials": as_stored("trials", scores.sparkSession.createDataFrame(list(map(_row, found.trials)), _ROW))}

    def _divided(self, scores: DataFrame, protocol: str | None, holdout: Mapping[str, Any]) -> Parts:
        """Return what is fitted and what is held out, and warn if the times do not say which pairs are the last."""
        split = self.steps.validation.following(protocol, holdout).sized(scores)
        cut = TrainTestSplit(column_name=C.LAST_TIMESTAMP, train_percentile=split.percentile)
        parts = split.execute(scores, cut.split_value(scores) if split.by == "time" else 0)
        tied = split.chance(parts)
        self._split = split.untied(self.steps.validation, protocol) if tied else split
        self.note([f"{tied}; {self._split.remedy}"] if tied else [])
        return parts if self._split == split else self._split.execute(scores)

    def documents(self) -> dict[str, str]:
        """Return the best configuration: what was given, with the best parameters in their places."""
        return {FILE: best_text(self.given, self.best, self._score_map, self._metric, self.verdict)}

    def details(self) -> dict[str, Any]:
        """Return the trials, the best first, what the best has found and gained, and what was not tried."""
        gained = self.found.gain
        return {
            "metric": self._metric,
            "best": dict(self.best.parameters),
            "verdict": self.verdict,
            "gain": None if gained is None else gained._asdict(),
            "notes": list(self.found.notes),
            "trials": [{**trial.as_record(), "means": []} for trial in self.trials],
            **({"warnings": self.warnings} if self.warnings else {}),
        }

    def closing(self, store: Store, commit: Commit) -> list[str]:
        """Return the trials, and how the best configuration is run."""
        place = place_of(store, commit)
        hint = "copy it to where the job starts, and " if ":" in place else ""
        best = (
            f"The best configuration is {place}/{FILE}; {hint}run it with\n  ./spark-submit.sh --config {place}/{FILE}"
        )
        record = commit.record
        told = "\n".join([record["verdict"], *(f"  {note}" for note in record["notes"])])
        return [trials_table(record["metric"], record["trials"]), told, best]

    def release(self) -> None:
        """Free what the trials have shared."""
        if self._prepared is not None:
            self._prepared.release()

    def lines(self, rows: Mapping[str, int]) -> list[StepRows]:
        """Return the rows in and out of each step, given the counts of `persist`."""
        fitted, held, visitors = self._sizes
        note = f"held-out visitors, trials of lists for them; the best is trial {self.best.number}"
        return [
            StepRows("validation", None, fitted, f"pairs to fit; {held:,} are held out, by {self._split.by}"),
            StepRows("tuner", visitors, rows["trials"], note),
        ]


def _row(trial: Trial) -> tuple[Any, ...]:
    parameters = json.dumps(dict(trial.parameters))
    return trial.number, trial.state, trial.value, trial.low, trial.high, trial.seconds, trial.share, parameters
