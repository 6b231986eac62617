"""A job: arguments, configuration, and one or more stages from the store to the store; every error gets its line here.

The files in ``jobs/`` are the entry points; they hold nothing but the names of their stages.
"""

import argparse
import functools
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from recommender.errors import ConfigError, ConflictError, Mistake, RecommenderError
from recommender.publishing.gate import override_reason
from recommender.run.arguments import chosen_stages, parser
from recommender.run.building import given_config, on_sample, prepared
from recommender.run.config import Config
from recommender.run.plan import show_plan
from recommender.run.preflight import size_of_inputs
from recommender.run.runner import Outcome, Progress, Runner
from recommender.run.termination import Terminated, elsewhere, heeding_signals, received
from recommender.settings.redaction import redacted
from recommender.spark.effort import listen
from recommender.spark.errors import explained, reason_of
from recommender.spark.session import error_stream, hadoop, is_ending, local_folders, start_session, unhidden
from recommender.stage import Stage, place_of
from recommender.store import Commit, Store, new_run_id, run_id_mistake
from recommender.terminal import events
from recommender.terminal.events import as_json
from recommender.terminal.progress import progress, warn
from recommender.terminal.summary import stage_summary
from recommender.terminal.text import error_line, title
from recommender.tracking import Tracked, Work, tracked
from recommender.tune.main import CONFIGURATION

_SETTLING = 0.5  # seconds


def run_job(stages: Sequence[str], script: str | Path | None, arguments: Sequence[str] | None = None) -> int:
    """Run stages in order in one session.

    Args:
        script: path of the job's file; the configuration beside it is the default. None: the job is a command.

    Returns:
        The exit code: 0, or that of the error, whose line is the last one on stderr.
    """
    where = Progress(stage=stages[0] if len(stages) == 1 else "-")
    words = sys.argv if arguments is None else arguments
    verbose = "--verbose" in words
    session = Session(verbose)
    with as_json(sys.stdout) if "--json" in words else nullcontext(), heeding_signals():
        try:
            _run(parser(stages, script).parse_args(arguments), where, session)
            session.stop()
        except (Exception, Terminated, KeyboardInterrupt) as error:  # noqa: BLE001 - the boundary of all errors
            return elsewhere(functools.partial(_leave, error, session, where, verbose))
    return 0


@dataclass
class Session:
    """The session of a job, which is started when it is needed for the first time."""

    verbose: bool  # see `start_session`
    name: str = "recommender"
    size: Callable[[], int | None] = lambda: None  # of the inputs, in bytes, if anybody knows
    failure: Mapping[str, Any] = field(default_factory=dict)  # the error that ended an attempt, as its folder has it
    _spark: SparkSession | None = None
    _ours: bool = False

    def start(self) -> SparkSession:
        """Return the session."""
        if self._spark is None:
            self._ours = SparkSession.getActiveSession() is None  # a platform's own session is not ours to stop
            with progress("starting Spark"):
                self._spark = start_session(self.name, self.verbose, self.size())
            listen(self._spark)
            warning = unhidden(self._spark)
            if warning:
                warn(warning)
        return self._spark

    def places(self) -> str:
        """Return where Spark keeps its temporary files."""
        return local_folders(self._spark) if self._spark else ""

    def stop(self) -> None:
        """Stop the session, if it is ours; what it is doing ends too."""
        spark, self._spark = self._spark, None
        if spark and self._ours:
            with suppress(Exception):  # there is nothing left to stop
                spark.stop()


def _run(options: argparse.Namespace, where: Progress, session: Session) -> None:
    where.run = checked_run_id(options.run_id)
    stages = chosen_stages(options)
    config = given_config(options)
    override = override_reason(options.override_gate)
    if options.dry_run:
        show_plan(config, stages, run_id=options.run_id, force=options.force, override=override)
        return
    run_stages(config, stages, where, session, run_id=options.run_id, force=options.force, override=override)


def checked_run_id(given: str | None) -> str:
    """Return the id of a run, a new one if none is given."""
    run = given or new_run_id()
    wrong = run_id_mistake(run)
    if wrong:
        raise ConfigError(Mistake("RUN_ID", "--run-id", f"{wrong}, got {run[:60]!r}"))
    return run


def run_stages(
    config: Config,
    stages: Sequence[str],
    where: Progress,
    session: Session,
    *,
    run_id: str | None = None,
    force: bool = False,
    override: str | None = None,
) -> tuple[Store, dict[str, Commit]]:
    """Check everything that can be checked without Spark, then run the stages; return the store, and their commits.

    The arguments are those of `run_workflow`; `where` is kept up to date, and `session` starts Spark when it is needed.
    """
    session.name = f"recommender {' '.join(stages)} {where.run}"
    store, built = prepared(config, stages)

    def failure(error: BaseException) -> Mapping[str, Any]:
        session.failure = found = explained_error(error, session.places(), store.files.root)
        session.stop()  # nothing may be written any more
        return found

    def sentence(error: BaseException) -> str:
        found = session.failure or explained_error(error)
        return f"{found['id']} {found['sentence']}"

    named = run_id is not None
    runner = Runner(store, session.start, where, named=named, force=force, failure=failure, override=override)
    with _alone(store, where.run) if named else nullcontext():
        uri = (config.document.get("tracking") or {}).get("mlflow") or ""
        with tracked(config.tracking, uri, store, where.run, warn, sentence) as tracking:
            return store, _run_stages(runner, built, config, store, session, where, tracking)


