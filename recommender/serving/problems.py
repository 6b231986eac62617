"""Requests that cannot be answered, as problem details (RFC 9457): a status of HTTP, an id and one sentence.

Example usage:
>>> too_large(1024).body()["detail"]
'the body must have at most 1,024 bytes; send fewer events'
>>> sentence({"type": "less_than_equal", "loc": ("query", "k"), "ctx": {"le": 1000}, "msg": "..."})
'k must be at most 1000'
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from recommender.errors import RecommenderError

MEDIA_TYPE: Final = "application/problem+json"
_MISTAKES_SHOWN: Final = 5


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
        """Return the problem details."""
        name = self.id.lower().replace("_", "-")
        title = HTTPStatus(self.status).phrase
        return {
            "type": f"urn:recommender:problem:{name}",
            "title": title,
            "status": self.status,
            "detail": self.sentence,
            "id": self.id,
        }

    def headers(self) -> dict[str, str]:
        """Return the headers that belong to the status."""
        by_status = {401: {"WWW-Authenticate": "Bearer"}, 413: {"Connection": "close"}, 503: {"Retry-After": "1"}}
        return by_status.get(self.status, {})


def problem_response(problem: RequestError) -> Response:
    """Return the answer to a request that cannot be answered."""
    return JSONResponse(problem.body(), problem.status, problem.headers(), MEDIA_TYPE)


def too_large(limit: int) -> RequestError:
    """Return the error for a body that is too long."""
    return RequestError(413, "BODY_TOO_LARGE", f"the body must have at most {limit:,} bytes; send fewer events")


def internal() -> RequestError:
    """Return the error of a bug."""
    return RequestError(500, "INTERNAL", "this is a bug; the log has the details")


def invalid(mistakes: Iterable[Mapping[str, Any]]) -> RequestError:
    """Return the error for invalid parameters or an invalid body, from pydantic's list of mistakes."""
    return RequestError(422, "REQUEST_INVALID", "; ".join(sentence(each) for each in [*mistakes][:_MISTAKES_SHOWN]))


def sentence(mistake: Mapping[str, Any]) -> str:
    """Return what is wrong with a parameter, without its value."""
    where = ".".join(str(part) for part in mistake["loc"][1:]) or "the body"
    facts = mistake.get("ctx", {})
    # An id may be a number, so that pydantic does not call it a string.
    found = _SENTENCES.get("string_too_long" if facts.get("field_type") == "Value" else mistake["type"])
    if mistake["type"] == "json_invalid":
        return f"the body is not JSON at character {mistake['loc'][-1]}"
    if found is None:
        return f"{where}: {mistake['msg'][:1].lower()}{mistake['msg'][1:]}"
    return f"{where} {found.format(**facts)}"


_SENTENCES: Final = {
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "too_long": "must have at most {max_length} entries",
    "string_pattern_mismatch": "must be 'current', 'previous', 'candidate' or the number of a version",
    "value_error": "{error}",
}
