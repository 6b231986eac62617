"""Ask the application of one process, without a network."""

import asyncio
from pathlib import Path
from typing import Any

import httpx

from recommender.serving.app import create_app
from recommender.serving.held import Held
from recommender.serving.metrics import Counters
from recommender.serving.settings import Settings
from recommender.serving.shared import Shared
from recommender.serving.version import Version
from recommender.snapshot.checks import read_manifest


class Asked:
    """An application, and what it holds."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.held = Held(Shared(1, Counters.SIZE))
        self.app = create_app(self.held, settings or Settings())

    def serve(self, folder: Path, number: int) -> Version:
        """Take a version over."""
        version = Version.open(folder, read_manifest(folder), number)
        self.held.versions[number] = version
        self.held.shared.previous = self.held.shared.active
        self.held.shared.active = number
        return version

    def ask(self, path: str, method: str = "GET", **options: Any) -> httpx.Response:
        """Return the answer to a request."""

        async def asking() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
                return await client.request(method, path, **options)

        return asyncio.run(asking())
