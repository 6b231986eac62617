"""The HTTP interface, asked without a network."""

import json
import logging
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from support.literal_snapshot import Shop

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")

from support.asking import Asked
from support.published import publish, snapshot_of

from recommender.serving import answers
from recommender.serving.settings import Settings

RUNS = ("monday", "tuesday")


@pytest.fixture(scope="module", params=[False, True], ids=["long", "string"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Asked, Shop]:
    """Return a service that has had two versions, and the shop of the current one."""
    asked = Asked()
    for number, run in enumerate(RUNS, 1):
        shop = Shop(strings=request.param, run=run)
        folder = tmp_path_factory.mktemp("snapshot")
        shop.write(folder)
        asked.serve(folder, number)
    return asked, shop


def path_of(*parts: Any) -> str:
    return "/" + "/".join(quote(str(part), safe="") for part in parts)


def error_of(response: Any) -> tuple[int, str, str]:
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert set(problem) == {"type", "title", "status", "detail", "id"}
    assert problem["status"] == response.status_code
    return response.status_code, problem["id"], problem["detail"]


def test_a_published_list_is_as_long_as_is_asked_for(served: tuple[Asked, Shop]) -> None:
    asked, shop = served
    items = [path_of("v1", "items", itemid, "similar") for itemid in shop.itemids[:3]]
    visitors = [path_of("v1", "visitors", visitorid, "recommendations") for visitorid in shop.visitorids[:5]]
    for path in [*items, *visitors]:
        response = asked.ask(f"{path}?k=3")
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        assert response.headers["x-recommender-version"] == "2"
        assert len(response.json()["items"]) == 3
    by_default = asked.ask(path).json()
    assert (by_default["source"], len(by_default["items"])) == ("published", 5)
    computed = asked.ask(f"{path}?k=9").json()
    assert (computed["source"] != "published", len(computed["items"])) == (True, 9)


def test_an_unknown_parameter_is_refused(served: tuple[Asked, Shop]) -> None:
    for path in ("/v1/visitors/1/recommendations", "/v1/items/1/similar", "/v1/visitors/random", "/v1/status"):
        found = error_of(served[0].ask(f"{path}?limt=3"))
        assert found == (422, "REQUEST_INVALID", "limt is not known here")


def test_a_body_of_another_type_is_refused(served: tuple[Asked, Shop]) -> None:
    asked, _ = served
    for headers in ({"content-type": "text/plain"}, {"content-type": "application/x-www-form-urlencoded"}, {}):
        found = error_of(asked.ask("/v1/recommendations", "POST", content=b'{"events": []}', headers=headers))
        assert found[:2] == (415, "CONTENT_TYPE")
    for kind in ("application/json; charset=utf-8", "application/vnd.shop+json"):
        response = asked.ask("/v1/recommendations", "POST", content=b'{"events": []}', headers={"content-type": kind})
        assert response.status_code == 200


def test_a_client_is_not_answered_from_an_older_version_than_it_has_seen(served: tuple[Asked, Shop]) -> None:
    asked, shop = served
    for path in (path_of("v1", "items", shop.itemids[0], "similar"), "/v1/visitors/random"):
        assert asked.ask(path, headers={"x-recommender-version": "2"}).status_code == 200
        found = error_of(asked.ask(path, headers={"x-recommender-version": "3"}))
        assert found[:2] == (503, "VERSION_BEHIND")
        assert "has version 2 and not yet 3" in found[2]
        assert error_of(asked.ask(path, headers={"x-recommender-version": "new"}))[:2] == (422, "REQUEST_INVALID")


def test_a_request_has_an_id_that_is_taken_or_made(served: tuple[Asked, Shop]) -> None:
    asked, _ = served
    assert asked.ask("/livez", headers={"x-request-id": "shop-7"}).headers["x-request-id"] == "shop-7"
    made = asked.ask("/livez", headers={"x-request-id": "two words"}).headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]+", made)
    assert made != asked.ask("/x").headers["x-request-id"]


