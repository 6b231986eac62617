"""Run stages from the store to the store: decide which to compute, compute, check and commit them.

preflight -> attempt -> Spark -> read inputs -> execute, persist -> audit -> commit -> channel
"""

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from pyspark.sql import SparkSession

from recommender.constants import QUARANTINE
from recommender.errors import ArtifactError, ConflictError, InputError, StorageError
from recommender.publishing.gate import check_blessed, check_kept
from recommender.run.execution import execute, read_inputs
from recommender.run.preflight import differences, fingerprint, identity, identity_of
from recommender.run.reach import check_reach
from recommender.run.sample import DEFAULT_EVENTS, sample_events, sample_items
from recommender.run.termination import elsewhere
from recommender.settings.redaction import redacted
from recommender.spark.effort import Effort
from recommender.spark.session import hadoop
from recommender.stage import NOT_COMPARED, Context, Stage
from recommender.store import Attempt, Channels, Commit, Hidden, Shards, Store, Trials, digest
from recommender.tables.audit import audit
from recommender.tables.schemas import OPTIONAL
from recommender.terminal.progress import Expected, progress, warn
from recommender.terminal.text import title

SAMPLE = "sample"
HIDDEN = "hidden items"  # among the versions that a result depends on
_INHERITED = ("events", "numbering")  # what stage 1 says of the log, in the records of all stages


@dataclass
class Progress:
    """Where a run is; the error line names it."""

    run: str = "-"
    stage: str = "-"
    attempt: str = "-"


@dataclass(frozen=True)
class Outcome:
    """The outcome of a stage: its commit, and why nothing was computed if nothing was."""

    commit: Commit
    skipped: str = ""


@dataclass(frozen=True)
class Found:
    """A commit that makes computing needless."""

    commit: Commit  # the commit
    sentence: str  # why
    parent: int | None = None  # number of the newest commit, if this one is to be made the newest again


