"""Whatever is damaged in a snapshot is found before anybody is answered from it, and told in a sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.literal_snapshot import Shop

from recommender.errors import ArtifactError
from recommender.serving.version import Version
from recommender.snapshot.checks import checked_files, read_manifest
from recommender.snapshot.layout import (
    FACTORS,
    GRAM,
    ITEMS,
    ITEMS_BY_ID,
    MANIFEST,
    MODEL_FILES,
    NEIGHBOURS,
    RANKING,
    SIMILAR_ITEMS,
    SINGLE_FILES,
    part_name,
)
from recommender.snapshot.write import arrow_bytes, write
from recommender.store import digest, seal

FILES = [*SINGLE_FILES, *MODEL_FILES["als"], part_name(0), part_name(2)]


def check(folder: Path, sha256: str | None = None) -> Version:
    manifest = read_manifest(folder, sha256)
    list(checked_files(folder, manifest))
    return Version.open(folder, manifest)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Shop().write(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_found(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"ARTIFACT_CORRUPT .*{name} does not match its hash; publish"):
        check(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_cut_is_found(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ArtifactError, match=rf"{name} has [\d,]+ bytes, not {len(content):,}"):
        check(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_found(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ArtifactError, match=f"missing {Path(name).name}: .* is gone"):
        check(folder)


def test_a_folder_that_is_no_file_is_told(folder: Path) -> None:
    (folder / GRAM).unlink()
    (folder / GRAM).mkdir()
    with pytest.raises(ArtifactError, match=r"gram.arrow cannot be read: Is a directory"):
        check(folder)


def test_a_folder_without_a_manifest_is_no_snapshot(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"SNAPSHOT_MISSING .* has no manifest.json; give the folder of a snapshot"):
        check(tmp_path)


@pytest.mark.parametrize("cut", [0, 10, -3])
def test_a_manifest_that_was_cut_is_found(folder: Path, cut: int) -> None:
    (folder / MANIFEST).write_bytes((folder / MANIFEST).read_bytes()[:cut])
    with pytest.raises(ArtifactError, match=r"ARTIFACT_CORRUPT .*manifest.json is damaged"):
        check(folder)


def test_a_manifest_that_was_edited_is_found(folder: Path) -> None:
    content = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(content.replace('"monday"', '"friday"'))
    with pytest.raises(ArtifactError, match="its content does not match its hash"):
        check(folder)


def test_the_manifest_of_another_snapshot_is_found(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    Shop(seed=2).write(other)
    commits = digest((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_bytes((other / MANIFEST).read_bytes())
    with pytest.raises(ArtifactError, match="is not the manifest that the commit names"):
        check(folder, commits)
    with pytest.raises(ArtifactError, match="ARTIFACT_CORRUPT"):
        check(folder)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": 2}, r"SNAPSHOT_FORMAT .* is not a manifest of format 1: format: Input should be 1; make"),
        ({"rank": 0}, "SNAPSHOT_FORMAT .* rank: Input should be greater than or equal to 1"),
        ({"files": {}}, r"ARTIFACT_CORRUPT .*manifest.json does not list items.arrow"),
    ],
)
def test_a_manifest_that_says_nonsense_is_told(folder: Path, change: dict[str, Any], sentence: str) -> None:
    _reseal(folder, change)
    with pytest.raises(ArtifactError, match=sentence):
        check(folder)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd"])
def test_a_manifest_cannot_name_what_is_elsewhere(folder: Path, name: str) -> None:
    record = json.loads((folder / MANIFEST).read_bytes())
    _reseal(folder, {"files": {**record["files"], name: {"bytes": 1, "sha256": ""}}})
    with pytest.raises(ArtifactError, match=f"lists {name}, which is not inside the snapshot"):
        check(folder)


def _reseal(folder: Path, change: dict[str, Any]) -> None:
    record = json.loads((folder / MANIFEST).read_bytes())
    del record["sha256"]
    (folder / MANIFEST).write_bytes(seal({**record, **change}))


def column(name: str, change: Callable[[Any], Any]) -> Callable[[pa.Table], pa.Table]:
    """Return a function that changes a column of a table."""

    def changed(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index(name)
        return table.set_column(
            place, table.schema.field(name), pa.array(change(table[name]), table.schema.types[place])
        )

    return changed


def first(value: Any) -> Callable[[Any], Any]:
    """Return a function that puts another value into the first list that is not empty."""

    def changed(column: pa.ChunkedArray) -> Any:
        rows = column.to_pylist()
        place = next(n for n, row in enumerate(rows) if row)
        rows[place] = [value, *rows[place][1:]]
        return rows

    return changed


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        (ITEMS, lambda table: table.drop_columns(["title"]), "items.arrow has other columns than itemid, popularity"),
        (ITEMS, lambda table: table[:-1], "the tables of the items have different lengths"),
        (ITEMS_BY_ID, column("item", lambda items: items.to_pylist()[::-1]), "not in the order of their ids"),
        (ITEMS_BY_ID, column("item", lambda items: [99, *items.to_pylist()[1:]]), "names what is not there: 99 of 30"),
        (
            ITEMS_BY_ID,
            column("item", lambda items: [-1, *items.to_pylist()[1:]]),
            "column item names what is not there",
        ),
        (SIMILAR_ITEMS, column("item", first(30)), "column item names what is not there: 30 of 30"),
        (FACTORS, lambda table: table[:-1], "the factors are not those of these items"),
        (GRAM, lambda table: table[:-1], "the factors are not those of these items"),
        (RANKING, lambda table: table.take(list(range(len(table)))[::-1]), "of their norms"),
        (RANKING, column("item", lambda items: [items.to_pylist()[1], *items.to_pylist()[1:]]), "not what has factors"),
        (RANKING, column("norm", lambda norms: [float("inf"), *norms.to_pylist()[1:]]), "the factors are not finite"),
        (part_name(0), column("item", first(30)), "column item names what is not there: 30 of 30"),
        (part_name(0), column("source", first(3)), "column source names what is not there: 3 of 3"),
        (part_name(0), column("history_item", first(77)), "column history_item names what is not there: 77 of 30"),
        (part_name(0), column("history_event", first(-1)), "column history_event names what is not there"),
        (part_name(0), column("score", first(None)), "not a snapshot that can be served"),
        (part_name(0), column("history_item", lambda rows: rows.to_pylist()[::-1]), "have different lengths"),
        (part_name(0), lambda table: table.take(list(range(len(table)))[::-1]), "is not in the order of the ids"),
        (part_name(1), lambda _: Shop().tables()[part_name(0)], "the parts of the visitors overlap"),
        (
            part_name(1),  # the last visitor of the part before is its first one too
            column("visitorid", lambda ids: [*Shop().tables()[part_name(0)]["visitorid"].to_pylist()[-1:], *ids[1:]]),
            "the parts of the visitors overlap",
        ),
        (part_name(2), lambda table: table[:-1], "has 39 visitors and 30 items, not 40 and 30"),
    ],
)
def test_what_does_not_belong_together_is_told_whatever_the_hashes_say(
    tmp_path: Path, name: str, change: Callable[[pa.Table], pa.Table], sentence: str
) -> None:
    shop = Shop()
    tables = shop.tables()
    tables[name] = change(tables[name])
    files = {path: write(tmp_path, path, arrow_bytes(table)) for path, table in tables.items()}
    write(tmp_path, MANIFEST, shop.manifest(files).sealed())
    with pytest.raises(ArtifactError, match=f"ARTIFACT_CORRUPT .*{sentence}.*; publish the version again"):
        check(tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda table: table[:-1], "the neighbours are not those of these items"),
        (column("item", first(30)), "column item names what is not there: 30 of 30"),
        (column("similarity", first(0.0)), "a similarity of neighbours is not above 0"),
        (column("similarity", first(float("nan"))), "a similarity of neighbours is not above 0"),
    ],
)
def test_neighbours_that_cannot_be_are_told(
    tmp_path: Path, change: Callable[[pa.Table], pa.Table], sentence: str
) -> None:
    shop = Shop(neighbours=True)
    tables = shop.tables()
    tables[NEIGHBOURS] = change(tables[NEIGHBOURS])
    files = {path: write(tmp_path, path, arrow_bytes(table)) for path, table in tables.items()}
    write(tmp_path, MANIFEST, shop.manifest(files).sealed())
    with pytest.raises(ArtifactError, match=f"ARTIFACT_CORRUPT .*{sentence}"):
        check(tmp_path)


@pytest.mark.parametrize(("change", "missing"), [({"model": "item_to_item"}, "neighbours.arrow"), ({"rank": None}, "")])
def test_a_manifest_must_fit_its_model(folder: Path, change: dict[str, Any], missing: str) -> None:
    _reseal(folder, change)
    sentence = f"does not list {missing}" if missing else "the manifest has no rank or no solver of its factors"
    with pytest.raises(ArtifactError, match=f"ARTIFACT_CORRUPT .*{sentence}"):
        check(folder)


def test_what_is_no_arrow_file_is_told(folder: Path) -> None:
    (folder / GRAM).unlink()
    record = json.loads((folder / MANIFEST).read_bytes())
    _reseal(folder, {"files": {**record["files"], GRAM: write(folder, GRAM, b"hello" * 99)}})
    with pytest.raises(ArtifactError, match="is not a snapshot that can be served: Not an Arrow file"):
        check(folder)


@pytest.mark.parametrize(
    ("golden", "sentence"),
    [
        ({"visitorid": "nobody", "item": []}, "does not know a visitor that it must know"),
        ({"visitorid": None, "item": [1, 2, 3]}, "recommends other items than it must"),
    ],
)
def test_a_version_that_answers_a_golden_question_wrongly_is_not_served(
    tmp_path: Path, golden: dict[str, Any], sentence: str
) -> None:
    visitorid = golden["visitorid"] or Shop().visitorids[0]
    Shop(golden=[{**golden, "visitorid": visitorid}]).write(tmp_path)
    match = f"GOLDEN_QUESTION the version of run monday {sentence}: a golden question was answered wrongly"
    with pytest.raises(ArtifactError, match=match):
        check(tmp_path)


def test_a_good_snapshot_is_opened_and_every_page_is_touched(folder: Path) -> None:
    version = check(folder)
    assert version.snapshot.touch() >= len(FILES)
    assert np.array_equal(version.snapshot.model.gram, version.snapshot.model.gram.T)
