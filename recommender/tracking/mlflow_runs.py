"""Log a run in MLflow: one run for the workflow, and a nested run for each of its stages."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from recommender.report import facts_of, report_page, settings_text, verdict
from recommender.settings.redaction import redacted
from recommender.store import Commit, Store, now
from recommender.tracking.listeners import Work
from recommender.tracking.model_versions import alias, mlflow_client, register
from recommender.tracking.settings import Tracking

_RUN, _PARENT, _NOTE = "recommender.run", "mlflow.parentRunId", "mlflow.note.content"
_AT_ONCE = {"metrics": 500, "params": 100}  # what a server takes in one request is limited


def measured(record: Mapping[str, Any]) -> Iterator[tuple[str, float, int]]:
    """Return the numbers of a commit's record: (name, value, step); the step of a trial is its number."""
    found: list[tuple[str, Any, int]] = [
        (name, record.get(name), 0) for name in ("seconds", "events", "events_per_second")
    ]
    for row in record.get("metrics") or ():
        name = f"{row['model']}/{row['metric']}_at_{row['k']}"
        found += [(name, row["value"], 0), *((f"{name}_{end}", row.get(end), 0) for end in ("low", "high"))]
    for trial in record.get("trials") or ():
        of_trial = {record["metric"].replace("@", "_at_"): trial["value"], "seconds": trial["seconds"]}
        found += [(f"trial/{name}", value, trial["number"]) for name, value in (of_trial | trial["parameters"]).items()]
    return (each for each in found if isinstance(each[1], int | float) and not isinstance(each[1], bool))


@dataclass
class MlflowRuns:
    """Log a run in MLflow; see `recommender.tracking.listeners.Listener`.

    A run that is started again goes on in the same run of MLflow.
    """

    NAME = "MLflow"

    settings: Tracking
    uri: str  # as it was written, with names of environment variables in place
    store: Store
    run: str  # its id
    _nested: dict[str, str] = field(default_factory=dict)  # stage that is open -> its run in MLflow
    _commits: dict[str, Commit] = field(default_factory=dict)

    @cached_property
    def _client(self) -> Any:
        return mlflow_client(str(self.settings.mlflow))

    @cached_property
    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(self.settings.experiment)
        return str(found.experiment_id if found else self._client.create_experiment(self.settings.experiment))

    @cached_property
    def _parent(self) -> str:
        before = self._client.search_runs([self._experiment], f"tags.`{_RUN}` = '{self.run}'", max_results=1)
        if before:
            self._client.update_run(before[0].info.run_id, "RUNNING")
            return str(before[0].info.run_id)
        return str(self._client.create_run(self._experiment, run_name=self.run, tags={_RUN: self.run}).info.run_id)

    def begun(self, work: Work) -> None:
        name = f"{work.stage} {work.verb}"
        nested = self._client.create_run(self._experiment, run_name=name, tags={_PARENT: self._parent})
        self._nested[work.stage] = nested.info.run_id

    def done(self, commit: Commit, reused: str) -> None:
        """End it, with what was set and measured, and the record."""
        stage, record = commit.stage, redacted(commit.record, numbers=False)
        nested = self._nested[stage]
        self._commits[stage] = commit
        for run in (self._parent, nested):
            self._log(run, dict(settings_text({stage: record.get("changed") or {}})), list(measured(record)))
        facts = {"reused": reused, "version": record.get("version"), "blessed": record.get("blessed")}
        for key, value in facts.items():
            if value not in {None, ""}:
                self._client.set_tag(nested, f"recommender.{key}", str(value))
        self._client.log_text(nested, json.dumps(record, indent=1), "record.json")
        self._client.set_terminated(self._nested.pop(stage), "FINISHED")

    def failed(self, sentence: str) -> None:
        for nested in self._nested.values():
            self._client.set_tag(nested, _NOTE, redacted(sentence))
            self._client.set_terminated(nested, "FAILED")
        self._end("FAILED", redacted(sentence))

    def ended(self) -> None:
        """End the run of the workflow; then register what it has published, which a registry may refuse."""
        self._end("FINISHED")
        published = self._commits.get("stage4")
        if published:
            register(self._client, self.store, published, self._parent, self.uri, self.settings.model)
            alias(self.store, published)

    def _log(self, run: str, params: Mapping[str, str], metrics: list[tuple[str, float, int]]) -> None:
        from mlflow.entities import Metric, Param  # noqa: PLC0415 - an extra

        at = int(time.time() * 1000)
        entities: dict[str, list[Any]] = {
            "metrics": [Metric(name, float(value), at, step) for name, value, step in metrics],
            "params": [Param(name, value) for name, value in redacted(params).items()],
        }
        for kind, found in entities.items():
            for first in range(0, len(found), _AT_ONCE[kind]):
                self._client.log_batch(run, **{kind: found[first : first + _AT_ONCE[kind]]})

    def _end(self, status: str, sentence: str = "") -> None:
        if "_parent" not in vars(self):
            return  # the run had ended before its first stage
        if self._commits:
            facts = facts_of(self.store, self.run, self._commits)
            self._client.log_text(self._parent, redacted(report_page([facts], now())), "report.html")
            sentence = sentence or verdict(facts).sentence
        self._client.set_tag(self._parent, _NOTE, sentence)
        self._client.set_terminated(self._parent, status)
