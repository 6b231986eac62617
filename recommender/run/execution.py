"""Execute one stage: from inputs that are all as they were written to tables that can be read back.

Example usage:
>>> _together([{"files": {"a": {}}, "contents": {"scores": {"rows": 1, "checksum": "1" * 32}}, "tables": {},
...             "rows": {"scores": 1}}] * 2)["rows"]
{'scores': 2}
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, replace
from typing import Any, Final

from pyspark.sql.types import StructType

from recommender.errors import ArtifactError, InputError, StorageError
from recommender.spark.cache import kept_below
from recommender.spark.session import checkpoints
from recommender.stage import NOT_COMPARED, Context, Made, Previous, Stage
from recommender.store import Attempt, Commit, Shards, Store, now
from recommender.tables.als_model import check_model
from recommender.tables.audit import added, audit, check_contents, check_rows
from recommender.tables.parquet import read_table
from recommender.tables.schemas import OPTIONAL

_CHECKPOINTS: Final = "_checkpoints"  # a folder in the attempt's own, with which it goes if all else fails
_KEPT: Final = "_kept"  # another, for what the platform refuses to cache


def read_inputs(
    store: Store,
    stage: Stage,
    commits: Mapping[str, Commit],
    last: Commit | None,
    live: Commit | None = None,
    *,
    repeats: bool = False,
    not_compared: str = "",
) -> dict[str, Any]:
    """Return the arguments of `execute`: tables whose files are all as they were written, and settings.

    Args:
        commits: stage -> the commit that is read.
        last: the commit of its own that the stage goes on from, None if there is none.
        live: the commit of its own that the stage compares with, None if there is none.
        repeats: whether `last` was made from the same input.
        not_compared: why there is none to compare with, although one is live.
    """
    needs = stage.needs()
    read: dict[str, list[str]] = {}
    for name, table in needs.inputs.values():
        read.setdefault(name, []).append(table)
    for name, tables in read.items():
        if any(table.startswith("model/") for table in tables):
            check_model(store, commits[name])
        check_contents(store, commits[name], tables)
    tables_of = {argument: _table(store, commits[name], table) for argument, (name, table) in needs.inputs.items()}
    settings = {argument: commits[name].record["config"][step] for argument, (name, step) in needs.settings.items()}
    records = {argument: commits[name].record.get(key) for argument, (name, key) in needs.records.items()}
    given = {**tables_of, **settings, **records}
    continued, compared = stage.continues(), stage.compares()
    if continued is not None:
        given["previous"] = last and replace(_previous(store, stage, last, continued), repeats=repeats)
    if compared is not None:
        try:
            given["live"] = live and _previous(store, stage, live, compared)
        except ArtifactError as error:  # damage is not a reason to keep it
            given["live"], not_compared = None, f"{NOT_COMPARED}: {error.sentence}"
    if compared is not None or (continued is not None and stage.GOES_ON_FROM == "live"):
        given["not_compared"] = not_compared
    return given


def _previous(store: Store, stage: Stage, last: Commit, tables: Sequence[str]) -> Previous:
    try:
        if tables:
            check_contents(store, last, tables)
    except ArtifactError as error:
        raise ArtifactError(error.id, error.fault, stage.REMEDY) from error
    found = {table: _table(store, last, table) for table in tables}
    return Previous(last.record, {table: rows for table, rows in found.items() if rows is not None})


def _table(store: Store, commit: Commit, table: str) -> Any:
    """Return a table as it was written; None if the commit lacks one that it may lack."""
    schema = commit.record["tables"].get(table)
    if schema is None and table in OPTIONAL:
        return None
    if schema is None:
        sentence = f"{commit.stage} commit {commit.number} has no table {table}: an older program made it"
        raise InputError("UPSTREAM_OUTDATED", f"{sentence}; run {commit.stage} again")
    return read_table(store.urls(commit, table), StructType.fromJson(schema))


class _Timed:
    """Announce the parts of a piece of work, and note for how long each was the last one announced."""

    def __init__(self, announce: Callable[[str], None]) -> None:
        self._announce = announce
        self._seconds: dict[str, float] = {}
        self._part = ""
        self._since = time.monotonic()

    def __call__(self, part: str) -> None:
        self._end()
        self._part = part
        self._announce(part)

    def seconds(self) -> dict[str, float]:
        """Return name -> seconds so far; a part that came several times has their sum."""
        self._end()
        return dict(self._seconds)

    def _end(self) -> None:
        moment = time.monotonic()
        if self._part:
            self._seconds[self._part] = self._seconds.get(self._part, 0.0) + moment - self._since
        self._since = moment


def execute(
    store: Store, stage: Stage, inputs: Mapping[str, Any], attempt: Attempt, shards: Shards, context: Context
) -> dict[str, Any]:
    """Execute, persist and audit, in shards if the stage has any; return the stage's part of the record."""
    timed = _Timed(context.announce)
    with _with_folders(store, stage, attempt):
        part = _all_parts(store, stage, inputs, attempt, shards, replace(context, announce=timed))
    steps = stage.report(part["rows"])
    return {
        "files": part["files"],
        "contents": part["contents"],
        "tables": part["tables"],
        "steps": [asdict(step) for step in steps],
        "timings": timed.seconds(),
        **stage.details(),
    }


