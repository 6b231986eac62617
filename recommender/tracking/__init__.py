"""Log runs in MLflow, and send OpenLineage events.

A job opens `tracked` around its stages; promote and rollback call `move_alias`. None of this can fail a run: the first
failure of a listener is shown as a warning, and ends its tracking of this run. docs/tracking.md describes what is sent.
"""

from recommender.tracking.listeners import Tracked, Work, tracked
from recommender.tracking.model_versions import move_alias
from recommender.tracking.settings import Tracking

__all__ = ["Tracked", "Tracking", "Work", "move_alias", "tracked"]
