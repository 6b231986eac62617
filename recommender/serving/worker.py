"""What uvicorn starts in each process. The rest is imported late: uvicorn's supervisor wants a sign of life first."""

from starlette.types import ASGIApp

from recommender.serving.settings import Settings


def create_worker(settings: Settings) -> ASGIApp:
    """Return the application of a worker; see ``app.create_worker``."""
    from recommender.serving import app  # noqa: PLC0415 - takes a second

    return app.create_worker(settings)
