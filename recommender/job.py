"""A job: arguments, configuration, session, and one or more stages from the store to the store.

The files in ``jobs/`` are the entry points; they hold nothing but the names of their stages.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from recommender import __version__
from recommender.base import parameters
from recommender.config import STAGES, Config, load_config
from recommender.errors import ConfigError, InputError, Mistake, RecommenderError
from recommender.progress import progress
from recommender.sample import DEFAULT_EVENTS, sample_events
from recommender.session import error_stream, start_session
from recommender.spark_errors import explained
from recommender.stage import Stage
from recommender.store import Commit, Store, new_run_id, run_id_mistake
from recommender.summary import example_text, metrics_table, stage_summary
from recommender.tables import read_table


@dataclass
class _Run:
    """What a job knows of itself; the error line names it."""

    id: str = "-"
    stage: str = "-"
    attempt: str = "-"


def run_job(stages: Sequence[str], script: str, arguments: Sequence[str] | None = None) -> int:
    """Run stages in order in one session.

    Args:
        stages: names of stages.
        script: path of the job's file; the configuration beside it is the default.
        arguments: those of the command line.

    Returns:
        The exit code: 0, or that of the error, whose line is the last one on stderr.
    """
    run = _Run(stage=stages[0] if len(stages) == 1 else "-")
    verbose = "--verbose" in (sys.argv if arguments is None else arguments)
    try:
        _run(stages, _parser(stages, script).parse_args(arguments), run)
    except Exception as error:  # noqa: BLE001 - the boundary: every error gets its line and its code
        return _fail(error, run, verbose)
    return 0


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are told as all others are."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(Mistake("CFG_ARGUMENT", "", f"{message}; see --help"))


def _parser(stages: Sequence[str], script: str) -> argparse.ArgumentParser:
    what = "\n".join(f"{name}  {STAGES[name].NAME}: {_first_line(STAGES[name])}" for name in stages)
    parser = _Parser(
        prog=f"spark-submit jobs/{Path(script).name}",
        description=f"Run, each from what is stored to what is stored:\n\n{what}",
        epilog="Exit codes: 0 done, 1 bug, 10 configuration, 12 input, 13 data quality, 14 gate, 15 conflict, "
        "16 damaged artifact, 17 storage, 18 try again.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    default = Path(script).resolve().parent.parent / "conf" / "local.yaml"
    parser.add_argument("--config", metavar="FILE", default=default, help="the YAML file (default: conf/local.yaml)")
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="override one parameter, as often as needed: --set stage1.score_filter.min_score=5",
    )
    parser.add_argument("--root", metavar="FOLDER", help="where results are stored (default: root of the YAML file)")
    parser.add_argument("--run-id", metavar="ID", help="name of this run (default: made from the time)")
    parser.add_argument("--verbose", action="store_true", help="show the stack trace of an error")
    return parser


def _first_line(documented: type) -> str:
    return (documented.__doc__ or "").split("\n", 1)[0].split(": ", 1)[-1]


def _run(stages: Sequence[str], options: argparse.Namespace, run: _Run) -> None:
    """Check everything that can be checked, then start Spark and run the stages."""
    run.id = options.run_id or new_run_id()
    wrong_id = run_id_mistake(run.id)
    if wrong_id:
        raise ConfigError(Mistake("RUN_ID", "--run-id", f"{wrong_id}, got {options.run_id[:60]!r}"))
    config = load_config(options.config, options.set)
    store = Store(options.root or config.root)
    sample = _sample_path(config, store) if "stage1" in stages else None
    built = {name: STAGES[name](_stage_config(config, name, sample)) for name in stages}
    commits = _upstream(built, store)
    store.check()
    shared = SparkSession.getActiveSession()  # a platform's own session is not ours to stop
    with progress("starting Spark"):
        spark = start_session(f"recommender {' '.join(stages)} {run.id}", options.verbose)
    try:
        if sample:
            _make_sample(spark, sample)
        for name, stage in built.items():
            run.stage = name
            commits[name] = _run_stage(name, stage, store, commits, run)
            _print_summary(name, stage, commits[name])
    finally:
        if not shared:
            spark.stop()


def _sample_path(config: Config, store: Store) -> Path | None:
    """Return where the sample events are, if the configuration names no others."""
    named = config.stage("stage1").get("data_loader", {}).get("event_filename")
    return None if named else store.root / "sample" / f"{DEFAULT_EVENTS}-events.parquet"


def _stage_config(config: Config, name: str, sample: Path | None) -> dict[str, Any]:
    section: dict[str, Any] = config.stage(name)
    if name == "stage1" and sample:
        section["data_loader"] = {**section.get("data_loader", {}), "event_filename": str(sample)}
    return section


def _make_sample(spark: SparkSession, path: Path) -> None:
    """Generate the sample events, unless they are there."""
    if path.exists():
        return
    print(f"The configuration names no events: generating {DEFAULT_EVENTS:,} sample events into {path}")
    temporary = path.with_name(f".{path.name}-{new_run_id()}")
    with progress("generating sample events"):
        sample_events(spark).write.parquet(str(temporary))
    temporary.rename(path)


def _upstream(built: Mapping[str, Stage], store: Store) -> dict[str, Commit]:
    """Return the commits of the stages that are read but not run: the newest of the last, and what that was made from.

    So the indexes of a model always meet the visitors and items that they number, also where a stage before it has
    committed again meanwhile.
    """
    needed = {stage for s in built.values() for stage, _ in (*s.INPUTS.values(), *s.SETTINGS.values())} - set(built)
    commits: dict[str, Commit] = {}
    for stage in sorted(needed, reverse=True):
        made_from = next((c.record["upstream"][stage] for c in commits.values() if stage in c.record["upstream"]), None)
        commit = store.latest(stage) if made_from is None else store.commit_number(stage, made_from)
        if commit is None:
            sentence = f"{stage} has no committed result below {store.root}; run {stage} first, or see --root"
            raise InputError("UPSTREAM_NOT_COMMITTED", sentence)
        commits[stage] = commit
    return commits


def _run_stage(name: str, stage: Stage, store: Store, commits: Mapping[str, Commit], run: _Run) -> Commit:
    """Run one stage into a new attempt, and commit it."""
    started = time.monotonic()
    attempt = store.begin(name, run.id)
    run.attempt = attempt.id
    try:
        with progress(f"{name} {stage.NAME}") as stage.announce:
            inputs: dict[str, Any] = {
                argument: _read(commits[upstream], table) for argument, (upstream, table) in stage.INPUTS.items()
            }
            settings = {
                argument: commits[upstream].record["config"][step]
                for argument, (upstream, step) in stage.SETTINGS.items()
            }
            data = stage.execute_persist(attempt.path, **inputs, **settings)
            steps = stage.report()
    except BaseException:
        store.discard(attempt)
        raise
    seconds = time.monotonic() - started
    events = commits["stage1"].record["events"] if "stage1" in commits else steps[0].rows_out or 0
    record = {
        "version": __version__,
        "config": {key: parameters(step) for key, step in stage.steps.items()},
        "upstream": {key: commit.number for key, commit in commits.items()},
        "tables": _schemas(data),
        "steps": [asdict(step) for step in steps],
        "events": events,
        "seconds": seconds,
        "events_per_second": events / seconds,
    }
    if "metrics" in data:
        rows = read_table(f"{attempt.path}/metrics", data["metrics"].schema)
        record["metrics"] = [row.asDict() for row in rows.orderBy("model", "metric", "k").toLocalIterator()]
    commit = store.commit(attempt, record)
    if name == "stage4":
        store.publish(stage.steps["publish"].channel, commit)
    return commit


def _read(commit: Commit, table: str) -> DataFrame:
    return read_table(f"{commit.path}/{table}", StructType.fromJson(commit.record["tables"][table]))


def _schemas(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of every stored table; those of a model are its factors'."""
    schemas = {name: rows.schema for name, rows in data.items() if name != "model"}
    if "model" in data:
        schemas["model/userFactors"] = data["model"].userFactors.schema
        schemas["model/itemFactors"] = data["model"].itemFactors.schema
    return {name: schema.jsonValue() for name, schema in schemas.items()}


