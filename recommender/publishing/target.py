"""The interface of a place that versions are delivered to.

Example usage:
>>> version = Version(stage="stage4", commit=7, attempt="5ee8" * 8, run="monday")
>>> version.short
'5ee85ee8'
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from recommender.errors import InputError
from recommender.store import Commit

_SHORT = 8


@dataclass(frozen=True)
class Version:
    """A version to deliver: the result of an attempt of a stage, its commit's number, and the run that made it."""

    stage: str
    commit: int
    attempt: str
    run: str

    @classmethod
    def of(cls, commit: Commit) -> "Version":
        """Return the version that a commit holds."""
        return cls(commit.stage, commit.number, commit.attempt, commit.run_id)

    @property
    def short(self) -> str:
        """The beginning of the attempt's id, for names."""
        return self.attempt[:_SHORT]


def not_delivered(sentence: str) -> InputError:
    """Return the error of a version that a place does not have any more, which a sentence names."""
    return InputError("VERSION_NOT_DELIVERED", f"{sentence}; run stage4 with --force to deliver it again")


class Target(Protocol):
    """A place that versions are delivered to; each has channels of its own, which name one of its versions."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings that open the place again, as plain JSON types, without secrets."""

    def position(self, channel: str) -> int:
        """Return the number of the channel's last move there, 0 before the first."""

    def named(self, channel: str) -> str | None:
        """Return the attempt that a channel names there, "" before the first move; None in a place without channels."""

    def has(self, version: Version) -> bool:
        """Return whether a version is there, complete."""

    def held(self) -> AbstractContextManager[None]:
        """Keep other publishers of this program from moving a channel there, while the context is open."""

    def show(self, version: Version, channel: str, expected: int) -> int:
        """Let a channel name a version that is there, and return the number of this move.

        Nothing is moved where the channel names it already.

        Raises:
            ConflictError: the channel's last move is not `expected`. InputError: the version is not there.
        """

    def clean_up(self) -> None:
        """Remove the versions that nobody needs; those in use are left for another time."""

    def close(self) -> None:
        """Let go of what reaching the place takes; it is reached again when it is asked something."""
