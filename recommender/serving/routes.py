"""The HTTP interface to recommendations: routes, what they take, and what they give.

FastAPI describes and checks all of them. The two routes that nearly all requests go to are also plain Starlette routes,
which are tried first and run the same handlers: they cost half as much.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Path, Query, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.datastructures import QueryParams
from starlette.routing import Route

from recommender.serving import answers, models
from recommender.serving.answers import Answer, to_json
from recommender.serving.auth import HISTORY, RECOMMEND, Tokens
from recommender.serving.computing import Computer
from recommender.serving.metrics import Metrics
from recommender.serving.problems import MEDIA_TYPE, RequestError, invalid, not_json, problem_response
from recommender.serving.settings import LONGEST_ID
from recommender.serving.version import Version
from recommender.serving.versions import Versions

JSON = "application/json"
RECOMMENDATIONS = "/v1/visitors/{visitorid:path}/recommendations"
SIMILAR = "/v1/items/{itemid:path}/similar"

# An id may have slashes; in a path they are encoded as %2F, which the server decodes.
Id = Annotated[str, Path(min_length=1, max_length=LONGEST_ID)]
Seen = Annotated[
    int,
    Header(alias="X-Recommender-Version", ge=0, description="the version that the client has seen: not an older one"),
]
_ID: TypeAdapter[str] = TypeAdapter(Id)
_bearer = HTTPBearer(auto_error=False, description="a token of --token-file, if the service has one")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the description of problems, for OpenAPI."""
    return {
        status: {"description": _MEANING[status], "content": {MEDIA_TYPE: {"schema": _PROBLEM}}} for status in statuses
    }


_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_MEANING = {
    401: "A token is wanted",
    403: "The token does not have the scope",
    404: "There is no such visitor, item or version",
    409: "The score cannot be explained",
    400: "The body cannot be read",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "The request is invalid",
    503: "Not ready, or too busy: try again",
}
_USUAL = (401, 403, 404, 422, 503)
_WITH_BODY = (400, 401, 403, 413, 415, 422, 503)


class Recommender:
    """The handlers of the requests.

    Init parameters:
        versions, metrics: of the worker. computer: computes lists. tokens: who may ask.
    """

    def __init__(self, versions: Versions, metrics: Metrics, computer: Computer, tokens: Tokens) -> None:
        self.versions, self.metrics, self.computer, self.tokens = versions, metrics, computer, tokens

    def refused(self, problem: RequestError) -> Response:
        """Return the answer to a request that cannot be answered, and count it."""
        self.metrics.rejected.labels(problem.id).inc()
        return problem_response(problem)

    def needs(self, scope: str) -> Any:
        """Return the dependency on a token with a scope."""

        async def check(credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]) -> None:
            given = f"{credentials.scheme} {credentials.credentials}" if credentials else None
            self.tokens.check(given, scope)

        return Depends(check)

    async def recommendations(self, visitorid: str, asked: models.ListQuery, seen: int) -> Response:
        """Return the published list; else one that is computed; else popular items.

        A list is computed from the stored history and from `history`, if that is given, or if more items are wanted
        than are published.
        """
        version = self._chosen(asked, seen)
        events = [(item, None) for item in asked.history]
        k = asked.k or version.customary
        request = answers.Request(k, visitorid, events, asked.exclude, asked.offset, asked.include_seen)
        answer = answers.recommended(version, request)
        if answer is None:
            answer = await self.computer.run(answers.computed, version, request)
        return self._listed(version, answer)

    async def recommendations_for(self, body: models.ListRequest, seen: int) -> Response:
        """Return a list for what a visitor did in this session, after what is stored of it; both may be left out."""
        version = self.versions.current(seen)
        events = _events(body.events)
        request = answers.Request(body.k, body.visitorid, events, body.exclude, body.offset, body.include_seen)
        return self._listed(version, await self.computer.run(answers.computed, version, request))

    async def batch(self, body: models.BatchRequest, seen: int) -> Response:
        """Return a list for each visitor, as GET returns it, all from one version."""
        version = self.versions.current(seen)
        requests = [answers.Request(body.k, visitorid, (), body.exclude) for visitorid in body.visitorids]
        return answered(version, await self.computer.run(answers.batch, version, requests))

    async def similar(self, itemid: str, asked: models.SimilarQuery, seen: int) -> Response:
        """Return the items that are most like one."""
        version = self._chosen(asked, seen)
        return answered(version, answers.similar(version, itemid, asked.k))

    async def popular(self, asked: models.PopularQuery, seen: int) -> Response:
        """Return the most popular items."""
        version = self._chosen(asked, seen)
        return self._listed(
            version, answers.popular(version, answers.Request(asked.k, None, (), asked.exclude, asked.offset))
        )

    async def similar_to_several(self, body: models.SimilarRequest, seen: int) -> Response:
        """Return the items that are most like several, such as a cart: by the mean cosine, from the whole catalogue."""
        version = self.versions.current(seen)
        request = answers.Request(body.k, exclude=body.exclude)
        return answered(version, await self.computer.run(answers.similar_to_several, version, request, body.itemids))

    async def rank(self, body: models.RankRequest, seen: int) -> Response:
        """Return the given items in the order of a visitor's scores."""
        version = self.versions.current(seen)
        request = answers.Request(len(body.itemids), body.visitorid, _events(body.events))
        return answered(version, await self.computer.run(answers.scored, version, request, body.itemids))

    async def explain(self, visitorid: str, itemid: str, asked: models.VersionQuery, seen: int) -> Response:
        """Return what each item of the stored history adds to the visitor's score of an item."""
        version = self._chosen(asked, seen)
        return answered(version, await self.computer.run(answers.explanation, version, visitorid, itemid))

    async def history(self, visitorid: str, asked: models.HistoryQuery, seen: int) -> Response:
        """Return what a visitor did, newest first."""
        version = self._chosen(asked, seen)
        return answered(version, answers.history(version, visitorid, asked.limit))

    async def any_visitor(self, seen: int) -> Response:
        """Return a visitor by chance, to look at."""
        version = self.versions.current(seen)
        return answered(version, answers.any_visitor(version))

    def _chosen(self, asked: models.VersionQuery, seen: int) -> Version:
        return self.versions.current(seen) if asked.version == "current" else self.versions.previous()

    def _listed(self, version: Version, answer: Answer) -> Response:
        self.metrics.from_source(answer["source"]).inc()
        return answered(version, answer)


