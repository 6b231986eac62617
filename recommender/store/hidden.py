"""Items that are hidden now: a log beside the channels, whose newest record has all of them."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from recommender.errors import ConflictError
from recommender.store.log import Log
from recommender.store.store import Store, now

_FOLDER: Final = "hidden"
_TRIES: Final = 5


@dataclass(frozen=True)
class HiddenItem:
    """An item that is hidden: why, and from when to when, ISO 8601, UTC; until None: until it is shown again."""

    itemid: str
    reason: str
    since: str
    until: str | None = None


class Hidden:
    """The hidden items of a store, whatever channel or version is served.

    Init parameters:
        store: the store.
    """

    def __init__(self, store: Store) -> None:
        self._log = Log(store.files, _FOLDER)

    def items(self, at: str | None = None) -> list[HiddenItem]:
        """Return the items that are hidden at a time, now by default, by id."""
        time = at or now()
        return [item for item in self._all().values() if item.until is None or item.until > time]

    def hide(self, itemids: Iterable[str], reason: str, until: str | None = None) -> None:
        """Hide items from now on; raise a ConflictError if others write at the same time, again and again."""
        made = {itemid: HiddenItem(itemid, reason, now(), until) for itemid in itemids}
        self._change("hide", lambda found: {**found, **made})

    def unhide(self, itemids: Iterable[str]) -> list[str]:
        """Show items again; return those that were hidden."""
        shown = set(itemids)
        before = sorted(shown & {item.itemid for item in self.items()})
        self._change("unhide", lambda found: {itemid: item for itemid, item in found.items() if itemid not in shown})
        return before

    def _all(self) -> dict[str, HiddenItem]:
        record = next((record for _, record in self._log.newest_first()), None)
        return {each["itemid"]: HiddenItem(**each) for each in (record or {}).get("items", [])}

    def _change(self, action: str, change: Any) -> None:
        for _ in range(_TRIES):
            number, token = self._log.newest_number() + 1, uuid.uuid4().hex
            items = [asdict(item) for _, item in sorted(change(self._all()).items())]
            record: Mapping[str, Any] = {"action": action, "items": items, "at": now(), "token": token}
            if self._log.append(number, record, is_ours={"token": token}):
                return
        raise ConflictError("HIDDEN_CONFLICT", "others change the hidden items at the same time; try again")
