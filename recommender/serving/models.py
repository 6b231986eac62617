"""What requests and answers look like, for the OpenAPI description; answers themselves are made by ``answers``."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, StrictStr, WithJsonSchema

from recommender.serving.settings import LONGEST_FILTER, LONGEST_ID, MOST_EVENTS, MOST_ITEMS, MOST_VISITORS


def _whole(value: Any) -> Any:
    """Return 3 for 3.0: to JSON they are the same number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _id(value: Any) -> str:
    """Return an id as a text."""
    value = _whole(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("must be a string or a whole number")
    return str(value)


VERSION = "^(current|previous|candidate|[1-9][0-9]{0,8})$"
Whole = Annotated[StrictInt, BeforeValidator(_whole)]
Text = Annotated[str, Field(max_length=LONGEST_ID)]
ItemId = Annotated[
    str,
    BeforeValidator(_id),
    Field(max_length=LONGEST_ID),
    WithJsonSchema({"anyOf": [{"type": "string", "maxLength": LONGEST_ID}, {"type": "integer"}]}),
]
Few = Annotated[int, Field(ge=1, le=MOST_ITEMS, description="how many items")]
FewOf = Annotated[StrictInt, Field(ge=1, le=MOST_ITEMS, description="how many items"), BeforeValidator(_whole)]
Unwanted = Annotated[
    list[Text], Field(default_factory=list, max_length=MOST_EVENTS, description="items that are not wanted")
]
UnwantedOf = Annotated[list[ItemId], Field(max_length=MOST_EVENTS, description="items that are not wanted")]
Seen = Annotated[bool, Field(description="list items too that an event of the visitor keeps out, once")]


def _condition(description: str, example: str) -> Any:
    return Field(None, min_length=1, max_length=LONGEST_FILTER, description=description, examples=[example])


def _example(**body: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [body]})


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Chosen(_Asked):
    """Which items a list may have, and which are better than their scores."""

    offset: Whole = Field(0, ge=0, le=MOST_ITEMS, description="how many items of the head are left out")
    filter: str | None = _condition(
        "conditions on attributes of items, all of which must hold", "category:shoes|boots,in_stock:true,price<50"
    )
    boost: str | None = _condition(
        "up to four conditions as in filter, each with a factor, 0.01 to 100, of the scores of its items",
        "category:shoes*2,price<50*1.5",
    )
    max_per: str | None = _condition("how many items of each value of an attribute there may be", "brand:2")


class VersionQuery(_Asked):
    """Which version answers."""

    version: str = Field(
        "current",
        pattern=VERSION,
        description="the version that answers: by a word, or by its number in the channel, if its files are kept",
    )


class ListQuery(VersionQuery, _Chosen):
    """The parameters of a visitor's list."""

    offset: int = Field(0, ge=0, le=MOST_ITEMS, description="how many items of the head are left out")
    k: int | None = Field(
        None, ge=1, le=MOST_ITEMS, description="how many items; by default 10, or as many as are published, if fewer"
    )
    history: list[Text] = Field(
        default_factory=list, max_length=MOST_EVENTS, description="items that the visitor has viewed"
    )
    exclude: Unwanted
    include_seen: Seen = False


class SimilarQuery(VersionQuery):
    """The parameters of similar items."""

    k: Few = 10


class PopularQuery(VersionQuery, _Chosen):
    """The parameters of popular items."""

    offset: int = Field(0, ge=0, le=MOST_ITEMS, description="how many items of the head are left out")
    k: Few = 10
    exclude: Unwanted
    window: str | None = Field(
        None, max_length=16, description="the last days of the log, as far as the version has them", examples=["7d"]
    )


class HistoryQuery(VersionQuery):
    """The parameters of a visitor's history."""

    limit: int = Field(50, ge=1, le=MOST_EVENTS, description="how many events")


class SearchQuery(VersionQuery):
    """The parameters of a search."""

    q: str = Field(min_length=1, max_length=LONGEST_ID, description="the beginning of an id, or a part of a title")
    limit: int = Field(10, ge=1, le=100, description="how many visitors, and how many items")


class HiddenQuery(_Asked):
    """The parameters of the hidden items."""

    limit: Few = 100


class NoQuery(_Asked):
    """No parameters."""


class ItemEvent(_Asked):
    """Something that a visitor did with an item."""

    itemid: ItemId
    event: Annotated[StrictStr, Field(max_length=LONGEST_ID)] | None = Field(
        None, description="the kind of event; by default a view, or what weighs least"
    )


class _OfVisitor(_Asked):
    """What is known of a visitor."""

    visitorid: ItemId | None = Field(None, description="a visitor whose stored history comes before the events")
    events: list[ItemEvent] = Field([], max_length=MOST_EVENTS, description="what the visitor did in this session")


class ListRequest(_OfVisitor, _Chosen):
    """What a list is to be made of."""

    model_config = _example(visitorid="7", events=[{"itemid": "12", "event": "view"}], k=10)

    exclude: UnwantedOf = []
    k: FewOf = 10
    include_seen: Seen = False


class BatchRequest(_Chosen):
    """Visitors that get a list each."""

    model_config = _example(visitorids=["7", "9"], exclude=["12"], k=10)

    visitorids: list[ItemId] = Field(max_length=MOST_VISITORS, description="each gets the list that GET returns")
    exclude: UnwantedOf = []
    k: FewOf = 10
    include_seen: Seen = False


class RankRequest(_OfVisitor):
    """Items that are put into the order of a visitor."""

    model_config = _example(visitorid="7", itemids=["12", "15", "19"])

    itemids: list[ItemId] = Field(max_length=MOST_ITEMS, description="the items")


