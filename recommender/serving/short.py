"""The short way to what is only looked up: the published list of a visitor, and the items that are like one.

They are what nearly all requests ask for, and need no router and no models. A request for them that is in any way
unusual (an id that is encoded, another parameter, something that is not there) goes the long way, and gets the same
answer.
"""

import re
from typing import Final

from recommender.serving import answers
from recommender.serving.answers import Answer
from recommender.serving.metrics import PUBLISHED_ROUTE, SIMILAR_ROUTE
from recommender.serving.settings import MOST_ITEMS
from recommender.serving.version import CUSTOMARY, Version

_VISITOR: Final = re.compile(rb"/v1/visitors/([A-Za-z0-9_.~-]{1,256})/recommendations")
_ITEM: Final = re.compile(rb"/v1/items/([A-Za-z0-9_.~-]{1,256})/similar")
_K: Final = re.compile(rb"k=([1-9][0-9]{0,3})")


def short_answer(version: Version, path: bytes, query: bytes) -> tuple[str, Answer] | None:
    """Return the route and the answer of a request, None if it has to go the long way.

    Raises:
        RequestError: what is asked for is not there.
    """
    k = 0
    if query:
        asked = _K.fullmatch(query)
        if asked is None or int(asked[1]) > MOST_ITEMS:
            return None
        k = int(asked[1])
    if found := _VISITOR.fullmatch(path):
        answer = answers.published(version, found[1].decode("ascii"), k or version.customary)
        return None if answer is None else (PUBLISHED_ROUTE, answer)
    if found := _ITEM.fullmatch(path):
        return SIMILAR_ROUTE, answers.similar(version, found[1].decode("ascii"), k or CUSTOMARY)
    return None