def test_every_answer_names_one_version(served: tuple[Asked, Shop]) -> None:
    asked, shop = served
    visitor, item = path_of("v1", "visitors", shop.visitorids[0]), path_of("v1", "items", shop.itemids[0])
    explained = quote(str(shop.itemids[int(shop.known.argmax())]), safe="")
    for path in (
        f"{visitor}/recommendations",
        f"{visitor}/history",
        f"{item}/similar",
        f"{visitor}/explain/{explained}",
    ):
        for which, number in (("current", 2), ("previous", 1)):
            response = asked.ask(f"{path}?version={which}")
            assert response.status_code == 200, response.text
            assert response.json()["version"]["run"] == RUNS[number - 1]
            assert response.json()["version"]["number"] == number
            assert response.headers["x-recommender-version"] == str(number)


def test_a_visitor_by_chance_can_be_asked_for(served: tuple[Asked, Shop]) -> None:
    asked, shop = served
    visitorid = asked.ask("/v1/visitors/random").json()["visitorid"]
    assert visitorid in {str(each) for each in shop.visitorids}
    assert asked.ask(path_of("v1", "visitors", visitorid, "recommendations")).json()["known"]


def test_an_unknown_visitor_is_told_that_it_gets_popular_items(served: tuple[Asked, Shop]) -> None:
    asked, shop = served
    answer = asked.ask("/v1/visitors/nobody%2F1/recommendations?k=2").json()
    assert (answer["source"], answer["known"], answer["visitorid"]) == ("popular", False, "nobody/1")
    known = [str(shop.itemids[int(place)]) for place in shop.known.nonzero()[0][:2]]
    response = asked.ask("/v1/visitors/nobody/recommendations", params={"k": 2, "history": [*known, "none"]})
    assert (response.json()["source"], response.json()["unknown_items"]) == ("fold_in", 1)


def test_a_known_visitor_s_session_changes_its_list_at_once(served: tuple[Asked, Shop]) -> None:
    asked, shop = served
    visitorid, known = str(shop.visitorids[0]), [str(shop.itemids[int(place)]) for place in shop.known.nonzero()[0][:2]]
    path = path_of("v1", "visitors", visitorid, "recommendations")
    before = asked.ask(path).json()
    by_get = asked.ask(path, params={"history": known, "k": 5}).json()
    body = {"visitorid": visitorid, "events": [{"itemid": item, "event": "view"} for item in known], "k": 5}
    by_post = asked.ask("/v1/recommendations", "POST", json=body).json()
    assert by_get == by_post
    assert (by_post["known"], by_post["source"]) == (True, "fold_in")
    assert by_post["items"] != before["items"]
    first = before["items"][0]["itemid"]
    without = asked.ask(path, params={"exclude": first, "k": 2, "offset": 1}).json()
    assert [item["itemid"] for item in without["items"]] == [item["itemid"] for item in before["items"][2:4]]


def test_a_batch_of_visitors_is_answered_at_once(served: tuple[Asked, Shop]) -> None:
    asked, shop = served
    visitorids = [shop.visitorids[0], "nobody", shop.visitorids[1]]
    response = asked.ask("/v1/recommendations:batch", "POST", json={"visitorids": visitorids, "k": 4})
    assert (response.status_code, response.headers["x-recommender-version"]) == (200, "2")
    for visitorid, listed in zip(visitorids, response.json()["lists"], strict=True):
        assert listed == asked.ask(path_of("v1", "visitors", visitorid, "recommendations") + "?k=4").json()
    found = error_of(asked.ask("/v1/recommendations:batch", "POST", json={"visitorids": ["1"] * 1001}))
    assert found == (422, "REQUEST_INVALID", "visitorids must have at most 1000 entries")