@contextmanager
def _with_folders(store: Store, stage: Stage, attempt: Attempt) -> Iterator[None]:
    """Give Spark folders in the attempt's own: for checkpoints if the stage needs them, and for what is not cached.

    They are deleted afterwards.
    """
    own = f"{attempt.stage}/data/{attempt.id}"
    needed = checkpoints(f"{attempt.url}/{_CHECKPOINTS}") if stage.needs_checkpoints() else nullcontext()
    with needed, kept_below(f"{attempt.url}/{_KEPT}"):
        yield
    with suppress(StorageError):  # nobody reads them
        for folder in {_CHECKPOINTS, _KEPT}.intersection(store.files.names(own)):
            store.files.delete(f"{own}/{folder}")


def _all_parts(
    store: Store, stage: Stage, inputs: Mapping[str, Any], attempt: Attempt, shards: Shards, context: Context
) -> dict[str, Any]:
    """Execute, persist and audit all shards of the work, but those that are finished, or all of it at once."""
    number = stage.shards(inputs)
    if number == 1:
        return _part(store, stage, inputs, attempt, "", context)
    parts = []
    for shard in range(number):
        finished = shards.finished(shard, number)
        context.announce(f"shard {shard + 1} of {number}{' was done before' if finished else ''}")
        if finished is None:
            one = _part(store, stage, {**inputs, "shard": (shard, number)}, attempt, f"shard-{shard:05d}", context)
            finished = shards.finish(shard, number, attempt.id, one)
        parts.append(finished)
    return _together(parts)


def _part(
    store: Store, stage: Stage, inputs: Mapping[str, Any], attempt: Attempt, part: str, context: Context
) -> dict[str, Any]:
    """Execute, persist and audit one part of the work."""
    data = stage.execute_persist(attempt.url, part, context, **inputs)
    for document, text in data.documents.items():
        store.files.create(f"{attempt.stage}/data/{attempt.id}/{document}", text.encode())
    made = Made(attempt.run_id, attempt.parent + 1, attempt.url, now())
    for path, content in stage.files(made):
        store.files.create(f"{attempt.stage}/data/{attempt.id}/{path}", content)
    context.announce("reading back what was written")
    schemas = _schemas(data)
    written = audit(store, attempt.stage, attempt.id, schemas, part)
    check_rows(written.tables, data.rows)
    return {
        "files": written.files,
        "contents": written.tables,
        "tables": {table: schema.jsonValue() for table, schema in schemas.items()},
        "rows": data.rows,
    }


def _schemas(data: Mapping[str, Any]) -> dict[str, StructType]:
    """Return the schema of every stored table; those of a model are its factors'."""
    schemas = {name: rows.schema for name, rows in data.items() if name != "model"}
    if "model" in data:
        schemas["model/userFactors"] = data["model"].userFactors.schema
        schemas["model/itemFactors"] = data["model"].itemFactors.schema
    return schemas


def _together(parts: list[Any]) -> dict[str, Any]:
    """Return the record of all shards as one."""
    contents: dict[str, dict[str, Any]] = {}
    rows: dict[str, int] = {}
    for part in parts:
        for table, found in part["contents"].items():
            one = contents.setdefault(table, {"rows": 0, "checksum": "0" * 32})
            one["rows"] += found["rows"]
            one["checksum"] = added(one["checksum"], found["checksum"])
        for name, number in part["rows"].items():
            rows[name] = rows.get(name, 0) + number
    files = {path: facts for part in parts for path, facts in part["files"].items()}
    return {"files": files, "contents": contents, "tables": parts[0]["tables"], "rows": rows}
