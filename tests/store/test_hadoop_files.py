"""What the store needs of a file system, on each one: a disk, HDFS, and S3 with and without conditional writes."""

import hashlib
import threading
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from recommender.errors import StorageError
from recommender.spark.session import hadoop
from recommender.store import Files, open_files
from recommender.store.log import Log

HADOOP = ["hdfs", "s3a", "s3a-conditional"]
EXCLUSIVE = ["local", "hdfs", "s3a-conditional"]  # where two writers at once are safe
NAME = "stage1/commits/1.json"
MODES = ["die", "stumble"]  # of the storage: for good, or once


class Place:
    """A folder on a kind of storage, as any number of writers see it; each has a name of its own."""

    def __init__(self, kind: str, folder: Path, faulty_files: Any) -> None:
        self._scheme = kind.partition("-")[0]
        self._conditional = kind.endswith("-conditional")
        self._folder = folder
        self._faulty_files = faulty_files

    def files(self, writer: str = "") -> Files:
        if self._scheme == "local":
            return open_files(str(self._folder), lambda: None)
        writer = writer or uuid.uuid4().hex
        if self._conditional:
            self._faulty_files.offerConditionalWrites(writer)
        return open_files(f"{self._scheme}://{writer}{self._folder}", hadoop)

    def failing(self, operation: int, mode: str = "die", answer_lost: bool = False) -> Files:
        """Return the files as a writer sees them whose operation fails, counted from 1."""
        writer = uuid.uuid4().hex
        getattr(self._faulty_files, mode)(writer, operation, answer_lost)
        return self.files(writer)

    def refusing(self, refusal: Any) -> Files:
        """Return the files as a writer sees them whose operations all end in an exception of Java's."""
        writer = uuid.uuid4().hex
        self._faulty_files.refuse(writer, refusal)
        return self.files(writer)

    def operations(self, work: Callable[[Files], object]) -> int:
        """Return how many operations some work takes."""
        writer = uuid.uuid4().hex
        work(self.files(writer))
        return int(self._faulty_files.operations(writer))


def place_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> Place:
    return Place(kind, folder / "root", None if kind == "local" else request.getfixturevalue("faulty_files"))


@pytest.fixture(params=["local", *HADOOP])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return place_of(request.param, request, tmp_path)


@pytest.fixture(params=HADOOP)
def hadoop_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return place_of(request.param, request, tmp_path)


@pytest.fixture(params=EXCLUSIVE)
def exclusive_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return place_of(request.param, request, tmp_path)


