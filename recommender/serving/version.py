"""A version that can be served: a snapshot, who it is, and what ranks its items."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np

from recommender.constants import SEEN
from recommender.errors import ArtifactError
from recommender.serving.engine import Engine
from recommender.serving.filters import Filters
from recommender.serving.scorer import Feedback
from recommender.snapshot.checks import corrupt
from recommender.snapshot.manifest import Manifest
from recommender.snapshot.read import Did, Snapshot

_WARM_UPS: Final = 3
CUSTOMARY: Final = 10


class Version:
    """What answers are made of.

    Init parameters:
        snapshot: its data.
        number: of the channel's record, 0 for a folder.
    """

    def __init__(self, snapshot: Snapshot, number: int = 0) -> None:
        manifest = snapshot.manifest
        self.snapshot = snapshot
        # What every answer says of its version.
        self.shown: dict[str, Any] = {"run": manifest.run, "number": number, "created_at": manifest.created_at}
        self.number = number
        self.header = str(number)
        self.engine = Engine(snapshot)
        self.customary = min(CUSTOMARY, manifest.k)  # items of a list, where nobody says how many
        self.weights = manifest.score_map
        self.sources = manifest.sources
        self.events = manifest.events
        self._barred = np.array([self.bars(kind) for kind in manifest.events], dtype=np.bool_)
        self.filters = Filters(snapshot.items.attributes, self.engine.scorer.order)
        self.hidden = np.array([], dtype=np.int64)  # indexes of items that nobody gets

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, number: int = 0) -> "Version":
        """Return the version in a folder, warm and asked its golden questions.

        Raises:
            ArtifactError: it cannot be served, or answers wrongly.
        """
        version = cls(Snapshot.open(folder, manifest), number)
        version.warm_up()
        version.ask()
        return version

    def hide(self, itemids: Iterable[str]) -> None:
        """Let no list have these items, and no others, from now on; ids that are not in the version are ignored."""
        found = (self.snapshot.items.find(itemid) for itemid in itemids)
        self.hidden = np.array(sorted(index for index in found if index is not None), dtype=np.int64)

    def bars(self, kind: str) -> bool:
        """Return whether an event of this kind keeps its item out of the visitor's lists."""
        kinds = self.snapshot.manifest.exclude_events
        return kinds == SEEN or kind in kinds

    @property
    def default_event(self) -> str:
        """Return the kind of an event that does not say it: a view, or what weighs least."""
        positive = {kind: weight for kind, weight in self.weights.items() if weight > 0}
        return (
            "view" if "view" in self.weights or not positive else min(positive, key=lambda kind: (positive[kind], kind))
        )

    def feedback(self, did: Did) -> Feedback:
        """Return what a stored history says of its visitor."""
        return self.engine.feedback(did.item, did.score, did.item[self._barred[did.event]])

    def warm_up(self) -> None:
        """Look at all pages, and rank for a visitor a few times."""
        self.snapshot.touch()
        _ = self.filters.choices  # counted once
        items = np.flatnonzero(self.engine.scorer.known)[:_WARM_UPS]
        for item in items:
            feedback = self.engine.feedback(item[None], np.ones(1), item[None])
            self.engine.best(self.engine.scorer.taste(feedback), self.snapshot.manifest.k, feedback.excluded)

    def ask(self) -> None:
        """Ask the golden questions.

        Raises:
            ArtifactError: an answer is not the one that the manifest gives.
        """
        snapshot = self.snapshot
        for question in snapshot.manifest.golden:
            place = snapshot.visitors.find(str(question.visitorid))
            if place is None:
                raise _wrong(snapshot.manifest.run, "does not know a visitor that it must know")
            published = snapshot.visitors.published(place)
            if [snapshot.items.ids.text(item) for item in published.item] != [str(item) for item in question.item]:
                raise _wrong(snapshot.manifest.run, "recommends other items than it must")
            feedback = self.feedback(snapshot.visitors.history(place))
            ranked = self.engine.best(self.engine.scorer.taste(feedback), snapshot.manifest.k, feedback.excluded)
            if not np.isfinite(ranked.score).all() or np.isin(ranked.item, feedback.excluded).any():
                raise _wrong(snapshot.manifest.run, "ranks what it must not")


def _wrong(run: str, what: str) -> ArtifactError:
    error = corrupt(f"the version of run {run} {what}: a golden question was answered wrongly")
    return ArtifactError("GOLDEN_QUESTION", error.sentence)
