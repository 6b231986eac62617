"""A folder of numbered records, each written once: the only thing in the store that two writers compete for."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from recommender.errors import ArtifactError, StorageError
from recommender.store.files import Files
from recommender.store.sealed import seal, unseal

FORMAT: Final = 1  # of the records that this program writes and reads; those without one are as old as the first

_DIGITS = 20
_NAME = re.compile(rf"[0-9]{{{_DIGITS}}}\.json")


@dataclass(frozen=True)
class Log:
    """Records 1, 2, 3, ... in a folder, which is made with the first record."""

    files: Files
    folder: str

    def numbers(self) -> list[int]:
        """Return the numbers of the records, ascending; deleted ones are missing."""
        return [int(name[:_DIGITS]) for name in self.files.names(self.folder) if _NAME.fullmatch(name)]

    def newest_number(self) -> int:
        """Return the highest number, 0 if there is none."""
        return max(self.numbers(), default=0)

    def newest_first(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Return numbers and records, newest first."""
        for number in reversed(self.numbers()):
            record = self.record(number)
            if record is not None:
                yield number, record

    def record(self, number: int) -> dict[str, Any] | None:
        """Return one record, or None; raise an ArtifactError if it is damaged, or has the format of another version."""
        try:
            record = unseal(self.files.read(self._path(number)), self.url(number))
        except FileNotFoundError:
            return None
        version = record.pop("format", FORMAT)
        if version != FORMAT:
            sentence = f"{self.url(number)} has format {version}, and this program reads {FORMAT}"
            raise ArtifactError("FORMAT_UNKNOWN", f"{sentence}: use the version that has written it, or a newer one")
        return record

    def url(self, number: int) -> str:
        """Return where a record is."""
        return self.files.url(self._path(number))

    def append(self, number: int, record: Mapping[str, Any], is_ours: Mapping[str, Any]) -> bool:
        """Write a record under a number that must be free.

        If the outcome is unknown (the connection broke after the store had done it), the record that is there decides.

        Args:
            is_ours: what a record has that this writer has written.

        Returns:
            Whether the record is there now; False if somebody else's is.
        """
        try:
            created = self.files.create(self._path(number), seal({"format": FORMAT, **record}))
        except StorageError:
            if not self._has(number, is_ours):
                raise
            return True
        return created or self._has(number, is_ours)

    def delete(self, number: int) -> None:
        """Delete a record."""
        self.files.delete(self._path(number))

    def _has(self, number: int, wanted: Mapping[str, Any]) -> bool:
        found = self.record(number) or {}
        return all(found.get(key) == value for key, value in wanted.items())

    def _path(self, number: int) -> str:
        return f"{self.folder}/{number:0{_DIGITS}d}.json"
