"""The answers of one version, as plain JSON types: what is published, what is computed, and why.

Every answer names the version that it was made from, and is made from that one alone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
import pydantic_core
from numpy.typing import NDArray

from recommender.constants import FOLD_IN, ITEM_TO_ITEM, POPULAR
from recommender.serving.engine import Ranked
from recommender.serving.filters import Wanted
from recommender.serving.problems import RequestError, unknown_item, unknown_visitor
from recommender.serving.scorer import Feedback
from recommender.serving.selection import Best, Quota, boosted, diverse
from recommender.serving.version import Version
from recommender.snapshot.catalogue import Popular
from recommender.snapshot.columns import ListsOf
from recommender.snapshot.read import Published

PUBLISHED: Final = "published"
SOURCES: Final = (PUBLISHED, FOLD_IN, ITEM_TO_ITEM, POPULAR)

Answer = dict[str, Any]
Event = tuple[str, str | None]  # itemid, kind


@dataclass
class Request:
    """What a list is asked for.

    Attributes:
        k: how many items. visitorid: of whom, None if nobody says.
        events: what the visitor did, added to its stored history. exclude: items that it must not get.
        offset: how many items are left out at the head. include_seen: whether the kinds of events that keep an item out
            of the lists do not.
        filter: conditions on the attributes of the items, see ``filters``; None: none. boost: conditions with factors
            of the score. max_per: how many items of each value of an attribute.
        window: the last days of the log that popular items are those of, such as 7d; None: the whole log.
    """

    k: int
    visitorid: str | None = None
    events: Sequence[Event] = ()
    exclude: Sequence[str] = field(default_factory=tuple)
    offset: int = 0
    include_seen: bool = False
    filter: str | None = None
    boost: str | None = None
    max_per: str | None = None
    window: str | None = None

    @property
    def is_chosen(self) -> bool:
        """Return whether the attributes of the items matter."""
        return bool(self.filter or self.boost or self.max_per)


def to_json(answer: Answer) -> bytes:
    """Return an answer as it is sent."""
    try:
        return pydantic_core.to_json(answer)
    except pydantic_core.PydanticSerializationError:  # half a character, as JSON can have it in an id
        return json.dumps(answer).encode()


def recommended(version: Version, request: Request) -> Answer | None:
    """Return a list that needs no computing: the published one, or popular items; None if there is none."""
    answer = published(version, request)
    if answer is None and not request.events and version.snapshot.visitors.find(str(request.visitorid)) is None:
        answer = popular(version, request)
    return answer


def published(version: Version, request: Request) -> Answer | None:
    """Return the published list of a visitor; None if there is none, or it has fewer items than are wanted."""
    snapshot = version.snapshot
    place = None if request.visitorid is None else snapshot.visitors.find(request.visitorid)
    if place is None or request.events or request.include_seen:
        return None
    found = snapshot.visitors.published(place)
    item, score, source = found.item, found.score, found.source
    wanted, longest = request.offset + request.k, max(snapshot.manifest.k, len(item))
    excluded = _excluded(version, request)
    if len(excluded) or request.is_chosen:
        score, kept = _chosen(version, request, found, excluded)
        item, score, source = item[kept], score[kept], source[kept]
        longest = longest if len(kept) == len(found.item) else len(item)
    if not len(item) or wanted > longest:
        return None
    own = slice(request.offset, wanted)
    sources = [version.sources[each] for each in source[own].tolist()]
    items = _listed(version, item[own].tolist(), score[own], sources, request.offset)
    return _list(version, request.visitorid, PUBLISHED, items, known=True)


def _chosen(
    version: Version, request: Request, found: Published, excluded: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the scores of a published list, and the places that an answer may have, in its order.

    An item that is not listed has no larger score than the last one: boosted, it comes behind what is beyond the
    largest boost of that.
    """
    item, score = found.item, found.score
    kept = ~np.isin(item, excluded)
    wanted = _wanted(version, request)
    kept &= True if wanted is None else wanted.items[item]
    order = np.arange(len(item))
    if request.boost and len(item):
        boosts, last = version.filters.boosts(request.boost), score[-1]
        score = boosts.scores(item, score)
        is_popular = np.array([source == POPULAR for source in version.sources])[found.source].any()
        kept &= (score > last * boosts.factors.max()) & (last > 0) & ~is_popular
        order = np.lexsort((item, -score))
    order = order[kept[order]]
    if request.max_per:
        quota = Quota(version.filters.limits(request.max_per))
        order = order[[quota.take(each) for each in item[order].tolist()]]
    return score, order


def popular(version: Version, request: Request) -> Answer:
    """Return the most popular items."""
    excluded = np.unique(_excluded(version, request))
    ranked = _best(version, request, None, excluded)
    known = request.visitorid is not None and version.snapshot.visitors.find(request.visitorid) is not None
    return _ranked(version, request, POPULAR, ranked, known=known)


