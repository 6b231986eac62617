"""Trials that have ended: each is recorded once, and found by the fingerprint of its search."""

import time
from pathlib import Path

import pytest
from support.literal_store import open_store

from recommender.errors import ArtifactError
from recommender.store import Trials, removals

SEARCH = "ab" * 32


def test_trials_are_found_again_by_their_numbers(tmp_path: Path) -> None:
    trials = Trials(open_store(tmp_path), "tune", SEARCH)
    assert trials.finished() == {}
    for number in (2, 0):
        trials.finish(number, {"value": number / 10, "rungs": [[3, 0.1]]})
    again = Trials(open_store(tmp_path), "tune", SEARCH)
    assert again.finished() == {0: {"value": 0.0, "rungs": [[3, 0.1]]}, 2: {"value": 0.2, "rungs": [[3, 0.1]]}}


def test_the_first_record_of_a_trial_counts(tmp_path: Path) -> None:
    trials = Trials(open_store(tmp_path), "tune", SEARCH)
    assert trials.finish(0, {"value": 0.1}) == {"value": 0.1}
    assert trials.finish(0, {"value": 0.2}) == {"value": 0.1}
    assert trials.finish(0, {"value": 0.1}) == {"value": 0.1}


def test_another_search_has_trials_of_its_own(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    Trials(store, "tune", SEARCH).finish(0, {"value": 0.1})
    other = Trials(store, "tune", "cd" * 32)
    assert other.finished() == {}
    other.forget()
    assert Trials(store, "tune", SEARCH).finished() == {0: {"value": 0.1}}


def test_what_is_forgotten_is_done_again(tmp_path: Path) -> None:
    trials = Trials(open_store(tmp_path), "tune", SEARCH)
    trials.finish(0, {"value": 0.1})
    trials.forget()
    assert trials.finished() == {}
    assert trials.finish(0, {"value": 0.2}) == {"value": 0.2}


def test_a_damaged_record_is_told(tmp_path: Path) -> None:
    trials = Trials(open_store(tmp_path), "tune", SEARCH)
    trials.finish(0, {"value": 0.1})
    (record,) = (tmp_path / "tune" / "trials" / SEARCH).glob("*.json")
    record.write_text(record.read_text().replace("0.1", "0.9"))
    with pytest.raises(ArtifactError, match=r"ARTIFACT_CORRUPT .*0001\.json is damaged"):
        trials.finished()


def test_trials_of_earlier_searches_go_when_they_are_old(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    Trials(store, "tune", SEARCH).finish(0, {"value": 0.1})
    (tmp_path / "tune" / "trials" / "notes").mkdir()
    (tmp_path / "tune" / "trials" / "notes" / "mine.txt").write_text("mine")
    week = 7 * 86_400.0
    assert removals(store, week, 1) == []
    (removal,) = removals(store, week, 1, clock=lambda: time.time() + week + 1)
    assert removal.path == f"tune/trials/{SEARCH}/{1:020d}.json"
    assert removal.why == "a trial of an earlier search"
