"""How long the parts of a piece of work take.

Example usage:
>>> timed = Timed(print)
>>> timed("reading")
reading
>>> list(timed.seconds())
['reading']
"""

import time
from collections.abc import Callable


class Timed:
    """A function that announces parts, and notes for how long each was the last one announced.

    Init parameters:
        announce: is called with the name of each part.
    """

    def __init__(self, announce: Callable[[str], None]) -> None:
        self._announce = announce
        self._seconds: dict[str, float] = {}
        self._part = ""
        self._since = time.monotonic()

    def __call__(self, part: str) -> None:
        """Announce the next part."""
        self._end()
        self._part = part
        self._announce(part)

    def seconds(self) -> dict[str, float]:
        """Return name -> seconds so far; a part that came several times has their sum."""
        self._end()
        return dict(self._seconds)

    def _end(self) -> None:
        now = time.monotonic()
        if self._part:
            self._seconds[self._part] = self._seconds.get(self._part, 0.0) + now - self._since
        self._since = now