def test_visitors_and_items_are_searched_by_the_beginning_of_an_id_or_a_title(served: tuple[Asked, Shop]) -> None:
    asked, shop = served
    found = asked.ask("/v1/search", params={"q": "LAMP", "limit": 3}).json()
    lamps = [str(itemid) for n, itemid in enumerate(shop.itemids) if n % 5 == 0]
    assert ([item["itemid"] for item in found["items"]], found["visitors"]) == (lamps[:3], [])
    begin = str(shop.visitorids[7])[:-1]
    found = asked.ask("/v1/search", params={"q": begin, "limit": 100}).json()
    assert found["visitors"]
    assert set(found["visitors"]) == {str(each) for each in shop.visitorids if str(each).startswith(begin)}
    ids = {str(each) for each in shop.itemids if str(each).startswith(begin)}
    assert {item["itemid"] for item in found["items"]} == ids


def test_hidden_items_are_listed(served: tuple[Asked, Shop]) -> None:
    asked, shop = served
    assert asked.ask("/v1/items/hidden").json()["items"] == []
    asked.versions.hide(frozenset([str(shop.itemids[0]), "none"]))
    (item,) = asked.ask("/v1/items/hidden").json()["items"]
    assert (item["itemid"], item["title"]) == (str(shop.itemids[0]), "a lamp")
    asked.versions.hide(frozenset())


def test_versions_that_are_not_served_can_be_looked_at(tmp_path: Path) -> None:
    first = publish(tmp_path, "monday", seed=3)
    second = publish(tmp_path, "tuesday", seed=3)
    publish(tmp_path, "wednesday", channel="candidate", seed=4)
    asked = Asked(Settings(root=str(tmp_path)))
    asked.serve(snapshot_of(tmp_path, second), 2)
    listed = asked.ask("/v1/versions").json()["versions"]
    told = [(each["channel"], each["number"], each["run"], each["is_served"]) for each in listed]
    assert told == [("candidate", 1, "wednesday", False), ("live", 2, "tuesday", True), ("live", 1, "monday", False)]
    assert listed[0]["metrics"][0]["metric"] == "ndcg"
    shop = Shop(seed=3)
    path = path_of("v1", "visitors", shop.visitorids[0], "recommendations")
    assert asked.ask(f"{path}?version=1").json()["version"]["run"] == "monday"
    assert asked.ask(f"{path}?version=candidate").json()["version"]["run"] == "wednesday"
    asked.versions.hide(frozenset(str(itemid) for itemid in shop.itemids[1:]))
    listed = asked.ask(f"{path}?version=1").json()["items"]
    assert {item["itemid"] for item in listed} <= {str(shop.itemids[0])}
    found = error_of(asked.ask(f"{path}?version=7"))
    assert found == (404, "VERSION_UNKNOWN", "no version 7 is kept; see /v1/versions")
    (snapshot_of(tmp_path, first) / "gram.arrow").write_bytes(b"damaged")
    asked.ask(f"{path}?version=candidate")  # version 1 is closed now
    found = error_of(asked.ask(f"{path}?version=1"))
    assert found[:2] == (404, "VERSION_UNKNOWN")
    assert "version 1 cannot be opened: ARTIFACT_CORRUPT" in found[2]
    closed = Asked(Settings(root=str(tmp_path), explorer=False))
    closed.serve(snapshot_of(tmp_path, second), 2)
    assert closed.ask("/v1/versions").json() == {"versions": []}
    assert error_of(closed.ask(f"{path}?version=2"))[:2] == (404, "VERSION_UNKNOWN")


