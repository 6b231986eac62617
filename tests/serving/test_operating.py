"""What operators set: logs, an access log, and parts that are left out."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from support.literal_snapshot import Shop

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")

from support.asking import Asked

from recommender.serving.logs import configure_logs
from recommender.serving.settings import Settings


@pytest.fixture
def _logs() -> Any:
    """Put the handlers of the root logger back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def served(tmp_path: Path, **settings: Any) -> tuple[Asked, Shop]:
    shop = Shop()
    shop.write(tmp_path)
    asked = Asked(Settings(**settings))
    asked.serve(tmp_path, 1)
    return asked, shop


@pytest.mark.usefixtures("_logs")
def test_the_access_log_has_the_route_the_status_and_the_id_but_no_visitor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, _ = served(tmp_path, access_log=True)
    configure_logs("json")
    asked.ask("/v1/visitors/4711/recommendations", headers={"x-request-id": "shop-7"})
    asked.ask("/v1/visitors/4711/history", headers={"x-request-id": "shop-8"})
    lines = [line for line in map(json.loads, capsys.readouterr().err.splitlines()) if "route" in line]
    first, second = lines
    assert (first["method"], first["route"]) == ("GET", "/v1/visitors/{visitorid}/recommendations")
    assert (first["status"], first["request_id"], first["level"]) == (200, "shop-7", "info")
    assert first["ms"] > 0
    assert (second["status"], second["request_id"]) == (404, "shop-8")
    assert "4711" not in json.dumps(lines)


@pytest.mark.usefixtures("_logs")
def test_a_line_of_text_has_the_id_of_the_request_and_a_bug_its_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, _ = served(tmp_path)
    configure_logs("text", "warning")
    monkeypatch.setattr("recommender.serving.answers.similar", lambda *_: 1 // 0)
    response = asked.ask("/v1/items/1/similar", headers={"x-request-id": "shop-9"})
    assert (response.status_code, response.headers["x-request-id"]) == (500, "shop-9")
    written = capsys.readouterr().err
    assert "shop-9 GET /v1/items/{itemid}/similar failed" in written
    assert "ZeroDivisionError" in written


def test_histories_can_be_left_out(tmp_path: Path) -> None:
    asked, shop = served(tmp_path, history=False)
    visitor = f"/v1/visitors/{shop.visitorids[0]}"
    for path in (f"{visitor}/history", f"{visitor}/explain/{shop.itemids[0]}", "/v1/visitors/random"):
        assert asked.ask(path).status_code == 404
    assert asked.ask(f"{visitor}/recommendations").status_code == 200
    assert not any("history" in path for path in asked.ask("/openapi.json").json()["paths"])


def test_the_page_can_be_left_out(tmp_path: Path) -> None:
    asked, _ = served(tmp_path, explorer=False)
    assert asked.ask("/").status_code == 404
    assert asked.ask("/docs").status_code == 200


def test_answers_are_not_kept_by_caches_and_pages_are_asked_for_again(tmp_path: Path) -> None:
    asked, shop = served(tmp_path)
    assert asked.ask(f"/v1/visitors/{shop.visitorids[0]}/recommendations").headers["cache-control"] == "no-store"
    for path in ("/", "/static/api.js", "/docs"):
        assert asked.ask(path).headers["cache-control"] == "no-cache"
        assert asked.ask(path).headers["x-content-type-options"] == "nosniff"


def test_what_is_rejected_is_counted_by_its_reason(tmp_path: Path) -> None:
    asked, _ = served(tmp_path)
    for path in ("/v1/items/none/similar", "/v1/visitors/1/recommendations?k=0", "/v1/nothing", "/v1/nothing"):
        asked.ask(path)
    exposition = asked.ask("/metrics").text
    for reason, number in (("ITEM_UNKNOWN", 1), ("REQUEST_INVALID", 1), ("NOT_FOUND", 2)):
        assert f'recommender_rejected_total{{id="{reason}"}} {number}.0' in exposition
    assert "recommender_requests_in_flight 1.0" in exposition  # the one that asks for the metrics


def test_all_requests_pass_fastapi_where_it_traces_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, shop = served(tmp_path)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    traced = Asked()
    traced.serve(tmp_path, 1)
    visitor, item = f"/v1/visitors/{shop.visitorids[0]}/recommendations", f"/v1/items/{shop.itemids[0]}/similar"
    for path in (
        visitor,
        f"{visitor}?k=9&exclude=1&exclude=2",
        f"{visitor}?k=0",
        f"{visitor}?x=1",
        item,
        f"{item}?k=x",
    ):
        one, other = plain.ask(path), traced.ask(path)
        assert (one.status_code, one.json()) == (other.status_code, other.json())
        assert one.headers.get("x-recommender-version") == other.headers.get("x-recommender-version")
