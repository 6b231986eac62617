"""Where the stages keep their results: attempts that become visible by a commit, and channels that name one.

    <root>/<stage>/data/<attempt>/<table>/part-*     written once, never changed
    <root>/<stage>/commits/<number>.json             what makes an attempt visible
    <root>/channels/<channel>/<number>.json          which attempt a channel names

Example usage:
>>> import pathlib, tempfile
>>> store = Store(tempfile.mkdtemp())
>>> attempt = store.begin("stage1", "monday")
>>> _ = pathlib.Path(attempt.path, "scores").write_text("rows")
>>> store.latest("stage1") is None
True
>>> commit = store.commit(attempt, {"rows": 1})
>>> store.latest("stage1").path == attempt.path, commit.number
(True, 1)
"""

from recommender.store.run_id import new_run_id, run_id_mistake
from recommender.store.store import Attempt, Commit, Store

__all__ = ["Attempt", "Commit", "Store", "new_run_id", "run_id_mistake"]