@contextmanager
def _alone(store: Store, run: str) -> Iterator[None]:
    """Keep a second start of the same run from doing the same work, as far as the file system has locks."""
    with ExitStack() as lock:
        try:
            lock.enter_context(store.files.locked(f"run-{run}", patience=0))
        except ConflictError:
            sentence = f"run {run} has been started and has not ended; wait for it, or take another --run-id"
            raise ConflictError("RUN_ACTIVE", sentence) from None
        yield


def _run_stages(
    runner: Runner,
    built: dict[str, Stage],
    config: Config,
    store: Store,
    session: Session,
    where: Progress,
    tracking: Tracked,
) -> dict[str, Commit]:
    """Run the stages one after the other, and show what came of each."""
    commits = {}
    events.emit("run_started", run=where.run, stages=list(built), root=store.files.root)
    runner.pin(built)
    session.size = lambda: size_of_inputs(built.values(), runner.known(built), hadoop)
    sample = runner.sample() if "stage1" in built and not built["stage1"].is_sourced else None
    on_sample(config, built, sample, runner.sample_items(built))
    for name, stage in built.items():
        events.emit("stage_started", run=where.run, stage=name)
        tables = [table for table in stage.versions(started=False) if table != CONFIGURATION]
        tracking.begun(Work(name, stage.NAME, stage.sources(), tables, runner.stored(stage)))
        outcome = runner.run(name, stage)
        stage.publish(store, outcome.commit, session.start, warn)
        tracking.done(outcome.commit, outcome.skipped)
        _print_summary(name, stage, outcome, store)
        runner.check_gate(name)
        commits[name] = outcome.commit
    events.emit("run_done", run=where.run, stages=list(built))
    return commits


def _print_summary(name: str, stage: Stage, outcome: Outcome, store: Store) -> None:
    record = outcome.commit.record
    if events.is_wanted():
        events.emit("stage_done", run=outcome.commit.run_id, stage=name, **_facts(outcome, store))
        return
    if outcome.skipped:
        print(f"\n{title(name, stage.NAME)}: {outcome.skipped}")
    else:
        print(f"\n{stage_summary(name, stage.NAME, record, place_of(store, outcome.commit))}")
    for text in stage.closing(store, outcome.commit):
        print(f"\n{text}")
    sys.stdout.flush()


def _facts(outcome: Outcome, store: Store) -> dict[str, Any]:
    record = outcome.commit.record
    return {
        "commit": outcome.commit.number,
        "skipped": outcome.skipped or None,
        **{key: record.get(key) for key in ("seconds", "events", "blessed")},
        "rows": {name: facts["rows"] for name, facts in record["contents"].items()},
        "warnings": list(record.get("warnings") or ()),
        "path": place_of(store, outcome.commit),
    }


def explained_error(error: BaseException, local: str = "", root: str = "") -> dict[str, Any]:
    """Return what is shown of an error: id, sentence, exit_code, and the signal if there was one."""
    number = received()
    if number is not None:
        error = Terminated(number)
    elif isinstance(error, KeyboardInterrupt):
        error = Terminated(signal.SIGINT)
    elif isinstance(error, Exception) and not _is_known(error) and is_ending():
        error = Terminated(signal.SIGTERM)
    if isinstance(error, Terminated):
        sentence = f"ended by SIG{error.signal}; nothing is half visible, start it again to go on"
        return {"id": "TERMINATED", "sentence": sentence, "exit_code": error.exit_code, "signal": error.signal}
    ours = error if isinstance(error, RecommenderError) else explained(error, local, root)
    if ours is None:
        ours = RecommenderError("INTERNAL", f"{type(error).__name__}: {reason_of(error)}; --verbose shows where")
    return {"id": ours.id, "sentence": redacted(ours.sentence), "exit_code": ours.exit_code}


def _is_known(error: Exception) -> bool:
    """Return whether an error says itself what happened, so that it does not matter whether the JVM is ending."""
    return isinstance(error, RecommenderError) or "OutOfMemoryError" in str(error)  # of it the JVM ends by itself


def _leave(error: BaseException, session: Session, where: Progress, verbose: bool) -> int:
    """Stop what is running, show the line of the error, as in the attempt's folder if there is one; return its code."""
    session.stop()
    found = session.failure or explained_error(error)
    lines = traceback.format_exception(error) if verbose else []
    if isinstance(error, ConfigError) and len(error.mistakes) > 1:
        lines += [f"{mistake}\n" for mistake in error.mistakes]
    identifiers = {"run": where.run, "stage": where.stage, "attempt": where.attempt}
    events.emit("error", **identifiers, id=found["id"], sentence=found["sentence"], exit_code=found["exit_code"])
    place = f"stage={where.stage} run={where.run} attempt={where.attempt}"
    stream = error_stream()
    if "signal" in found:
        time.sleep(_SETTLING)  # Spark writes lines, too, while it ends, and ours must be the last
    stream.write(redacted("".join(lines)) + error_line(found["id"], place, found["sentence"]))
    stream.flush()
    return int(found["exit_code"])
