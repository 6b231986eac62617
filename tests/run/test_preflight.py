"""A fingerprint changes with everything that the result depends on, and with nothing else."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from recommender.errors import ConfigError
from recommender.run import preflight
from recommender.run.preflight import (
    check_overlap,
    code_version,
    differences,
    fingerprint,
    identity,
    size_of_inputs,
)
from recommender.settings import redaction
from recommender.stage import Stage
from recommender.stage1.main import Stage1
from recommender.store import Commit, Hadoop

FOLDERS = ["stage1", "channels"]


def of(source: str, min_score: float = 1, upstream: str = "a1") -> dict[str, Any]:
    stage = Stage1({"data_loader": {"event_filename": source}, "score_filter": {"min_score": min_score}})
    return identity(stage, {"stage0": Commit("stage0", 1, {"attempt": upstream})}, hadoop=lambda: None)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "events").mkdir()
    file = tmp_path / "events" / "one.csv"
    file.write_text("rows")
    os.utime(file, (1000, 1000))
    return file


def test_the_same_has_the_same_fingerprint(log: Path) -> None:
    assert fingerprint(of(str(log))) == fingerprint(of(str(log)))


def test_settings_that_differ_from_the_defaults_are_found() -> None:
    stage = Stage1({"score_filter": {"min_score": 2, "min_items_per_visitor": 1}, "event_cap": {}})
    assert stage.changed() == {"score_filter": {"min_score": 2.0}}
    assert Stage1({}).changed() == {}


def test_the_size_of_a_run_is_that_of_its_largest_input(log: Path) -> None:
    stage = Stage1({"data_loader": {"event_filename": str(log.parent)}})
    files = {"a/one": {"bytes": 70}, "a/other": {"bytes": 50}}

    def size(*commits: Commit) -> int | None:
        return size_of_inputs([stage], commits, hadoop=lambda: None)

    assert size() == 4
    assert size(Commit("stage1", 1, {"files": {"a/one": {"bytes": 3}}}), Commit("stage1", 2, {"files": files})) == 120


def test_nobody_knows_the_size_of_a_table() -> None:
    stage = Stage1({"data_loader": {"table": "shop.events"}})
    assert size_of_inputs([stage], [], hadoop=lambda: None) is None


def test_what_the_result_depends_on_changes_it(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = of(str(log))
    changed = [of(str(log), min_score=2), of(str(log), upstream="a2")]
    os.utime(log, (2000, 2000))
    changed.append(of(str(log)))
    log.write_text("more rows")
    os.utime(log, (1000, 1000))
    changed.append(of(str(log)))
    monkeypatch.setattr(preflight, "code_version", lambda: "another")
    changed.append(of(str(log)))
    assert len({fingerprint(each) for each in [before, *changed]}) == 6
    assert differences(before, changed[0]) == ["config.score_filter.min_score"]
    assert differences(before, changed[1]) == ["upstream.stage0"]
    assert differences(before, changed[2]) == [f"inputs.{log}"]


@pytest.mark.parametrize("source", ["events", "events/*.csv", "ev*"])
def test_the_files_of_folders_and_globs_are_part_of_it(log: Path, tmp_path: Path, source: str) -> None:
    before = of(f"{tmp_path}/{source}")
    assert list(before["inputs"]) == [str(log)]
    log.with_name("two.csv").write_text("rows")
    assert len(of(f"{tmp_path}/{source}")["inputs"]) == 2


def test_a_uri_is_the_same_as_a_path(log: Path) -> None:
    assert of(f"file://{log}")["inputs"] == of(str(log))["inputs"]


def test_the_code_has_a_version() -> None:
    version, _, code = code_version().partition("+")
    assert version.count(".") == 2
    assert len(code) == 12


def test_differences_are_told_by_their_paths() -> None:
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}) == ["a.c", "d"]
    assert differences({"a": 1}, {"a": 1}) == []


@pytest.mark.parametrize(
    ("source", "root"),
    [
        ("/data/out", "/data/out"),
        ("/data", "/data/out"),
        ("/data/out/stage1/data/x", "/data/out"),
        ("file:///data/out", "/data/out"),
        ("/data/*", "/data/out"),
        ("/data/o*/stage1/*.csv", "/data/out"),
        ("s3a://shop/out", "s3a://shop/out/"),
        ("s3a://shop//out", "s3a://shop/out"),
        ("/", "/data/out"),
        ("/data/{out,in}", "/data/out"),
        ("/data/[^x]ut", "/data/out"),
    ],
)
def test_what_is_written_is_not_read(source: str, root: str) -> None:
    with pytest.raises(ConfigError, match=r"OUTPUT_OVERLAPS_INPUT the input .* and the root .* overlap"):
        check_overlap([source], root, FOLDERS)


@pytest.mark.parametrize(
    ("source", "root"),
    [
        ("/data/events.csv", "/data/out"),
        ("/data/*.csv", "/data/out"),
        ("/data/out", "/data/out-2"),
        ("/data/out/events.csv", "/data/out"),
        ("s3a://shop/in", "s3a://shop/out"),
    ],
)
def test_neighbours_do_not_overlap(source: str, root: str) -> None:
    check_overlap([source], root, FOLDERS)


def test_a_link_does_not_hide_an_overlap(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    with pytest.raises(ConfigError, match="OUTPUT_OVERLAPS_INPUT"):
        check_overlap([str(tmp_path / "link")], str(tmp_path / "out"), FOLDERS)


class Reader(Stage):
    def sources(self) -> list[str]:
        return ["s3a://shop/events", "/no/such/file"]


def test_what_this_machine_does_not_have_is_asked_of_the_cluster() -> None:
    class Cluster:
        def listed(self, pattern: str) -> Iterator[tuple[str, list[float]]]:
            yield f"{pattern}/one.csv", [4, 1000.0]

    found = identity(Reader({}), {}, hadoop=lambda: cast("Hadoop", Cluster()))
    assert found["inputs"] == {"s3a://shop/events/one.csv": [4, 1000.0], "/no/such/file/one.csv": [4, 1000.0]}
    assert identity(Reader({}), {}, hadoop=lambda: None)["inputs"] == {}


def test_another_name_of_an_input_changes_it(log: Path, tmp_path: Path) -> None:
    before = of(f"{tmp_path}/events")
    log.rename(log.with_name("two.csv"))
    after = of(f"{tmp_path}/events")
    assert list(before["inputs"].values()) == list(after["inputs"].values())
    assert fingerprint(before) != fingerprint(after)


def test_what_the_result_does_not_depend_on_leaves_it_as_it_is(log: Path) -> None:
    made = of(str(log))
    assert fingerprint({**made, "started_at": "today"}) == fingerprint(made)
    assert fingerprint(dict(reversed(made.items()))) == fingerprint(made)


def test_an_identity_holds_no_secret(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_known", {"one.csv"})
    assert "one.csv" not in str(of(str(log)))


@pytest.mark.parametrize(
    ("one", "other", "paths"),
    [
        ({"a": {"b": 1}}, {"a": {}}, ["a.b"]),
        ({"a": {"b": 1}}, {"a": 3}, ["a"]),
        ({"a": {"b": {"c": 1}}}, {}, ["a"]),
        ({"a": [1, 2]}, {"a": [2, 1]}, ["a"]),
    ],
)
def test_differences_of_keys_that_are_missing_or_no_mappings(one: Any, other: Any, paths: list[str]) -> None:
    assert differences(one, other) == paths
    assert differences(other, one) == paths


def test_an_overlap_does_not_tell_secrets() -> None:
    with pytest.raises(ConfigError) as raised:
        check_overlap(["s3a://ann:hunter2@shop/out"], "s3a://ann:hunter2@shop/out", FOLDERS)
    assert "hunter2" not in str(raised.value)
