"""A model is loaded only if it is one of MLlib's, and whole."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import SparkSession

from recommender.errors import ArtifactError
from recommender.stage2.steps import AlsFitter
from recommender.store import Commit, Store, open_files
from recommender.tables.als_model import MODEL_CLASS, check_model, load_model, rank_of
from recommender.tables.audit import audit

SCORES = "visitor_index int, item_index int, score float"


@pytest.fixture(scope="module")
def saved(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a saved model of six visitors and four items, two files of each."""
    rows = [(v, i, 1.0 + (v + i) % 3) for v in range(6) for i in range(4) if (v + i) % 2]
    path = tmp_path_factory.mktemp("saved") / "model"
    AlsFitter(rank=2, max_iter=1).execute_persist(str(path), spark.createDataFrame(rows, SCORES))
    return path


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    """Return a copy, without Hadoop's own checksums: whoever changes a file does not leave the old ones."""
    path = Path(shutil.copytree(saved, tmp_path / "model"))
    for checksum in path.rglob("*.crc"):
        checksum.unlink()
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(open_files(str(tmp_path / "root"), hadoop=lambda: None))


@pytest.fixture
def committed(model: Path, store: Store, spark: SparkSession) -> tuple[Commit, Path]:
    """Return the commit of a model in a store, and its folder there."""
    attempt = store.begin("stage2", "monday")
    path = store.files.url(f"stage2/data/{attempt.id}/model").removeprefix("file://")
    shutil.move(model, path)
    schemas = {f"model/{name}": spark.read.parquet(f"{path}/{name}").schema for name in ("userFactors", "itemFactors")}
    written = audit(store, "stage2", attempt.id, schemas)
    record = {"files": written.files, "contents": written.tables, "config": {"als": {"rank": 2}}}
    return store.commit(attempt, record), Path(path)


def parts(model: Path, name: str) -> list[Path]:
    return sorted(path for path in (model / name).glob("part-*") if path.stat().st_size)


def rewrite(model: Path, **changes: Any) -> None:
    """Change what the metadata say."""
    (part,) = parts(model, "metadata")
    part.write_text(json.dumps({**json.loads(part.read_text()), **changes}) + "\n")


def test_a_model_is_loaded_with_all_its_factors(model: Path) -> None:
    loaded = load_model(str(model))
    assert isinstance(loaded, ALSModel)
    assert (loaded.rank, loaded.userFactors.count(), loaded.itemFactors.count()) == (2, 6, 4)
    assert load_model(model.as_uri()).rank == 2


def test_61_metadata_that_name_another_class_are_refused_and_it_is_not_imported(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(tmp_path)
    rewrite(model, **{"class": "evil.Model"})
    with pytest.raises(ArtifactError) as error:
        load_model(str(model))
    assert str(error.value) == (
        f"MODEL_CLASS {model}/metadata names the class 'evil.Model', not {MODEL_CLASS}; it was not loaded: "
        "find out who wrote it, and run its stage again with --force"
    )
    assert error.value.exit_code == 16
    assert "evil" not in sys.modules


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ("", "ARTIFACT_CORRUPT here are not the metadata of a model; run its stage again with --force"),
        ("[1]", "ARTIFACT_CORRUPT here are not the metadata of a model"),
        ("[" * 100_000, "ARTIFACT_CORRUPT here are not the metadata of a model"),
        ('{"rank": 2}', "ARTIFACT_CORRUPT here are not the metadata of a model"),
        (json.dumps({"class": MODEL_CLASS}), "ARTIFACT_CORRUPT here does not say the rank of the model"),
        (json.dumps({"class": MODEL_CLASS, "rank": "2"}), "ARTIFACT_CORRUPT here does not say the rank of the model"),
        (json.dumps({"class": "a\nb" * 99}), r"MODEL_CLASS here names the class 'a\\nb[^\n]{,140}', not"),
    ],
)
def test_metadata_that_are_none_are_refused(metadata: str, told: str) -> None:
    with pytest.raises(ArtifactError, match=f"^{told}"):
        rank_of(metadata, "here")


def second_line(model: Path) -> None:
    (part,) = parts(model, "metadata")
    part.write_text(part.read_text() * 2)