def test_a_filter_is_taken_by_each_kind_of_list(tmp_path: Path) -> None:
    shop = Shop(attributes={"category": ["shoes", "hats"], "price": ["10", "20", "30"]})
    shop.write(tmp_path)
    asked = Asked()
    asked.serve(tmp_path, 1)
    visitorid, text = str(shop.visitorids[0]), "category:shoes,price<25"
    cart = [str(shop.itemids[int(place)]) for place in shop.known.nonzero()[0][:2]]

    def listed(answer: Any) -> list[Any]:
        found = answer.json()
        return found["lists"][0]["items"] if "lists" in found else found["items"]

    wanted = {str(itemid) for n, itemid in enumerate(shop.itemids) if n % 2 == 0 and n % 3 < 2}
    answers = [
        asked.ask(path_of("v1", "visitors", visitorid, "recommendations"), params={"filter": text, "k": 6}),
        asked.ask("/v1/items/popular", params={"filter": text}),
        asked.ask("/v1/recommendations", "POST", json={"visitorid": visitorid, "filter": text}),
        asked.ask("/v1/recommendations:batch", "POST", json={"visitorids": [visitorid], "filter": text}),
        asked.ask("/v1/items:similar", "POST", json={"itemids": cart, "filter": text}),
    ]
    for answer in answers:
        assert answer.status_code == 200
        found = {item["itemid"] for item in listed(answer)}
        assert found
        assert found <= wanted
    more = {"boost": "category:hats*3", "max_per": "category:2", "k": 5}
    answers = [
        asked.ask(path_of("v1", "visitors", visitorid, "recommendations"), params=more),
        asked.ask("/v1/items/popular", params=more),
        asked.ask("/v1/recommendations", "POST", json={"visitorid": visitorid, **more}),
        asked.ask("/v1/recommendations:batch", "POST", json={"visitorids": [visitorid], **more}),
        asked.ask("/v1/items:similar", "POST", json={"itemids": cart, **more}),
    ]
    kinds = {str(itemid): n % 2 for n, itemid in enumerate(shop.itemids)}
    for answer in answers:
        assert sorted(kinds[item["itemid"]] for item in listed(answer)) == [0, 0, 1, 1]
    later = asked.ask("/v1/items:similar", "POST", json={"itemids": cart, **more, "offset": 1}).json()["items"]
    assert [(item["rank"], item["itemid"]) for item in later] == [
        (rank, item["itemid"]) for rank, item in enumerate(listed(answers[-1])[1:], 2)
    ]
    refused = error_of(asked.ask("/v1/items/popular?filter=colour:red"))
    assert refused == (422, "FILTER_INVALID", "items have no attribute 'colour'; they have category, price")


def test_items_may_be_asked_for_without_a_visitor(served: tuple[Asked, Shop]) -> None:
    asked, shop = served
    whole = asked.ask("/v1/items/popular?k=4").json()
    assert (whole["source"], whole["visitorid"], len(whole["items"])) == ("popular", None, 4)
    first = whole["items"][0]["itemid"]
    later = asked.ask("/v1/items/popular", params={"k": 2, "exclude": first, "offset": 1}).json()
    assert [item["itemid"] for item in later["items"]] == [item["itemid"] for item in whole["items"][2:4]]
    cart = [str(shop.itemids[int(place)]) for place in shop.known.nonzero()[0][:2]]
    alike = asked.ask("/v1/items:similar", "POST", json={"itemids": cart, "k": 3}).json()
    assert len(alike["items"]) == 3
    assert not set(cart) & {item["itemid"] for item in alike["items"]}
    body = {"itemids": cart, "visitorid": str(shop.visitorids[0])}
    ranked = asked.ask("/v1/rank", "POST", json=body).json()
    assert {item["itemid"] for item in ranked["items"]} == set(cart)
    assert error_of(asked.ask("/v1/items:similar", "POST", json={"itemids": []}))[0] == 422


