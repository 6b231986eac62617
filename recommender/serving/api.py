"""The HTTP interface: routes, what they take, and what they give; FastAPI checks the one and describes both."""

from typing import Annotated, Any, Literal
from urllib.parse import unquote

from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BeforeValidator, Field
from starlette.exceptions import HTTPException

from recommender import __version__
from recommender.serving import answers, models
from recommender.serving.answers import Answer, to_json
from recommender.serving.computing import Computer
from recommender.serving.held import Held
from recommender.serving.metrics import PUBLISHED_ROUTE, SIMILAR_ROUTE, Counters
from recommender.serving.refusals import RequestError, invalid
from recommender.serving.settings import LONGEST_ID, MOST_EVENTS, MOST_ITEMS, Settings
from recommender.serving.version import Version

JSON = "application/json"
_MISTAKES_TOLD = 5

# The segments of a path come as `front` leaves them: % and / encoded, all else decoded.
Id = Annotated[str, BeforeValidator(unquote), Path(min_length=1, max_length=LONGEST_ID)]
K = Annotated[int, Query(ge=1, le=MOST_ITEMS, description="how many items")]
ListLength = Annotated[
    int | None,
    Query(ge=1, le=MOST_ITEMS, description="how many items; by default 10, or as many as are published, if fewer"),
]
Which = Annotated[Literal["current", "previous"], Query(description="the version that answers")]
HistoryItem = Annotated[str, Field(max_length=LONGEST_ID)]

_TOLD: dict[int | str, dict[str, Any]] = {
    401: {"model": models.ErrorBody, "description": "A token is wanted"},
    404: {"model": models.ErrorBody, "description": "There is no such visitor, item or version"},
    422: {"model": models.ErrorBody, "description": "The request is not as it must be"},
    503: {"model": models.ErrorBody, "description": "Not ready, or too busy: try again"},
}
_BODY_TOLD: dict[int | str, dict[str, Any]] = {
    **_TOLD,
    400: {"model": models.ErrorBody, "description": "The body cannot be read"},
    408: {"model": models.ErrorBody, "description": "The body did not come in time"},
    413: {"model": models.ErrorBody, "description": "The body is too large"},
}


def create_api(held: Held, counters: Counters, settings: Settings) -> FastAPI:
    """Return the routes of the service."""
    api = FastAPI(
        title="recommender",
        version=__version__,
        description="Recommendations of a published version. Slashes in ids are percent-encoded.",
        docs_url=None,
        redoc_url=None,
    )
    computer = Computer(settings.waiting, settings.request_seconds)
    _add_visitors(api, held, counters, computer)
    _add_lists(api, held, counters, computer)
    _add_operations(api, held, counters)
    api.add_exception_handler(RequestError, _refused)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _not_found)
    api.add_exception_handler(Exception, _broken)
    return api


def _add_visitors(api: FastAPI, held: Held, counters: Counters, computer: Computer) -> None:
    """Add what is asked of a visitor."""

    @api.get("/v1/visitors/random", responses=_TOLD, response_model=models.AnyVisitor, tags=["visitors"])
    async def any_visitor() -> Response:
        """Return a visitor by chance, to look at."""
        version = held.current()
        return _answer(version, answers.any_visitor(version))

    @api.get(
        PUBLISHED_ROUTE,
        responses=_TOLD,
        response_model=models.Recommendations,
        tags=["visitors"],
    )
    async def recommendations(
        visitorid: Id,
        k: ListLength = None,
        history: Annotated[
            list[HistoryItem], Query(max_length=MOST_EVENTS, description="items that the visitor has viewed")
        ] = [],  # noqa: B006 - FastAPI copies it
        version: Which = "current",
    ) -> Response:
        """Return the published list; else one that is computed from the history; else what is popular.

        Where more items are wanted than are published, the list is computed from the stored history.
        """
        chosen = held.chosen(version)
        k = k or chosen.customary
        answer = answers.published(chosen, visitorid, k)
        if answer is None and not history and chosen.snapshot.visitors.find(visitorid) is None:
            answer = answers.popular(chosen, visitorid, k)
        if answer is None:
            request = answers.Request(k, visitorid, [(item, None) for item in history])
            answer = await computer.run(answers.computed, chosen, request)
        counters.from_source(answer["source"])
        return _answer(chosen, answer)

    @api.get(
        "/v1/visitors/{visitorid}/explain/{itemid}",
        responses={**_TOLD, 409: {"model": models.ErrorBody, "description": "The score cannot be explained"}},
        response_model=models.Explanation,
        tags=["visitors"],
    )
    async def explain(visitorid: Id, itemid: Id, version: Which = "current") -> Response:
        """Return what each item of the stored history adds to the visitor's score of an item."""
        chosen = held.chosen(version)
        return _answer(chosen, await computer.run(answers.explanation, chosen, visitorid, itemid))

    @api.get("/v1/visitors/{visitorid}/history", responses=_TOLD, response_model=models.PastEvents, tags=["visitors"])
    async def history_of(
        visitorid: Id,
        limit: Annotated[int, Query(ge=1, le=MOST_EVENTS, description="how many events")] = 50,
        version: Which = "current",
    ) -> Response:
        """Return what a visitor did, newest first."""
        chosen = held.chosen(version)
        return _answer(chosen, answers.history(chosen, visitorid, limit))