@dataclass
class Runner:
    """Run stages, one after the other, as one run."""

    store: Store  # where they read and write
    start: Callable[[], SparkSession]  # returns the session; it is called when one is needed for the first time
    where: Progress  # is kept up to date; its run id is that of the run
    _: KW_ONLY
    named: bool  # whether the user has given the run's id: then it stands for one result for good
    force: bool  # compute even if nothing has changed
    failure: Callable[[BaseException], Mapping[str, Any]]  # turns an error into the note in the attempt's folder
    override: str | None = None  # why a model that is not blessed is published; None: it is refused
    _commits: dict[str, Commit] = field(default_factory=dict)
    _gated: dict[str, str] = field(default_factory=dict)  # stage that judges -> stage that makes visible

    def pin(self, stages: Mapping[str, Stage]) -> None:
        """Choose the commits of the stages that are read but not run; they stay the same for the whole run.

        Of the last such stage it is this run's own commit, or the newest; of those before it, what that was made from,
        so that the indexes of a model always meet the visitors and items that they number.

        Raises:
            InputError: a stage that is needed has no commit. GateError: what is pinned is not blessed.
        """
        self._gated = {stage.GATED_BY: name for name, stage in stages.items() if stage.GATED_BY}
        needed = {name for stage in stages.values() for name in _read(stage)}
        for name in sorted(needed - set(stages), reverse=True):
            made_from = [c.record["upstream"][name] for c in self._commits.values() if name in c.record["upstream"]]
            commit = self.store.commit_number(name, made_from[0]) if made_from else self._own_or_newest(name, stages)
            if commit is None:
                sentence = f"{name} has no committed result below {self.store.files.root}; run {name} first"
                raise InputError("UPSTREAM_NOT_COMMITTED", f"{sentence}, or see --root")
            self._commits[name] = commit
            self.check_gate(name)

    def known(self, stages: Mapping[str, Stage]) -> list[Commit]:
        """Return the commits that are pinned, and the newest of the stages that are run."""
        newest = (self.store.latest(name) for name in stages)
        return [*self._commits.values(), *(commit for commit in newest if commit is not None)]

    def stored(self, stage: Stage) -> list[tuple[str, str]]:
        """Return the (stage, table) of each stored table that a stage reads, without those that are not there."""
        inputs = stage.needs().inputs.values()
        return [
            (name, table)
            for name, table in inputs
            if table not in OPTIONAL or table in self._commits[name].record.get("tables", {})
        ]

    def check_gate(self, name: str) -> None:
        """Raise a GateError if a judging stage keeps this result from being made visible and nobody overrides it."""
        gated = self._gated.get(name)
        if gated and not (self.named and self.store.of_run(gated, self.where.run)):
            check_blessed(self._commits[name], self.override)

    def run(self, name: str, stage: Stage) -> Outcome:
        """Run one stage, or find that there is nothing to do; after any error its last commit stays what it was."""
        self.where.stage, self.where.attempt = name, "-"
        upstream = {key: self._commits[key] for key in sorted(_read(stage))}
        hidden = self._hidden(stage)
        made_of = _made_of(stage, upstream, hidden)
        outcome = self._done_before(name, stage, made_of)
        if outcome is None:
            outcome = Outcome(self._compute(name, stage, upstream, made_of, hidden))
        self._commits[name] = outcome.commit
        return outcome

    def _hidden(self, stage: Stage) -> list[str]:
        """Return the items that a stage leaves out because they are hidden now."""
        return [item.itemid for item in Hidden(self.store).items()] if stage.LEAVES_HIDDEN_OUT else []

    def sample(self) -> str:
        """Return the folder with the sample events, which are made where they are missing."""
        commit = self.store.latest(SAMPLE)
        if commit is None:
            try:
                commit = self._make_sample()
            except ConflictError:  # another run has made the same at the same time
                commit = self.store.latest(SAMPLE)
                if commit is None:
                    raise
        self.store.check(commit)
        return self.store.files.url(f"{SAMPLE}/data/{commit.attempt}/events")

    def sample_items(self, stages: Mapping[str, Stage]) -> str | None:
        """Return the folder with what is known of the sample's items; None if the events are not the sample's."""
        sample, read = self.store.latest(SAMPLE), self._commits.get("stage1")
        is_sample = not stages["stage1"].is_sourced if "stage1" in stages else read and self._is_sample(read.record)
        if not is_sample or sample is None or not any("/items/" in path for path in sample.files()):
            return None
        return self.store.files.url(f"{SAMPLE}/data/{sample.attempt}/items")

    def _make_sample(self) -> Commit:
        self.where.stage = SAMPLE
        with self._attempt(SAMPLE) as attempt:
            spark = self.start()
            check_reach(spark, attempt)
            with progress(f"generating {DEFAULT_EVENTS:,} sample events"):
                sample = sample_events(spark)
                items = sample_items(spark)
                sample.write.mode("error").parquet(f"{attempt.url}/events")
                items.coalesce(1).write.mode("error").parquet(f"{attempt.url}/items")
                written = audit(self.store, SAMPLE, attempt.id, {"events": sample.schema, "items": items.schema})
            return self.store.commit(attempt, {"files": written.files, "contents": written.tables})

    def _own_or_newest(self, name: str, stages: Mapping[str, Stage]) -> Commit | None:
        if self.named:
            own = self.store.of_run(name, self.where.run)
            reader = next((c for s in stages if (c := self.store.of_run(s, self.where.run))), None)
            if own is None and reader is not None and name in reader.record["upstream"]:
                own = self.store.commit_number(name, reader.record["upstream"][name])
            if own is not None:
                return own
        return self.store.latest(name)

    def _done_before(self, name: str, stage: Stage, made_of: Mapping[str, Any]) -> Outcome | None:
        """Return the commit that makes computing needless, as the newest one."""
        if not self.named and not self.force and None in made_of["versions"].values():
            self.start()
            made_of = _with_versions(stage, made_of)
        found = self.found(name, stage, made_of)
        if found is None:
            return None
        if found.parent is not None:
            return self._made_newest(found, found.parent)
        return Outcome(found.commit, found.sentence)

    def found(self, name: str, stage: Stage, made_of: Mapping[str, Any]) -> Found | None:
        """Return the commit that makes computing needless, None if there is none; nothing is changed.

        Raises:
            ConflictError: the run's id stands for something else. ArtifactError: the commit's files are damaged.
        """
        if self.named:
            own = self.store.of_run(name, self.where.run)
            return self._own_again(own, made_of) if own else None
        if self.force or None in made_of["versions"].values():
            return None  # the source may have changed
        return self._same(name, stage, fingerprint(made_of))

    def foresee(self, name: str, stage: Stage) -> tuple[Found | None, dict[str, Any] | None]:
        """Return what `run` would find, and what the stage's result depends on, without doing anything.

        Returns:
            (the commit that makes computing needless or None, None if a stage that is read would be computed first)
        """
        needed = sorted(_read(stage))
        if not self._commits.keys() >= set(needed):
            return None, None
        upstream = {key: self._commits[key] for key in needed}
        made_of = _made_of(stage, upstream, self._hidden(stage))
        found = self.found(name, stage, made_of)
        if found is None:
            self._verdict(stage, upstream)
        else:
            self._commits[name] = found.commit
        return found, made_of

    def _own_again(self, own: Commit, made_of: Mapping[str, Any]) -> Found:
        # The run has read the versions that were the newest then, and left out the items that were hidden then.
        then = own.record.get("versions", {})
        versions = {key: now or then.get(key) for key, now in made_of["versions"].items() if key != HIDDEN}
        made_of = {**made_of, "versions": {**versions, **{key: then[key] for key in {HIDDEN} & then.keys()}}}
        if own.record["fingerprint"] != fingerprint(made_of):
            keys = ", ".join(differences(identity_of(own), made_of)[:10])
            sentence = f"run {self.where.run} has committed {own.stage} with another {keys}; take another --run-id"
            raise ConflictError("RUN_ID_REUSED", sentence)
        self.store.check(own)
        return Found(own, f"ALREADY_COMMITTED: run {own.run_id} has committed it as commit {own.number}")

    def _same(self, name: str, stage: Stage, wanted: str) -> Found | None:
        newest = self.store.latest(name)
        same = self.store.of_fingerprint(name, wanted)
        if newest is None or same is None:
            return None
        if stage.continues() is not None and same.number != newest.number:
            return None  # what came after it goes on from it
        self.store.check(same)
        if same.number == newest.number:
            return Found(same, f"nothing has changed since run {same.run_id}, commit {same.number}; --force runs it")
        return Found(same, f"the same as run {same.run_id}, commit {same.number}", newest.number)

    def _made_newest(self, found: Found, parent: int) -> Outcome | None:
        """Make an earlier result the newest again, by a record of its own; None if a clean-up was faster."""
        old = found.commit
        attempt = Attempt(old.stage, self.where.run, old.attempt, "", parent)
        again = self.store.commit(attempt, {**_without_header(old), "reused": old.number})
        try:
            self.store.check(again)
        except ArtifactError:
            self.store.expire(again)
            return None
        return Outcome(again, f"{found.sentence}: now commit {again.number}")

    def _verdict(self, stage: Stage, upstream: Mapping[str, Commit]) -> dict[str, Any]:
        """Refuse to compute what may not be made visible; return what the record says of that."""
        if not stage.GATED_BY:
            return {}
        made = [commit for key, commit in upstream.items() if key != stage.GATED_BY]
        return check_blessed(upstream[stage.GATED_BY], self.override, made)

    def _compute(
        self, name: str, stage: Stage, upstream: Mapping[str, Commit], made_of: Mapping[str, Any], hidden: Sequence[str]
    ) -> Commit:
        """Compute a stage into a new attempt, audit it, and commit it."""
        verdict = self._verdict(stage, upstream)
        with self._attempt(name) as attempt:
            check_reach(self.start(), attempt)
            started, effort = time.monotonic(), Effort()
            made_of = _with_versions(stage, made_of)
            mark = fingerprint(made_of)
            with progress(title(name, stage.NAME), self._expected(name, upstream)) as announce:
                last, why = self._last(stage, attempt, made_of)
                repeats = last is not None and _same_input(last.record, made_of)
                live, why = self._published() if stage.compares() else (None, why)
                announce("checking the inputs")
                read = read_inputs(self.store, stage, self._commits, last, live, repeats=repeats, not_compared=why)
                inputs = {**read, **self._trials(name, stage, made_of)}
                shards = Shards(self.store, name, mark)
                if None in made_of["versions"].values():
                    shards.forget()  # what they were made from may have changed
                context = Context(announce, warn, made_of["versions"], hidden)
                record = execute(self.store, stage, inputs, attempt, shards, context)
                if stage.compares() is not None:
                    why, judged = record.get("not_compared", ""), {**made_of, **record}
                    verdict = check_kept(judged, self.override, not_compared=why, overridden=verdict)
                seconds, spent = time.monotonic() - started, effort.spent()
                if any(spent.get("lost", {}).values()):
                    counts = f"{spent['lost']['executors']:,} executors and {spent['lost']['tasks']:,} tasks"
                    warn(f"Spark lost {counts} and computed their part again: the result is whole")
                prepared = upstream["stage1"].record if upstream else record
                inherited = {key: prepared.get(key) for key in _INHERITED}
                events = inherited["events"]
                body = {
                    "fingerprint": mark,
                    **made_of,
                    "upstream": {key: commit.number for key, commit in upstream.items()},
                    "upstream_attempts": made_of["upstream"],
                    **record,
                    **verdict,
                    "changed": stage.changed(),
                    **inherited,
                    "seconds": seconds,
                    **spent,
                    "events_per_second": events and events / seconds,
                }
                commit = self.store.commit(attempt, redacted(body, numbers=False))
            with suppress(StorageError):  # the clean-up finds it
                shards.forget()
        return commit

    def _expected(self, name: str, upstream: Mapping[str, Commit]) -> Expected:
        """Return what the last result of a stage lets expect of the next."""
        newest = self.store.latest(name)
        events = upstream["stage1"].record.get("events") if "stage1" in upstream else None
        return Expected.of(newest.record if newest else None, events)

    def _trials(self, name: str, stage: Stage, made_of: Mapping[str, Any]) -> dict[str, Trials]:
        """Return the argument `trials` of a stage that searches; with --force it begins anew."""
        searched = stage.searched(made_of)
        if searched is None:
            return {}
        trials = Trials(self.store, name, fingerprint(searched))
        if self.force or None in made_of["versions"].values():
            trials.forget()
        return {"trials": trials}

    def _last(self, stage: Stage, attempt: Attempt, made_of: Mapping[str, Any]) -> tuple[Commit | None, str]:
        """Return the commit that an attempt may go on from, and why there is none, although one is live."""
        if stage.continues() is None:
            return None, ""
        if stage.GOES_ON_FROM == "live":
            return self._live(attempt.stage)
        last = self.store.commit_number(attempt.stage, attempt.parent)
        if last is None or self._is_sample(last.record) != self._is_sample(made_of):
            return None, ""  # generated events and real ones have nothing in common
        return last, ""

    def _live(self, name: str) -> tuple[Commit | None, str]:
        """Return the commit of a stage that the live one was made from, if its indexes mean what they mean now.

        If there is one that cannot be compared with, it is None, and a sentence why.
        """
        published, why = self._published()
        if published is None or name not in published.record["upstream"]:
            return None, why
        live = self.store.commit_number(name, published.record["upstream"][name])
        numberings = {commit.record.get("numbering") for commit in (live, *self._commits.values()) if commit}
        if live is not None and len(numberings) == 1 and None not in numberings:
            return live, ""
        why = "its visitors and items are numbered otherwise" if live else f"its commit of {name} has expired"
        return None, f"{NOT_COMPARED}: {why}"

    def _published(self) -> tuple[Commit | None, str]:
        """Return the live version, and a sentence if its record is gone.

        It is None, too, if it was made from generated events, and this is not, or the reverse.
        """
        channels = Channels(self.store)
        current = channels.current("live")
        if current is None:
            return None, ""
        published = channels.commit(current)
        if published is None:
            return None, f"{NOT_COMPARED}: the record of run {current.run_id} is gone"
        prepared = self.store.commit_number("stage1", published.record.get("upstream", {}).get("stage1", 0))
        ours = self._commits.get("stage1")
        if prepared and ours and self._is_sample(prepared.record) != self._is_sample(ours.record):
            return None, ""
        return published, ""

    def _is_sample(self, made_of: Mapping[str, Any]) -> bool:
        return any(f"/{SAMPLE}/data/" in path for path in made_of.get("inputs", ()))

    @contextmanager
    def _attempt(self, name: str) -> Iterator[Attempt]:
        """Begin an attempt; if its work fails, remove what it wrote and leave a note why."""
        attempt = self.store.begin(name, self.where.run)
        self.where.attempt = attempt.id
        try:
            yield attempt
        except BaseException as error:
            with suppress(Exception):  # the first error counts; what stays is found by the clean-up
                elsewhere(functools.partial(self._fail, attempt, error))
            raise

    def _fail(self, attempt: Attempt, error: BaseException) -> None:
        self.store.fail(attempt, self.failure(error), keep=self._kept(attempt.stage, attempt))

    def _kept(self, name: str, attempt: Attempt) -> list[str]:
        """Return what stays of a failed attempt: the quarantine, or the folders of tables with finished shards."""
        for fingerprints in self.store.files.names(f"{name}/shards"):
            if attempt.id in Shards(self.store, name, fingerprints).attempts():
                return self.store.files.names(f"{name}/data/{attempt.id}")
        return [QUARANTINE]


