"""What the requests are answered with: one method per operation, which FastAPI reads its parameters from.

The name of a method is the id of its operation in the description: get_history is getHistory there.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Path, Query, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from recommender.serving import answers, models
from recommender.serving.answers import Answer, to_json
from recommender.serving.archive import Archive
from recommender.serving.auth import Tokens
from recommender.serving.computing import Computer
from recommender.serving.metrics import Metrics
from recommender.serving.problems import RequestError, problem_response
from recommender.serving.settings import LONGEST_ID
from recommender.serving.version import Version
from recommender.serving.versions import Versions

JSON = "application/json"

# An id may have slashes; in a path they are encoded as %2F, which the server decodes.
Id = Annotated[str, Path(min_length=1, max_length=LONGEST_ID)]
Seen = Annotated[
    int,
    Header(alias="X-Recommender-Version", ge=0, description="the version that the client has seen: not an older one"),
]
Q = TypeVar("Q", bound=BaseModel)
Asked = Annotated[Q, Query()]
_OF_REQUEST = {each.name for each in fields(answers.Request)}
_OPENING, _OPENING_SECONDS = 4, 60.0  # how many may wait for a version that is not served, and how long
_bearer = HTTPBearer(auto_error=False, description="a token of --token-file, if the service has one")


class Recommender:
    """The handlers of the requests.

    Init parameters:
        versions, metrics: of the worker. computer: computes lists. tokens: who may ask.
        archive: opens versions that are not served; None: nobody may look at them.
    """

    def __init__(
        self, versions: Versions, metrics: Metrics, computer: Computer, tokens: Tokens, archive: Archive | None = None
    ) -> None:
        self.versions, self.metrics, self.computer, self.tokens = versions, metrics, computer, tokens
        self.archive = archive
        self._opener = Computer(_OPENING, _OPENING_SECONDS)

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

    async def get_recommendations(self, visitorid: Id, asked: Asked[models.ListQuery], seen: Seen = 0) -> Response:
        """Return the published list; else one that is computed; else popular items.

        A list is computed from the stored history and from `history`, if that is given, or if more items are wanted
        than are published.
        """
        version = await self._chosen(asked, seen)
        request = answers.Request(**_common(asked) | {"k": asked.k or version.customary, "visitorid": visitorid})
        request.events = [(item, None) for item in asked.history]
        answer = None if request.is_chosen else answers.recommended(version, request)
        if answer is None:
            answer = await self.computer.run(answers.recommended_or_computed, version, request)
        return self._listed(version, answer)

    async def recommend_for_events(self, body: models.ListRequest, seen: Seen = 0) -> Response:
        """Return a list for what a visitor did in this session, after what is stored of it; both may be left out."""
        version = self.versions.current(seen)
        request = answers.Request(**_common(body) | {"events": _events(body.events)})
        return self._listed(version, await self.computer.run(answers.computed, version, request))

    async def recommend_for_visitors(self, body: models.BatchRequest, seen: Seen = 0) -> Response:
        """Return a list for each visitor, as GET returns it, all from one version."""
        version = self.versions.current(seen)
        requests = [answers.Request(**_common(body), visitorid=visitorid) for visitorid in body.visitorids]
        return answered(version, await self.computer.run(answers.batch, version, requests))

    async def get_similar_items(self, itemid: Id, asked: Asked[models.SimilarQuery], seen: Seen = 0) -> Response:
        """Return the items that are most like one."""
        version = await self._chosen(asked, seen)
        return answered(version, answers.similar(version, itemid, asked.k))

    async def get_items_bought_together(
        self, itemid: Id, asked: Asked[models.SimilarQuery], seen: Seen = 0
    ) -> Response:
        """Return the items that most visitors bought with one, at about the same time."""
        version = await self._chosen(asked, seen)
        return answered(version, answers.bought_together(version, itemid, asked.k))

    async def get_popular_items(self, asked: Asked[models.PopularQuery], seen: Seen = 0) -> Response:
        """Return the most popular items."""
        version = await self._chosen(asked, seen)
        request = answers.Request(**_common(asked))
        return self._listed(version, await self.computer.run(answers.popular, version, request))

    async def get_items_similar_to_several(self, body: models.SimilarRequest, seen: Seen = 0) -> Response:
        """Return the items that are most like several, such as a cart: by the mean cosine, from the whole catalogue."""
        version = self.versions.current(seen)
        request = answers.Request(**_common(body))
        return answered(version, await self.computer.run(answers.similar_to_several, version, request, body.itemids))

    async def rank_items(self, body: models.RankRequest, seen: Seen = 0) -> Response:
        """Return the given items in the order of a visitor's scores."""
        version = self.versions.current(seen)
        request = answers.Request(len(body.itemids), body.visitorid, _events(body.events))
        return answered(version, await self.computer.run(answers.scored, version, request, body.itemids))

    async def explain_recommendation(
        self, visitorid: Id, itemid: Id, asked: Asked[models.VersionQuery], seen: Seen = 0
    ) -> Response:
        """Return what each item of the stored history adds to the visitor's score of an item."""
        version = await self._chosen(asked, seen)
        return answered(version, await self.computer.run(answers.explanation, version, visitorid, itemid))

    async def search(self, asked: Asked[models.SearchQuery], seen: Seen = 0) -> Response:
        """Return visitors whose ids begin with a text, and items whose ids do or that have it in the title."""
        version = await self._chosen(asked, seen)
        return answered(version, await self.computer.run(answers.search, version, asked.q, asked.limit))

    async def get_hidden_items(self, asked: Asked[models.HiddenQuery], seen: Seen = 0) -> Response:
        """Return the items that are hidden from all lists."""
        version = self.versions.current(seen)
        return answered(version, answers.hidden(version, asked.limit))

    async def get_versions(self) -> Response:
        """Return the versions that may be looked at, by `version=`, and the metrics of each."""
        listed = [] if self.archive is None else await self._opener.run(self.archive.listed)
        return Response(to_json({"versions": listed}), media_type=JSON)

    async def get_history(self, visitorid: Id, asked: Asked[models.HistoryQuery], seen: Seen = 0) -> Response:
        """Return what a visitor did, newest first."""
        version = await self._chosen(asked, seen)
        return answered(version, answers.history(version, visitorid, asked.limit))

    async def get_random_visitor(self, seen: Seen = 0) -> Response:
        """Return a visitor by chance, to look at."""
        version = self.versions.current(seen)
        return answered(version, answers.any_visitor(version))

    async def _chosen(self, asked: models.VersionQuery, seen: int) -> Version:
        if asked.version == "current":
            return self.versions.current(seen)
        if asked.version == "previous" or self.archive is None:
            return self.versions.previous()
        return await self._opener.run(self.archive.open, asked.version)

    def _listed(self, version: Version, answer: Answer) -> Response:
        self.metrics.from_source(answer["source"]).inc()
        return answered(version, answer)


def answered(version: Version, answer: Answer) -> Response:
    """Return an answer, with its version in a header."""
    return Response(to_json(answer), media_type=JSON, headers={"X-Recommender-Version": version.header})


def _common(asked: BaseModel) -> dict[str, Any]:
    """Return what a list is asked for, as far as the names are the same."""
    return {name: getattr(asked, name) for name in type(asked).model_fields if name in _OF_REQUEST}


def _events(events: Sequence[models.ItemEvent]) -> list[answers.Event]:
    return [(event.itemid, event.event) for event in events]
