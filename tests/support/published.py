"""Publish small snapshots to a channel of a store, as stage 4 does."""

from pathlib import Path
from typing import Any

from recommender.store import Channels, Commit, Publication, Store, open_files
from support.literal_snapshot import Shop


def store_at(root: Path) -> Store:
    """Return the store below a folder."""
    return Store(open_files(str(root), lambda: None))


def commit(root: Path, run: str, made: type[Shop] = Shop, **shop: Any) -> Commit:
    """Write a snapshot into an attempt of stage 4, and commit it."""
    store = store_at(root)
    attempt = store.begin("stage4", run)
    folder = root / "stage4" / "data" / attempt.id / "snapshot"
    made(**{"run": run, **shop}).write(folder)
    files = {
        f"{attempt.id}/snapshot/{path.relative_to(folder).as_posix()}": {
            "bytes": path.stat().st_size,
            "sha256": store.files.sha256(path.relative_to(root).as_posix()),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return store.commit(attempt, {"files": files})


def publish(root: Path, run: str, channel: str = "live", **shop: Any) -> Publication:
    """Commit a snapshot, and let a channel name it."""
    return Channels(store_at(root)).publish(channel, commit(root, run, **shop))


def snapshot_of(root: Path, publication: Publication) -> Path:
    """Return the folder of the snapshot that a publication names."""
    return root / "stage4" / "data" / str(publication.record["attempt"]) / "snapshot"
