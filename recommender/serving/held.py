"""What a process of the service holds: the versions that it has loaded, and what is known of the service as a whole."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from recommender.serving.refusals import no_previous, not_ready
from recommender.serving.shared import Shared
from recommender.serving.version import Version


@dataclass
class State:
    """What the supervisor tells all processes.

    Attributes:
        channel: that is followed, None for a folder.
        last_reload: {at, error}: of the last version that was taken over, or could not be; None before.
        failures: how many could not be. workers: how many processes answer. started: seconds since the epoch.
    """

    channel: str | None = None
    last_reload: Mapping[str, Any] | None = None
    failures: int = 0
    workers: int = 1
    started: float = field(default_factory=time.time)


class Held:
    """The versions of one process.

    Init parameters:
        shared: the memory of all processes.
    """

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.versions: dict[int, Version] = {}
        self.state = State()
        self.draining = False

    @property
    def is_ready(self) -> bool:
        """Return whether requests are to be sent here."""
        return not self.draining and self.shared.active in self.versions

    def current(self) -> Version:
        """Return the version that answers.

        Raises:
            RequestError: there is none yet.
        """
        version = self.versions.get(self.shared.active)
        if version is None:
            raise not_ready()
        return version

    def chosen(self, which: str) -> Version:
        """Return the current or the previous version.

        Raises:
            RequestError: there is no such version.
        """
        if which == "current":
            return self.current()
        version = self.versions.get(self.shared.previous)
        if version is None:
            raise no_previous()
        return version

    def status(self) -> dict[str, Any]:
        """Return what is known of the service and its version."""
        version = self.versions.get(self.shared.active)
        previous = self.versions.get(self.shared.previous)
        manifest = version.snapshot.manifest if version else None
        return {
            "ready": self.is_ready,
            "draining": self.draining,
            "version": version.shown if version else None,
            "previous": previous.shown if previous else None,
            "age_seconds": _age(manifest.created_at) if manifest else None,
            "counts": manifest.counts.model_dump() if manifest else None,
            "metrics": manifest.metrics if manifest else [],
            "gate": manifest.gate if manifest else None,
            "channel": self.state.channel,
            "last_reload": self.state.last_reload,
            "failures": self.state.failures,
            "workers": self.state.workers,
            "uptime_seconds": round(time.time() - self.state.started, 3),
        }

    def gauges(self) -> dict[str, Any]:
        """Return the part of the status that is numbers, for Prometheus."""
        status = self.status()
        return {
            "ready": status["ready"],
            "version": status["version"]["number"] if status["version"] else None,
            "version_age_seconds": status["age_seconds"],
            "failures": status["failures"],
            "workers": status["workers"],
            "uptime_seconds": status["uptime_seconds"],
        }


def _age(created_at: str) -> float | None:
    """Return the seconds since a time, None if it cannot be read."""
    try:
        created = datetime.fromisoformat(created_at)
    except ValueError:
        return None
    if created.tzinfo is None:
        created = created.replace(tzinfo=timezone.utc)
    return round(time.time() - created.timestamp(), 3)
