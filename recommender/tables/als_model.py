"""Load a model that MLlib has saved, once its class and its files have been checked.

``ALSModel.load`` alone takes what it finds: with a file of factors missing it loads the other items without a word.
"""

import json
import posixpath
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from pyspark.errors import PySparkException
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import SparkSession, functions as F
from pyspark.sql.types import ArrayType, FloatType, IntegerType, StructField, StructType

from recommender.errors import ArtifactError, InputError, RecommenderError
from recommender.spark.aggregates import single_row
from recommender.spark.errors import explained
from recommender.spark.java import Py4JJavaError
from recommender.spark.session import hadoop
from recommender.store import Commit, Store, damaged, open_files
from recommender.tables.audit import check_contents
from recommender.tables.parquet import read_table

MODEL_CLASS: Final = "org.apache.spark.ml.recommendation.ALSModel"
FACTORS: Final = ("userFactors", "itemFactors")

_SCHEMA = StructType([StructField("id", IntegerType()), StructField("features", ArrayType(FloatType()))])
_IN_A_STORE = re.compile(r"(?P<root>.*)/(?P<stage>[^/]+)/data/(?P<attempt>[0-9a-f]{32})/model/?")
_SHOWN = 100  # characters of a class's name in an error


def load_model(path: str) -> ALSModel:
    """Return a saved model, in the active session.

    Before it is loaded: its metadata name MLlib's ALSModel, every file of factors can be read to its end, each row has
    as many factors as the metadata say, and no id is there twice. Of a model in a store, all files are compared with
    the record of its commit (names, sizes, hashes, rows). A folder elsewhere has no record: whether a file of it is
    missing altogether cannot be noticed.

    Args:
        path: the folder ``model``, or as it was named where it was saved; any path or URI that Spark reads.

    Raises:
        ArtifactError: the metadata name another class (MODEL_CLASS), of which nothing is looked up; or a file is
            missing, damaged, or does not fit the others, or nobody has committed the model (ARTIFACT_CORRUPT).
    """
    expected = _committed(path)
    rank = rank_of(_metadata(path), f"{path}/metadata")
    for name in FACTORS:
        _check_factors(path, name, rank, expected.get(f"model/{name}"))
    return ALSModel.load(path)


def check_model(store: Store, commit: Commit) -> None:
    """Look at the metadata of a commit's model, without Spark, before its factors are read."""
    content = b""
    files = {
        path: facts
        for path, facts in commit.files("model/metadata").items()
        if posixpath.basename(path).startswith("part-")
    }
    if not files:
        raise damaged(f"commit {commit.number} of {commit.stage} lists no metadata of its model")
    altered = ""
    for path, facts in sorted(files.items()):
        place = store.files.url(f"{commit.stage}/data/{path}")
        try:
            part = store.files.read(f"{commit.stage}/data/{path}")
        except FileNotFoundError:
            raise damaged(f"missing {posixpath.basename(path)}: {place} is gone") from None
        if sha256(part).hexdigest() != facts["sha256"]:
            altered = place
        content += part
    folder = store.files.url(f"{commit.stage}/data/{posixpath.dirname(next(iter(files)))}")
    rank = rank_of(content.decode("utf-8", "replace"), folder)
    if altered:
        raise damaged(f"{altered} does not match its hash")
    fitted = commit.record.get("config", {}).get("als", {}).get("rank", rank)
    if rank != fitted:
        raise damaged(f"{folder} says rank {rank}, but the model was fitted with rank {fitted}")


def rank_of(metadata: str, place: str) -> int:
    """Return the rank that a model's metadata say, if they are those of an ALSModel.

    >>> rank_of('{"class": "org.apache.spark.ml.recommendation.ALSModel", "rank": 3}', "model/metadata")
    3
    >>> rank_of('{"class": "evil.Model", "rank": 3}', "model/metadata")
    Traceback (most recent call last):
    recommender.errors.ArtifactError: MODEL_CLASS model/metadata names the class 'evil.Model', not ...ALSModel; it ...
    """
    try:
        said = json.loads(metadata)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, Mapping) or not isinstance(said.get("class"), str):
        raise damaged(f"{place} are not the metadata of a model")
    if said["class"] != MODEL_CLASS:
        sentence = f"{place} names the class {said['class'][:_SHOWN]!r}, not {MODEL_CLASS}; it was not loaded"
        raise ArtifactError("MODEL_CLASS", f"{sentence}: find out who wrote it, and run its stage again with --force")
    rank = said.get("rank")
    if not isinstance(rank, int) or rank < 1:
        raise damaged(f"{place} does not say the rank of the model")
    return rank


def _committed(path: str) -> Mapping[str, int]:
    """Compare a model in a store with the record of its commit; return the rows of its tables, nothing elsewhere."""
    found = _IN_A_STORE.fullmatch(path)
    if not found:
        return {}
    store = Store(open_files(found["root"], hadoop))
    commit = next((c for c in store.commits(found["stage"]) if c.attempt == found["attempt"]), None)
    if commit is None:
        raise damaged(f"{path} was never committed, or its commit has expired")
    check_model(store, commit)
    check_contents(store, commit, ["model"])
    contents: Mapping[str, Mapping[str, Any]] = commit.record["contents"]
    return {table: facts["rows"] for table, facts in contents.items()}


def _metadata(path: str) -> str:
    try:
        text = SparkSession.active().read.text(f"{path}/metadata")
        lines, metadata = single_row(text.agg(F.count(F.lit(1)), F.max("value")))
    except (Py4JJavaError, PySparkException) as error:
        raise _unreadable(f"{path}/metadata", error) from error
    return metadata if lines == 1 else ""  # MLlib would take the first of several


def _check_factors(path: str, name: str, rank: int, expected: int | None) -> None:
    """Read all factors of the visitors, or of the items, to their end, and look at their number."""
    place = f"{path}/{name}"
    try:
        rows, ids, fitting = single_row(
            read_table(place, _SCHEMA).agg(
                F.count(F.lit(1)), F.count_distinct("id"), F.count_if(F.size("features") == rank)
            )
        )
    except (Py4JJavaError, PySparkException) as error:
        raise _unreadable(place, error) from error
    if not rows:
        raise damaged(f"{place} has no rows")
    if expected is not None and rows != expected:
        raise damaged(f"{place} has {rows:,} rows, not {expected:,}")
    if ids != rows:
        raise damaged(f"{place} has {rows:,} rows, but {ids:,} ids")
    if fitting != rows:
        raise damaged(f"{rows - fitting:,} of {rows:,} rows of {place} have not {rank} factors, as the metadata say")


def _unreadable(place: str, error: Exception) -> RecommenderError:
    """Return the error of files that Spark cannot read."""
    known = explained(error, place=f"a file of {place}")  # Spark 3.5 may not name it
    if known is None:
        reason = str(error).strip().split("\n", 1)[0][:200]
        return damaged(f"{place} cannot be read to its end ({reason})")
    return damaged(known.fault) if isinstance(known, InputError | ArtifactError) else known