def _read(stage: Stage) -> set[str]:
    """Return the stages whose commits a stage looks at."""
    return stage.needs().stages | ({stage.GATED_BY} if stage.GATED_BY else set())


def _made_of(stage: Stage, upstream: Mapping[str, Commit], hidden: Sequence[str]) -> dict[str, Any]:
    """Return what a stage's result depends on: without a session, and with the items that are hidden."""
    made_of = identity(stage, upstream, hadoop)
    versions = {**made_of["versions"], **({HIDDEN: digest(sorted(hidden))} if hidden else {})}
    return {**made_of, "versions": versions}


def _with_versions(stage: Stage, made_of: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a result depends on, with the versions of tables, now that there is a session to ask."""
    hidden = {key: value for key, value in made_of["versions"].items() if key == HIDDEN}
    return {**made_of, "versions": {**stage.versions(started=True), **hidden}}


def _same_input(record: Mapping[str, Any], made_of: Mapping[str, Any]) -> bool:
    """Return whether a commit was made from the same input; of a source that has no versions, if all else differs."""
    is_same = all(record.get(key, {}) == made_of[key] for key in ("inputs", "versions"))
    is_known = None not in made_of["versions"].values()
    return is_same and (is_known or record.get("config") != made_of["config"])


def _without_header(commit: Commit) -> dict[str, Any]:
    return {
        key: value for key, value in commit.record.items() if key not in {"run", "attempt", "parent", "committed_at"}
    }