def race(works: list[Callable[[], bool]]) -> list[bool]:
    """Do all at the same moment, and return what each returns."""
    barrier = threading.Barrier(len(works))
    results = [False] * len(works)

    def go(place: int) -> None:
        barrier.wait()
        results[place] = works[place]()

    threads = [threading.Thread(target=go, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize("content", [b"", b"{}", bytes(range(256)) * 1000])
def test_what_is_created_is_read(place: Place, content: bytes) -> None:
    assert place.files().create(NAME, content)
    assert place.files().read(NAME) == content
    assert place.files().sha256(NAME) == hashlib.sha256(content).hexdigest()


def test_the_second_who_creates_a_file_is_told_and_changes_nothing(place: Place) -> None:
    assert place.files().create(NAME, b"first")
    assert not place.files().create(NAME, b"second")
    assert place.files().read(NAME) == b"first"
    assert place.files().names("stage1/commits") == ["1.json"]


def test_of_two_writers_at_once_exactly_one_creates_the_file(exclusive_place: Place) -> None:
    one, other = exclusive_place.files(), exclusive_place.files()
    for number in range(20):
        name = f"commits/{number}"
        won = race([partial(one.create, name, b"one"), partial(other.create, name, b"other")])
        assert sorted(won) == [False, True]
        assert one.read(name) == (b"one" if won[0] else b"other")
    assert len(one.names("commits")) == 20


def test_a_reader_never_meets_a_file_that_is_not_finished(place: Place) -> None:
    writer, reader = place.files(), place.files()
    content = bytes(range(256)) * 40
    seen: list[bytes] = []
    writing = threading.Thread(target=lambda: [writer.create(f"commits/{n}", content) for n in range(20)])
    writing.start()
    while writing.is_alive():
        seen += [reader.read(f"commits/{name}") for name in reader.names("commits") if name.isdigit()]
    writing.join()
    assert set(seen) <= {content}
    assert len(reader.names("commits")) == 20


@pytest.mark.parametrize("answer_lost", [False, True])
def test_wherever_a_writer_dies_the_file_is_complete_or_missing(hadoop_place: Place, answer_lost: bool) -> None:
    content = b"content " * 1000
    last = hadoop_place.operations(lambda files: files.create("commits/0", content))
    there = []
    for operation in range(1, last + 1):
        name = f"commits/{operation}"
        with pytest.raises(StorageError):
            hadoop_place.failing(operation, answer_lost=answer_lost).create(name, content)
        there.append(str(operation) in hadoop_place.files().names("commits"))
        if there[-1]:
            assert hadoop_place.files().read(name) == content
    assert there == [False] * (last - 1) + [answer_lost]


def test_what_is_missing_is_told_as_python_does(place: Place) -> None:
    files = place.files()
    for folder in ("", "stage1/commits"):
        files.create(f"{folder}/other".lstrip("/"), b"")
        with pytest.raises(FileNotFoundError, match=r"there is no such file|No such file"):
            files.read(NAME)
        with pytest.raises(FileNotFoundError):
            files.sha256(NAME)


def test_a_folder_that_is_missing_has_nothing_in_it(place: Place) -> None:
    files = place.files()
    assert files.names("") == []
    assert files.names("stage1/commits") == []
    assert list(files.walk("stage1/commits")) == []
    files.delete("stage1/commits")
    files.delete(NAME)


def test_names_are_those_of_files_and_folders_sorted(place: Place) -> None:
    files = place.files()
    for path in ("b", "c/1", "a/2/3"):
        files.create(path, b"")
    files.create("d/e/4", b"")
    assert files.names("") == ["a", "b", "c", "d"]
    assert files.names("d") == ["e"]


def test_a_walk_finds_all_files_below_a_folder_with_their_sizes_and_times(place: Place) -> None:
    files = place.files()
    for path, content in {"data/a/part-0": b"1", "data/a/b c/part-1": b"", "data/_x": b"123", "other": b"1"}.items():
        files.create(path, content)
    found = {file.path: file for file in files.walk("data")}
    assert {path: file.size for path, file in found.items()} == {"a/part-0": 1, "a/b c/part-1": 0, "_x": 3}
    assert all(abs(time.time() - file.modified) < 60 for file in found.values())


def test_deleted_are_a_file_or_a_folder_with_all_that_is_in_it(place: Place) -> None:
    files = place.files()
    for path in ("data/a/1", "data/a/b/2", "data/c"):
        files.create(path, b"")
    files.delete("data/c")
    assert [file.path for file in files.walk("")] != []
    files.delete("data/a")
    assert list(files.walk("")) == []
    assert files.create("data/c", b"again")


def test_spark_finds_the_file_under_its_url(place: Place, spark: SparkSession) -> None:
    files = place.files()
    files.create("text/part-0", b"a line\n")
    assert [row.value for row in spark.read.text(files.url("text/part-0")).collect()] == ["a line"]


def test_what_a_dead_writer_was_told_to_write_is_an_error_that_says_where(hadoop_place: Place) -> None:
    hadoop_place.files().create(NAME, b"old")
    files = hadoop_place.failing(1)
    sentence = "STORAGE_FAILED {} cannot be used: IOException: the writer died at operation 1; see --root"
    for work, path in [(files.delete, NAME), (lambda path: files.create(path, b""), "b")]:
        with pytest.raises(StorageError) as error:
            work(path)
        assert str(error.value) == sentence.format(files.url(path))
    assert files.read(NAME) == b"old"


@pytest.mark.parametrize(
    ("java", "message", "sentence"),
    [
        ("java.io.IOException", "No space left on device", "STORAGE_FULL {} cannot be written: {}; free some space"),
        (
            "org.apache.hadoop.hdfs.protocol.DSQuotaExceededException",
            "The DiskSpace quota of /shop is exceeded",
            "STORAGE_FULL {} cannot be written: {}; free some space",
        ),
        (
            "org.apache.hadoop.security.AccessControlException",
            "Permission denied: user=ann",
            "STORAGE_DENIED {} cannot be written: {}; see --root",
        ),
        (
            "java.nio.file.AccessDeniedException",
            "s3a://shop/1.json",
            "STORAGE_DENIED {} cannot be written: {}; see --root",
        ),
    ],
)
def test_a_storage_that_refuses_says_why(
    hadoop_place: Place, spark: SparkSession, java: str, message: str, sentence: str
) -> None:
    refusal: Any = spark._jvm  # type: ignore[attr-defined]
    for name in java.split("."):
        refusal = getattr(refusal, name)
    files = hadoop_place.refusing(refusal(message))
    with pytest.raises(StorageError) as error:
        files.create(NAME, b"")
    assert str(error.value) == sentence.format(files.url(NAME), f"{java.rpartition('.')[2]}: {message}")


@pytest.mark.parametrize(
    "root",
    [
        "abfss://box@shop.dfs.core.windows.net/r",
        "wasbs://box@shop.blob.core.windows.net/r",
        "s3://shop/r",
        "gs://shop/r",
    ],
)
def test_a_scheme_whose_library_is_missing_is_told(spark: SparkSession, root: str) -> None:
    scheme = root.partition(":")[0]
    with pytest.raises(
        StorageError, match=rf"STORAGE_SCHEME root {root}: this Spark cannot reach {scheme}: \(.*library"
    ):
        open_files(root, hadoop)


def test_a_host_that_is_unknown_is_told(spark: SparkSession) -> None:
    gateway = hadoop()
    assert gateway is not None
    gateway.configuration.set("fs.hdfs.impl", "org.apache.hadoop.hdfs.DistributedFileSystem")
    with pytest.raises(StorageError, match=r"STORAGE_SCHEME root hdfs://nobody\.invalid/root: .*nobody\.invalid"):
        open_files("hdfs://nobody.invalid/root", lambda: gateway)


def test_a_record_is_appended_once(place: Place) -> None:
    record = {"attempt": "ours", "rows": 3}
    assert Log(place.files(), "commits").append(1, record, is_ours={"attempt": "ours"})
    assert Log(place.files(), "commits").append(1, record, is_ours={"attempt": "ours"})
    assert not Log(place.files(), "commits").append(1, {"attempt": "theirs"}, is_ours={"attempt": "theirs"})
    assert Log(place.files(), "commits").record(1) == record


@pytest.mark.parametrize("mode", MODES)
def test_a_record_whose_answer_was_lost_counts_if_it_is_there(hadoop_place: Place, mode: str) -> None:
    appended = []
    for number in range(1, operations_of_append(hadoop_place) + 1):
        files = hadoop_place.failing(number, mode, answer_lost=True)
        appended.append(append(files, number))
        assert (number in Log(hadoop_place.files(), "commits").numbers()) == appended[-1]
    assert appended == [False] * (len(appended) - 1) + [True]


@pytest.mark.parametrize("mode", MODES)
def test_a_record_that_was_not_written_is_an_error_and_can_be_written_again(hadoop_place: Place, mode: str) -> None:
    for number in range(1, operations_of_append(hadoop_place) + 1):
        assert not append(hadoop_place.failing(number, mode), number)
        assert append(hadoop_place.files(), number)


def test_who_came_second_is_told_even_if_the_temporary_file_cannot_be_deleted(
    tmp_path: Path, faulty_files: Any
) -> None:
    place = Place("hdfs", tmp_path, faulty_files)
    place.files().create(NAME, b"first")
    last = place.operations(lambda files: files.create(NAME, b"second"))
    assert not place.failing(last).create(NAME, b"third")
    assert place.files().read(NAME) == b"first"


@pytest.mark.parametrize("kind", ["hdfs", "s3a-conditional"])
def test_of_two_writers_of_a_record_the_one_whose_answer_was_lost_may_have_won(
    kind: str, tmp_path: Path, faulty_files: Any
) -> None:
    place = Place(kind, tmp_path, faulty_files)
    slow, other = place.failing(operations_of_append(place), "stumble", answer_lost=True), place.files()
    won = race([lambda: append(slow, 1), lambda: append(other, 1, "theirs")])
    record = Log(other, "commits").record(1)
    assert record is not None
    assert won == [record["attempt"] == "ours", record["attempt"] == "theirs"]


def operations_of_append(place: Place) -> int:
    return place.operations(lambda files: Log(files, "elsewhere").append(1, {}, is_ours={}))


def append(files: Files, number: int, attempt: str = "ours") -> bool:
    """Append a record, and return whether it counts; an error is no."""
    try:
        return Log(files, "commits").append(number, {"attempt": attempt}, is_ours={"attempt": attempt})
    except StorageError:
        return False
