"""ALSWrap.predict of the library RePlay, with the items of the history excluded."""

from pathlib import Path

from measuring import contend
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import SparkSession
from replay.data import Dataset, FeatureHint, FeatureInfo, FeatureSchema, FeatureType
from replay.models import ALSWrap
from replay.utils.session_handler import State

SCHEMA = FeatureSchema(
    [
        FeatureInfo("visitor_index", FeatureType.CATEGORICAL, FeatureHint.QUERY_ID),
        FeatureInfo("item_index", FeatureType.CATEGORICAL, FeatureHint.ITEM_ID),
        FeatureInfo("rating", FeatureType.NUMERICAL, FeatureHint.RATING),
    ]
)


class Fitted(ALSWrap):
    """Takes the model that is there instead of fitting one."""

    def __init__(self, model: ALSModel) -> None:
        super().__init__(rank=model.rank)
        self.model = model

    def _fit(self, dataset: Dataset) -> None:  # noqa: ARG002
        """Cache the factors, as ALSWrap does after its fit."""
        for factors in (self.model.itemFactors, self.model.userFactors):
            factors.cache().count()


def session() -> SparkSession:
    """Return a session that RePlay knows."""
    return State(SparkSession.builder.getOrCreate()).session


def rank(spark: SparkSession, folder: Path, k: int) -> None:
    """Rank everybody."""
    interactions = spark.read.parquet(str(folder / "history")).selectExpr("visitor_index", "item_index", "1D rating")
    dataset = Dataset(SCHEMA, interactions, categorical_encoded=False, check_consistency=False)
    model = Fitted(ALSModel.load(str(folder / "model")))
    model.fit(dataset)
    model.predict(dataset, k, filter_seen_items=True).write.format("noop").mode("overwrite").save()


if __name__ == "__main__":
    contend(session, rank)
