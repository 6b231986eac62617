"""Publish what stage 4 has committed: Spark's side of it; see ``recommender.publishing.publication``."""

from collections.abc import Callable
from contextlib import nullcontext

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from recommender.publishing.publication import publish
from recommender.stage4.main import Stage4
from recommender.store import Commit, Publication, Store
from recommender.tables.audit import check_contents
from recommender.tables.parquet import read_table
from recommender.terminal.progress import progress

_TABLE = "recommendations"


def expose(store: Store, stage: Stage4, commit: Commit, start: Callable[[], SparkSession]) -> Publication | None:
    """Deliver a commit wherever stage 4 is configured to, and let its channel name it; see `publish`.

    Args:
        store: the store.
        stage: as it is configured now.
        commit: of stage 4.
        start: returns the session; called where a place does not have the version.
    """
    schema = StructType.fromJson(commit.record["tables"][_TABLE])

    def rows() -> DataFrame:
        start()
        check_contents(store, commit, [_TABLE])
        return read_table(store.urls(commit, _TABLE), schema)

    types = {field.name: field.dataType.simpleString() for field in schema}
    places = stage.deliveries(rows, types)
    with progress("publishing") if places else nullcontext(str) as announce:
        return publish(store, stage.steps["publish"].channel, commit, places, announce)
