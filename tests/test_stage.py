"""Several actions at once end as one would."""

import threading

import pytest

from recommender.stage import side_by_side


def test_all_are_done() -> None:
    done: set[int] = set()
    side_by_side([lambda number=number: done.add(number) for number in range(7)])  # type: ignore[misc]
    assert done == set(range(7))


def test_an_error_is_told_when_what_runs_has_ended_and_nothing_more_is_begun() -> None:
    begun, ended, failed = [], [], threading.Event()

    def fail() -> None:
        failed.set()
        raise OSError("the disk is full")

    def work() -> None:
        begun.append(1)
        failed.wait()
        ended.append(1)

    with pytest.raises(OSError, match="the disk is full"):
        side_by_side([work, fail, *[work] * 20])
    assert len(begun) == len(ended) < 20
