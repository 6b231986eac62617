"""A client that openapi-python-client generates from the description works against the service."""

import asyncio
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.literal_snapshot import Shop

generator: Any = pytest.importorskip("openapi_python_client", reason="openapi-python-client is not installed")
pytest.importorskip("fastapi", reason="the extra serve is not installed")
import httpx
from openapi_python_client.config import Config, ConfigFile, MetaType
from support.asking import Asked

PACKAGE = "generated_client"


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Return a service whose generated client can be imported."""
    Shop(attributes={"brand": ["x", "y"]}).write(tmp_path / "snapshot")
    asked = Asked()
    asked.serve(tmp_path / "snapshot", 3)
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(asked.ask("/openapi.json").json()))
    settings = ConfigFile(post_hooks=[], package_name_override=PACKAGE)
    config = Config.from_sources(settings, MetaType.NONE, document, "utf-8", False, tmp_path / PACKAGE)
    assert generator.generate(config=config) == []  # it understands every operation
    monkeypatch.syspath_prepend(str(tmp_path))
    return asked


def test_lists_are_asked_for_by_a_generated_client(asked: Asked) -> None:
    client = importlib.import_module(f"{PACKAGE}.client").Client(base_url="http://service")
    models = importlib.import_module(f"{PACKAGE}.models")
    shop = Shop(attributes={"brand": ["x", "y"]})
    visitorid = str(shop.visitorids[0])

    def call(operation: str, *path: str, **options: Any) -> Any:
        async def calling() -> Any:
            transport = httpx.ASGITransport(asked.app)
            client.set_async_httpx_client(httpx.AsyncClient(transport=transport, base_url="http://service"))
            return await importlib.import_module(f"{PACKAGE}.api.{operation}").asyncio(*path, client=client, **options)

        return asyncio.run(calling())

    listed = call("recommendations.get_recommendations", visitorid, k=4, max_per="brand:2")
    assert (listed.version.number, listed.visitorid, len(listed.items)) == (3, visitorid, 4)
    event = models.ItemEvent(itemid=str(shop.itemids[int(np.flatnonzero(shop.known)[0])]), event="view")
    computed = call("recommendations.recommend_for_events", body=models.ListRequest(events=[event], k=3))
    assert [item.rank for item in computed.items] == [1, 2, 3]
    assert call("items.get_popular_items", k=2, window="7d").items[0].score == max(shop.recent)
    together = call("items.get_items_bought_together", str(shop.itemids[0]))
    assert [item.visitors for item in together.items] == [3]
    problem = call("items.get_similar_items", "none")
    assert (type(problem), problem.id, problem.status) == (models.Problem, "ITEM_UNKNOWN", 404)
    assert call("operations.get_status").ready
