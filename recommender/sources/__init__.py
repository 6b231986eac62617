"""Where events come from: files, tables and queries of the catalog, databases.

Every source gives a frame with the source's own columns and types, and says which columns there are; how they become
events is for the step that loads them.
"""

from recommender.sources.chosen import condition_of, is_empty, of_partitions, where
from recommender.sources.csv_head import Layout, has_values
from recommender.sources.files import format_of, format_within, read_files, read_list, shortened
from recommender.sources.jdbc import Database, is_url, read_database
from recommender.sources.loaded import EMPTY, FILE, HEAD, MALFORMED, Loaded, quoted, shown, trimmed
from recommender.sources.moments import Clock
from recommender.sources.nested import exploded, reached
from recommender.sources.options import unknown_option
from recommender.sources.tables import (
    catalog_version,
    catalog_versions,
    path_version,
    read_catalog,
    read_lake,
    read_query,
)
from recommender.sources.values import ROUNDED, Ids, weight

__all__ = [
    "EMPTY",
    "FILE",
    "HEAD",
    "MALFORMED",
    "ROUNDED",
    "Clock",
    "Database",
    "Ids",
    "Layout",
    "Loaded",
    "catalog_version",
    "catalog_versions",
    "condition_of",
    "exploded",
    "format_of",
    "format_within",
    "has_values",
    "is_empty",
    "is_url",
    "of_partitions",
    "path_version",
    "quoted",
    "reached",
    "read_catalog",
    "read_database",
    "read_files",
    "read_lake",
    "read_list",
    "read_query",
    "shortened",
    "shown",
    "trimmed",
    "unknown_option",
    "weight",
    "where",
]