def test_a_list_for_events_leaves_out_what_is_to_be_left_out(served: tuple[Asked, Shop]) -> None:
    asked, shop = served
    bought, viewed, unwanted = (shop.itemids[int(place)] for place in shop.known.nonzero()[0][:3])
    body = {
        "events": [{"itemid": bought, "event": "transaction"}, {"itemid": viewed}],
        "exclude": [unwanted, "none", 10**30],
        "k": 1000.0,
    }
    response = asked.ask("/v1/recommendations", "POST", json=body)
    answer = response.json()
    assert response.status_code == 200, answer
    found = {item["itemid"] for item in answer["items"]}
    assert not found & {str(bought), str(unwanted)}
    assert (answer["visitorid"], answer["known"], answer["source"]) == (None, False, "fold_in")
    assert (answer["unknown_items"], answer["unknown_events"]) == (0, 0)


@pytest.mark.parametrize(
    ("path", "status", "error", "sentence"),
    [
        ("/v1/visitors/1/recommendations?k=0", 422, "REQUEST_INVALID", "k must be at least 1"),
        ("/v1/visitors/1/recommendations?k=1001", 422, "REQUEST_INVALID", "k must be at most 1000"),
        ("/v1/visitors/1/recommendations?k=ten", 422, "REQUEST_INVALID", "k must be a whole number"),
        (
            "/v1/visitors/1/recommendations?version=old",
            422,
            "REQUEST_INVALID",
            "version must be 'current', 'previous', 'candidate' or the number",
        ),
        (f"/v1/visitors/{'1' * 257}/recommendations", 422, "REQUEST_INVALID", "visitorid must have at most 256 char"),
        (f"/v1/visitors/{'a%2F' * 129}/recommendations", 422, "REQUEST_INVALID", "visitorid must have at most 256"),
        (f"/v1/items/{'%2F' * 257}/similar", 422, "REQUEST_INVALID", "itemid must have at most 256 characters"),
        (
            "/v1/visitors/1/recommendations?history=" + "1" * 257,
            422,
            "REQUEST_INVALID",
            "history.0 must have at most 256",
        ),
        ("/v1/visitors/1/recommendations?" + "history=1&" * 1001, 422, "REQUEST_INVALID", "at most 1000 entries"),
        ("/v1/visitors/1/history?limit=0", 422, "REQUEST_INVALID", "limit must be at least 1"),
        ("/v1/items/none/similar", 404, "ITEM_UNKNOWN", "item none is not in this version"),
        ("/v1/visitors/nobody/history", 404, "VISITOR_UNKNOWN", "visitor nobody is not in this version"),
        ("/v1/nothing", 404, "NOT_FOUND", "there is nothing here; see /docs"),
        ("/static/nothing.js", 404, "NOT_FOUND", "there is nothing here; see /docs"),
        ("/v1/recommendations", 405, "METHOD_NOT_ALLOWED", "this method is not for this path; see /docs"),
    ],
)
def test_the_callers_mistakes_are_told_in_a_sentence(
    served: tuple[Asked, Shop], path: str, status: int, error: str, sentence: str
) -> None:
    found = error_of(served[0].ask(path))
    assert found[:2] == (status, error)
    assert sentence in found[2]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "the body is not JSON at character 1"),
        (b"{bad", "the body is not JSON at character 1"),
        (b"[]", "the body: input should be a valid dictionary"),
        (b'{"events": [], "k": "3"}', "k must be a whole number"),
        (b'{"events": [], "k": 0}', "k must be at least 1"),
        (b'{"events": [], "n": 3}', "n is not known here"),
        (b'{"events": [{"itemid": 1.5}]}', "events.0.itemid must be a string or a whole number"),
        (b'{"events": [{"itemid": true}]}', "events.0.itemid must be a string or a whole number"),
        (b'{"events": [{"event": "view"}]}', "events.0.itemid is missing"),
        (json.dumps({"events": [{"itemid": "i" * 257}]}).encode(), "must have at most 256 characters"),
        (json.dumps({"events": [{"itemid": 1}] * 1001}).encode(), "events must have at most 1000 entries"),
        (json.dumps({"events": [], "exclude": [1] * 1001}).encode(), "exclude must have at most 1000 entries"),
    ],
)
def test_a_body_that_is_not_as_it_must_be_is_told(served: tuple[Asked, Shop], body: bytes, sentence: str) -> None:
    headers = {"content-type": "application/json"}
    found = error_of(served[0].ask("/v1/recommendations", "POST", content=body, headers=headers))
    assert found[:2] == (422, "REQUEST_INVALID")
    assert sentence in found[2]


