"""The service as its own process: versions that change under load, processes that die, an end in order."""

import hashlib
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from support.literal_snapshot import Shop
from support.published import publish, snapshot_of, store_at

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")

import httpx
from support.running import Load, Running, is_alive

from recommender.snapshot.layout import MANIFEST
from recommender.snapshot.manifest import FileFacts, Manifest
from recommender.store import Channels

pytestmark = [
    pytest.mark.job,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes in /proc"),
]

FAST = ("--poll", "0.1", "--drain", "0.3")


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
        load = Load(service, 5, 6, *paths(service))
        for turn in range(2, 10):
            publication = publish_named(root, f"run{turn}", seed=1, factor_seed=turn)
            if turn == 5:
                part = snapshot_of(root, publication) / "factors.arrow"
                part.write_bytes(part.read_bytes()[:-7])
            if turn == 8:
                Channels(store_at(root)).rollback("live")
            time.sleep(0.5)
        seen = load.result()
        status = service.ready()
    assert seen["wrong"] == []
    assert seen["counts"]["answers"] > 500
    assert {name for name in seen["counts"] if not name.startswith("version")} == {"answers"}  # no connection lost
    assert len([name for name in seen["counts"] if name.startswith("version")]) >= 6
    assert "version 5" not in seen["counts"]
    assert status["version"]["number"] == seen["newest"] == 10
    assert status["failures"] >= 1


def test_a_service_that_is_told_to_end_under_load_answers_what_was_asked(root: Path) -> None:
    with Running("--root", str(root), "--poll", "0.1", "--drain", "1", "--workers", "2") as service:
        service.ready()
        load = Load(service, 3, 6, *paths(service))
        time.sleep(1)
        start = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert service.client.get("/readyz").status_code == 503
        assert service.process.wait(10) == 0
        assert time.monotonic() - start < 5
        seen = load.result()
    assert seen["wrong"] == []
    # Who asks is told to close the connection while it still gets answers; nothing is cut off in the middle.
    assert set(seen["counts"]) <= {"answers", "version 1", "ConnectionRefusedError", "ConnectionResetError"}
    assert seen["counts"].get("ConnectionResetError", 0) <= 6


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
        service.logged(re.compile(r"worker \d ended with signal 9; it is replaced"))
        until = time.monotonic() + 10
        while len(service.workers()) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        assert len(service.workers()) == 2
        assert popular(service) >= before >= 20
        publish_named(root, "tuesday", seed=2)
        assert service.ready(2)["failures"] == 0


@pytest.mark.parametrize("workers", ["1", "3"])
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


def test_the_first_process_has_one_thread_so_that_it_can_fork(shared: Running) -> None:
    assert len(list(Path(f"/proc/{shared.process.pid}/task").iterdir())) == 1


def test_the_files_of_the_version_that_is_served_may_be_deleted(root: Path) -> None:
    with Running("--root", str(root), *FAST) as service:
        service.ready()
        publication = next(Channels(store_at(root)).history("live"))
        for path in sorted(snapshot_of(root, publication).rglob("*.arrow")):
            path.unlink()
        assert service.client.get("/v1/visitors/random").status_code == 200
        publish_named(root, "tuesday", seed=2)
        assert service.ready(2)["previous"]["run"] == "monday"


def raw(port: int, request: bytes, seconds: float = 5) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(1 << 16):
            answer += part
    return answer


