"""Tell others what becomes of a run: MLflow, and who reads OpenLineage events.

A job opens `tracked` around its stages; promote and rollback call `move_alias`. Nothing of this fails a run: the first
failure of a listener is shown as a warning, and ends its tracking of this run. Nothing here needs Spark.
"""

from recommender.tracking.listeners import Tracked, Work, tracked
from recommender.tracking.model_versions import move_alias
from recommender.tracking.settings import Tracking

__all__ = ["Tracked", "Tracking", "Work", "move_alias", "tracked"]