@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"events": [], "k": ' + b"9" * 5000 + b"}"])
def test_a_body_that_cannot_be_read_is_told(served: tuple[Asked, Shop], body: bytes) -> None:
    headers = {"content-type": "application/json"}
    status, error, _ = error_of(served[0].ask("/v1/recommendations", "POST", content=body, headers=headers))
    assert (status, error) in {(400, "BODY_UNREADABLE"), (422, "REQUEST_INVALID")}


def test_half_a_character_is_no_id(served: tuple[Asked, Shop]) -> None:
    body = b'{"events": [{"itemid": "\\ud800"}]}'
    headers = {"content-type": "application/json"}
    answer = served[0].ask("/v1/recommendations", "POST", content=body, headers=headers).json()
    assert (answer["source"], answer["unknown_items"]) == ("popular", 1)
    assert served[0].ask("/v1/visitors/%ED%A0%80/recommendations").json()["source"] == "popular"


def test_a_body_that_is_too_large_is_not_read(served: tuple[Asked, Shop]) -> None:
    async def chunks() -> Any:
        for _ in range(66):
            yield b" " * 1024

    for content in (b" " * 65_537, chunks()):
        response = served[0].ask("/v1/recommendations", "POST", content=content)
        found = error_of(response)
        assert found == (413, "BODY_TOO_LARGE", "the body must have at most 65,536 bytes; send fewer events")
        assert response.headers["connection"] == "close"


def test_without_a_version_the_service_lives_and_is_not_ready() -> None:
    asked = Asked()
    assert asked.ask("/livez").json() == {"live": True}
    for path in ("/readyz", "/v1/visitors/1/recommendations", "/v1/items/1/similar", "/v1/visitors/random"):
        response = asked.ask(path)
        assert error_of(response)[:2] == (503, "NOT_READY")
        assert response.headers["retry-after"] == "1"
    status = asked.ask("/v1/status").json()
    assert (status["ready"], status["version"], status["metrics"], status["counts"]) == (False, None, [], None)


def test_there_is_no_previous_version_at_first(tmp_path: Path) -> None:
    Shop().write(tmp_path)
    asked = Asked()
    asked.serve(tmp_path, 1)
    found = error_of(asked.ask("/v1/visitors/1/recommendations?version=previous"))
    assert found == (404, "VERSION_UNKNOWN", "no previous version is kept; leave version out for the current one")


def test_the_status_says_what_is_served(served: tuple[Asked, Shop]) -> None:
    response = served[0].ask("/v1/status")
    status = response.json()
    assert (status["ready"], status["draining"], status["failures"]) == (True, False, 0)
    assert (status["version"]["run"], status["previous"]["run"]) == ("tuesday", "monday")
    assert status["counts"] == {"visitors": 40, "items": 30, "lists": 40}
    assert status["metrics"][0]["metric"] == "ndcg"
    assert status["age_seconds"] == pytest.approx(time.time() - 1795568400, abs=60)
    assert response.headers["x-recommender-version"] == "2"


def test_while_ending_the_service_answers_but_is_not_ready(tmp_path: Path) -> None:
    shop = Shop()
    shop.write(tmp_path)
    asked = Asked()
    asked.serve(tmp_path, 1)
    asked.versions.draining = True
    assert error_of(asked.ask("/readyz")) == (503, "DRAINING", "the service is ending; ask another one")
    for path in (f"/v1/visitors/{shop.visitorids[0]}/recommendations", "/v1/status"):
        response = asked.ask(path)
        assert (response.status_code, response.headers["connection"]) == (200, "close")


