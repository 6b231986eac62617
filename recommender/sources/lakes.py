"""Find out whether files are those of a table format, whose log says which of them count."""

import re
from collections.abc import Iterator
from pathlib import Path

from pyspark.sql import SparkSession

from recommender.errors import InputError

# What lies in the folder of a table -> what it is called, and what reads it.
_SIGNS = {
    "_delta_log": ("a Delta table", "set data_loader.file_format to delta, and event_filename to {folder}"),
    "metadata": ("an Iceberg table", "set data_loader.file_format to iceberg, and event_filename to {folder}"),
    ".hoodie": ("a Hudi table", "read it with data_loader.table or data_loader.query"),
}
_LEVELS = 6  # folders above the files that are looked at


def check_plain(spark: SparkSession, path: str) -> None:
    """Refuse files of a table format: some of them are not part of the table any more.

    Raises:
        InputError: the log of a table lies in the folder, or in one above it (SOURCE_FORMAT).
    """
    for folder in _folders(path):
        for file in _of_tables(spark, folder):
            sign = next((name for name in _SIGNS if f"/{name}/" in file), "metadata")
            if sign != "metadata" or file.endswith(".metadata.json"):
                kind, hint = _SIGNS[sign]
                fault = f"{path} is of {kind}, whose files hold deleted rows too"
                raise InputError("SOURCE_FORMAT", fault, hint.format(folder=folder))


def _folders(path: str) -> Iterator[str]:
    """Return a folder and those above it, without the root, and without patterns.

    >>> list(_folders("s3://lake/log/day=*/a.parquet"))
    ['s3://lake/log']
    """
    scheme, _, rest = path.rpartition("://") if "://" in path else ("", "", path)
    parts = rest.rstrip("/").split("/")
    fixed = next((place for place, part in enumerate(parts) if re.search(r"[*?\[{]", part)), len(parts))
    least = 2 if rest.startswith("/") else 1 + bool(scheme)
    for end in range(fixed, max(least - 1, fixed - _LEVELS), -1):
        yield (f"{scheme}://" if scheme else "") + "/".join(parts[:end])


def _of_tables(spark: SparkSession, folder: str) -> list[str]:
    """Return the files below what a folder of a table has; listing them runs no job."""
    local = Path(re.sub("^file:/*", "/", folder))
    if local.exists():
        return [str(file) for name in _SIGNS for file in (local / name).glob("*")]
    names = "{" + ",".join(_SIGNS) + "}"
    escaped = re.sub(r"([\\\[\]{}*?])", r"\\\1", folder)
    try:
        reader = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
        return reader.load(f"{escaped}/{names}").inputFiles()
    except Exception:  # noqa: BLE001 - there is none, or it cannot be listed: the events are read, or say why not
        return []