def computed(version: Version, request: Request) -> Answer:
    """Return a list that is computed now, from the stored history of a visitor and the events of the request."""
    feedback, events, known = _feedback(version, request)
    taste = version.engine.taste(feedback)
    ranked = _best(version, request, taste, feedback.excluded)
    source = POPULAR if taste is None else version.engine.source
    answer = _ranked(version, request, source, ranked, known=known)
    return {**answer, "unknown_items": events.unknown_items, "unknown_events": events.unknown_kinds}


def scored(version: Version, request: Request, itemids: Sequence[str]) -> Answer:
    """Return the given items in the order of a visitor's scores, and those that the model does not know last.

    Without anything that is known of the visitor, the order is that of the popularity. Hidden items are left out.
    """
    feedback, events, known = _feedback(version, request)
    taste = version.engine.taste(feedback)
    found = _indexes(version, itemids)
    given = np.setdiff1d(np.array(found, np.int64), version.hidden)
    if taste is None:
        scores, may_score = version.snapshot.items.popularity[given], np.ones(len(given), dtype=np.bool_)
    else:
        may_score = version.engine.known[given]
        scores = np.full(len(given), -np.inf)
        scores[may_score] = version.engine.scores(taste, given[may_score])
    order = np.lexsort((given, -scores))[: request.k]
    number = int(may_score[order].sum())
    source = POPULAR if taste is None else version.engine.source
    items = _listed(version, given[order[:number]].tolist(), scores[order[:number]], [source] * number)
    rest = [
        {"rank": rank, **version.snapshot.items.shown(int(given[row])), "score": None, "source": source}
        for rank, row in enumerate(order[number:], number + 1)
    ]
    answer = _list(version, request.visitorid, source, [*items, *rest], known=known)
    unknown = events.unknown_items + len(itemids) - len(found)
    return {**answer, "unknown_items": unknown, "unknown_events": events.unknown_kinds}


def similar_to_several(version: Version, request: Request, itemids: Sequence[str]) -> Answer:
    """Return the items of the whole catalogue that are most like several, such as a cart, by the mean similarity."""
    found = _indexes(version, itemids)
    given = np.unique(np.array([index for index in found if version.engine.known[index]], np.int64))
    excluded = np.concatenate([np.array(found, np.int64), _excluded(version, request)])
    listed: list[Answer] = []
    if len(given):
        ranked = version.engine.alike(given, request.k, excluded)
        pairs = enumerate(zip(ranked.item.tolist(), _numbers(ranked.score), strict=True), 1)
        listed = [
            {"rank": n, "similarity": cosine, **version.snapshot.items.shown(item)} for n, (item, cosine) in pairs
        ]
    return {"version": version.shown, "unknown_items": len(itemids) - len(found), "items": listed}


def recommended_or_computed(version: Version, request: Request) -> Answer:
    """Return the published list, or popular items, or a computed list."""
    return recommended(version, request) or computed(version, request)


def batch(version: Version, requests: Sequence[Request]) -> Answer:
    """Return a list for each of several visitors, in their order."""
    return {"version": version.shown, "lists": [recommended_or_computed(version, request) for request in requests]}


def similar(version: Version, itemid: str, k: int) -> Answer:
    """Return the items that are most like one.

    Raises:
        RequestError: the item does not exist.
    """
    return _neighbours(version, itemid, version.snapshot.items.similar, "similarity", k)


def bought_together(version: Version, itemid: str, k: int) -> Answer:
    """Return the items that most visitors bought with one; none if the version does not know.

    Raises:
        RequestError: the item does not exist.
    """
    return _neighbours(version, itemid, version.snapshot.items.together, "visitors", k)


def _neighbours(version: Version, itemid: str, lists: ListsOf | None, value: str, k: int) -> Answer:
    items, index = version.snapshot.items, _index(version, itemid)
    listed: list[Answer] = []
    if lists is not None:
        own = lists.place(index)
        item, values = (column[own] for column in lists.values)
        kept = ~np.isin(item, version.hidden) if len(version.hidden) else slice(None)
        item, values = item[kept][:k], values[kept][:k]
        numbers = values.tolist() if value == "visitors" else _numbers(values)
        pairs = enumerate(zip(item.tolist(), numbers, strict=True), 1)
        listed = [{"rank": rank, value: number, **items.shown(other)} for rank, (other, number) in pairs]
    return {"version": version.shown, **items.shown(index), "items": listed}


def explanation(version: Version, visitorid: str, itemid: str) -> Answer:
    """Return what each item of a visitor's history adds to its score of an item.

    Raises:
        RequestError: the visitor or the item does not exist, or the score cannot be explained.
    """
    snapshot, index = version.snapshot, _index(version, itemid)
    did = snapshot.visitors.history(_place(version, visitorid))
    if not version.engine.known[index]:
        raise RequestError(409, "ITEM_NOT_EXPLAINED", f"the model does not know item {itemid}: nothing to explain")
    feedback = version.feedback(did)
    explained = version.engine.explained(index, feedback)
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


