"""Send OpenLineage events: START, and COMPLETE or FAIL for each stage, with what it reads and writes.

The events follow version 2-0-2 of the specification, https://openlineage.io/spec/2-0-2/OpenLineage.json.

Example usage:
>>> dataset("s3a://shop/events/2026"), dataset("/data/events.csv")
({'namespace': 's3a://shop', 'name': 'events/2026'}, {'namespace': 'file', 'name': '/data/events.csv'})
"""

import json
import os
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from recommender import __version__
from recommender.settings.redaction import redacted
from recommender.store import Commit, Store
from recommender.tracking.listeners import Work
from recommender.tracking.settings import Tracking

_PRODUCER: Final = f"urn:recommender:{__version__}"
_SPEC: Final = "https://openlineage.io/spec"
_PATH: Final = "/api/v1/lineage"  # of a URL that has no path of its own
_TIMEOUT: Final = 5.0  # seconds
KEY: Final = "OPENLINEAGE_API_KEY"  # the environment variable that OpenLineage's own clients read


def dataset(place: str, **facets: Any) -> dict[str, Any]:
    """Return a dataset named as the specification asks: by the server or bucket, and the path in it."""
    place = str(redacted(place)).removeprefix("jdbc:")
    parts = urlsplit(place)
    if parts.scheme not in {"", "file"}:
        namespace = f"{parts.scheme}://{parts.netloc}" if parts.netloc else parts.scheme
        found = {"namespace": namespace, "name": parts.path.strip("/") or "/"}
    else:
        found = {"namespace": "file", "name": str(Path(place.removeprefix("file:")).absolute())}
    return {**found, **({"facets": facets} if facets else {})}


def _table(name: str) -> dict[str, Any]:
    """Return the dataset of a table of a catalog or database; one that is named by its folder is a folder."""
    return dataset(name) if "/" in name else {"namespace": "spark", "name": name}


def _facet(kind: str, version: str, **content: Any) -> dict[str, Any]:
    return {"_producer": _PRODUCER, "_schemaURL": f"{_SPEC}/facets/{version}/{kind}.json", **content}


class OpenLineage:
    """Send events of a run to a file or a server; see `recommender.tracking.listeners.Listener`.

    Init parameters:
        settings: where they are sent.
        store: of the run.
        run: its id.
    """

    NAME = "OpenLineage"

    def __init__(self, settings: Tracking, store: Store, run: str) -> None:
        self._target, self._namespace = str(settings.openlineage), settings.namespace
        self._store, self._run = store, run
        self._work: Work | None = None
        self._id = ""

    def begun(self, work: Work) -> None:
        self._work, self._id = work, str(uuid.uuid4())
        self._send("START", work)

    def done(self, commit: Commit, reused: str) -> None:  # noqa: ARG002 - the event is the same
        if self._work:
            attempts = commit.record.get("upstream_attempts") or {}
            outputs = [self._written(commit, name) for name in sorted(commit.record.get("contents") or {})]
            self._send("COMPLETE", self._work, attempts, outputs)
        self._work = None

    def failed(self, sentence: str) -> None:
        if self._work:
            facet = _facet("ErrorMessageRunFacet", "1-0-0", message=redacted(sentence), programmingLanguage="PYTHON")
            self._send("FAIL", self._work, facets={"errorMessage": facet})
        self._work = None

    def ended(self) -> None:
        """Do nothing: each stage has its own events."""

    def _send(
        self,
        kind: str,
        work: Work,
        attempts: Mapping[str, Any] | None = None,
        outputs: Iterable[Mapping[str, Any]] = (),
        facets: Mapping[str, Any] | None = None,
    ) -> None:
        parent = {
            "run": {"runId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self._store.files.root}/{self._run}"))},
            "job": {"namespace": self._namespace, "name": "workflow"},
        }
        stored = sorted(set(work.stored))
        event = {
            "eventType": kind,
            "eventTime": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "producer": _PRODUCER,
            "schemaURL": f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent",
            "run": {
                "runId": self._id,
                "facets": {"parent": _facet("ParentRunFacet", "1-0-0", **parent), **(facets or {})},
            },
            "job": {"namespace": self._namespace, "name": f"workflow.{work.stage}"},
            "inputs": [
                *map(dataset, work.files),
                *map(_table, work.tables),
                *(self._stored(stage, table, str((attempts or {}).get(stage, ""))) for stage, table in stored),
            ],
            "outputs": list(outputs),
        }
        self._deliver(json.dumps(event))

    def _stored(self, stage: str, table: str, attempt: str, **facets: Any) -> dict[str, Any]:
        """Return a table of the store; its name is the same for all runs, and its version is the attempt."""
        version = {"version": _facet("DatasetVersionDatasetFacet", "1-0-0", datasetVersion=attempt)} if attempt else {}
        return dataset(self._store.files.url(f"{stage}/{table}"), **version, **facets)

    def _written(self, commit: Commit, table: str) -> dict[str, Any]:
        record = commit.record
        columns = (record.get("tables") or {}).get(table, {}).get("fields", ())
        fields = [{"name": each["name"], "type": _type(each["type"])} for each in columns]
        size = sum(facts["bytes"] for facts in commit.files(table).values())
        rows = record["contents"][table]["rows"]
        counted = _facet("OutputStatisticsOutputDatasetFacet", "1-0-2", rowCount=rows, size=size)
        made = self._stored(
            commit.stage, table, commit.attempt, schema=_facet("SchemaDatasetFacet", "1-0-0", fields=fields)
        )
        return {**made, "outputFacets": {"outputStatistics": counted}}

    def _deliver(self, event: str) -> None:
        url = url_of(self._target)
        if url is None:
            target = urlsplit(self._target)
            with Path(target.path if target.scheme == "file" else self._target).open("a", encoding="utf-8") as file:
                file.write(f"{event}\n")
            return
        request = Request(url, event.encode(), headers(os.environ))  # noqa: S310 - only http and https
        with urlopen(request, timeout=_TIMEOUT):  # noqa: S310
            pass


def url_of(target: str) -> str | None:
    """Return the URL that events are sent to, None if they are appended to a file.

    >>> url_of("http://marquez:5000"), url_of("https://lineage/events"), url_of("/srv/lineage.jsonl")
    ('http://marquez:5000/api/v1/lineage', 'https://lineage/events', None)
    """
    parts = urlsplit(target)
    if parts.scheme not in {"http", "https"}:
        return None
    return target if parts.path.strip("/") else f"{parts.scheme}://{parts.netloc}{_PATH}"


def headers(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a request, with the key if the environment has one."""
    key = environ.get(KEY)
    return {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}


def _type(given: Any) -> str:
    """Return a column's type, as Spark's JSON has it; the nested ones by their kind."""
    return str(given if isinstance(given, str) else given.get("type"))
