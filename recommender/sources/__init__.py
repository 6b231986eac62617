"""Where events come from: files, tables and queries of the catalog, databases.

Every source gives a frame with the source's own columns and types, and says which columns there are; how they become
events is for the step that loads them.
"""

from recommender.sources.files import format_of, read_files
from recommender.sources.jdbc import Database, read_database
from recommender.sources.loaded import FILE, MALFORMED, Loaded, quoted, shown, trimmed
from recommender.sources.tables import (
    catalog_version,
    catalog_versions,
    path_version,
    read_catalog,
    read_lake,
    read_query,
)

__all__ = [
    "FILE",
    "MALFORMED",
    "Database",
    "Loaded",
    "catalog_version",
    "catalog_versions",
    "format_of",
    "path_version",
    "quoted",
    "read_catalog",
    "read_database",
    "read_files",
    "read_lake",
    "read_query",
    "shown",
    "trimmed",
]