def test_a_token_is_wanted_where_one_is_set(tmp_path: Path) -> None:
    Shop().write(tmp_path)
    asked = Asked(Settings(token="s3cret"))  # noqa: S106
    asked.serve(tmp_path, 1)
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "s3cret"}):
        for path in (
            "/v1/status",
            "/v1/visitors/1/recommendations",
            "/v1/visitors/1/history",
            "/v1/items/1/similar",
            "/%761/status",
        ):
            response = asked.ask(path, headers=headers)
            assert error_of(response)[:2] == (401, "UNAUTHORIZED")
            assert response.headers["www-authenticate"] == "Bearer"
    assert asked.ask("/v1/status", headers={"authorization": "Bearer s3cret"}).status_code == 200
    for path in ("/livez", "/readyz", "/metrics", "/docs", "/openapi.json"):
        assert asked.ask(path).status_code == 200


def test_what_takes_too_long_or_waits_behind_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Shop().write(tmp_path)
    monkeypatch.setattr(answers, "computed", lambda *_: time.sleep(0.3))
    asked = Asked(Settings(request_seconds=0.05, waiting=0))
    asked.serve(tmp_path, 1)
    body = {"events": []}
    found = error_of(asked.ask("/v1/recommendations", "POST", json=body))
    assert found == (503, "TIMEOUT", "no answer within 0.05 s; try again, or ask for fewer items")
    found = error_of(asked.ask("/v1/recommendations", "POST", json=body))
    assert found == (503, "BUSY", "too many lists are being computed; try again in a second")


def test_a_bug_is_answered_with_500_and_its_traceback_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Shop().write(tmp_path)
    monkeypatch.setattr(answers, "similar", lambda *_: 1 // 0)
    asked = Asked()
    asked.serve(tmp_path, 1)
    with caplog.at_level(logging.ERROR):
        found = error_of(asked.ask("/v1/items/1/similar"))
    assert found == (500, "INTERNAL", "this is a bug; the log has the details")
    (record,) = [record for record in caplog.records if record.name == "recommender.serving"]
    assert record.getMessage() == "GET /v1/items/{itemid}/similar failed"
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_requests_and_sources_are_counted(tmp_path: Path) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    shop = Shop()
    shop.write(tmp_path)
    asked = Asked()
    asked.serve(tmp_path, 1)
    path = f"/v1/visitors/{shop.visitorids[0]}/recommendations"
    for each in (path, path, f"{path}?k=0", "/v1/visitors/nobody/recommendations", "/x"):
        asked.ask(each)
    response = asked.ask("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in parser.text_string_to_metric_families(response.text)
        for sample in family.samples
    }
    route = "/v1/visitors/{visitorid}/recommendations"
    assert samples["recommender_requests_total", route, "200"] == 3
    assert samples["recommender_requests_total", route, "422"] == 1
    assert samples["recommender_requests_total", "404", "other"] == 1
    assert samples["recommender_request_duration_seconds_count", route] == 4
    assert samples["recommender_request_duration_seconds_bucket", "+Inf", route] == 4
    assert samples["recommender_request_duration_seconds_sum", route] > 0
    assert samples["recommender_answers_total", "published"] == 2
    assert samples["recommender_answers_total", "popular"] == 1
    assert samples["recommender_reload_failures_total",] == 0
    assert (samples["recommender_ready",], samples["recommender_version",]) == (1, 1)


def test_the_docs_need_nothing_from_elsewhere(served: tuple[Asked, Shop]) -> None:
    asked, _ = served
    response = asked.ask("/docs")
    assert "GET /v1/visitors/{visitorid}/recommendations" in response.text
    assert not re.findall(r"(?:src|href)=.?https?:", response.text)
    assert "default-src 'self'" in response.headers["content-security-policy"]
    page = asked.ask("/")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert asked.ask("/", headers={"if-none-match": page.headers["etag"]}).status_code == 304
