"""One process at a time, and a process that dies lets go."""

import multiprocessing
import os
from pathlib import Path

import pytest

from recommender.errors import ConflictError, StorageError
from recommender.store import locks, open_files
from recommender.store.locks import locked

SPAWN = multiprocessing.get_context("spawn")


def hold(path: Path, says: object) -> None:
    with locked(path, patience=0) as is_held:
        says.put(is_held)  # type: ignore[attr-defined]
        os.kill(os.getpid(), 9)


def test_a_process_that_dies_lets_go(tmp_path: Path) -> None:
    says = SPAWN.SimpleQueue()
    process = SPAWN.Process(target=hold, args=(tmp_path / "lock", says))
    process.start()
    assert says.get() is True
    process.join(60)
    with locked(tmp_path / "lock", patience=0) as is_held:
        assert is_held
    assert not (tmp_path / "lock").exists()


def test_a_lock_that_was_waited_for_is_not_that_of_a_file_that_is_gone(tmp_path: Path) -> None:
    """Who has opened the file before its holder deleted it must not share the lock with who makes a new one."""
    path = tmp_path / "lock"
    with locked(path, patience=0):
        waiting = os.open(path, os.O_RDWR)  # by somebody who gets the lock in the next moment
    with locked(path, patience=0) as is_held:
        assert is_held
        assert not os.path.samestat(os.fstat(waiting), path.stat())
    os.close(waiting)


def test_a_file_that_was_deleted_while_it_was_locked_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.MonkeyPatch.context() as patch:
        flock, deleted = locks.fcntl.flock, []

        def late(descriptor: int, how: int) -> None:
            flock(descriptor, how)
            if not deleted:
                deleted.append(True)
                path.unlink()  # its holder let go between the opening and the lock

        patch.setattr(locks.fcntl, "flock", late)
        with locked(path, patience=5) as is_held:
            assert is_held
            assert path.exists()


def test_a_mount_without_locks_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("recommender.store.locks.fcntl.flock", no_locks)
    with locked(tmp_path / "lock", patience=0) as one, locked(tmp_path / "lock", patience=0) as other:
        assert (one, other) == (True, True)


def test_a_lock_that_is_held_or_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    files = open_files(str(tmp_path), lambda: None)
    held = r"LOCKED .*/\.locks/x is held by another process; wait until it has ended, and start this again"
    with files.locked("x"), pytest.raises(ConflictError, match=held), files.locked("x", patience=0):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="STORAGE_FAILED"), open_files(f"{tmp_path}/file", lambda: None).locked("x"):
        pass
