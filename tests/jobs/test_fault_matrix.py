"""Faults as docs/reliability.md numbers them: the exit code, the text, and what is left on disk.

These jobs run in the test's process; test_ends.py has the faults that end one.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.disks import mounting, needs_mount
from support.submitting import Done, commits, failed, is_error, live, newest, record

from recommender.store import Store

pytestmark = pytest.mark.job

# 1 to 7: told before Spark starts


def test_01_a_misspelt_key(python: Callable[..., Done]) -> None:
    done = python("stage1", "--set", "stage1.scroe_filter.min_score=5")
    assert is_error(done, 10, "CFG_UNKNOWN_KEY", "scroe_filter, did you mean score_filter")


def test_02_a_python_tag(python: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(f"root: !!python/object/apply:os.mkdir [{tmp_path}/executed]\n")
    assert is_error(python("stage1", "--config", str(tmp_path / "bad.yaml")), 10, "CFG_YAML_TAG")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("run_id", ["../x", "run:1", "a*", "x" * 300])
def test_03_a_run_id_that_is_no_name(python: Callable[..., Done], run_id: str) -> None:
    assert is_error(python("stage1", "--run-id", run_id), 10, "RUN_ID must match [A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@pytest.mark.parametrize("name", ["id`; drop table x --", "a;b", 'a"b', "a\\b"])
@pytest.mark.parametrize("key", ["stage1.data_loader.columns", "stage1.train_test_split.column_name"])
def test_04_sql_in_the_name_of_a_column(python: Callable[..., Done], tmp_path: Path, key: str, name: str) -> None:
    value = f"{{itemid: {json.dumps(name)}}}" if key.endswith("columns") else json.dumps(name)
    assert is_error(python("stage1", "--set", f"{key}={value}"), 10, "BAD_IDENTIFIER", "a name: no quotes")


@pytest.mark.parametrize(
    "override",
    [
        "stage1.data_loader.password=hunter2",
        "stage1.data_loader.event_filename=s3a://ann:hunter2@bucket/events",
        "root=jdbc:x://h/db?password=hunter2",
    ],
)
def test_05_a_secret_in_the_configuration(python: Callable[..., Done], override: str) -> None:
    done = python("stage1", "--set", override)
    assert is_error(done, 10, "SECRET_INLINE", "set the environment variable")
    assert "hunter2" not in done.err + done.out


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("stage3.recommend.k=0", "stage3.recommend.k must be 1..1000, got 0"),
        ("stage2.als.rank=0", "stage2.als.rank must be 1..1000, got 0"),
        ("stage1.score_filter.min_score=.nan", "stage1.score_filter.min_score must be"),
    ],
)
def test_06_a_number_out_of_range(python: Callable[..., Done], override: str, text: str) -> None:
    assert is_error(python("workflow", "--set", override), 10, "CFG_RANGE", text)


@pytest.mark.parametrize("source", ["out", "out/stage1", "out/stage2/data/*.csv", "."])
def test_07_output_that_overlaps_the_input(python: Callable[..., Done], source: str) -> None:
    done = python("stage1", "--root", "out", "--set", f"stage1.data_loader.event_filename={source}")
    assert is_error(done, 10, "OUTPUT_OVERLAPS_INPUT")


# 45 to 47: disks


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Return a function that mounts a file system of a given size."""
    with mounting(tmp_path) as mount:
        yield mount


@needs_mount
def test_45_the_output_s_disk_is_full(small_disk: Callable[[str], Path], call: Callable[..., Done]) -> None:
    disk = small_disk("size=60k")
    done = call("stage1", disk / "out")
    assert is_error(done, 17, "STORAGE_FULL", str(disk))
    assert commits(disk / "out", "stage1") == []
    (note,) = failed(disk / "out", "stage1")
    assert note["id"] == "STORAGE_FULL"


@needs_mount
def test_47_a_root_that_cannot_be_written(small_disk: Callable[[str], Path], python: Callable[..., Done]) -> None:
    disk = small_disk("size=60k,ro")
    assert is_error(python("workflow", "--root", str(disk)), 17, "STORAGE_DENIED", str(disk))


# 48 to 54: runs and records


def test_37_a_model_that_loses_is_kept_and_not_published(call: Callable[..., Done], root: Path) -> None:
    worse = ("--from", "stage2", "--set", "stage2.als.seed=5", "--set", "stage2.gate.min_gain_over_baselines=1000")
    done = call("workflow", root, *worse)
    assert is_error(done, 14, "NOT_BLESSED", "ndcg@10", "asks for", "--override-gate")
    assert "stage2 train:" in done.out  # its metrics are shown
    assert [len(commits(root, f"stage{n}")) for n in (2, 3, 4)] == [2, 1, 1]
    assert record(commits(root, "stage2")[-1])["blessed"] is False
    assert live(root) == ["monday"]
    override = ("--override-gate", "a new market")
    done = call("workflow", root, *worse, *override, "--until", "stage3")
    assert done.code == 0, done.err
    assert [len(commits(root, f"stage{n}")) for n in (1, 2, 3, 4)] == [1, 2, 2, 1]
    assert record(commits(root, "stage3")[-1])["upstream"] == {"stage1": 1, "stage2": 2}
    done = call("workflow", root, *worse, *override)
    assert done.code == 0, done.err
    assert [len(commits(root, f"stage{n}")) for n in (2, 3, 4)] == [2, 2, 2]
    assert record(commits(root, "stage4")[-1])["gate_overridden"]["reason"] == "a new market"
    assert len(live(root)) == 2


