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
from recommender.ranking import multiplied
from recommender.serving.problems import RequestError
from recommender.serving.scorer import Feedback
from recommender.serving.selection import Best, Quota, Ranked, diverse
from recommender.serving.version import Version
from recommender.snapshot.catalogue import Popular
from recommender.snapshot.columns import ListsOf
from recommender.snapshot.read import Published

PUBLISHED: Final = "published"
_SHOWN: Final = 64  # characters of an id
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
        return any(each is not None for each in (self.filter, self.boost, self.max_per))


def to_json(answer: Answer) -> bytes:
    """Return an answer as it is sent."""
    try:
        return pydantic_core.to_json(answer)
    except pydantic_core.PydanticSerializationError:  # half a character, as JSON can have it in an id
        return json.dumps(answer).encode()


def recommended(version: Version, request: Request) -> Answer | None:
    """Return a list that needs no computing: the published one, or popular items; None if there is none."""
    answer = published(version, request)
    if answer is None and not request.events and _visitor(version, request) is None:
        answer = popular(version, request)
    return answer


def published(version: Version, request: Request) -> Answer | None:
    """Return the published list of a visitor; None if there is none, or it has fewer items than are wanted."""
    place = _visitor(version, request)
    if place is None or request.events or request.include_seen:
        return None
    found = version.snapshot.visitors.published(place)
    item, score, source = found.item, found.score, found.source
    wanted, longest = request.offset + request.k, max(version.snapshot.manifest.k, len(item))
    excluded = _excluded(version, request)
    if len(excluded) or request.is_chosen:
        score, kept = _chosen(version, request, found, excluded)
        item, score, source = item[kept], score[kept], source[kept]
        longest = longest if len(kept) == len(found.item) else len(item)
    if not len(item) or wanted > longest:
        return None
    own = slice(request.offset, wanted)
    sources = [version.sources[each] for each in source[own].tolist()]
    return _list(version, request, PUBLISHED, item[own], _numbers(score[own]), sources, known=True)


