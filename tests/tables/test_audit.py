"""What was written is read back, and what is read is compared."""

from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from recommender.errors import ArtifactError, StorageError
from recommender.store import Attempt, Commit, Store, open_files
from recommender.tables import schemas
from recommender.tables.audit import Written, added, audit, check_contents, check_rows
from recommender.tables.parquet import write_table

ROWS = [(n, n / 8) for n in range(50)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(open_files(str(tmp_path), hadoop=lambda: None))


def table(spark: SparkSession, rows: list[tuple[int, float]]) -> DataFrame:
    return spark.createDataFrame(rows, schemas.TABLES["popularity"])


def written(store: Store, rows: DataFrame) -> tuple[Attempt, Written]:
    attempt = store.begin("stage2", "monday")
    write_table(attempt.url, "popularity", rows)
    return attempt, audit(store, "stage2", attempt.id, {"popularity": rows.schema})


def checksum(store: Store, rows: DataFrame) -> str:
    return str(written(store, rows)[1].tables["popularity"]["checksum"])


def committed(store: Store, rows: DataFrame) -> Commit:
    attempt, found = written(store, rows)
    return store.commit(attempt, {"files": found.files})


def test_files_have_size_rows_and_hash(store: Store, spark: SparkSession) -> None:
    _, found = written(store, table(spark, ROWS).repartition(3))
    assert found.tables["popularity"]["rows"] == 50
    assert sum(facts["rows"] for facts in found.files.values()) == 50
    for path, facts in found.files.items():
        assert path.endswith(".parquet")
        assert store.files.sha256(f"stage2/data/{path}") == facts["sha256"]
        assert len(store.files.read(f"stage2/data/{path}")) == facts["bytes"]


def test_spark_hashes_many_bytes_and_finds_the_same(
    store: Store, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt, here = written(store, table(spark, ROWS).repartition(3))
    monkeypatch.setattr("recommender.tables.audit._HASHED_HERE", 0)
    monkeypatch.setattr(store.files, "sha256", pytest.fail)
    assert audit(store, "stage2", attempt.id, {"popularity": table(spark, []).schema}) == here


def test_the_checksum_does_not_depend_on_order_or_files(store: Store, spark: SparkSession) -> None:
    one = checksum(store, table(spark, ROWS).coalesce(1))
    assert checksum(store, table(spark, ROWS[::-1]).repartition(4)) == one
    assert checksum(store, table(spark, [(0, 0.5), *ROWS[1:]])) != one
    assert checksum(store, table(spark, [*ROWS, ROWS[0], ROWS[0]])) != one


def test_the_checksum_of_two_parts_is_that_of_the_whole(store: Store, spark: SparkSession) -> None:
    parts = [checksum(store, table(spark, part)) for part in (ROWS[:20], ROWS[20:])]
    assert added(*parts) == checksum(store, table(spark, ROWS))


def test_a_table_without_rows_has_a_checksum_too(store: Store, spark: SparkSession) -> None:
    assert written(store, table(spark, []))[1].tables["popularity"] == {"rows": 0, "checksum": "0" * 32}


def test_rows_that_were_lost_on_the_way_are_told() -> None:
    with pytest.raises(StorageError, match="AUDIT_ROWS of 5 rows of scores that were written, 4 can be read back"):
        check_rows({"scores": {"rows": 4}}, {"scores": 5})
    check_rows({"scores": {"rows": 5}, "other": {"rows": 1}}, {"scores": 5})


@pytest.mark.parametrize("place", [0, 4, 30, 0.5, -40, -9, -5])
def test_a_flipped_bit_is_found_wherever_it_is(store: Store, spark: SparkSession, tmp_path: Path, place: float) -> None:
    commit = committed(store, table(spark, ROWS).coalesce(1))
    check_contents(store, commit, ["popularity"])
    file = tmp_path / "stage2" / "data" / next(iter(commit.files()))
    content = bytearray(file.read_bytes())
    content[int(place * len(content)) if isinstance(place, float) else place] ^= 4
    file.write_bytes(content)
    # What Spark itself says of it, if Hadoop's own checksum file is there, is explained at the boundary.
    file.with_name(f".{file.name}.crc").unlink()
    with pytest.raises(ArtifactError, match=r"ARTIFACT_CORRUPT .* does not match its hash"):
        check_contents(store, commit, ["popularity"])


def test_a_file_of_a_table_that_is_not_read_does_not_matter(store: Store, spark: SparkSession, tmp_path: Path) -> None:
    commit = committed(store, table(spark, ROWS))
    for path in commit.files():
        (tmp_path / "stage2" / "data" / path).unlink()
    check_contents(store, commit, ["scores"])
    with pytest.raises(ArtifactError, match="ARTIFACT_CORRUPT missing part-"):
        check_contents(store, commit, ["popularity"])


def test_a_file_that_goes_while_it_is_hashed_is_missing(
    store: Store, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = committed(store, table(spark, ROWS))

    def gone(*_: object) -> None:
        for path in commit.files():
            (Path(store.files.root) / "stage2/data" / path).unlink()

    monkeypatch.setattr(Store, "check", gone)
    with pytest.raises(ArtifactError, match=r"ARTIFACT_CORRUPT missing part-.* is gone"):
        check_contents(store, commit, ["popularity"])


def test_hidden_files_are_not_listed(store: Store, spark: SparkSession, tmp_path: Path) -> None:
    attempt, before = written(store, table(spark, ROWS))
    folder = tmp_path / "stage2" / "data" / attempt.id / "popularity"
    assert (folder / "_SUCCESS").exists()
    (folder / ".hidden.parquet").write_bytes(b"no rows")
    (folder / "_temporary").mkdir()
    (folder / "_temporary" / "part-9.parquet").write_bytes(b"no rows")
    assert audit(store, "stage2", attempt.id, {"popularity": table(spark, []).schema}) == before


@pytest.mark.parametrize("name", ["a b", "größe", "50%25", "a#b", "stage2"])
def test_a_root_may_have_any_name(spark: SparkSession, tmp_path: Path, name: str) -> None:
    store = Store(open_files(str(tmp_path / name), hadoop=lambda: None))
    commit = committed(store, table(spark, ROWS))
    assert sum(facts["rows"] for facts in commit.files().values()) == 50
    check_contents(store, commit, ["popularity"])


def test_a_file_of_another_size_is_found(store: Store, spark: SparkSession, tmp_path: Path) -> None:
    commit = committed(store, table(spark, ROWS).coalesce(1))
    file = tmp_path / "stage2" / "data" / next(iter(commit.files()))
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=r"ARTIFACT_CORRUPT .* has [\d,]+ bytes, not [\d,]+; run its stage again"):
        check_contents(store, commit, ["popularity"])


def test_a_file_too_large_to_hash_is_counted_and_compared_by_size(
    store: Store, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recommender.tables.audit._LARGEST_HASHED", 0)
    commit = committed(store, table(spark, ROWS).coalesce(1))
    (path, facts), *_ = commit.files().items()
    assert (facts["sha256"], facts["rows"]) == (None, 50)
    check_contents(store, commit, ["popularity"])
    (tmp_path / "stage2" / "data" / path).write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"ARTIFACT_CORRUPT .* has 0 bytes"):
        check_contents(store, commit, ["popularity"])


def test_one_part_is_read_back_alone(store: Store, spark: SparkSession) -> None:
    attempt = store.begin("stage2", "monday")
    rows = {"shard-0": ROWS[:20], "shard-1": ROWS[20:]}
    for part, some in rows.items():
        write_table(attempt.url, "popularity", table(spark, some), part)
    schema = {"popularity": table(spark, []).schema}
    parts = [audit(store, "stage2", attempt.id, schema, part) for part in rows]
    assert [part.tables["popularity"]["rows"] for part in parts] == [20, 30]
    whole = audit(store, "stage2", attempt.id, schema)
    assert whole.files == parts[0].files | parts[1].files
    checksums = [part.tables["popularity"]["checksum"] for part in parts]
    assert whole.tables["popularity"]["checksum"] == added(*checksums)
