"""The answers of one version, as plain JSON types: what is published, what is computed, and why.

Every answer names the version that it was made from, and is made from that one alone.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from recommender.constants import FOLD_IN, POPULAR
from recommender.serving.engine import Feedback, Ranked
from recommender.serving.problems import RequestError, unknown_item, unknown_visitor
from recommender.serving.version import Version

PUBLISHED: Final = "published"
SOURCES: Final = (PUBLISHED, FOLD_IN, POPULAR)

_encode = json.JSONEncoder(separators=(",", ":")).encode

Answer = dict[str, Any]
Event = tuple[str, str | None]  # itemid, kind


@dataclass
class Request:
    """What a list is asked for.

    Attributes:
        k: how many items. visitorid: of whom, None if nobody says.
        events: what the visitor did, as the request tells. exclude: items that it must not get.
    """

    k: int
    visitorid: str | None = None
    events: Sequence[Event] = ()
    exclude: Sequence[str] = field(default_factory=tuple)


def to_json(answer: Answer) -> bytes:
    """Return an answer as it is sent."""
    return _encode(answer).encode()


def published(version: Version, visitorid: str, k: int) -> Answer | None:
    """Return what is published for a visitor; None where nothing is, or not so many items as are wanted."""
    snapshot = version.snapshot
    place = snapshot.visitors.find(visitorid)
    if place is None:
        return None
    found = snapshot.visitors.published(place)
    if not len(found.item) or k > max(snapshot.manifest.k, len(found.item)):
        return None
    sources = [version.sources[source] for source in found.source[:k].tolist()]
    items = _listed(version, found.item[:k].tolist(), found.score[:k], sources)
    return _list(version, visitorid, PUBLISHED, items, known=True)


def popular(version: Version, visitorid: str | None, k: int) -> Answer:
    """Return the most popular items."""
    ranked = version.engine.best(None, k, np.array([], dtype=np.int64))
    known = visitorid is not None and version.snapshot.visitors.find(visitorid) is not None
    return _ranked(version, Request(k, visitorid), POPULAR, ranked, known=known)


def computed(version: Version, request: Request) -> Answer:
    """Return a list that is computed now, for a visitor whose published list is too short, or from the events given.

    A stored history goes before the events of the request, and these before what is popular.
    """
    visitors = version.snapshot.visitors
    place = None if request.visitorid is None else visitors.find(request.visitorid)
    told, unknown_items, unknown_events = _told(version, request)
    feedback, factors = told, None
    if place is not None:
        feedback = version.feedback(visitors.history(place))
        factors = version.engine.folded_in(feedback)
    if factors is None:
        factors = version.engine.folded_in(told)
    excluded = np.union1d(feedback.excluded, told.excluded)
    ranked = version.engine.best(factors, request.k, excluded)
    source = POPULAR if factors is None else FOLD_IN
    answer = _ranked(version, request, source, ranked, known=place is not None)
    return {**answer, "unknown_items": unknown_items, "unknown_events": unknown_events}


def similar(version: Version, itemid: str, k: int) -> Answer:
    """Return the items that are most like one.

    Raises:
        RequestError: there is no such item.
    """
    items = version.snapshot.items
    index = _index(version, itemid)
    item, similarity = items.similar.values
    own = items.similar.place(index)
    listed = [
        {"rank": rank, "similarity": float(str(cosine)), **items.shown(other)}
        for rank, (other, cosine) in enumerate(zip(item[own][:k].tolist(), similarity[own][:k], strict=True), 1)
    ]
    return {"version": version.shown, **items.shown(index), "items": listed}


def explanation(version: Version, visitorid: str, itemid: str) -> Answer:
    """Return what each item of a visitor's history adds to its score of an item.

    Raises:
        RequestError: there is no such visitor or item, or the score cannot be explained.
    """
    snapshot, index = version.snapshot, _index(version, itemid)
    did = snapshot.visitors.history(_place(version, visitorid))
    if version.engine.solver.nonnegative:
        sentence = "a model with nonnegative factors cannot be explained: a score is no sum over the history"
        raise RequestError(409, "MODEL_NOT_EXPLAINED", sentence)
    feedback = version.feedback(did)
    explained = version.engine.explained(index, feedback)
    if explained is None:
        raise RequestError(409, "ITEM_NOT_EXPLAINED", f"the model has no factors of item {itemid}: nothing to explain")
    kinds: dict[int, list[str]] = {}
    for item, event in zip(did.item.tolist(), did.event.tolist(), strict=True):
        kinds.setdefault(item, []).append(version.events[event])
    order = np.argsort(-explained.shares, kind="stable")
    shares = [
        {"share": float(explained.shares[row]), "events": kinds[item], **snapshot.items.shown(item)}
        for row, item in zip(order.tolist(), feedback.item[order].tolist(), strict=True)
    ]
    return {
        "version": version.shown,
        "visitorid": visitorid,
        **snapshot.items.shown(index),
        "score": explained.score,
        "popularity": explained.popularity,
        "shares": shares,
    }


def history(version: Version, visitorid: str, limit: int) -> Answer:
    """Return what a visitor did last.

    Raises:
        RequestError: there is no such visitor.
    """
    did = version.snapshot.visitors.history(_place(version, visitorid))
    events = [
        {"event": version.events[event], "timestamp": timestamp, **version.snapshot.items.shown(item)}
        for item, event, timestamp in zip(
            did.item[:limit].tolist(), did.event[:limit].tolist(), did.timestamp[:limit].tolist(), strict=True
        )
    ]
    return {"version": version.shown, "visitorid": visitorid, "events": events}


def any_visitor(version: Version) -> Answer:
    """Return a visitor by chance.

    Raises:
        RequestError: there is none.
    """
    visitorid = version.snapshot.visitors.any_one()
    if visitorid is None:
        raise RequestError(404, "VISITOR_UNKNOWN", "this version has no visitors")
    return {"version": version.shown, "visitorid": visitorid}


def _told(version: Version, request: Request) -> tuple[Feedback, int, int]:
    """Return what the events of a request say, how many name an unknown item, and how many a kind without a weight.

    A kind without a weight says nothing of what the visitor likes, not even that it likes it not.
    """
    items, scores, barred = [], [], []
    unknown_items = unknown_events = 0
    for itemid, kind in request.events:
        index = version.snapshot.items.find(itemid)
        event = version.default_event if kind is None else kind
        unknown_items += index is None
        unknown_events += event not in version.weights
        if index is not None and event in version.weights:
            items.append(index)
            scores.append(version.weights[event])
        if index is not None and event in version.barred_kinds:
            barred.append(index)
    excluded = [*barred, *_known(version, request.exclude)]
    told = version.engine.feedback(np.array(items, np.int64), np.array(scores), np.array(excluded, np.int64))
    return told, unknown_items, unknown_events


def _known(version: Version, itemids: Iterable[str]) -> list[int]:
    found = (version.snapshot.items.find(itemid) for itemid in itemids)
    return [index for index in found if index is not None]


def _ranked(version: Version, request: Request, source: str, ranked: Ranked, *, known: bool) -> Answer:
    sources = [POPULAR if filled else source for filled in ranked.popular.tolist()]
    items = _listed(version, ranked.item.tolist(), ranked.score, sources)
    return _list(version, request.visitorid, source, items, known=known)


def _list(version: Version, visitorid: str | None, source: str, items: list[Answer], *, known: bool) -> Answer:
    return {
        "version": version.shown,
        "visitorid": visitorid,
        "source": source,
        "known": known,
        "unknown_items": 0,
        "unknown_events": 0,
        "items": items,
    }


def _listed(version: Version, indexes: list[int], scores: Any, sources: list[str]) -> list[Answer]:
    shown = version.snapshot.items.shown
    return [
        {"rank": rank, **shown(index), "score": float(str(score)), "source": source}
        for rank, (index, score, source) in enumerate(zip(indexes, scores, sources, strict=True), 1)
    ]


def _index(version: Version, itemid: str) -> int:
    index = version.snapshot.items.find(itemid)
    if index is None:
        raise unknown_item(itemid)
    return index


def _place(version: Version, visitorid: str) -> tuple[int, int]:
    place = version.snapshot.visitors.find(visitorid)
    if place is None:
        raise unknown_visitor(visitorid)
    return place