def add_routes(api: FastAPI, recommender: Recommender, *, with_history: bool = True) -> None:
    """Add the routes below /v1."""
    _add_lists(api, recommender)
    _add_items(api, recommender)
    if with_history:
        _add_histories(api, recommender)


def fast_routes(recommender: Recommender) -> list[Route]:
    """Return the routes that are tried before FastAPI's."""
    return [
        _fast(RECOMMENDATIONS, models.ListQuery, recommender.recommendations, recommender),
        _fast(SIMILAR, models.SimilarQuery, recommender.similar, recommender),
    ]


def _add_lists(api: FastAPI, recommender: Recommender) -> None:
    router = APIRouter(tags=["recommendations"], dependencies=[recommender.needs(RECOMMEND)])

    @router.get(
        RECOMMENDATIONS,
        operation_id="getRecommendations",
        response_model=models.Recommendations,
        responses=problems(*_USUAL),
        description=recommender.recommendations.__doc__,
    )
    async def recommendations(visitorid: Id, asked: Annotated[models.ListQuery, Query()], seen: Seen = 0) -> Response:
        return await recommender.recommendations(visitorid, asked, seen)

    @router.post(
        "/v1/recommendations",
        operation_id="recommendForEvents",
        response_model=models.Recommendations,
        responses=problems(*_WITH_BODY),
        dependencies=[Depends(_is_json)],
        description=recommender.recommendations_for.__doc__,
    )
    async def recommendations_for(
        body: models.ListRequest, _: Annotated[models.NoQuery, Query()], seen: Seen = 0
    ) -> Response:
        return await recommender.recommendations_for(body, seen)

    @router.post(
        "/v1/recommendations:batch",
        operation_id="recommendForVisitors",
        response_model=models.Batch,
        responses=problems(*_WITH_BODY),
        dependencies=[Depends(_is_json)],
        description=recommender.batch.__doc__,
    )
    async def batch(body: models.BatchRequest, _: Annotated[models.NoQuery, Query()], seen: Seen = 0) -> Response:
        return await recommender.batch(body, seen)

    api.include_router(router)


