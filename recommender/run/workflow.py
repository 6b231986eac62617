"""Run the workflow from Python: in a notebook, a scheduler's task, or a test.

Example usage (generated events; the results are read back from the store, nothing is computed again):

    from recommender import run_workflow

    results = run_workflow({"root": "/tmp/shop"})
    results["stage4"].tables["recommendations"].show()
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from gc import collect as collect_garbage
from pathlib import Path
from typing import Any

import yaml
from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from recommender.run.config import WORKFLOW, Config, load_config, parse_config
from recommender.run.job import Session, checked_run_id, run_stages
from recommender.run.runner import Progress
from recommender.store import Commit, Store
from recommender.tables.parquet import read_table


@dataclass(frozen=True)
class Result:
    """The committed result of a stage.

    Attributes:
        commit: its number, run and record.
        tables: name -> DataFrame, read from the files of the commit.
    """

    store: Store
    commit: Commit

    @cached_property
    def tables(self) -> dict[str, DataFrame]:
        """The tables, by name; the factors of a model are model/userFactors and model/itemFactors."""
        schemas: Mapping[str, Any] = self.commit.record["tables"]
        return {
            name: read_table(self.store.urls(self.commit, name), StructType.fromJson(schema))
            for name, schema in schemas.items()
        }


def run_workflow(
    config: str | Path | Mapping[str, Any],
    *,
    stages: Sequence[str] = WORKFLOW,
    root: str | None = None,
    overrides: Iterable[str] = (),
    run_id: str | None = None,
    force: bool = False,
    override_gate: str | None = None,
) -> dict[str, Result]:
    """Run stages from the store to the store, as the jobs do, in the active session, or in a new one that stays open.

    Args:
        config: path of a YAML file, or its content as a mapping.
        stages: names of stages, in order.
        root: where results are stored; null: the configuration's.
        overrides: as ``--set``, for example ``stage1.score_filter.min_score=5``.
        run_id: name of this run; a stage that it has committed is not run again.
        force: compute even if nothing has changed since the last run.
        override_gate: why a model that the gate has refused is published; null: it is not published.

    Returns:
        stage -> its result.

    Raises:
        RecommenderError: of any kind; see ``recommender.errors``.
    """
    checked = _config(config, list(overrides), root)
    where = Progress(run=checked_run_id(run_id))
    store, commits = run_stages(
        checked, stages, where, Session(verbose=False), run_id=run_id, force=force, override=override_gate
    )
    # Over Spark Connect a model that is freed as late as Python ends keeps it from ending.
    collect_garbage()
    return {name: Result(store, commit) for name, commit in commits.items()}


def _config(given: str | Path | Mapping[str, Any], overrides: Sequence[str], root: str | None) -> Config:
    if isinstance(given, Mapping):
        return parse_config(yaml.safe_dump(dict(given)), overrides, root=root)
    return load_config(given, overrides, root=root)
