"""Real processes at the same store at the same time."""

import hashlib
import multiprocessing
import time
from pathlib import Path

from support.literal_store import open_store, result

from recommender.errors import ConflictError
from recommender.store import clean_up

ROUNDS = 40
SPAWN = multiprocessing.get_context("spawn")


def compete(root: Path, name: str, barrier: object, wins: object) -> None:
    store = open_store(root)
    for number in range(ROUNDS):
        attempt = store.begin("stage1", f"{name}-{number}")
        barrier.wait(30)  # type: ignore[attr-defined] - both have begun, neither has committed
        try:
            store.commit(attempt, {"files": {}})
            wins.put((number, name))  # type: ignore[attr-defined]
        except ConflictError:
            pass
        barrier.wait(30)  # type: ignore[attr-defined]


def test_of_two_processes_one_wins_every_round(tmp_path: Path) -> None:
    barrier, wins = SPAWN.Barrier(2), SPAWN.Queue()
    processes = [SPAWN.Process(target=compete, args=(tmp_path, name, barrier, wins)) for name in ("one", "other")]
    for process in processes:
        process.start()
    won = [wins.get(timeout=60) for _ in range(ROUNDS)]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert wins.empty()
    won.sort()  # each process has its own way to the queue: of two rounds the later may come first
    assert [number for number, _ in won] == list(range(ROUNDS))
    commits = list(open_store(tmp_path).commits("stage1"))
    assert [commit.number for commit in commits] == list(range(ROUNDS, 0, -1))
    assert [commit.run_id for commit in reversed(commits)] == [f"{name}-{number}" for number, name in won]


def read_until(root: Path, end: float, reads: object) -> None:
    """Read the newest result over and over, all of it, slowly; fail if it is not what was written."""
    store, done = open_store(root), 0
    while time.time() < end:
        commit = store.latest("stage1")
        assert commit is not None
        store.check(commit)
        time.sleep(0.05)
        for path, facts in commit.files().items():
            content = store.files.read(f"stage1/data/{path}")
            assert hashlib.sha256(content).hexdigest() == facts["sha256"]
        done += 1
    reads.put(done)  # type: ignore[attr-defined]


def clean_until(root: Path, end: float, removed: object) -> None:
    store, done = open_store(root), 0
    while time.time() < end:
        done += len(clean_up(store, older_than=1.0, keep=1))
    removed.put(done)  # type: ignore[attr-defined]


def test_62_a_clean_up_in_a_loop_disturbs_no_reader(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    result(store, "stage1", "first")
    end, reads, removed = time.time() + 3, SPAWN.Queue(), SPAWN.Queue()
    processes = [
        SPAWN.Process(target=read_until, args=(tmp_path, end, reads)),
        SPAWN.Process(target=read_until, args=(tmp_path, end, reads)),
        SPAWN.Process(target=clean_until, args=(tmp_path, end, removed)),
    ]
    for process in processes:
        process.start()
    number = 0
    while time.time() < end:
        number += 1
        result(store, "stage1", f"run-{number}", "rows " * number)
        time.sleep(0.02)
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert min(reads.get(timeout=5) for _ in range(2)) > 5
    assert removed.get(timeout=5) > 10