def search(version: Version, text: str, most: int) -> Answer:
    """Return visitors whose ids begin with a text, and items whose ids do or that have it in the title."""
    snapshot = version.snapshot
    items = [snapshot.items.shown(index) for index in snapshot.items.search(text, most)]
    return {"version": version.shown, "visitors": snapshot.visitors.search(text, most), "items": items}


def hidden(version: Version, most: int) -> Answer:
    """Return items that are hidden from all lists, as far as the version has them."""
    shown = [version.snapshot.items.shown(int(index)) for index in version.hidden[:most]]
    return {"version": version.shown, "items": shown}


def history(version: Version, visitorid: str, limit: int) -> Answer:
    """Return what a visitor did last.

    Raises:
        RequestError: the visitor does not exist.
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


@dataclass
class _Events:
    """The events of a request: items and weights, items that are kept out of lists, and how many are unknown."""

    items: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    barred: list[int] = field(default_factory=list)
    unknown_items: int = 0
    unknown_kinds: int = 0


def _events(version: Version, request: Request) -> _Events:
    """Return what the events of a request say.

    A kind without a weight says nothing about what the visitor likes, not even that it does not like it.
    """
    found = _Events()
    for itemid, kind in request.events:
        index = version.snapshot.items.find(itemid)
        event = version.default_event if kind is None else kind
        found.unknown_items += index is None
        found.unknown_kinds += event not in version.weights
        if index is not None and event in version.weights:
            found.items.append(index)
            found.scores.append(version.weights[event])
        if index is not None and version.bars(event):
            found.barred.append(index)
    return found


def _feedback(version: Version, request: Request) -> tuple[Feedback, _Events, bool]:
    """Return the stored and the given events of a visitor, the given ones alone, and whether the visitor is known."""
    visitors = version.snapshot.visitors
    place = None if request.visitorid is None else visitors.find(request.visitorid)
    events = _events(version, request)
    items, scores, barred = events.items, events.scores, events.barred
    if place is not None:
        stored = version.feedback(visitors.history(place))
        items, scores = [*stored.item.tolist(), *items], [*stored.score.tolist(), *scores]
        barred = [*stored.excluded.tolist(), *barred]
    seen = np.array([] if request.include_seen else barred, np.int64)
    excluded = np.append(seen, _excluded(version, request))
    feedback = version.engine.feedback(np.array(items, np.int64), np.array(scores), excluded)
    return feedback, events, place is not None


def _indexes(version: Version, itemids: Sequence[str]) -> list[int]:
    """Return the indexes of the items that are in the version."""
    found = (version.snapshot.items.find(itemid) for itemid in itemids)
    return [index for index in found if index is not None]


def _wanted(version: Version, request: Request) -> Wanted | None:
    """Return which items the filter of a request lets through; None without a filter.

    Raises:
        RequestError: it is not a filter of this version's attributes.
    """
    return None if request.filter is None else version.filters.wanted(request.filter)


def _best(version: Version, request: Request, taste: Any | None, excluded: NDArray[np.int64]) -> Ranked:
    """Return the best items of the whole catalogue that a request may get, by its boosts and limits."""
    best: Best = partial(version.engine.best, taste, popular=_window(version, request))
    if request.boost:
        best = boosted(best, version.filters.boosts(request.boost))
    if request.max_per:
        best = diverse(best, version.filters, version.filters.limits(request.max_per))
    return best(request.offset + request.k, excluded, _wanted(version, request))


def _window(version: Version, request: Request) -> Popular | None:
    """Return what was popular in the window of a request; None without one.

    Raises:
        RequestError: the version does not have it.
    """
    windows = version.snapshot.items.windows
    if request.window is not None and request.window not in windows:
        known = ", ".join(windows) or "none"
        raise RequestError(
            422, "WINDOW_UNKNOWN", f"window must be one of this version's ({known}), got {request.window!r}"
        )
    return windows.get(request.window or "")


def _excluded(version: Version, request: Request) -> NDArray[np.int64]:
    """Return the items that a list must not have, whatever the visitor did: unwanted and hidden ones."""
    if not request.exclude:
        return version.hidden
    return np.append(np.array(_indexes(version, request.exclude), np.int64), version.hidden)


def _ranked(version: Version, request: Request, source: str, ranked: Ranked, *, known: bool) -> Answer:
    own = slice(request.offset, None)
    sources = [POPULAR if filled else source for filled in ranked.popular[own].tolist()]
    items = _listed(version, ranked.item[own].tolist(), ranked.score[own], sources, request.offset)
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


def _listed(version: Version, indexes: list[int], scores: Any, sources: list[str], offset: int = 0) -> list[Answer]:
    shown = version.snapshot.items.shown
    return [
        {"rank": rank, **shown(index), "score": score, "source": source}
        for rank, (index, score, source) in enumerate(zip(indexes, _numbers(scores), sources, strict=True), offset + 1)
    ]


def _numbers(values: NDArray[np.floating]) -> list[float]:
    """Return numbers of 32 bits without the digits that they do not have."""
    return [float(f"{value:.7g}") for value in values.tolist()]


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
