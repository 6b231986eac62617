"""A store with small literal results, for tests that need no Spark."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recommender.store import Commit, Store, open_files


def open_store(root: Path) -> Store:
    return Store(open_files(str(root), hadoop=lambda: None))


def result(store: Store, stage: str, run: str, rows: str = "rows", **record: Any) -> Commit:
    """Commit one file with some text as the table scores of a stage."""
    attempt = store.begin(stage, run)
    name = f"{attempt.id}/scores/part-0.parquet"
    store.files.create(f"{stage}/data/{name}", rows.encode())
    facts = {"bytes": len(rows), "rows": 1, "sha256": hashlib.sha256(rows.encode()).hexdigest()}
    body: Mapping[str, Any] = {
        "files": {name: facts},
        "contents": {"scores": {"rows": 1, "checksum": facts["sha256"][:32]}},
        "tables": {},
        "upstream": {},
        **record,
    }
    return store.commit(attempt, body)


def file_of(root: Path, commit: Commit) -> Path:
    return root / commit.stage / "data" / next(iter(commit.files()))


def record_of(root: Path, commit: Commit) -> Path:
    return root / commit.stage / "commits" / f"{commit.number:020d}.json"