def _add_items(api: FastAPI, recommender: Recommender) -> None:
    router = APIRouter(tags=["items"], dependencies=[recommender.needs(RECOMMEND)])

    @router.get(
        SIMILAR,
        operation_id="getSimilarItems",
        response_model=models.SimilarItems,
        responses=problems(*_USUAL),
        description=recommender.similar.__doc__,
    )
    async def similar(itemid: Id, asked: Annotated[models.SimilarQuery, Query()], seen: Seen = 0) -> Response:
        return await recommender.similar(itemid, asked, seen)

    @router.get(
        "/v1/items/popular",
        operation_id="getPopularItems",
        response_model=models.Recommendations,
        responses=problems(*_USUAL),
        description=recommender.popular.__doc__,
    )
    async def popular(asked: Annotated[models.PopularQuery, Query()], seen: Seen = 0) -> Response:
        return await recommender.popular(asked, seen)

    @router.post(
        "/v1/items:similar",
        operation_id="getItemsSimilarToSeveral",
        response_model=models.SimilarToSeveral,
        responses=problems(*_WITH_BODY),
        dependencies=[Depends(_is_json)],
        description=recommender.similar_to_several.__doc__,
    )
    async def similar_to_several(
        body: models.SimilarRequest, _: Annotated[models.NoQuery, Query()], seen: Seen = 0
    ) -> Response:
        return await recommender.similar_to_several(body, seen)

    @router.post(
        "/v1/rank",
        operation_id="rankItems",
        response_model=models.RankedItems,
        responses=problems(*_WITH_BODY),
        dependencies=[Depends(_is_json)],
        description=recommender.rank.__doc__,
    )
    async def rank(body: models.RankRequest, _: Annotated[models.NoQuery, Query()], seen: Seen = 0) -> Response:
        return await recommender.rank(body, seen)

    api.include_router(router)


def _add_histories(api: FastAPI, recommender: Recommender) -> None:
    router = APIRouter(tags=["histories"], dependencies=[recommender.needs(HISTORY)])

    @router.get(
        "/v1/visitors/random",
        operation_id="getRandomVisitor",
        response_model=models.AnyVisitor,
        responses=problems(*_USUAL),
        description=recommender.any_visitor.__doc__,
    )
    async def any_visitor(_: Annotated[models.NoQuery, Query()], seen: Seen = 0) -> Response:
        return await recommender.any_visitor(seen)

    @router.get(
        "/v1/visitors/{visitorid:path}/explain/{itemid:path}",
        operation_id="explainRecommendation",
        response_model=models.Explanation,
        responses=problems(*_USUAL, 409),
        description=recommender.explain.__doc__,
    )
    async def explain(
        visitorid: Id, itemid: Id, asked: Annotated[models.VersionQuery, Query()], seen: Seen = 0
    ) -> Response:
        return await recommender.explain(visitorid, itemid, asked, seen)

    @router.get(
        "/v1/visitors/{visitorid:path}/history",
        operation_id="getHistory",
        response_model=models.PastEvents,
        responses=problems(*_USUAL),
        description=recommender.history.__doc__,
    )
    async def history(visitorid: Id, asked: Annotated[models.HistoryQuery, Query()], seen: Seen = 0) -> Response:
        return await recommender.history(visitorid, asked, seen)

    api.include_router(router)


def _events(events: Sequence[models.ItemEvent]) -> list[answers.Event]:
    return [(event.itemid, event.event) for event in events]


def answered(version: Version, answer: Answer) -> Response:
    """Return an answer, with its version in a header."""
    return Response(to_json(answer), media_type=JSON, headers={"X-Recommender-Version": version.header})


async def _is_json(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON and not (kind.startswith("application/") and kind.endswith("+json")):
        raise not_json()


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


_SEEN: TypeAdapter[int] = TypeAdapter(Annotated[int, Query(ge=0)])


def _values(query: type[BaseModel], given: QueryParams) -> dict[str, Any]:
    """Return the parameters, those that may be repeated as lists."""
    values: dict[str, Any] = dict(given)
    for name in _REPEATED & values.keys() & query.model_fields.keys():
        values[name] = given.getlist(name)
    return values


_REPEATED = {"history", "exclude"}


def _checked(place: str, validate: Callable[[Any], Any], value: Any, name: str = "") -> Any:
    try:
        return validate(value)
    except ValidationError as error:
        where = (place, name) if name else (place,)
        mistakes = error.errors(include_url=False)
        raise invalid({**each, "loc": (*where, *each["loc"])} for each in mistakes) from None