def _chosen(
    version: Version, request: Request, found: Published, excluded: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the scores of a published list, and the places that an answer may have, in its order.

    An item that is not listed has no larger score than the last one: boosted, it comes behind what is beyond the
    largest boost of that.
    """
    item, score = found.item, found.score
    choice = version.filters.choice(request.filter, request.boost)
    met, factors = choice.of_items(item)
    kept, order = ~np.isin(item, excluded), np.arange(len(item))
    kept &= True if met is None else met
    if factors is not None and len(item):
        last = score[-1]
        score = multiplied(score, factors)
        is_popular = np.array([source == POPULAR for source in version.sources])[found.source].any()
        kept &= (score > last * choice.largest) & (last > 0) & ~is_popular
        order = np.lexsort((item, -score))
    order = order[kept[order]]
    if request.max_per:
        quota = Quota(version.filters.limits(request.max_per))
        order = order[[quota.take(each) for each in choice.place_of[item[order]].tolist()]]
    return score, order


def popular(version: Version, request: Request) -> Answer:
    """Return the most popular items."""
    best = partial(version.engine.best, None, popular=_window(version, request))
    ranked = _best(version, request, best, np.unique(_excluded(version, request)))
    return _ranked(version, request, POPULAR, ranked, known=_visitor(version, request) is not None)


def computed(version: Version, request: Request) -> Answer:
    """Return a list that is computed now, from the stored history of a visitor and the events of the request."""
    feedback, unknown, known = _feedback(version, request)
    taste = version.engine.scorer.taste(feedback)
    ranked = _best(version, request, partial(version.engine.best, taste), feedback.excluded)
    source = POPULAR if taste is None else version.engine.scorer.source
    return {**_ranked(version, request, source, ranked, known=known), **unknown}


def scored(version: Version, request: Request, itemids: Sequence[str]) -> Answer:
    """Return the given items in the order of a visitor's scores, and those that the model does not know last.

    Without anything that is known of the visitor, the order is that of the popularity. Hidden items are left out.
    """
    feedback, unknown, known = _feedback(version, request)
    taste = version.engine.scorer.taste(feedback)
    found = _indexes(version, itemids)
    given = np.setdiff1d(np.array(found, np.int64), version.hidden)
    if taste is None:
        scores, may_score = version.snapshot.items.popularity[given], np.ones(len(given), dtype=np.bool_)
    else:
        may_score = version.engine.scorer.known[given]
        scores = np.full(len(given), -np.inf)
        scores[may_score] = version.engine.scorer.scores(taste, given[may_score])
    order = np.lexsort((given, -scores))[: request.k]
    numbers = [each if may else None for each, may in zip(_numbers(scores[order]), may_score[order], strict=True)]
    source = POPULAR if taste is None else version.engine.scorer.source
    answer = _list(version, request, source, given[order], numbers, [source] * len(order), known=known)
    return {**answer, **unknown, "unknown_items": unknown["unknown_items"] + len(itemids) - len(found)}


def similar_to_several(version: Version, request: Request, itemids: Sequence[str]) -> Answer:
    """Return the items of the whole catalogue that are most like several, such as a cart, by the mean similarity."""
    found = np.array(_indexes(version, itemids), np.int64)
    given = np.unique(found[version.engine.scorer.known[found]])
    listed: list[Answer] = []
    if len(given):
        excluded = np.concatenate([found, _excluded(version, request)])
        ranked, own = (
            _best(version, request, partial(version.engine.alike, given), excluded),
            slice(request.offset, None),
        )
        listed = _valued(version, "similarity", ranked.item[own], _numbers(ranked.score[own]), request.offset)
    return {"version": version.shown, "unknown_items": len(itemids) - len(found), "items": listed}


def recommended_or_computed(version: Version, request: Request) -> Answer:
    """Return the published list, or popular items, or a computed list."""
    return recommended(version, request) or computed(version, request)


def batch(version: Version, requests: Sequence[Request]) -> Answer:
    """Return a list for each of several visitors, in their order."""
    return {"version": version.shown, "lists": [recommended_or_computed(version, request) for request in requests]}


def similar(version: Version, itemid: str, k: int) -> Answer:
    """Return the items that are most like one; see `_neighbours`."""
    return _neighbours(version, itemid, version.snapshot.items.similar, "similarity", k)


def bought_together(version: Version, itemid: str, k: int) -> Answer:
    """Return the items that most visitors bought with one; none if the version does not know; see `_neighbours`."""
    return _neighbours(version, itemid, version.snapshot.items.together, "visitors", k)


def _neighbours(version: Version, itemid: str, lists: ListsOf | None, name: str, k: int) -> Answer:
    """Return the stored list of an item, without hidden items.

    Raises:
        RequestError: the item does not exist.
    """
    index = _index(version, itemid)
    listed: list[Answer] = []
    if lists is not None:
        own = lists.place(index)
        item, values = (column[own] for column in lists.values)
        kept = ~np.isin(item, version.hidden) if len(version.hidden) else slice(None)
        item, values = item[kept][:k], values[kept][:k]
        listed = _valued(version, name, item, values.tolist() if name == "visitors" else _numbers(values))
    return {"version": version.shown, **version.snapshot.items.shown(index), "items": listed}


def explanation(version: Version, visitorid: str, itemid: str) -> Answer:
    """Return what each item of a visitor's history adds to its score of an item.

    Raises:
        RequestError: the visitor or the item does not exist, or the score cannot be explained.
    """
    snapshot, index = version.snapshot, _index(version, itemid)
    did = snapshot.visitors.history(_place(version, visitorid))
    if not version.engine.scorer.known[index]:
        raise RequestError(409, "ITEM_NOT_EXPLAINED", f"the model does not know item {itemid}: nothing to explain")
    feedback = version.feedback(did)
    explained = version.engine.scorer.explained(index, feedback)
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


def _feedback(version: Version, request: Request) -> tuple[Feedback, Answer, bool]:
    """Return the stored and the given events of a visitor, how many are unknown, and whether the visitor is.

    A kind without a weight says nothing about what the visitor likes, not even that it does not like it.
    """
    default, find = version.default_event, version.snapshot.items.find
    events = [(find(itemid), default if kind is None else kind) for itemid, kind in request.events]
    weighed = [(item, version.weights[kind]) for item, kind in events if item is not None and kind in version.weights]
    barred = [item for item, kind in events if item is not None and version.bars(kind)]
    items, scores = [item for item, _ in weighed], [weight for _, weight in weighed]
    place = _visitor(version, request)
    if place is not None:
        stored = version.feedback(version.snapshot.visitors.history(place))
        items, scores = [*stored.item.tolist(), *items], [*stored.score.tolist(), *scores]
        barred = [*stored.excluded.tolist(), *barred]
    excluded = np.append(np.array([] if request.include_seen else barred, np.int64), _excluded(version, request))
    feedback = version.engine.feedback(np.array(items, np.int64), np.array(scores), excluded)
    unknown = {
        "unknown_items": sum(item is None for item, _ in events),
        "unknown_events": sum(kind not in version.weights for _, kind in events),
    }
    return feedback, unknown, place is not None


def _visitor(version: Version, request: Request) -> tuple[int, int] | None:
    """Return where the visitor of a request is, None if there is none or it is not in the version."""
    return None if request.visitorid is None else version.snapshot.visitors.find(request.visitorid)


def _indexes(version: Version, itemids: Sequence[str]) -> list[int]:
    """Return the indexes of the items that are in the version."""
    found = (version.snapshot.items.find(itemid) for itemid in itemids)
    return [index for index in found if index is not None]


def _best(version: Version, request: Request, best: Best, excluded: NDArray[np.int64]) -> Ranked:
    """Return the best items of the whole catalogue that a request may get, by its filter, boosts and limits."""
    if request.max_per:
        best = diverse(best, version.filters.limits(request.max_per))
    choice = version.filters.choice(request.filter, request.boost)
    return best(request.offset + request.k, excluded, choice)


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
    return _list(version, request, source, ranked.item[own], _numbers(ranked.score[own]), sources, known=known)


def _list(
    version: Version,
    request: Request,
    source: str,
    items: NDArray[np.integer],
    scores: Sequence[float | None],
    sources: Sequence[str],
    *,
    known: bool,
) -> Answer:
    shown = version.snapshot.items.shown
    ranks = enumerate(zip(items.tolist(), scores, sources, strict=True), request.offset + 1)
    return {
        "version": version.shown,
        "visitorid": request.visitorid,
        "source": source,
        "known": known,
        "unknown_items": 0,
        "unknown_events": 0,
        "items": [{"rank": rank, **shown(item), "score": score, "source": each} for rank, (item, score, each) in ranks],
    }


def _valued(
    version: Version, name: str, items: NDArray[np.integer], values: Sequence[float], offset: int = 0
) -> list[Answer]:
    """Return items, each with a value that has a name."""
    places = enumerate(zip(items.tolist(), values, strict=True), offset + 1)
    return [{"rank": rank, name: value, **version.snapshot.items.shown(item)} for rank, (item, value) in places]


def _numbers(values: NDArray[np.floating]) -> list[float]:
    """Return numbers of 32 bits without the digits that they do not have."""
    return [float(f"{value:.7g}") for value in values.tolist()]


def _index(version: Version, itemid: str) -> int:
    index = version.snapshot.items.find(itemid)
    if index is None:
        raise _unknown("item", itemid)
    return index


def _place(version: Version, visitorid: str) -> tuple[int, int]:
    place = version.snapshot.visitors.find(visitorid)
    if place is None:
        raise _unknown("visitor", visitorid)
    return place


def _unknown(what: str, id_: str) -> RequestError:
    shown = id_ if len(id_) <= _SHOWN else f"{id_[:_SHOWN]}..."
    return RequestError(404, f"{what.upper()}_UNKNOWN", f"{what} {shown} is not in this version")