def _add_lists(api: FastAPI, held: Held, counters: Counters, computer: Computer) -> None:
    """Add what is asked of events and of items."""

    @api.post("/v1/recommendations", responses=_BODY_TOLD, response_model=models.Recommendations, tags=["lists"])
    async def recommendations_for(body: models.ListRequest) -> Response:
        """Return a list for what a visitor did, which need not be in the log."""
        version = held.current()
        events = [(event.itemid, event.event) for event in body.events]
        request = answers.Request(body.k, None, events, body.exclude)
        answer = await computer.run(answers.computed, version, request)
        counters.from_source(answer["source"])
        return _answer(version, answer)

    @api.get(SIMILAR_ROUTE, responses=_TOLD, response_model=models.SimilarItems, tags=["lists"])
    async def similar(itemid: Id, k: K = 10, version: Which = "current") -> Response:
        """Return the items that are most like one."""
        chosen = held.chosen(version)
        return _answer(chosen, answers.similar(chosen, itemid, k))


def _add_operations(api: FastAPI, held: Held, counters: Counters) -> None:
    """Add what those who run the service look at."""

    @api.get("/v1/status", responses={401: _TOLD[401]}, response_model=models.Status, tags=["operations"])
    async def status() -> Response:
        """Return the version, its age, counts and metrics, and how the last reload went."""
        told = held.status()
        headers = {"X-Recommender-Version": str(told["version"]["number"])} if told["version"] else {}
        return Response(to_json(told), media_type=JSON, headers=headers)

    @api.get("/livez", response_model=models.Live, tags=["operations"])
    async def live() -> Response:
        """Answer; nothing is looked at."""
        return Response(b'{"live":true}', media_type=JSON)

    @api.get("/readyz", responses={503: _TOLD[503]}, response_model=models.Ready, tags=["operations"])
    async def ready() -> Response:
        """Say whether requests are to be sent here: not before the first version, nor while ending."""
        if held.draining:
            raise RequestError(503, "DRAINING", "the service is ending; ask another one")
        held.current()
        return Response(b'{"ready":true}', media_type=JSON)

    @api.get("/metrics", response_class=Response, tags=["operations"])
    async def metrics() -> Response:
        """Return the counters of all processes, for Prometheus."""
        return Response(counters.exposition(held.gauges()), media_type="text/plain; version=0.0.4; charset=utf-8")


def _answer(version: Version, answer: Answer) -> Response:
    return Response(to_json(answer), media_type=JSON, headers={"X-Recommender-Version": version.header.decode()})


def refusal_response(refusal: RequestError) -> Response:
    """Return what a caller is sent whose request is refused."""
    headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {}  # noqa: PLR2004
    if refusal.status == 503:  # noqa: PLR2004
        headers["Retry-After"] = "1"
    return Response(to_json(refusal.body()), refusal.status, headers, JSON)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)  # noqa: S101 - for the type
    return refusal_response(error)


async def _invalid(_: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    mistakes = [_sentence(each) for each in found[:_MISTAKES_TOLD]]
    return refusal_response(invalid("; ".join(mistakes)))


def _sentence(mistake: Any) -> str:
    """Return what is wrong with a parameter, without its value."""
    where = ".".join(str(part) for part in mistake["loc"][1:]) or "the body"
    facts = mistake.get("ctx", {})
    # A text that is decoded first is a value without a type by then.
    told = _SENTENCES.get("string_too_long" if facts.get("field_type") == "Value" else mistake["type"])
    if told is None:
        return f"{where}: {mistake['msg'][:1].lower()}{mistake['msg'][1:]}"
    return f"{where} {told.format(**facts)}"


_SENTENCES = {
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be below {lt}",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "missing": "is missing",
    "extra_forbidden": "is no known key",
    "string_too_long": "must have at most {max_length} characters",
    "too_long": "must have at most {max_length} entries",
    "literal_error": "must be {expected}",
    "json_invalid": "must be JSON",
    "value_error": "{error}",
}


async def _broken(_: Request, __: Exception) -> Response:
    """Answer where the program is wrong; `front` logs it."""
    return refusal_response(RequestError(500, "INTERNAL", "this is a bug; the log says more"))


async def _not_found(_: Request, error: Exception) -> Response:
    """Answer where there is no such path or method, or the body cannot be read."""
    assert isinstance(error, HTTPException)  # noqa: S101 - for the type
    ids = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 400: "BODY_UNREADABLE"}
    sentences = {404: "there is nothing here; see /docs", 405: "this method is not for this path; see /docs"}
    status = error.status_code
    sentence = sentences.get(status, str(error.detail))
    response = refusal_response(RequestError(status, ids.get(status, "REQUEST_FAILED"), sentence))
    response.headers.update(error.headers or {})
    return response
