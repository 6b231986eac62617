"""The settings of tracking.

Example usage:
>>> Tracking(openlineage="lineage.jsonl").is_wanted, Tracking().is_wanted
(True, False)
"""

from recommender.settings.step import Annotated, Field, step

_Name = Annotated[str, Field(min_length=1)]


@step
class Tracking:
    """Track runs in MLflow, and send OpenLineage events.

    Init parameters:
        mlflow: URI of the MLflow server, or of its database; null: nothing is logged there.
        experiment: name of the experiment in MLflow.
        model: name of the registered model; each version of it is a result that was published.
        openlineage: file that events are appended to, or URL that they are sent to; null: there are no events.
        namespace: that of the jobs in the events.
    """

    mlflow: _Name | None = None
    experiment: _Name = "recommender"
    model: _Name = "recommender"
    openlineage: _Name | None = None
    namespace: _Name = "recommender"

    @property
    def is_wanted(self) -> bool:
        """Whether runs are logged anywhere."""
        return bool(self.mlflow or self.openlineage)
