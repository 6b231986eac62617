"""The events of a run, checked against the rules of OpenLineage's specification."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support.literal_run import stage
from support.literal_store import open_store

from recommender.errors import InputError
from recommender.store import Commit, Store
from recommender.tracking import Tracking, Work, tracked
from recommender.tracking.openlineage import dataset

# The required fields of spec/OpenLineage.json, version 2-0-2, and of the facets that are sent.
FACET: dict[str, Any] = {"type": "object", "required": ["_producer", "_schemaURL"]}
UUID = {"type": "string", "format": "uuid", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
JOB = {"type": "object", "required": ["namespace", "name"]}
RUN = {"type": "object", "required": ["runId"], "properties": {"runId": UUID}}
DATASET = {
    "type": "object",
    "required": ["namespace", "name"],
    "properties": {
        "namespace": {"type": "string", "minLength": 1},
        "name": {"type": "string", "minLength": 1},
        "facets": {
            "additionalProperties": FACET,
            "properties": {
                "version": {**FACET, "required": [*FACET["required"], "datasetVersion"]},
                "schema": {
                    **FACET,
                    "properties": {"fields": {"type": "array", "items": {"required": ["name", "type"]}}},
                },
            },
        },
        "outputFacets": {"additionalProperties": FACET},
    },
}
PARENT = {**FACET, "required": [*FACET["required"], "run", "job"], "properties": {"run": RUN, "job": JOB}}
MESSAGE = {**FACET, "required": [*FACET["required"], "message", "programmingLanguage"]}
EVENT = {
    "type": "object",
    "required": ["eventType", "eventTime", "producer", "schemaURL", "run", "job"],
    "properties": {
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "eventTime": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$"},
        "producer": {"type": "string", "pattern": "^urn:"},
        "schemaURL": {"type": "string", "pattern": "^https://openlineage.io/spec/2-0-2/OpenLineage.json#"},
        "run": {
            **RUN,
            "properties": {
                "runId": UUID,
                "facets": {
                    "additionalProperties": FACET,
                    "properties": {"parent": PARENT, "errorMessage": MESSAGE},
                },
            },
        },
        "job": JOB,
        "inputs": {"type": "array", "items": DATASET},
        "outputs": {"type": "array", "items": DATASET},
    },
}
SCHEMA = {
    "scores": {"type": "struct", "fields": [{"name": "score", "type": "float", "nullable": True, "metadata": {}}]}
}
PREDICT = Work("stage3", "predict", stored=[("stage1", "scores"), ("stage2", "popularity")])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "root")


@pytest.fixture
def commit(store: Store) -> Commit:
    return stage(store, "stage3", "monday", upstream_attempts={"stage1": "a1", "stage2": "b2"}, tables=SCHEMA)


def send(target: str, store: Store, *commits: Commit, fails: str = "") -> None:
    """Track a run of the stages of some commits; of one more that fails."""
    with tracked(Tracking(openlineage=target, namespace="shop"), "", store, "monday", pytest.fail, str) as tracking:
        for each in commits:
            tracking.begun(PREDICT)
            tracking.done(each)
        if fails:
            tracking.begun(Work("stage1", "prepare", ["s3a://shop/events"], ["shop.events"]))
            raise InputError("INPUT_NOT_FOUND", fails)


def read(file: Path) -> list[Any]:
    events = [json.loads(line) for line in file.read_text().splitlines()]
    for event in events:
        jsonschema.validate(event, EVENT)
    return events


def test_a_stage_that_is_done_has_two_events_of_one_run(store: Store, commit: Commit, tmp_path: Path) -> None:
    send(str(tmp_path / "lineage.jsonl"), store, commit)
    start, complete = read(tmp_path / "lineage.jsonl")
    assert [start["eventType"], complete["eventType"]] == ["START", "COMPLETE"]
    assert start["run"]["runId"] == complete["run"]["runId"]
    assert start["job"] == complete["job"] == {"namespace": "shop", "name": "workflow.stage3"}
    root = f"{tmp_path}/root"
    assert [each["name"] for each in complete["inputs"]] == [f"{root}/stage1/scores", f"{root}/stage2/popularity"]
    assert [each["facets"]["version"]["datasetVersion"] for each in complete["inputs"]] == ["a1", "b2"]
    (written,) = complete["outputs"]
    assert written["name"] == f"{root}/stage3/scores"
    assert written["facets"]["version"]["datasetVersion"] == commit.attempt
    assert written["facets"]["schema"]["fields"] == [{"name": "score", "type": "float"}]
    counted = written["outputFacets"]["outputStatistics"]
    assert (counted["rowCount"], counted["size"]) == (1, 4)


def test_all_stages_of_a_run_have_one_parent(store: Store, commit: Commit, tmp_path: Path) -> None:
    for _ in range(2):
        send(str(tmp_path / "lineage.jsonl"), store, commit)
    parents = [event["run"]["facets"]["parent"]["run"]["runId"] for event in read(tmp_path / "lineage.jsonl")]
    assert len(parents) == 4
    assert len(set(parents)) == 1


def test_a_stage_that_fails_says_why_without_a_secret(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        send(f"file://{tmp_path}/lineage.jsonl", store, fails="no s3a://ann:hunter2@shop/events")
    start, fail = read(tmp_path / "lineage.jsonl")
    assert fail["eventType"] == "FAIL"
    inputs = [{"namespace": "s3a://shop", "name": "events"}, {"namespace": "spark", "name": "shop.events"}]
    assert start["inputs"] == fail["inputs"] == inputs
    assert fail["run"]["facets"]["errorMessage"]["message"] == "INPUT_NOT_FOUND no s3a://***@shop/events"


@pytest.mark.parametrize(
    ("place", "namespace", "name"),
    [
        ("hdfs://name:8020/data/events", "hdfs://name:8020", "data/events"),
        ("file:///data/events.csv", "file", "/data/events.csv"),
        ("jdbc:postgresql://ann:hunter2@db:5432/shop", "postgresql://***@db:5432", "shop"),
        ("dbfs:/Volumes/shop/events", "dbfs", "Volumes/shop/events"),
        ("events.csv", "file", f"{Path.cwd()}/events.csv"),
    ],
)
def test_a_dataset_is_named_by_its_server_and_its_path(place: str, namespace: str, name: str) -> None:
    assert dataset(place) == {"namespace": namespace, "name": name}


@pytest.fixture
def server() -> Iterator[tuple[int, list[tuple[str, str, Any]]]]:
    """Return the port of a server, and the requests that it got: path, key, event."""
    got: list[tuple[str, str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, str(self.headers["Authorization"]), json.loads(body)))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield listening.server_port, got
        listening.shutdown()
        thread.join()


def test_events_are_sent_to_a_url_with_the_key_of_the_environment(
    store: Store, commit: Commit, server: tuple[int, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "abc")
    port, got = server
    send(f"http://127.0.0.1:{port}", store, commit)
    send(f"http://127.0.0.1:{port}/lineage", store, commit)
    assert [path for path, _, _ in got] == ["/api/v1/lineage"] * 2 + ["/lineage"] * 2
    assert {key for _, key, _ in got} == {"Bearer abc"}
    for _, _, event in got:
        jsonschema.validate(event, EVENT)
