"""The steps of stage 4: publish the lists, wherever they are wanted, and show them."""

from recommender.stage4.steps.catalog_table import CatalogTable
from recommender.stage4.steps.csv_files import CsvFiles
from recommender.stage4.steps.parquet_files import ParquetFiles
from recommender.stage4.steps.postgres_view import PostgresView
from recommender.stage4.steps.publisher import Publisher
from recommender.stage4.steps.release_diff import ReleaseDiff
from recommender.stage4.steps.run_report import RunReport
from recommender.stage4.steps.serving_snapshot import ServingSnapshot

__all__ = [
    "CatalogTable",
    "CsvFiles",
    "ParquetFiles",
    "PostgresView",
    "Publisher",
    "ReleaseDiff",
    "RunReport",
    "ServingSnapshot",
]
