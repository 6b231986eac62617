"""The description of the interface is true: what it allows is answered as it says, whatever is sent, by a service."""

import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from support.published import publish

pytest.importorskip("fastapi", reason="the extra serve is not installed")
schemathesis: Any = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from support.asking import Asked
from support.running import Running

pytestmark = [
    pytest.mark.job,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes in /proc"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Using `httpx`"),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a service that has taken a second version over."""
    root = tmp_path_factory.mktemp("root")
    publish(root, "monday", attributes=PRICES)
    arguments = ("--root", str(root), "--poll", "0.1", "--effective-after", "0.1", "--drain", "0")
    with Running(*arguments, RECOMMENDER_TOKEN=TOKEN) as service:
        service.client.headers.update(BEARER)
        service.ready()
        publish(root, "tuesday", seed=2, strings=True, attributes=PRICES)
        service.ready(2)
        yield service


@pytest.fixture(scope="module")
def known(service: Running) -> dict[str, str]:
    """Return ids that the service knows, as they are in an address."""
    visitorid = quote(service.client.get("/v1/visitors/random").json()["visitorid"], safe="")
    listed = service.client.get(f"/v1/visitors/{visitorid}/recommendations").json()["items"]
    return {"visitorid": visitorid, "itemid": quote(listed[0]["itemid"], safe="")}


@pytest.fixture(scope="module")
def described(service: Running) -> Any:
    return schemathesis.openapi.from_url(f"http://127.0.0.1:{service.port}/openapi.json")


TOKEN = "s3cret-token"  # noqa: S105
PRICES = {"price": ["10", "60", None]}
# a schema cannot say which attributes a version has
ATTRIBUTED = {"filter": "price<50", "boost": "price<50*2", "max_per": "price:2", "window": "7d"}
SEEN = {"X-Recommender-Version": "2"}  # a service that is behind would be a failure of the server
BEARER = {"Authorization": f"Bearer {TOKEN}"}
OPERATIONS = [
    ("GET", "/v1/visitors/random"),
    ("GET", "/v1/visitors/{visitorid}/recommendations"),
    ("GET", "/v1/visitors/{visitorid}/explain/{itemid}"),
    ("GET", "/v1/visitors/{visitorid}/history"),
    ("POST", "/v1/recommendations"),
    ("POST", "/v1/recommendations:batch"),
    ("GET", "/v1/items/{itemid}/similar"),
    ("GET", "/v1/items/{itemid}/bought-together"),
    ("GET", "/v1/items/hidden"),
    ("GET", "/v1/search"),
    ("GET", "/v1/versions"),
    ("GET", "/v1/items/popular"),
    ("POST", "/v1/items:similar"),
    ("POST", "/v1/rank"),
    ("GET", "/v1/status"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_answers_are_as_they_are_described(described: Any, known: dict[str, str], method: str, path: str) -> None:
    """Half of the requests ask for visitors and items that there are."""
    statuses: Counter[int] = Counter()

    @given(case=described[path][method].as_strategy(), is_known=st.booleans())
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    def check(case: Any, is_known: bool) -> None:
        if is_known:
            for name in set(case.path_parameters or ()) & set(known):
                case.path_parameters[name] = known[name]
        for place in (case.query, case.body):
            for name in ATTRIBUTED.keys() & (place if isinstance(place, dict) else {}):
                place[name] = ATTRIBUTED[name]
        statuses[case.call_and_validate(headers={**BEARER, **SEEN}).status_code] += 1

    check()
    assert statuses[200] > 0
    assert not any(status >= 500 for status in statuses)


def test_every_operation_is_tested() -> None:
    paths = Asked().ask("/openapi.json").json()["paths"]
    assert {(method.upper(), path) for path, methods in paths.items() for method in methods} == set(OPERATIONS)
