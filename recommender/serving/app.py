"""The service as one ASGI application."""

from recommender.serving.api import create_api
from recommender.serving.front import Front
from recommender.serving.held import Held
from recommender.serving.metrics import Counters
from recommender.serving.pages import add_pages
from recommender.serving.settings import Settings


def create_app(held: Held, settings: Settings, worker: int = 0) -> Front:
    """Return the application of one process.

    Args:
        held: its versions. settings: the bounds.
        worker: the number of the process, by which it counts.
    """
    counters = Counters(held.shared, worker)
    api = create_api(held, counters, settings)
    add_pages(api)
    return Front(api, held, counters, settings)
