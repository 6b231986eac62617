"""Where the stages keep their results: attempts that become visible by a commit, and channels that name one.

    <root>/<stage>/data/<attempt>/<table>/part-*     written once, never changed
    <root>/<stage>/commits/<number>.json             what makes an attempt visible
    <root>/<stage>/shards/<fingerprint>/<number>.json   finished parts of a stage that is not finished
    <root>/<stage>/trials/<fingerprint>/<number>.json   trials of a search that have ended
    <root>/channels/<channel>/<number>.json          which commit a channel names
    <root>/hidden/<number>.json                      which items are hidden

Example usage:
>>> import pathlib, tempfile
>>> store = Store(open_files(tempfile.mkdtemp(), hadoop=lambda: None))
>>> attempt = store.begin("stage1", "monday")
>>> _ = store.files.create(f"stage1/data/{attempt.id}/scores/part-0.parquet", b"rows")
>>> store.latest("stage1") is None
True
>>> commit = store.commit(attempt, {"files": {f"{attempt.id}/scores/part-0.parquet": {"bytes": 4}}})
>>> store.latest("stage1").attempt == attempt.id, commit.number
(True, 1)
>>> store.check(commit)
"""

from recommender.store.channels import Channels, Publication
from recommender.store.clean_up import Removal, clean_up, removals
from recommender.store.file_info import FileInfo
from recommender.store.files import Files, last_change, open_files
from recommender.store.hadoop import Hadoop
from recommender.store.hidden import Hidden, HiddenItem
from recommender.store.log import Log
from recommender.store.sealed import digest, seal, unseal
from recommender.store.shards import Shards, Trials
from recommender.store.store import (
    ATTEMPT_FILE,
    FAILED_FILE,
    Attempt,
    Commit,
    Store,
    damaged,
    new_run_id,
    now,
    run_id_mistake,
)
from recommender.store.verification import Damage, verify

__all__ = [
    "ATTEMPT_FILE",
    "FAILED_FILE",
    "Attempt",
    "Channels",
    "Commit",
    "Damage",
    "FileInfo",
    "Files",
    "Hadoop",
    "Hidden",
    "HiddenItem",
    "Log",
    "Publication",
    "Removal",
    "Shards",
    "Store",
    "Trials",
    "clean_up",
    "damaged",
    "digest",
    "last_change",
    "new_run_id",
    "now",
    "open_files",
    "removals",
    "run_id_mistake",
    "seal",
    "unseal",
    "verify",
]
