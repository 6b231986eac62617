"""The description of the interface is true: what it allows is answered as it says, whatever is sent."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
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


OPERATIONS = [
    ("GET", "/v1/visitors/random"),
    ("GET", "/v1/visitors/{visitorid}/recommendations"),
    ("GET", "/v1/visitors/{visitorid}/explain/{itemid}"),
    ("GET", "/v1/visitors/{visitorid}/history"),
    ("POST", "/v1/recommendations"),
    ("GET", "/v1/items/{itemid}/similar"),
    ("GET", "/v1/status"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_answers_are_as_they_are_described(described: Any, method: str, path: str) -> None:
    @given(case=described[path][method].as_strategy())
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    def check(case: Any) -> None:
        case.call_and_validate()

    check()


def test_every_operation_is_tested() -> None:
    paths = Asked().ask("/openapi.json").json()["paths"]
    assert {(method.upper(), path) for path, methods in paths.items() for method in methods} == set(OPERATIONS)
