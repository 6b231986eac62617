"""What a request is told that cannot be answered: a status of HTTP, an id and one sentence.

Example usage:
>>> refusal = unknown_item("77")
>>> refusal.status, refusal.body()
(404, {'error': {'id': 'ITEM_UNKNOWN', 'sentence': 'no item 77 in this version'}})
"""

from typing import Any, Final

from recommender.errors import RecommenderError

_SHOWN: Final = 64


class RequestError(RecommenderError):
    """A request that is not answered.

    Init parameters:
        status: of HTTP; 4xx is the caller's mistake, 503 asks to try again.
        id, sentence: see `RecommenderError`.
    """

    def __init__(self, status: int, id: str, sentence: str) -> None:  # noqa: A002 - the field's word for it
        super().__init__(id, sentence)
        self.status = status

    def body(self) -> dict[str, Any]:
        """Return what the caller is sent."""
        return {"error": {"id": self.id, "sentence": self.sentence}}


def unknown_item(itemid: str) -> RequestError:
    """Return the refusal of an item that is not in the version."""
    return RequestError(404, "ITEM_UNKNOWN", f"no item {_short(itemid)} in this version")


def unknown_visitor(visitorid: str) -> RequestError:
    """Return the refusal of a visitor that is not in the version, where nothing can be said without one."""
    return RequestError(404, "VISITOR_UNKNOWN", f"no visitor {_short(visitorid)} in this version")


def not_ready() -> RequestError:
    """Return the refusal of a service that has no version yet."""
    return RequestError(503, "NOT_READY", "no version is loaded yet; try again, and see /v1/status")


def no_previous() -> RequestError:
    """Return the refusal where there has been one version only."""
    return RequestError(404, "VERSION_UNKNOWN", "no previous version is kept; leave version out for the current one")


def busy() -> RequestError:
    """Return the refusal of a service that has too much to compute."""
    return RequestError(503, "BUSY", "too many lists are being computed; try again in a second")


def crowded() -> RequestError:
    """Return the refusal of a connection that is one too many."""
    return RequestError(503, "CROWDED", "too many connections are open; ask another one, or close those not in use")


def too_slow(seconds: float) -> RequestError:
    """Return the refusal of a request that took too long."""
    return RequestError(503, "TIMEOUT", f"no answer within {seconds:g} s; try again, or ask for fewer items")


def unauthorized() -> RequestError:
    """Return the refusal of a request without the token."""
    return RequestError(401, "UNAUTHORIZED", "a token is wanted, in the header Authorization: Bearer TOKEN")


def too_large(limit: int) -> RequestError:
    """Return the refusal of a body that is too long."""
    return RequestError(413, "BODY_TOO_LARGE", f"the body must have at most {limit:,} bytes; send fewer events")


def body_too_slow(seconds: float) -> RequestError:
    """Return the refusal of a body that did not come."""
    return RequestError(408, "BODY_TIMEOUT", f"the body did not come within {seconds:g} s")


def invalid(sentence: str) -> RequestError:
    """Return the refusal of parameters or a body that are not as they must be."""
    return RequestError(422, "REQUEST_INVALID", sentence)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
