"""The service as its own process: versions that change under load, processes that die, an end in order."""

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.published import publish, snapshot_of, store_at

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")

import httpx
from support.running import Load, Running, is_alive

from recommender.__main__ import main
from recommender.store import Channels

pytestmark = [
    pytest.mark.job,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes in /proc"),
]

FAST = ("--poll", "0.1", "--drain", "0.3", "--effective-after", "0.3")


def publish_named(root: Path, run: str, **shop: Any) -> Any:
    """Publish a version whose items have its run in their titles."""
    return publish(root, run, titles=[f"{run}:a lamp", None, f"{run}:<b>"], **shop)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    publish_named(tmp_path, "monday")
    return tmp_path


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a service that is ready, for tests that change nothing of it."""
    root = tmp_path_factory.mktemp("shared")
    publish_named(root, "monday")
    with Running("--root", str(root), *FAST) as service:
        service.ready()
        yield service


def paths(service: Running) -> list[str]:
    """Return what is asked for under load: what is published, what is computed, what is similar."""
    visitorid = service.client.get("/v1/visitors/random").json()["visitorid"]
    itemid = service.client.get("/v1/visitors/nobody/recommendations?k=1").json()["items"][0]["itemid"]
    visitor = f"/v1/visitors/{visitorid}"
    return [f"{visitor}/recommendations", f"{visitor}/recommendations?k=9", f"/v1/items/{itemid}/similar"]


def test_a_service_starts_answers_and_ends_in_order(root: Path) -> None:
    with Running("--root", str(root), *FAST) as service:
        status = service.ready()
        assert (status["channel"], status["version"]["run"], status["workers"]) == ("live", "monday", 1)
        answer = service.client.get("/v1/visitors/nobody/recommendations")
        assert (answer.json()["source"], answer.headers["x-recommender-version"]) == ("popular", "1")
        assert "server" not in answer.headers
        assert service.end() == 0
        assert not any("Traceback" in line or "ERROR" in line for line in service.log)


def test_a_service_waits_for_its_first_version(tmp_path: Path) -> None:
    with Running("--root", str(tmp_path), *FAST) as service:
        assert service.client.get("/livez").status_code == 200
        assert service.client.get("/readyz").status_code == 503
        publish(tmp_path, "monday")
        assert service.ready()["version"]["run"] == "monday"


@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.slow), "2"])
def test_versions_change_under_load_without_a_wrong_answer(root: Path, workers: str) -> None:
    with Running("--root", str(root), *FAST, "--workers", workers) as service:
        service.ready()
        load = Load(service, 8, 6, *paths(service))
        for turn in range(2, 10):
            publication = publish_named(root, f"run{turn}", seed=1, factor_seed=turn)
            if turn == 5:
                part = snapshot_of(root, publication) / "factors.arrow"
                part.write_bytes(part.read_bytes()[:-7])
            if turn == 8:
                Channels(store_at(root)).rollback("live")
            time.sleep(0.9)
        seen = load.result()
        status = service.ready(10)
    assert seen["wrong"] == []
    assert seen["counts"]["answers"] > 500
    others = {name for name in seen["counts"] if not name.startswith("version")}
    assert others <= {"answers", "behind"}  # no connection lost
    assert len([name for name in seen["counts"] if name.startswith("version")]) >= 5
    assert "version 5" not in seen["counts"]
    assert seen["newest"] >= 9
    assert status["failures"] >= 1


def test_a_service_that_is_told_to_end_under_load_answers_what_was_asked(root: Path) -> None:
    with Running("--root", str(root), "--poll", "0.1", "--drain", "3", "--workers", "2") as service:
        service.ready()
        load = Load(service, 6, 6, *paths(service))
        time.sleep(1)
        start = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        while service.client.get("/readyz").status_code == 200:
            assert time.monotonic() - start < 5
        assert service.process.wait(10) == 0
        assert time.monotonic() - start < 8
        seen = load.result()
    assert seen["wrong"] == []
    # Clients close the connection while they still get answers; no answer is cut off in the middle. A connection that
    # waits to be accepted when the last worker closes the socket is reset, once or twice for each client.
    assert set(seen["counts"]) <= {"answers", "version 1", "ConnectionRefusedError", "ConnectionResetError"}
    assert seen["counts"].get("ConnectionResetError", 0) <= 12


def test_a_worker_that_is_killed_is_replaced_and_nothing_counts_backwards(root: Path) -> None:
    counted = re.compile(r'^recommender_answers_total\{source="popular"\} (.*)$', re.MULTILINE)

    def popular(service: Running) -> float:
        for _ in range(50):
            try:
                return float(counted.findall(service.client.get("/metrics").text)[0])
            except httpx.TransportError:  # the connection was to the one that was killed
                time.sleep(0.05)
        raise AssertionError(service.log)

    with Running("--root", str(root), *FAST, "--workers", "2") as service:
        service.ready()
        for _ in range(20):
            service.client.get("/v1/visitors/nobody/recommendations")
        before, workers = popular(service), service.workers()
        os.kill(workers[0], signal.SIGKILL)
        service.logged(re.compile(rf"Child process \[{workers[0]}\] died"))
        until = time.monotonic() + 10
        while len(service.workers()) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        assert len(service.workers()) == 2
        assert popular(service) >= before >= 20
        publish_named(root, "tuesday", seed=2)
        assert service.ready(2)["failures"] == 0
        assert re.search(r"^recommender_workers 2.0$", service.client.get("/metrics").text, re.MULTILINE)


@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.slow), "2"])
def test_no_process_is_left_when_the_first_one_is_killed(root: Path, workers: str) -> None:
    with Running("--root", str(root), *FAST, "--workers", workers) as service:
        service.ready()
        left = service.workers()
        assert len(left) == int(workers)
        service.process.kill()
        until = time.monotonic() + 10
        while any(map(is_alive, left)) and time.monotonic() < until:
            time.sleep(0.05)
        assert not any(map(is_alive, left))


def test_a_hidden_item_is_gone_everywhere_within_ten_seconds_under_load(root: Path) -> None:
    """Within two polls, which take ten seconds by default."""
    poll = 3
    with Running("--root", str(root), *FAST, "--poll", str(poll), "--workers", "2") as service:
        service.ready()
        path = "/v1/visitors/nobody/recommendations?k=5"
        before = [item["itemid"] for item in service.client.get(path).json()["items"]]
        load = Load(service, 3 * poll, 4, *paths(service))
        assert main(["hide", before[0], "--reason", "recalled", "--root", str(root)]) == 0
        hidden, last = time.monotonic(), 0.0
        while time.monotonic() - hidden < 3 * poll - 1:
            items = httpx.get(f"http://127.0.0.1:{service.port}{path}").json()["items"]  # whichever worker accepts it
            if before[0] in [item["itemid"] for item in items]:
                last = time.monotonic() - hidden
            time.sleep(0.1)
        assert last < 2 * poll
        assert load.result()["wrong"] == []


def test_a_new_worker_serves_the_version_before_one_that_is_damaged(root: Path) -> None:
    with Running("--root", str(root), *FAST) as service:
        service.ready()
        (snapshot_of(root, publish_named(root, "tuesday", seed=2)) / "items.arrow").write_bytes(b"")
        service.logged(re.compile("not taken over: ARTIFACT_CORRUPT"))
        (worker,) = service.workers()
        os.kill(worker, signal.SIGKILL)
        service.logged(re.compile(r"Child process \[\d+\] died"))
        status = service.ready(1)
        assert status["last_reload"]["error"].startswith("ARTIFACT_CORRUPT")


def test_the_files_of_the_version_that_is_served_may_be_deleted(root: Path) -> None:
    with Running("--root", str(root), *FAST) as service:
        service.ready()
        publication = next(Channels(store_at(root)).history("live"))
        for path in sorted(snapshot_of(root, publication).rglob("*.arrow")):
            path.unlink()
        assert service.client.get("/v1/visitors/random").status_code == 200
        publish_named(root, "tuesday", seed=2)
        assert service.ready(2)["previous"]["run"] == "monday"


def test_a_head_is_answered_without_a_body(shared: Running) -> None:
    for path in ("/livez", "/readyz", "/metrics", "/", "/v1/visitors/nobody/recommendations"):
        answer = shared.client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
        assert int(answer.headers["content-length"]) > 0
    assert shared.client.head("/v1/items/nothing/similar").status_code == 404


def lose_files(service: Running, root: Path) -> Path:
    """Move the files of the served version away, and kill the worker; return where they were once they are missed."""
    folder = snapshot_of(root, next(Channels(store_at(root)).history("live")))
    folder.rename(folder.with_name("moved"))
    (worker,) = service.workers()
    os.kill(worker, signal.SIGKILL)
    service.logged(re.compile("not taken over: SNAPSHOT_MISSING"))
    return folder


def test_a_worker_that_cannot_load_what_is_served_answers_from_the_next_version(root: Path) -> None:
    with Running("--root", str(root), *FAST) as service:
        service.ready()
        lose_files(service, root)
        publish_named(root, "tuesday", seed=2)
        service.ready(2)


def test_a_worker_answers_again_when_the_files_are_there_again(root: Path) -> None:
    with Running("--root", str(root), *FAST) as service:
        service.ready()
        folder = lose_files(service, root)
        folder.with_name("moved").rename(folder)
        service.ready(1)


def test_a_token_is_wanted_of_everybody(root: Path, tmp_path: Path) -> None:
    with Running("--root", str(root), *FAST, RECOMMENDER_TOKEN="s3cret-token") as service:  # noqa: S106
        assert service.client.get("/readyz").status_code in {200, 503}
        assert service.client.get("/v1/status").status_code == 401
        service.client.headers["authorization"] = "Bearer s3cret-token"
        assert service.ready()["version"]["run"] == "monday"
        assert not any("s3cret" in line for line in service.log)


@pytest.mark.slow
def test_memory_stays_flat_for_ten_minutes(root: Path) -> None:
    """The soak: load, a new version every second, one in ten damaged."""

    def megabytes(service: Running) -> float:
        status = Path(f"/proc/{service.workers()[0]}/status").read_text()
        return int(re.findall(r"RssAnon:\s+(\d+)", status)[0]) / 1024

    with Running("--root", str(root), *FAST) as service:
        service.ready()
        measured = []
        until = time.monotonic() + 600
        turn = 1
        while time.monotonic() < until:
            load = Load(service, 28, 4, *paths(service))
            for _ in range(25):
                turn += 1
                publication = publish_named(root, f"run{turn}", seed=1, factor_seed=turn)
                if turn % 10 == 0:
                    (snapshot_of(root, publication) / "items.arrow").write_bytes(b"")
                time.sleep(1)
            seen = load.result()
            assert seen["wrong"] == []
            measured.append(megabytes(service))
        settled = measured[len(measured) // 4 :]
        assert max(settled) - min(settled) < 20, measured
