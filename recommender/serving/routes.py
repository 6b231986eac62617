"""The HTTP interface to recommendations: which path goes to which handler, and how OpenAPI describes it.

FastAPI describes and checks all of them. The two routes that nearly all requests go to are also plain Starlette routes,
which are tried first and run the same handlers: they cost half as much.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Response
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.datastructures import QueryParams
from starlette.routing import Route

from recommender.serving import models
from recommender.serving.auth import HISTORY, RECOMMEND
from recommender.serving.handlers import JSON, Id, Recommender
from recommender.serving.problems import MEDIA_TYPE, RequestError, invalid

RECOMMENDATIONS = "/v1/visitors/{visitorid:path}/recommendations"
SIMILAR = "/v1/items/{itemid:path}/similar"
_MEANING = {
    400: "The body cannot be read",
    401: "A token is wanted",
    403: "The token does not have the scope",
    404: "There is no such visitor, item or version",
    409: "The score cannot be explained",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "The request is invalid",
    503: "Not ready, or too busy: try again",
}
_STATUSES = {"GET": (401, 403, 404, 422, 503), "POST": (400, 401, 403, 413, 415, 422, 503)}
_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_ID: TypeAdapter[str] = TypeAdapter(Id)
_SEEN: TypeAdapter[int] = TypeAdapter(Annotated[int, Query(ge=0)])
_REPEATED = {"history", "exclude"}


def add_routes(api: FastAPI, recommender: Recommender, *, with_history: bool = True) -> None:
    """Add the routes below /v1."""

    def add(tag: str, request: str, handler: Any, model: Any, *more: int) -> None:
        method, path = request.split(" ")
        dependencies = [recommender.needs(HISTORY if tag == "histories" else RECOMMEND)]
        dependencies += [Depends(_is_json)] if method == "POST" else []
        dependencies += [Depends(no_query)] if method == "POST" or handler in without_query else []
        responses = problems(*_STATUSES[method], *more)
        options: Any = {"methods": [method], "response_model": model, "responses": responses, "tags": [tag]}
        api.add_api_route(path, handler, dependencies=dependencies, **options)

    of, item, visitor = recommender, "/v1/items/{itemid:path}", "/v1/visitors/{visitorid:path}"
    without_query = of.get_random_visitor, of.get_versions
    add("recommendations", f"GET {RECOMMENDATIONS}", of.get_recommendations, models.Recommendations)
    add("recommendations", "POST /v1/recommendations", of.recommend_for_events, models.Recommendations)
    add("recommendations", "POST /v1/recommendations:batch", of.recommend_for_visitors, models.Batch)
    add("items", f"GET {SIMILAR}", of.get_similar_items, models.SimilarItems)
    add("items", f"GET {item}/bought-together", of.get_items_bought_together, models.TogetherItems)
    add("items", "GET /v1/items/popular", of.get_popular_items, models.Recommendations)
    add("items", "POST /v1/items:similar", of.get_items_similar_to_several, models.SimilarToSeveral)
    add("items", "POST /v1/rank", of.rank_items, models.RankedItems)
    add("items", "GET /v1/items/hidden", of.get_hidden_items, models.HiddenItems)
    add("operations", "GET /v1/versions", of.get_versions, models.KeptVersions)
    if with_history:
        add("histories", "GET /v1/search", of.search, models.FoundByText)
        add("histories", "GET /v1/visitors/random", of.get_random_visitor, models.AnyVisitor)
        add("histories", f"GET {visitor}/explain/{{itemid:path}}", of.explain_recommendation, models.Explanation, 409)
        add("histories", f"GET {visitor}/history", of.get_history, models.PastEvents)


def fast_routes(recommender: Recommender) -> list[Route]:
    """Return the routes that are tried before FastAPI's."""
    return [
        _fast(RECOMMENDATIONS, models.ListQuery, recommender.get_recommendations, recommender),
        _fast(SIMILAR, models.SimilarQuery, recommender.get_similar_items, recommender),
    ]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the description of problems, for OpenAPI."""
    content = {MEDIA_TYPE: {"schema": _PROBLEM}}
    return {status: {"description": _MEANING[status], "content": content} for status in statuses}


async def no_query(_: Annotated[models.NoQuery, Query()]) -> None:
    """Refuse parameters if there are none."""


async def _is_json(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON and not (kind.startswith("application/") and kind.endswith("+json")):
        sentence = "the body must be JSON, with the header Content-Type: application/json"
        raise RequestError(415, "CONTENT_TYPE", sentence)


def _fast(path: str, query: Any, handler: Callable[..., Awaitable[Response]], recommender: Recommender) -> Route:
    """Return a plain route to a handler, which reads and checks its parameters by the same models."""

    async def endpoint(request: Request) -> Response:
        headers = request.headers
        try:
            recommender.tokens.check(headers.get("authorization"), RECOMMEND)
            (name, given), *_ = request.path_params.items()
            id_ = _checked("path", _ID.validate_python, given, name)
            asked = _checked("query", query.model_validate, _values(query, request.query_params))
            seen = _checked("header", _SEEN.validate_python, headers.get("x-recommender-version", 0))
            return await handler(id_, asked, seen)
        except RequestError as problem:
            return recommender.refused(problem)

    return Route(path, endpoint)


def _values(query: type[BaseModel], given: QueryParams) -> dict[str, Any]:
    """Return the parameters, those that may be repeated as lists."""
    values: dict[str, Any] = dict(given)
    for name in _REPEATED & values.keys() & query.model_fields.keys():
        values[name] = given.getlist(name)
    return values


def _checked(place: str, validate: Callable[[Any], Any], value: Any, name: str = "") -> Any:
    try:
        return validate(value)
    except ValidationError as error:
        where = (place, name) if name else (place,)
        mistakes = error.errors(include_url=False)
        raise invalid({**each, "loc": (*where, *each["loc"])} for each in mistakes) from None