def truncated(model: Path) -> None:
    part = parts(model, "itemFactors")[0]
    part.write_bytes(part.read_bytes()[:-8])


def twice(model: Path) -> None:
    part = parts(model, "userFactors")[0]
    shutil.copy(part, part.with_name("part-00009.parquet"))


def emptied(model: Path) -> None:
    for part in parts(model, "itemFactors"):
        part.unlink()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (second_line, "metadata are not the metadata of a model"),
        (lambda model: shutil.rmtree(model / "metadata"), r"metadata cannot be read to its end \(.*\)"),
        (lambda model: rewrite(model, rank=3), "6 of 6 rows of .*/userFactors have not 3 factors, as the metadata say"),
        (truncated, r"itemFactors\S* cannot be read to its end"),
        (twice, r"userFactors has [789] rows, but 6 ids"),
        (emptied, "itemFactors has no rows"),
        (lambda model: shutil.rmtree(model / "userFactors"), r"userFactors cannot be read to its end \(.*\)"),
    ],
)
def test_a_model_that_is_not_whole_is_refused(model: Path, damage: Callable[[Path], None], told: str) -> None:
    damage(model)
    with pytest.raises(
        ArtifactError, match=f"^ARTIFACT_CORRUPT .*{told}; run its stage again with --force, or restore"
    ):
        load_model(str(model))


def test_a_model_in_a_store_is_compared_with_its_commit(committed: tuple[Commit, Path], store: Store) -> None:
    commit, path = committed
    check_model(store, commit)
    assert load_model(str(path)).userFactors.count() == 6


def test_a_file_that_is_missing_altogether_is_found_where_there_is_a_record(committed: tuple[Commit, Path]) -> None:
    _, path = committed
    part = max(parts(path, "itemFactors"), key=lambda part: pq.read_metadata(part).num_rows)
    part.unlink()
    assert ALSModel.load(str(path)).itemFactors.count() < 4  # without a word
    with pytest.raises(ArtifactError, match=f"^ARTIFACT_CORRUPT missing {part.name}: "):
        load_model(str(path))


def test_a_model_that_nobody_has_committed_is_refused(model: Path, store: Store) -> None:
    attempt = store.begin("stage2", "monday")
    path = store.files.url(f"stage2/data/{attempt.id}/model").removeprefix("file://")
    shutil.move(model, path)
    with pytest.raises(
        ArtifactError, match=f"^ARTIFACT_CORRUPT {path} was never committed, or its commit has expired;"
    ):
        load_model(path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"class": "evil.Model"}, "MODEL_CLASS file://.*/model/metadata names the class 'evil.Model', not "),
        ({"uid": "another"}, "ARTIFACT_CORRUPT file://.*/part-.* does not match its hash; run its stage again"),
    ],
)
def test_metadata_that_were_changed_after_the_commit_are_refused(
    committed: tuple[Commit, Path], store: Store, change: dict[str, str], told: str
) -> None:
    commit, path = committed
    rewrite(path, **change)
    with pytest.raises(ArtifactError, match=f"^{told}"):
        check_model(store, commit)


def test_metadata_that_are_gone_are_told(committed: tuple[Commit, Path], store: Store) -> None:
    commit, path = committed
    (part,) = parts(path, "metadata")
    part.unlink()
    with pytest.raises(ArtifactError, match=f"^ARTIFACT_CORRUPT missing {part.name}: file://.* is gone; run its stage"):
        check_model(store, commit)
    files = {name: facts for name, facts in commit.files().items() if "/metadata/" not in name}
    without = Commit("stage2", 1, {**commit.record, "files": files})
    with pytest.raises(
        ArtifactError, match=r"^ARTIFACT_CORRUPT commit 1 of stage2 lists no metadata of its model; run"
    ):
        check_model(store, without)


def test_another_rank_than_was_fitted_is_told(committed: tuple[Commit, Path], store: Store) -> None:
    commit, _ = committed
    other = Commit("stage2", 1, {**commit.record, "config": {"als": {"rank": 7}}})
    with pytest.raises(
        ArtifactError, match="metadata says rank 2, but the model was fitted with rank 7; run its stage"
    ):
        check_model(store, other)
