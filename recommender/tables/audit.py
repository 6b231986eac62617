"""Read back the written tables, and compare them with the rows that were written.

The contents of all tables are read back by one query, of which the driver gets a row per file. Files are hashed by the
driver where there are few bytes, and by Spark where there are many.

The checksum of a table depends on its rows alone, not on their order or on how they are cut into files, so that it is
the same on any cluster.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession, functions as F
from pyspark.sql.types import StructType

from recommender.errors import StorageError
from recommender.store import Commit, Store, damaged
from recommender.tables.parquet import read_table

# A larger file is compared by its size and by the checksums inside Parquet: one task would have to hold it.
_LARGEST_HASHED = 512 * 2**20
_HASHED_HERE = 64 * 2**20  # bytes; the driver reads them sooner than Spark would start a task for each file
_THREADS = 4
_LOW_BITS = 0xFFFFFF


@dataclass(frozen=True)
class Written:
    """The written files and tables: {path: {bytes, sha256, rows}}, and {table: {rows, checksum}}."""

    files: dict[str, dict[str, Any]]
    tables: dict[str, dict[str, Any]]


def audit(store: Store, stage: str, folder: str, schemas: Mapping[str, StructType], part: str = "") -> Written:
    """Read everything in a new folder back.

    Args:
        folder: path of the folder below the stage's data folder: an attempt.
        schemas: table -> schema; a table's files lie in the folder of its name.
        part: name of a folder in that, if just this is to be read.

    Returns:
        Paths below the stage's data folder, and the tables of `schemas`.
    """
    sizes = {
        f"{folder}/{file.path}": file.size
        for file in store.files.walk(f"{stage}/data/{folder}")
        if not any(name.startswith(("_", ".")) for name in file.path.split("/"))
        and (not part or f"/{part}/" in file.path)
    }
    hashes = _hashes(store, stage, sizes)
    files: dict[str, dict[str, Any]] = {
        path: {"bytes": size, "sha256": hashes.get(path)} for path, size in sorted(sizes.items())
    }
    tables: dict[str, dict[str, Any]] = {name: {"rows": 0, "checksum": "0" * 32} for name in schemas}
    counted = [
        _contents(name, [store.files.url(f"{stage}/data/{path}") for path in _of_table(sizes, folder, name)], schema)
        for name, schema in schemas.items()
        if _of_table(sizes, folder, name)
    ]
    for row in reduce(DataFrame.unionAll, counted).collect() if counted else ():
        files[_below(row["path"], stage)]["rows"] = row["rows"]
        table = tables[row["table"]]
        table["rows"] += row["rows"]
        table["checksum"] = added(table["checksum"], f"{row['mixed'] & 2**64 - 1:016x}{row['summed']:016x}")
    return Written(files, tables)


def added(one: str, other: str) -> str:
    """Return the checksum of the rows of two tables together.

    >>> added(added("0" * 32, "00000000000000f00000000000000001"), "000000000000000f0000000000000002")
    '00000000000000ff0000000000000003'
    """
    mixed = int(one[:16], 16) ^ int(other[:16], 16)
    return f"{mixed:016x}{int(one[16:], 16) + int(other[16:], 16):016x}"


def check_rows(tables: Mapping[str, Mapping[str, Any]], counted: Mapping[str, int]) -> None:
    """Raise a StorageError if not as many rows can be read back as were counted while they were written."""
    for name, table in tables.items():
        if name in counted and counted[name] != table["rows"]:
            sentence = f"of {counted[name]:,} rows of {name} that were written, {table['rows']:,} can be read back"
            raise StorageError("AUDIT_ROWS", f"{sentence}; look at the storage, and start the run again")


def check_contents(store: Store, commit: Commit, tables: Iterable[str]) -> None:
    """Raise an ArtifactError if a file of a commit's tables is missing, or has another size or hash than recorded."""
    listed = commit.files(*tables)
    store.check(commit, list(tables))
    hashes = _hashes(store, commit.stage, {path: facts["bytes"] for path, facts in listed.items() if facts["sha256"]})
    for path, found in hashes.items():
        if found != listed[path]["sha256"]:
            raise damaged(f"{store.files.url(f'{commit.stage}/data/{path}')} does not match its hash")


def _hashes(store: Store, stage: str, sizes: Mapping[str, int]) -> dict[str, str]:
    """Return the hash of every file that is not too large."""
    paths = [path for path, size in sizes.items() if size <= _LARGEST_HASHED]
    if sum(sizes[path] for path in paths) <= _HASHED_HERE:
        with ThreadPoolExecutor(_THREADS) as pool:
            return dict(zip(paths, pool.map(lambda path: _hash(store, f"{stage}/data/{path}"), paths), strict=True))
    urls = [store.files.url(f"{stage}/data/{path}") for path in paths]
    files = SparkSession.active().read.format("binaryFile").load(urls)
    hashed = files.select("path", F.sha2("content", 256).alias("sha256"))
    return {_below(row["path"], stage): row["sha256"] for row in hashed.collect()}


def _hash(store: Store, path: str) -> str:
    try:
        return store.files.sha256(path)
    except FileNotFoundError:
        raise damaged(f"missing {path.rpartition('/')[2]}: {store.files.url(path)} is gone") from None


def _contents(table: str, urls: list[str], schema: StructType) -> DataFrame:
    """Return a row per file: its rows, and two numbers made from the hashes of its rows, whatever their order."""
    rows = read_table(urls, schema)
    hashed = rows.select(F.col("_metadata.file_path").alias("path"), _row_hash(rows).alias("hash"))
    return hashed.groupBy("path").agg(
        F.lit(table).alias("table"),
        F.count(F.lit(1)).alias("rows"),
        F.bit_xor("hash").alias("mixed"),
        F.sum(F.col("hash").bitwiseAND(F.lit(_LOW_BITS))).alias("summed"),
    )


def _row_hash(rows: DataFrame) -> Column:
    """Return a hash of each row; Spark's own skips a null, whichever column has it."""
    return F.xxhash64(*rows.columns, *(F.isnull(name) for name in rows.columns))


def _of_table(paths: Iterable[str], folder: str, table: str) -> list[str]:
    return [path for path in paths if path.startswith(f"{folder}/{table}/") and path.endswith(".parquet")]


def _below(url: str, stage: str) -> str:
    """Return the path below the stage's data folder."""
    return url.rpartition(f"/{stage}/data/")[2]
