"""Recognise columns by their names.

Example usage:
>>> place_of("visitorid", "customer_id"), place_of("itemid", "category_id"), place_of("timestamp", "event_time")
(4, None, 2)
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

import recommender.constants as C

RATING, AMOUNT = "rating", "amount"  # of what weighs an event

# Our column -> the names that it has elsewhere, lower case, letters and digits alone; the first is the surest.
NAMES: Final[Mapping[str, Sequence[str]]] = {
    role: names.split()
    for role, names in {
        C.TIMESTAMP: "timestamp eventtimestamp eventtime ts time datetime unixreviewtime reviewtime createdat "
        "occurredat collectortstamp derivedtstamp servertime unixtime epoch timestampms invoicedate orderdate "
        "purchasedate tdat eventdate date day dt receivedat sentat originaltimestamp listenedat playedat",
        C.VISITOR: "visitorid visitor userid user customerid customer clientid memberid accountid userpseudoid "
        "domainuserid anonymousid reviewerid profileid buyerid personid uid cookieid deviceid fullvisitorid kundenid "
        "kunde sessionid session usersession",
        C.EVENT: "event eventtype eventname behavior behaviortype behaviour behaviourtype action actiontype "
        "interaction interactiontype activity activitytype kind type",
        C.ITEM: "itemid item productid product movieid articleid article parentasin asin sku skuid stockcode aid "
        "trackid songid artistid bookid isbn businessid contentid offerid goodsid adid gameid videoid newsid "
        "propertyid listingid recipeid artikelnr artikelnummer artikel produktid selabel",
        C.TRANSACTION: "transactionid orderid invoiceno invoiceid invoice receiptid basketid",
        RATING: "rating overall stars starrating rate reviewscore userrating score",
        AMOUNT: "quantity qty plays playcount listens amount units",
    }.items()
}
_ENDS = r"(id|no|nr|num|number|code|key|hash|uuid|guid)"
_WORDS = {
    C.VISITOR: re.compile(rf"(user|customer|visitor|client|member|buyer|account|kunde|shopper).*{_ENDS}"),
    C.ITEM: re.compile(rf"(item|product|article|sku|movie|track|song|book|artikel|produkt|asin).*{_ENDS}"),
}
_NO_ITEM = re.compile(r"categor|price|session|parent|brand|type")
_NESTED, _WORD = 100, 1000  # how much less sure a nested name is, and one that only holds a word


@cache
def place_of(role: str, name: str) -> int | None:
    """Return how sure a name is to be that of a column, 0 is the surest; None if it is not."""
    parts = [re.sub(r"[^a-z0-9]", "", part.lower()) for part in name.split(".")]
    nested = _NESTED * (len(parts) - 1)
    joined = f"{parts[-2].removesuffix('s')}{parts[-1]}" if nested else ""  # user.id, items.id
    for word in (parts[-1], joined):
        if word in NAMES[role]:
            return NAMES[role].index(word) + nested
    if role in _WORDS and _WORDS[role].fullmatch(parts[-1]) and not _NO_ITEM.search(parts[-1]):
        return _WORD + nested
    return None


def is_known_name(name: str) -> bool:
    """Return whether a name is that of a column."""
    plain = name.strip().removeprefix("\ufeff")
    return any(place_of(role, plain) is not None for role in NAMES)
