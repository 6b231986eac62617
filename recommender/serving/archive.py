"""Versions that are not served, to look at and to compare with: the candidate, and those that the channel named before.

Example usage:
>>> import tempfile
>>> from recommender.serving.sources import channel_of
>>> archive = Archive(channel_of(tempfile.mkdtemp(), "live"), Versions())
>>> archive.listed()
[]
>>> archive.open("7")
Traceback (most recent call last):
recommender.serving.problems.RequestError: VERSION_UNKNOWN no version 7 is kept; see /v1/versions
"""

import threading
from typing import Any

from recommender.errors import RecommenderError
from recommender.serving.follower import open_version
from recommender.serving.problems import RequestError
from recommender.serving.sources import CANDIDATE, Source
from recommender.serving.version import Version
from recommender.serving.versions import Versions
from recommender.snapshot.checks import read_manifest


class Archive:
    """Opens versions that are kept, one at a time: the last one that was asked for stays open.

    Init parameters:
        source: where versions come from. versions: of the worker; what is hidden there is hidden here too.
    """

    def __init__(self, source: Source, versions: Versions) -> None:
        self._source, self._versions = source, versions
        self._lock = threading.Lock()

    def listed(self) -> list[dict[str, Any]]:
        """Return the versions that are kept, newest first, each with the metrics that it was judged by."""
        current, _ = self._versions.both()
        found = []
        for channel, each in self._source.kept():
            manifest = read_manifest(each.folder, each.sha256)
            is_served = current is not None and channel != CANDIDATE and current.number == each.number
            told = {"run": manifest.run, "number": each.number, "created_at": manifest.created_at}
            judged = {"metrics": manifest.metrics, "gate": manifest.gate}
            found.append({"channel": channel, **told, "is_served": is_served, **judged})
        return found

    def open(self, name: str) -> Version:
        """Return a version by its number in the channel, or the candidate.

        Raises:
            RequestError: it is not kept, or damaged.
        """
        with self._lock:
            kept = self._source.kept()
            found = next((each for own, each in kept if name == (own if own == CANDIDATE else str(each.number))), None)
            if found is None:
                sentence = "no candidate is kept" if name == CANDIDATE else f"no version {name} is kept"
                raise RequestError(404, "VERSION_UNKNOWN", f"{sentence}; see /v1/versions")
            opened = self._versions.archived
            if opened is None or opened[0] != found:
                try:
                    opened = found, open_version(found)
                except RecommenderError as error:
                    raise RequestError(404, "VERSION_UNKNOWN", f"version {name} cannot be opened: {error}") from None
                self._versions.archive(*opened)
            return opened[1]