def test_a_head_without_end_is_refused(shared: Running) -> None:
    answer = raw(shared.port, b"GET /livez HTTP/1.1\r\nx: " + b"a" * 40_000)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"HEAD_TOO_LARGE" in answer
    whole = b"GET /livez HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 40_000 + b"\r\n\r\n"
    assert raw(shared.port, whole).startswith(b"HTTP/1.1 431 ")
    answer = raw(shared.port, b"nonsense\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"REQUEST_UNREADABLE" in answer
    assert shared.client.get("/livez").status_code == 200
    first = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n"
    assert raw(shared.port, first + b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 200 ")  # it is of the first
    answer = raw(shared.port, first + whole)
    assert (answer.count(b"HTTP/1.1 200 "), answer.count(b"HTTP/1.1 431 ")) == (1, 0)
    large = {"events": [{"itemid": "7", "event": "view" + " " * 40}] * 900}
    assert shared.client.post("/v1/recommendations", json=large).status_code == 200  # a body is no head


def test_one_connection_too_many_is_told_so_and_may_probe(root: Path) -> None:
    with Running("--root", str(root), *FAST, "--connections", "3") as service, ExitStack() as stack:
        service.ready()  # whose client keeps its connection
        for _ in range(2):
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port)))
        time.sleep(0.2)
        answer = raw(service.port, b"GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"CROWDED" in answer
        assert b"retry-after: 1" in answer
        assert raw(service.port, b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        assert service.client.get("/v1/status").status_code == 200


def test_a_head_is_answered_without_a_body(shared: Running) -> None:
    for path in ("/livez", "/readyz", "/metrics", "/", "/v1/visitors/nobody/recommendations"):
        answer = shared.client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
        assert int(answer.headers["content-length"]) > 0
    assert shared.client.head("/v1/items/nothing/similar").status_code == 404


class Slow(Shop):
    """A shop with a file whose hash cannot be compared until somebody writes into it."""

    def write(self, folder: Path) -> Manifest:
        manifest = super().write(folder)
        manifest.files["slow"] = FileFacts(bytes=0, sha256=hashlib.sha256(b"").hexdigest())
        (folder / MANIFEST).write_bytes(manifest.sealed())
        os.mkfifo(folder / "slow")
        return manifest


def test_a_worker_that_dies_while_hashes_are_compared_is_replaced_meanwhile(root: Path) -> None:
    with Running("--root", str(root), *FAST) as service:
        service.ready()
        (worker,) = service.workers()
        pipe = snapshot_of(root, publish_named(root, "tuesday", made=Slow)) / "slow"
        until = time.monotonic() + 10
        while len(service.workers()) < 2 and time.monotonic() < until:  # one of them compares
            time.sleep(0.05)
        os.kill(worker, signal.SIGKILL)
        service.logged(re.compile("worker 0 ended with signal 9; it is replaced"))
        assert service.ready()["version"]["number"] == 1
        pipe.open("wb").close()
        assert service.ready(2)["failures"] == 0


def lose_files(service: Running, root: Path) -> Path:
    """Move away what is served, and kill the one worker; return where the files were, when the next has missed them."""
    folder = snapshot_of(root, next(Channels(store_at(root)).history("live")))
    folder.rename(folder.with_name("moved"))
    (worker,) = service.workers()
    os.kill(worker, signal.SIGKILL)
    service.logged(re.compile("a new worker cannot load what is served, and goes on trying: "))
    return folder


def test_a_worker_that_cannot_load_what_is_served_answers_from_the_next_version(root: Path) -> None:
    with Running("--root", str(root), *FAST) as service:
        service.ready()
        lose_files(service, root)
        publish_named(root, "tuesday", seed=2)
        assert service.ready(2)["failures"] == 0


def test_a_worker_answers_again_when_the_files_are_there_again(root: Path) -> None:
    with Running("--root", str(root), *FAST) as service:
        service.ready()
        folder = lose_files(service, root)
        folder.with_name("moved").rename(folder)
        assert service.ready(1)["failures"] == 0


def test_an_offer_of_another_protocol_is_declined_and_the_body_is_read(shared: Running) -> None:
    body = b'{"events":[{"itemid":"nothing"}],"k":1}'
    lines = [
        b"POST /v1/recommendations HTTP/1.1",
        b"connection: Upgrade, HTTP2-Settings, close",  # as Java's client sends it
        b"http2-settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
        b"upgrade: h2c",
        b"host: x",
        b"content-type: application/json",
        b"content-length: %d" % len(body),
    ]
    assert raw(shared.port, b"\r\n".join([*lines, b"", body])).startswith(b"HTTP/1.1 200 ")


@pytest.mark.slow
def test_what_does_not_come_in_time_is_closed(root: Path) -> None:
    with Running("--root", str(root), *FAST) as service:
        service.ready()
        start = time.monotonic()
        assert raw(service.port, b"GET /livez HT", 30) == b""
        assert 9 < time.monotonic() - start < 15
        head = b"POST /v1/recommendations HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{"
        assert raw(service.port, head, 30).startswith(b"HTTP/1.1 408 ")
        start = time.monotonic()  # an empty line is the beginning of a request that does not come
        with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"}"):
                answer += connection.recv(1 << 16)
            connection.sendall(b"\r\n")
            with suppress(ConnectionResetError):
                assert connection.recv(1 << 16) == b""
        assert 9 < time.monotonic() - start < 15
        start = time.monotonic()  # nobody reads this body, and no answer waits for it
        assert raw(service.port, b"GET /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{", 30) != b""
        assert 9 < time.monotonic() - start < 15


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
