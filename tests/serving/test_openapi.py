"""The description of the interface is true: what it allows is answered as it says, whatever is sent."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from literal_snapshot import Shop

pytest.importorskip("fastapi", reason="the extra serve is not installed")
schemathesis: Any = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from asking import Asked

pytestmark = [
    pytest.mark.job,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Using `httpx`"),
]


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Any:
    asked = Asked()
    for number in (1, 2):
        folder = tmp_path_factory.mktemp("snapshot")
        Shop(seed=number, strings=number == 2).write(folder)
        asked.serve(folder, number)
    return schemathesis.openapi.from_asgi("/openapi.json", asked.app)


schema = schemathesis.pytest.from_fixture("described")


@schema.parametrize()
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_answers_are_as_they_are_described(case: Any) -> None:
    case.call_and_validate()


def test_every_answer_of_a_version_is_described(tmp_path: Path) -> None:
    paths = Asked().ask("/openapi.json").json()["paths"]
    assert set(paths) == {
        "/v1/visitors/random",
        "/v1/visitors/{visitorid}/recommendations",
        "/v1/visitors/{visitorid}/explain/{itemid}",
        "/v1/visitors/{visitorid}/history",
        "/v1/recommendations",
        "/v1/items/{itemid}/similar",
        "/v1/status",
        "/livez",
        "/readyz",
        "/metrics",
    }