def _print_summary(name: str, stage: Stage, commit: Commit) -> None:
    print(f"\n{stage_summary(name, stage.NAME, commit.record, commit.path)}")
    if "metrics" in commit.record:
        print(f"\n{metrics_table(commit.record['metrics'])}")
    for example in getattr(stage, "examples", ()):
        print(f"\n{example_text(example)}")
    if name == "stage4":
        print(f"\nThe recommendations are Parquet files in {commit.path}/recommendations")
    sys.stdout.flush()


def _fail(error: Exception, run: _Run, verbose: bool) -> int:
    """Tell the user about an error, and return its exit code."""
    ours = error if isinstance(error, RecommenderError) else explained(error)
    lines = traceback.format_exception(error) if verbose else []
    if isinstance(ours, ConfigError) and len(ours.mistakes) > 1:
        lines += [f"{mistake}\n" for mistake in ours.mistakes]
    if ours is None:
        reason = str(error).strip().split("\n", 1)[0][:200]
        ours = RecommenderError("INTERNAL", f"{type(error).__name__}: {reason}; --verbose shows where")
    place = f"stage={run.stage} run={run.id} attempt={run.attempt}"
    stream = error_stream()
    stream.write("".join([*lines, f"RECOMMENDER_ERROR {ours.id} {place}: {ours.sentence}\n"]))
    stream.flush()
    return ours.exit_code
