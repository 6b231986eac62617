"""Tokens and their scopes, from a file that is read again when it changes."""

import logging
import os
from pathlib import Path

import pytest
from support.literal_snapshot import Shop

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")

from support.asking import Asked

from recommender.serving.auth import HISTORY, METRICS, RECOMMEND, Tokens
from recommender.serving.problems import RequestError
from recommender.serving.settings import Settings


def may(tokens: Tokens, token: str | None, scope: str) -> int:
    """Return the status that a token gets for a scope; 200: it may."""
    try:
        tokens.check(None if token is None else f"Bearer {token}", scope)
    except RequestError as problem:
        return problem.status
    return 200


def changed(file: Path, text: str) -> None:
    before = file.stat().st_mtime
    file.write_text(text, encoding="utf-8")
    os.utime(file, (before + 1, before + 1))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text("# of the shop\nshop recommend\n\nadmin\nprometheus metrics\npage recommend, history\n", "utf-8")
    return path


def test_a_token_may_do_what_its_scopes_say(file: Path) -> None:
    tokens = Tokens(None, str(file))
    scopes = (RECOMMEND, HISTORY, METRICS)
    assert [may(tokens, "shop", scope) for scope in scopes] == [200, 403, 403]
    assert [may(tokens, "admin", scope) for scope in scopes] == [200, 200, 200]
    assert [may(tokens, "prometheus", scope) for scope in scopes] == [403, 403, 200]
    assert [may(tokens, "page", scope) for scope in scopes] == [200, 200, 403]
    assert [may(tokens, "nobody", scope) for scope in scopes] == [401, 401, 401]
    assert [may(tokens, None, scope) for scope in scopes] == [401, 401, 401]


def test_metrics_are_for_everybody_until_a_token_names_them() -> None:
    for tokens in (Tokens(None, None), Tokens("s3cret", None)):
        assert may(tokens, None, METRICS) == 200


@pytest.mark.parametrize("authorization", ["shop", "Basic shop", "Bearer", "Bearer shop x", "Bearer \xff"])
def test_another_header_is_not_a_token(file: Path, authorization: str) -> None:
    with pytest.raises(RequestError, match="UNAUTHORIZED"):
        Tokens(None, str(file)).check(authorization, RECOMMEND)


def test_a_file_that_changes_is_read_again(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    tokens = Tokens(None, str(file))
    changed(file, "new recommend\n")
    assert may(tokens, "new", RECOMMEND) == 401
    with caplog.at_level(logging.INFO):
        tokens.read_again()
    assert (may(tokens, "new", RECOMMEND), may(tokens, "shop", RECOMMEND)) == (200, 401)
    assert "read 1 tokens again" in caplog.text
    assert "new" not in caplog.text


@pytest.mark.parametrize("text", ["", "shop everything", "tökén"])
def test_a_file_that_is_damaged_leaves_the_tokens(file: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    tokens = Tokens(None, str(file))
    changed(file, text)
    tokens.read_again()
    assert may(tokens, "shop", RECOMMEND) == 200
    assert "the tokens stay as they are: TOKEN_FILE" in caplog.text
    file.unlink()
    tokens.read_again()
    assert may(tokens, "shop", RECOMMEND) == 200


def test_routes_ask_for_their_scopes(file: Path, tmp_path: Path) -> None:
    shop = Shop()
    shop.write(tmp_path / "snapshot")
    asked = Asked(Settings(token_file=str(file)))
    asked.serve(tmp_path / "snapshot", 1)
    visitor = f"/v1/visitors/{shop.visitorids[0]}"

    def status(path: str, token: str) -> int:
        return asked.ask(path, headers={"authorization": f"Bearer {token}"}).status_code

    for path in (
        f"{visitor}/recommendations",
        f"/v1/items/{shop.itemids[0]}/similar",
        "/v1/items/popular",
        "/v1/status",
    ):
        assert [status(path, token) for token in ("shop", "page", "prometheus")] == [200, 200, 403]
    for path in (f"{visitor}/history", "/v1/visitors/random"):
        assert [status(path, token) for token in ("shop", "page", "prometheus")] == [403, 200, 403]
    assert [status("/metrics", token) for token in ("shop", "admin", "prometheus")] == [403, 200, 200]
    refused = asked.ask(f"{visitor}/history", headers={"authorization": "Bearer shop"}).json()
    assert refused["detail"] == "this token does not have the scope history"
