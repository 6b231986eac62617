"""What all processes of the service see at once: which version is active, and the counters.

It is one piece of memory that the first process makes before it starts the others. Whoever answers a request reads the
number of the active version there, so that a takeover is one store into memory and the same moment for all.

Example usage:
>>> shared = Shared(workers=2, values=3)
>>> shared.active, shared.previous
(0, 0)
>>> shared.active = 7
>>> row = shared.row(1)
>>> row[2] += 1
>>> shared.sums()
[0.0, 0.0, 1.0]
"""

import ctypes
import mmap
from typing import Final

_HEAD: Final = 64  # bytes; a cache line of its own
_WIDTH: Final = 8


class Shared:
    """Numbers in memory that processes share.

    Init parameters:
        workers: how many processes count. values: how many numbers each of them counts.
    """

    def __init__(self, workers: int, values: int) -> None:
        self._workers, self._values = workers, values
        self._memory = mmap.mmap(-1, _HEAD + _WIDTH * workers * values)
        self._active = ctypes.c_int64.from_buffer(self._memory, 0)
        self._previous = ctypes.c_int64.from_buffer(self._memory, _WIDTH)
        self._counted = memoryview(self._memory)[_HEAD:].cast("d")

    @property
    def active(self) -> int:
        """Return the number of the version that answers; 0: none."""
        return self._active.value

    @active.setter
    def active(self, number: int) -> None:
        self._active.value = number

    @property
    def previous(self) -> int:
        """Return the number of the version that answered before; 0: none."""
        return self._previous.value

    @previous.setter
    def previous(self, number: int) -> None:
        self._previous.value = number

    def row(self, worker: int) -> "memoryview[float]":
        """Return the numbers that a worker counts; nobody else writes there."""
        return self._counted[worker * self._values : (worker + 1) * self._values]

    def sums(self) -> list[float]:
        """Return the numbers of all workers, added."""
        return [sum(self._counted[place :: self._values]) for place in range(self._values)]
