"""The service behind a real nginx with the configuration of deploy/serve: what the proxy promises."""

import shutil
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import quote

import pytest
from support.published import publish

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")

from support.proxy import NGINX, PREFIX, Proxy
from support.running import Running

pytestmark = [
    pytest.mark.job,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes in /proc"),
    pytest.mark.skipif(not NGINX, reason="nginx is not installed"),
    pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed"),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("root")
    publish(root, "monday", strings=True)  # ids with slashes and letters beyond ASCII
    with Running("--root", str(root), "--poll", "0.1", "--drain", "0") as service:
        service.ready()
        yield service


@pytest.fixture(scope="module")
def proxy(service: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with Proxy(tmp_path_factory.mktemp("nginx"), service.port) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def _wait_for_the_limit() -> Iterator[None]:
    yield
    time.sleep(0.5)


def connected(proxy: Proxy, stack: ExitStack) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), timeout=10))
    return stack.enter_context(context.wrap_socket(plain))


def raw(proxy: Proxy, request: bytes) -> bytes:
    """Return what comes until the connection is closed."""
    answer = b""
    with ExitStack() as stack:
        connection = connected(proxy, stack)
        connection.sendall(request)
        while part := connection.recv(1 << 16):
            answer += part
    return answer


def test_ids_with_slashes_pass_a_proxy_with_a_prefix_and_tls(service: Running, proxy: Proxy) -> None:
    visitorid = service.client.get("/v1/visitors/random").json()["visitorid"]
    assert "/" in visitorid
    for each in (visitorid, "a/../b", "a//b", "50%"):
        answer = proxy.client.get(f"/v1/visitors/{quote(each, safe='')}/recommendations")
        assert (answer.status_code, answer.headers["x-recommender-version"]) == (200, "1")
        assert (answer.json()["visitorid"], answer.json()["known"]) == (each, each == visitorid)
    itemid = answer.json()["items"][0]["itemid"]
    assert proxy.client.get(f"/v1/items/{quote(itemid, safe='')}/similar?k=2").json()["itemid"] == itemid
    body = {"events": [{"itemid": itemid}], "k": 3}
    assert proxy.client.post("/v1/recommendations", json=body).json()["unknown_items"] == 0


def test_the_page_and_its_files_are_found_below_the_prefix(proxy: Proxy) -> None:
    for path in ("/", "/static/api.js", "/docs", "/openapi.json", "/livez", "/readyz"):
        assert proxy.client.get(path).status_code == 200
    assert raw(proxy, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").startswith(b"HTTP/1.1 404 ")


def test_the_metrics_are_closed_to_outsiders(service: Running, proxy: Proxy) -> None:
    assert service.client.get("/metrics").status_code == 200
    for path, status in (("/metrics", 403), ("/%6detrics", 403), ("/x/../metrics", 403), ("//metrics", 404)):
        head = f"GET {PREFIX}{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        assert raw(proxy, head.encode()).startswith(b"HTTP/1.1 %d " % status)


def test_a_head_or_a_body_that_is_too_large_is_refused(proxy: Proxy) -> None:
    head = b"GET " + PREFIX.encode() + b"/livez HTTP/1.1\r\nhost: x\r\n"
    assert raw(proxy, head + b"x: " + b"a" * 40_000).startswith(b"HTTP/1.1 400 ")
    assert raw(proxy, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert proxy.client.post("/v1/recommendations", content=b" " * 70_000).status_code == 413
    large = {"events": [{"itemid": "7", "event": "view" + " " * 40}] * 900}
    assert proxy.client.post("/v1/recommendations", json=large).status_code == 200


def test_a_head_or_a_body_that_does_not_come_in_time_ends_the_connection(proxy: Proxy) -> None:
    for start in (
        f"GET {PREFIX}/livez HT",
        f"POST {PREFIX}/v1/recommendations HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{{",
    ):
        began = time.monotonic()
        answer = raw(proxy, start.encode())
        assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")
        assert 0.5 < time.monotonic() - began < 5


def test_an_offer_of_another_protocol_is_declined_and_the_body_is_read(proxy: Proxy) -> None:
    body = b'{"events":[{"itemid":"nothing"}],"k":1}'
    lines = [
        f"POST {PREFIX}/v1/recommendations HTTP/1.1".encode(),
        b"connection: Upgrade, HTTP2-Settings, close",  # as Java's client sends it
        b"http2-settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
        b"upgrade: h2c",
        b"host: x",
        b"content-type: application/json",
        b"content-length: %d" % len(body),
    ]
    assert raw(proxy, b"\r\n".join([*lines, b"", body])).startswith(b"HTTP/1.1 200 ")


def test_connections_of_one_client_are_limited(proxy: Proxy) -> None:
    unfinished = f"POST {PREFIX}/v1/recommendations HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{{".encode()
    with ExitStack() as stack:
        for _ in range(3):
            connected(proxy, stack).sendall(unfinished)
        time.sleep(0.2)
        assert proxy.client.get("/livez").status_code == 429


def test_requests_of_one_client_are_limited(proxy: Proxy) -> None:
    statuses = [proxy.client.get("/livez").status_code for _ in range(60)]
    assert statuses[0] == 200
    assert set(statuses) == {200, 429}