class SimilarRequest(_Chosen):
    """Items, such as a cart, that others are compared with."""

    model_config = _example(itemids=["12", "15"], k=4)

    itemids: list[ItemId] = Field(min_length=1, max_length=MOST_EVENTS, description="the items")
    exclude: UnwantedOf = []
    k: FewOf = 10


class VersionOf(BaseModel):
    """The version that an answer was made from."""

    run: str
    number: int = Field(description="of the channel's record; 0: a folder")
    created_at: str


class Shown(BaseModel):
    """An item, as people see it."""

    itemid: str
    title: str | None
    picture: str | None = Field(description="a URL")


class Recommendation(Shown):
    """A place of a list."""

    rank: int = Field(ge=1)
    score: float = Field(description="the inner product, or the sum of similarities; of a popular item its popularity")
    source: Literal["als", "fold_in", "item_to_item", "popular"]


class Recommendations(BaseModel):
    """A list of recommendations, and where it comes from."""

    version: VersionOf
    visitorid: str | None
    source: Literal["published", "fold_in", "item_to_item", "popular"]
    known: bool = Field(description="whether the visitor is in the version")
    unknown_items: int = Field(description="events of items that are not in the version")
    unknown_events: int = Field(description="events of a kind that has no weight")
    items: list[Recommendation]


class Batch(BaseModel):
    """A list for each visitor, in the order of the request."""

    version: VersionOf
    lists: list[Recommendations]


class FoundByText(BaseModel):
    """Visitors and items that a search has found."""

    version: VersionOf
    visitors: list[str]
    items: list[Shown]


class HiddenItems(BaseModel):
    """Items that are hidden from all lists."""

    version: VersionOf
    items: list[Shown]


class Kept(BaseModel):
    """A version that may be looked at: what is published in a channel, as far as its files are kept."""

    channel: str
    run: str
    number: int = Field(description="of the channel's record")
    created_at: str
    is_served: bool
    metrics: list[dict[str, Any]]
    gate: dict[str, Any] | None


class KeptVersions(BaseModel):
    """The versions that are kept, newest first, and the candidate."""

    versions: list[Kept]


class SimilarItem(Shown):
    """An item that is like another one."""

    rank: int = Field(ge=1)
    similarity: float = Field(description="cosine, or the mean of several, -1 to 1; boosted if that is asked for")


class SimilarItems(Shown):
    """The items that are most like one."""

    version: VersionOf
    items: list[SimilarItem]


class TogetherItem(Shown):
    """An item that is bought with another one."""

    rank: int = Field(ge=1)
    visitors: int = Field(description="how many bought both, at about the same time")


class TogetherItems(Shown):
    """The items that most visitors bought with one."""

    version: VersionOf
    items: list[TogetherItem]


class SimilarToSeveral(BaseModel):
    """The items that are most like several."""

    version: VersionOf
    unknown_items: int = Field(description="given items that are not in the version")
    items: list[SimilarItem]


class ScoredItem(Shown):
    """A given item, in its place."""

    rank: int = Field(ge=1)
    score: float | None = Field(description="as in a list; null: the model does not know the item")
    source: Literal["fold_in", "item_to_item", "popular"]


class RankedItems(BaseModel):
    """The given items, best first."""

    version: VersionOf
    visitorid: str | None
    source: Literal["fold_in", "item_to_item", "popular"]
    known: bool = Field(description="whether the visitor is in the version")
    unknown_items: int = Field(description="given items, and events of items, that are not in the version")
    unknown_events: int = Field(description="events of a kind that has no weight")
    items: list[ScoredItem]


class Share(Shown):
    """What an item of the history adds to a score."""

    share: float
    events: list[str] = Field(description="the kinds of events that the visitor had with it")


class Explanation(Shown):
    """Why a visitor has its score of an item: the shares and the popularity sum to the score."""

    version: VersionOf
    visitorid: str
    score: float
    popularity: float = Field(description="what the blend with popularity adds")
    shares: list[Share]


class PastEvent(Shown):
    """What a visitor did with an item: the last event of its kind."""

    event: str
    timestamp: int = Field(description="ms since the epoch, UTC")


class PastEvents(BaseModel):
    """What a visitor did, newest first."""

    version: VersionOf
    visitorid: str
    events: list[PastEvent]


class AnyVisitor(BaseModel):
    """A visitor by chance."""

    version: VersionOf
    visitorid: str


class Reload(BaseModel):
    """The last version that was taken over, or could not be."""

    at: str
    error: str | None


class CountsOf(BaseModel):
    """How much there is in a version."""

    visitors: int
    items: int
    lists: int


class Status(BaseModel):
    """What is known of the service."""

    ready: bool
    draining: bool
    version: VersionOf | None
    previous: VersionOf | None
    age_seconds: float | None = Field(description="since the version was made")
    counts: CountsOf | None
    metrics: list[dict[str, Any]]
    gate: dict[str, Any] | None
    channel: str | None
    last_reload: Reload | None
    failures: int = Field(description="versions that could not be loaded")
    hidden: int = Field(description="items that are hidden from all lists")
    event_kinds: list[str] = Field(description="kinds of events that have a weight, the lightest first")
    attributes: dict[str, list[str]] = Field(description="attributes that lists may be filtered by, and their values")
    workers: int
    uptime_seconds: float


class Ready(BaseModel):
    """Whether requests are to be sent here."""

    ready: Literal[True]


class Live(BaseModel):
    """The process runs."""

    live: Literal[True]


class Problem(BaseModel):
    """Why a request cannot be answered: problem details (RFC 9457)."""

    type: str = Field(description="a URN for each kind of problem")
    title: str = Field(description="the phrase of the status")
    status: int
    detail: str = Field(description="one sentence for people")
    id: str = Field(description="for machines", examples=["ITEM_UNKNOWN"])