def test_48_a_finished_run_again(call: Callable[..., Done], root: Path) -> None:
    done = call("workflow", root, "--run-id", "monday")
    assert done.code == 0, done.err
    assert done.out.count("ALREADY_COMMITTED") == 4
    assert "starting Spark" not in done.err
    assert [len(commits(root, f"stage{n}")) for n in (1, 2, 3, 4)] == [1, 1, 1, 1]
    assert live(root) == ["monday"]


def test_49_a_run_id_that_stands_for_something_else(call: Callable[..., Done], root: Path, events: Path) -> None:
    done = call("stage2", root, "--run-id", "monday", "--set", "stage2.als.rank=5")
    assert is_error(done, 15, "RUN_ID_REUSED", "config.als.rank")
    other = Path(shutil.copy(events, root.parent / "other.csv.gz"))
    done = call("stage1", root, "--run-id", "monday", "--set", f"stage1.data_loader.event_filename={other}")
    assert is_error(done, 15, "RUN_ID_REUSED", "config.data_loader.event_filename", "inputs.")


def part_of(root: Path, stage: str, table: str) -> Path:
    attempt = root / stage / "data" / newest(root, stage)
    return min((attempt / table).glob("part-*"))


def test_50_a_committed_part_that_is_gone(call: Callable[..., Done], root: Path) -> None:
    part = part_of(root, "stage1", "scores")
    part.unlink()
    assert is_error(call("stage2", root, "--force"), 16, "ARTIFACT_CORRUPT", f"missing {part.name}")
    assert len(commits(root, "stage2")) == 1


def test_50_a_committed_part_that_is_cut_or_changed(call: Callable[..., Done], root: Path) -> None:
    part = part_of(root, "stage1", "scores")
    content = part.read_bytes()
    part.write_bytes(content[:-1])
    assert is_error(call("stage2", root, "--force"), 16, "ARTIFACT_CORRUPT", part.name, "bytes, not")
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    part.write_bytes(flipped)
    assert is_error(call("stage2", root, "--force"), 16, "ARTIFACT_CORRUPT", part.name)
    assert len(commits(root, "stage2")) == 1


def test_52_a_commit_record_that_is_cut(call: Callable[..., Done], root: Path) -> None:
    commit = commits(root, "stage1")[0]
    commit.write_bytes(commit.read_bytes()[:100])
    done = call("stage2", root)
    assert is_error(done, 16, "ARTIFACT_CORRUPT", commit.name)
    assert "starting Spark" not in done.err


def test_54_a_stage_before_that_was_not_run(python: Callable[..., Done], tmp_path: Path) -> None:
    assert is_error(python("stage2", "--root", "empty"), 12, "UPSTREAM_NOT_COMMITTED", "run stage1 first")
    assert not (tmp_path / "empty").exists()


def test_54_a_stage_before_that_commits_meanwhile(
    call: Callable[..., Done], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = Store.begin

    def others_commit(self: Store, stage: str, *given: Any) -> Any:
        for before in ("stage1", "stage2"):
            old = self.latest(before)
            assert old is not None
            self.commit(begin(self, before, "meanwhile"), {**old.record, "run": "meanwhile"})
        return begin(self, stage, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "begin", others_commit)
        done = call("stage3", root, "--run-id", "tuesday")
    assert done.code == 0, done.err
    assert [len(commits(root, f"stage{n}")) for n in (1, 2, 3)] == [2, 2, 2]
    assert record(commits(root, "stage3")[-1])["upstream"] == {"stage1": 1, "stage2": 1}


def test_61_a_model_of_another_class(call: Callable[..., Done], root: Path) -> None:
    part = part_of(root, "stage2", "model/metadata")
    part.write_text(part.read_text().replace("org.apache.spark.ml.recommendation.ALSModel", "evil.Model"))
    assert is_error(call("stage3", root, "--force"), 16, "MODEL_CLASS", "names the class 'evil.Model'")
    assert len(commits(root, "stage3")) == 1


# a workflow that goes on where it was


def test_stages_in_the_wrong_order_are_told(python: Callable[..., Done]) -> None:
    done = python("workflow", "--from", "stage3", "--until", "stage2")
    assert is_error(done, 10, "CFG_ARGUMENT", "--from stage3 comes after --until stage2")
