"""All that a report of a run is made of: the records of its stages, of what these were made from, and of channels.

Example usage:
>>> import tempfile
>>> from recommender.store import open_files
>>> store = Store(open_files(tempfile.mkdtemp(), hadoop=lambda: None))
>>> one = store.commit(store.begin("stage1", "monday"), {"files": {}})
>>> two = store.commit(store.begin("stage2", "tuesday"), {"files": {}, "upstream": {"stage1": 1}})
>>> facts = facts_of(store, "tuesday", {"stage2": two})
>>> sorted(facts.commits), facts.record("stage1")["run"], facts.record("stage4")
(['stage1', 'stage2'], 'monday', {})
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from recommender.errors import RecommenderError
from recommender.publishing.comparison import release_of
from recommender.publishing.gate import judged_model
from recommender.store import Channels, Commit, Publication, Store

ORDER: Final = ("stage1", "stage2", "stage3", "stage4")
NAMES: Final = {"stage1": "prepare", "stage2": "train", "stage3": "predict", "stage4": "expose"}
_LARGEST: Final = 4 * 2**20  # bytes of a file with segments: it has a few rows


@dataclass(frozen=True)
class Facts:
    """The records of a run.

    Attributes:
        run: its id.
        commits: stage -> the commit that this run made, or that its later stages were made from.
        failures: notes of attempts that failed, in stages that the run has not committed since.
        published: records of channels that name its result, newest first.
        channels: names of the channels that name it now.
        release: what changes from the version that was live; None if nothing was compared.
        segments: rows of the metrics by segment.
        shown_with: all runs that are on the page, if there are several: their pictures share their axes.
    """

    run: str
    commits: Mapping[str, Commit]
    failures: Sequence[Mapping[str, Any]] = ()
    published: Sequence[Publication] = ()
    channels: Sequence[str] = ()
    release: Mapping[str, Any] | None = None
    segments: Sequence[Mapping[str, Any]] = ()
    shown_with: Sequence["Facts"] = ()

    def record(self, stage: str) -> Mapping[str, Any]:
        """Return the record of a stage; empty if there is none."""
        return self.commits[stage].record if stage in self.commits else {}

    @property
    def on_page(self) -> Sequence["Facts"]:
        """All runs on the page, this one included."""
        return self.shown_with or (self,)

    @property
    def gate(self) -> Mapping[str, Any]:
        """The verdict of the gate; empty if it was not asked."""
        return self.record("stage2").get("gate") or {}

    @property
    def model(self) -> str:
        """The model that the run is about: the one that the gate has chosen."""
        return judged_model(self.record("stage2"))

    @property
    def metrics(self) -> Sequence[Mapping[str, Any]]:
        """The rows of the metrics, of all models."""
        return self.record("stage2").get("metrics") or ()

    @property
    def looked_at(self) -> tuple[str, int]:
        """The metric and the cut-off that the gate compares; else the first of the measured ones."""
        name, _, k = str(self.gate.get("metric") or "").partition("@")
        if k.isdecimal() and any((row["metric"], row["k"]) == (name, int(k)) for row in self.metrics):
            return name, int(k)
        rows = sorted(self.metrics, key=lambda row: (row["metric"] != "ndcg", abs(row["k"] - 10)))
        return (rows[0]["metric"], rows[0]["k"]) if rows else ("ndcg", 10)


def facts_of(
    store: Store, run: str, commits: Mapping[str, Commit], failures: Sequence[Mapping[str, Any]] = ()
) -> Facts:
    """Return the facts of a run.

    Args:
        run: the run's id.
        commits: stage -> commit that the run has made.
        failures: notes of its attempts that failed.
    """
    known = _with_upstream(store, commits)
    exposed = known.get("stage4")
    published = _published(store, exposed) if exposed else []
    return Facts(
        run=run,
        commits=known,
        failures=[note for note in failures if note.get("stage") not in commits],
        published=published,
        channels=sorted({each.channel for each in published if _is_current(store, each)}),
        release=release_of(store, exposed) if exposed else None,
        segments=_segments(store, known.get("stage2")),
    )


def _with_upstream(store: Store, commits: Mapping[str, Commit]) -> dict[str, Commit]:
    """Return commits with those that they were made from, the later stages first."""
    found = dict(commits)
    for stage in sorted(commits, reverse=True):
        for name, number in commits[stage].record.get("upstream", {}).items():
            made_from = None if name in found else store.commit_number(name, number)
            if made_from is not None:
                found[name] = made_from
    return dict(sorted(found.items()))


def _published(store: Store, commit: Commit) -> list[Publication]:
    """Return the records that name a commit; a channel's older ones, which cannot, are not read."""
    channels, committed_at = Channels(store), str(commit.record.get("committed_at", ""))
    found: list[Publication] = []
    for channel in channels.names():
        since = takewhile(lambda each: str(each.record["at"]) >= committed_at, channels.history(channel))
        found += [publication for publication in since if publication.record["attempt"] == commit.attempt]
    return sorted(found, key=lambda publication: str(publication.record["at"]), reverse=True)


def _is_current(store: Store, publication: Publication) -> bool:
    current = Channels(store).current(publication.channel)
    return current is not None and current.record["attempt"] == publication.record["attempt"]


def _segments(store: Store, commit: Commit | None) -> list[dict[str, Any]]:
    """Return the metrics by segment from the files that stage 2 has written; none if they cannot be read."""
    rows: list[dict[str, Any]] = []
    for path, facts in commit.files("segment_metrics").items() if commit else ():
        if not path.endswith(".parquet") or facts["bytes"] > _LARGEST:
            continue
        try:
            content = store.files.read(f"stage2/data/{path}")
            rows += pq.read_table(io.BytesIO(content)).to_pylist()
        except (OSError, RecommenderError, pa.ArrowException):
            return []
    return rows
