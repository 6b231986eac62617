"""Work that is done in a process of its own ends with it, and with whoever wanted it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recommender.errors import ArtifactError
from recommender.serving.aside import aside


def forever() -> Iterator[None]:
    while True:
        time.sleep(0.01)
        yield


def test_work_is_broken_off_and_its_process_is_gone(tmp_path: Path) -> None:
    note = tmp_path / "process"

    def noted() -> Iterator[None]:
        note.write_text(str(os.getpid()))
        yield from forever()

    assert aside(noted, lambda: not (note.exists() and note.read_text())) is False
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_a_process_that_dies_is_told() -> None:
    def dying() -> Iterator[None]:
        yield
        os._exit(1)

    with pytest.raises(ArtifactError, match="INTERNAL the process that compares hashes died; it is started again"):
        aside(dying, lambda: True)


def test_a_bug_is_told_with_its_name() -> None:
    def wrong() -> Iterator[None]:
        yield
        raise KeyError("items")

    with pytest.raises(ArtifactError, match="INTERNAL KeyError: 'items'"):
        aside(wrong, lambda: True)


def test_work_runs_behind_those_that_answer() -> None:
    def priority() -> Iterator[None]:
        raise ArtifactError("PRIORITY", str(os.getpriority(os.PRIO_PROCESS, 0)))
        yield

    with pytest.raises(ArtifactError) as told:
        aside(priority, lambda: True)
    assert int(told.value.sentence) == max(os.getpriority(os.PRIO_PROCESS, 0), 10)
