"""What Spark raises becomes a sentence for the user, or stays a bug."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from recommender.errors import RecommenderError
from recommender.spark.errors import explained


@pytest.mark.parametrize(
    ("text", "expected", "code"),
    [
        (
            "[FAILED_READ_FILE.NO_HINT] Encountered error while reading file file:///data/e.csv.gz. SQLSTATE: KD001",
            "INPUT_CORRUPT file:///data/e.csv.gz cannot be read to its end; replace the file",
            12,
        ),
        (
            "FAILED_READ_FILE.NO_HINT] Encountered error while reading file file:///a/b%20c.csv.gz.  SQLSTATE: KD001",
            "INPUT_CORRUPT file:///a/b c.csv.gz cannot be read",
            12,
        ),
        (
            "[CANNOT_READ_FILE_FOOTER] Could not read footer for file: file:/a/b c.parquet\n\tat org.apache",
            "INPUT_CORRUPT file:/a/b c.parquet cannot be read",
            12,
        ),
        (
            "CANNOT_READ_FILE_FOOTER read footer for file: FileStatus{path=file:/a/b c.parquet; isDirectory=false}",
            "INPUT_CORRUPT file:/a/b c.parquet cannot be read",
            12,
        ),
        (
            'org.postgresql.util.PSQLException: ERROR: invalid input syntax for type bigint: "a value"\n\tat org',
            "SOURCE_QUERY the database cannot read what it is asked for: ERROR: invalid input syntax for type bigint;",
            12,
        ),
        (
            "Encountered error while reading file file:///e.csv.gz. Details:\nCaused by: IOException: not a gzip file",
            "INPUT_CORRUPT file:///e.csv.gz is not packed as the end of its name says; rename it, or pack it",
            12,
        ),
        ("java.io.EOFException: Unexpected end of input stream", "INPUT_CORRUPT a file cannot be read to its end", 12),
        ("java.io.IOException: No space left on device", "STORAGE_FULL a disk is full: see --root", 17),
        (
            "[JAVA_GATEWAY_EXITED] Java gateway process exited before sending its port number.",
            "JAVA_FAILED Java, which Spark runs on, did not start; it must be 17 or newer, in JAVA_HOME or on PATH",
            10,
        ),
        ("java.lang.OutOfMemoryError: Java heap space", "OUT_OF_MEMORY Spark ran out of memory; give it more", 1),
    ],
)
def test_a_known_fault_is_explained(text: str, expected: str, code: int) -> None:
    error = explained(RuntimeError(text))
    assert isinstance(error, RecommenderError)
    assert str(error).startswith(expected)
    assert error.exit_code == code


def test_an_unknown_fault_is_a_bug() -> None:
    assert explained(ValueError("what?")) is None


class Py4JNetworkError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "id"),
    [
        (RuntimeError("Job aborted due to stage failure: ExecutorLostFailure (executor 1 exited)"), "CLUSTER_LOST"),
        (RuntimeError("Job 3 cancelled because SparkContext was shut down"), "CLUSTER_LOST"),
        (RuntimeError("java.lang.IllegalStateException: SparkContext has been shutdown"), "CLUSTER_LOST"),
        (Py4JNetworkError("Answer from Java side is empty"), "DRIVER_LOST"),
        (
            RuntimeError("<_MultiThreadedRendezvous of RPC: status = StatusCode.UNAVAILABLE, Socket closed"),
            "DRIVER_LOST",
        ),
    ],
)
def test_what_is_lost_may_be_tried_again(error: Exception, id: str) -> None:  # noqa: A002
    found = explained(error)
    assert found is not None
    assert (found.id, found.exit_code) == (id, 18)


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        total: int
        free: int

    full = tmp_path / "spark"
    full.mkdir()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0 if path == full else 10**11))
    found = explained(RuntimeError("No space left on device"), local=str(full), root=str(tmp_path / "out"))
    assert str(found) == f"STORAGE_FULL spark.local.dir {full}: no space left; free some, or take another folder"


def test_a_damaged_file_of_ours_is_no_damaged_input() -> None:
    path = f"file:///out/stage1/data/{'a' * 32}/scores/part-0.parquet"
    found = explained(RuntimeError(f"[FAILED_READ_FILE] Encountered error while reading file {path}. x"))
    assert found is not None
    assert (found.id, found.exit_code) == ("ARTIFACT_CORRUPT", 16)


@pytest.mark.parametrize(
    ("full", "named"),
    [
        (["out"], "root {0}/out/new: no space left"),
        (["one", "two"], "spark.local.dir {0}/one and spark.local.dir {0}/two: no space left"),
        ([], "a disk is full: see --root, and spark.local.dir for Spark's own files"),
    ],
)
def test_each_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: list[str], named: str) -> None:
    class Usage(NamedTuple):
        total: int
        free: int

    for name in ("out", "one", "two"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0 if path.name in full else 10**11))
    text = "java.io.IOException: Disk quota exceeded"
    found = explained(RuntimeError(text), local=f"{tmp_path}/one,{tmp_path}/two", root=f"{tmp_path}/out/new")
    assert str(found).startswith(f"STORAGE_FULL {named.format(tmp_path)}")


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(111, "Connection refused"),
        ConnectionResetError(104, "Connection reset by peer"),
        BrokenPipeError(32, "Broken pipe"),
    ],
)
def test_a_connection_that_is_gone_is_a_driver_that_is_gone(error: Exception) -> None:
    assert str(explained(error)).startswith("DRIVER_LOST the JVM that Spark ran in is gone; start it again to go on")


def test_a_connection_that_is_no_database_s_is_not_told_as_one() -> None:
    lost = "org.apache.spark.shuffle.FetchFailedException: Connection refused: worker-3/10.0.0.3:7337"
    assert str(explained(RuntimeError(lost))).startswith("CLUSTER_LOST ")
    assert explained(RuntimeError("java.net.SocketException: Connection reset")) is None
