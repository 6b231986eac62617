"""The facts about a file that are known without opening it."""

from dataclasses import dataclass
from typing import Final

TEMPORARY: Final = ".temporary-"  # what the name of a file begins with that is not finished


@dataclass(frozen=True)
class FileInfo:
    """A file: its path below the folder that was walked, its bytes, and when it changed (seconds since epoch)."""

    path: str
    size: int
    modified: float
