"""Ask the application of one process, without a network."""

import asyncio
from pathlib import Path
from typing import Any

import httpx

from recommender.serving.app import create_app, recommender_of
from recommender.serving.settings import Settings
from recommender.serving.version import Version
from recommender.snapshot.checks import read_manifest


class Asked:
    """An application, and what it holds."""

    def __init__(self, settings: Settings | None = None) -> None:
        settings = settings or Settings()
        recommender = recommender_of(settings)
        self.versions = recommender.versions
        self.app = create_app(settings, recommender)

    def serve(self, folder: Path, number: int) -> Version:
        """Take a version over."""
        version = Version.open(folder, read_manifest(folder), number)
        self.versions.add(version)
        return version

    def ask(self, path: str, method: str = "GET", **options: Any) -> httpx.Response:
        """Return the answer to a request."""

        async def asking() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
                return await client.request(method, path, **options)

        return asyncio.run(asking())
